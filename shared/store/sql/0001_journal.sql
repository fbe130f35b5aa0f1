-- The journal and what is folded from it. Times are Unix ms; positions count this node's changes.

-- This node: one row.
CREATE TABLE node (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    role TEXT NOT NULL CHECK (role IN ('agent', 'hub')),
    device TEXT NOT NULL,              -- device that this journal was minted for
    epoch TEXT NOT NULL,               -- random; a hub's position means something in one epoch only
    hub_epoch TEXT,                    -- agent: hub epoch adopted last
    position INTEGER NOT NULL,         -- newest position given here
    stamp INTEGER NOT NULL             -- newest hybrid logical stamp issued or seen
) STRICT;

-- One log per origin and site. The head is the newest event held of a complete log.
CREATE TABLE origins (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,         -- device.incarnation
    site TEXT NOT NULL,
    head INTEGER NOT NULL,             -- 0: only single events of it are held
    hash BLOB NOT NULL,                -- chain hash at the head
    acked INTEGER NOT NULL,            -- agent, own logs: newest event known durable at the hub
    own INTEGER NOT NULL CHECK (own IN (0, 1, 2))  -- 1: written here now; 2: written here once
) STRICT;

-- Names of records, so that events and registers can point at them.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    site TEXT NOT NULL,
    UNIQUE (kind, subject)
) STRICT;

-- Every event held, in its author's bytes, in the order of arrival here.
CREATE TABLE journal (
    entry INTEGER PRIMARY KEY,         -- position at which it arrived; at the hub, its place in the feed
    origin INTEGER NOT NULL REFERENCES origins (id),
    seq INTEGER NOT NULL,
    record INTEGER NOT NULL REFERENCES records (id),
    at INTEGER NOT NULL,               -- hybrid logical stamp of the author
    header BLOB NOT NULL,
    body BLOB NOT NULL,
    hash BLOB,                         -- chain hash at this event; NULL: heard singly, not in a log
    received_at INTEGER NOT NULL,
    verdict INTEGER NOT NULL,          -- 0 pending, 1 applied, 2 refused, 3 parked
    reason TEXT,                       -- why refused or parked
    verdict_at INTEGER,                -- position of a verdict other than applied on arrival
    UNIQUE (origin, seq)
) STRICT;
-- A record's history by time, and an agent's unjudged events of one record.
CREATE INDEX journal_by_record ON journal (record, at);
-- What authors must be told, and what waits to be judged again: few rows.
CREATE INDEX journal_by_verdict ON journal (verdict_at) WHERE verdict_at IS NOT NULL;

-- Events of others that an agent keeps for history, the oldest to be forgotten first.
CREATE INDEX journal_heard ON journal (entry) WHERE hash IS NULL;

-- Registers as shown here and, on agents, as the hub last told them.
CREATE TABLE registers (
    record INTEGER NOT NULL REFERENCES records (id),
    name TEXT NOT NULL,
    lane INTEGER NOT NULL,             -- 0 control, 1 records
    position INTEGER NOT NULL,         -- of its last change here
    shown BLOB NOT NULL,               -- base folded with the events that the hub has not judged
    base BLOB,                         -- agent: written from the hub's feed only
    base_position INTEGER,             -- agent: hub position of the base in the epoch followed
    PRIMARY KEY (record, name)
) STRICT, WITHOUT ROWID;
-- The feed, and what a live listener missed: what changed since a position.
CREATE INDEX registers_by_position ON registers (lane, position);

-- Conflicts: derived by the fold, never edited.
CREATE TABLE conflicts (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    register TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'resolved')),
    since INTEGER NOT NULL,
    resolved_by TEXT,
    resolved_at INTEGER,
    position INTEGER NOT NULL
) STRICT;
CREATE INDEX conflicts_by_status ON conflicts (status, id);
CREATE INDEX conflicts_by_position ON conflicts (position);

-- Changes that were once hidden by a concurrent one, kept for ever.
CREATE TABLE losses (
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    to_origin TEXT NOT NULL,
    to_seq INTEGER NOT NULL,
    PRIMARY KEY (origin, seq)
) STRICT, WITHOUT ROWID;

-- Events whose dot is taken by another content: a fork. Held apart, shown, folded nowhere.
CREATE TABLE held_apart (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    header BLOB NOT NULL,
    body BLOB NOT NULL,
    device TEXT NOT NULL,              -- who sent it
    received_at INTEGER NOT NULL,
    UNIQUE (origin, seq, header, body)
) STRICT;
