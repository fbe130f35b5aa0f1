-- Typed tables: a row per record, for lists and filters. Rewritten whenever the record changes.

CREATE TABLE equipment (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    name TEXT,
    state TEXT,                        -- shown state; NULL before the first report
    reason TEXT,
    changed_at INTEGER,
    attributes TEXT NOT NULL,          -- JSON object
    retired INTEGER NOT NULL           -- 1: not in lists
) STRICT;
CREATE INDEX equipment_in_use ON equipment (id) WHERE retired = 0;

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    type TEXT NOT NULL,
    priority INTEGER NOT NULL,         -- 0 critical to 3 low
    status TEXT NOT NULL,              -- as journaled: waiting is not told apart; '' while unsubmitted
    device TEXT,                       -- allocated, or else pinned
    requester TEXT NOT NULL,
    submitter TEXT NOT NULL,           -- device of the submission
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    seated INTEGER NOT NULL,           -- 1: allocated
    group_name TEXT,                   -- tasks of one group run one at a time, in order
    deadline_at INTEGER,
    unique_key TEXT                    -- one unfinished task of a type with this key
) STRICT;
CREATE INDEX tasks_urgent ON tasks (priority, id);
CREATE INDEX tasks_by_status ON tasks (status, id);
CREATE INDEX tasks_by_device ON tasks (device, status, id);
-- What is not over: the dispatcher at start, the hub's allocation.
CREATE INDEX tasks_open ON tasks (id)
    WHERE status IN ('waiting', 'running', 'cancelling', 'unknown');

-- The unfinished task of a unique key: a key that is used each day must not cost more each day.
CREATE INDEX tasks_unique ON tasks (site, type, unique_key, id)
    WHERE unique_key IS NOT NULL AND status IN ('waiting', 'running', 'cancelling', 'unknown');
-- Queues that were ever paused: the others have no record.
CREATE TABLE queues (
    id TEXT PRIMARY KEY,               -- site:type
    site TEXT NOT NULL,
    type TEXT NOT NULL,
    paused INTEGER NOT NULL,           -- 1: its tasks may not start
    reason TEXT
) STRICT;

CREATE TABLE attempts (
    task TEXT NOT NULL,
    epoch TEXT NOT NULL,               -- '': the agent's own allocation
    n INTEGER NOT NULL,
    number INTEGER NOT NULL,           -- attempt under that allocation
    id TEXT NOT NULL,
    device TEXT NOT NULL,
    boot TEXT NOT NULL,                -- run of the agent's process
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    error TEXT,                        -- JSON
    output TEXT,                       -- JSON
    PRIMARY KEY (task, epoch, n, number)
) STRICT, WITHOUT ROWID;

-- Order constraints, to find who comes after a task.
CREATE TABLE edges (
    after TEXT NOT NULL,               -- predecessor
    task TEXT NOT NULL,
    PRIMARY KEY (after, task)
) STRICT, WITHOUT ROWID;
