-- What the two ends of a sync session remember.

-- Agent: how far it has followed each lane of the hub's feed.
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    cursor INTEGER NOT NULL,           -- hub position; all that changed up to it is held
    judged BLOB NOT NULL               -- msgpack vector: what of our logs the hub had judged there
) STRICT;

-- Hub: which records of the control lane concern a device, and since which position.
CREATE TABLE scope (
    device TEXT NOT NULL,
    record INTEGER NOT NULL REFERENCES records (id),
    entered INTEGER NOT NULL,
    PRIMARY KEY (device, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX scope_by_entry ON scope (device, entered);
CREATE INDEX scope_by_record ON scope (record);

-- Hub: devices as last heard. Not journaled: it says nothing about the past.
CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    backlog INTEGER NOT NULL,
    clock TEXT NOT NULL,
    clock_offset_ms INTEGER,
    disk_free_bytes INTEGER,
    version TEXT NOT NULL,
    types TEXT NOT NULL,               -- JSON list: task types it runs
    capabilities TEXT NOT NULL,        -- JSON list
    zone TEXT,                         -- where it is; NULL, here and below: it does not say
    battery_pct REAL,
    x_m REAL,                          -- place on the site's map, metres
    y_m REAL,
    charger_m REAL,                    -- way to its charger, metres
    position INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_position ON devices (position);

-- Answers to writes with an Idempotency-Key, kept for a day.
CREATE TABLE answers (
    actor TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash BLOB NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,             -- JSON object
    body BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (actor, method, path, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_by_expiry ON answers (expires_at);
