-- Typed tables: a row per record, for lists and filters. When a record changes, only the columns that
-- are another now are written, so an index costs nothing until one of its own columns changes.

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
    group_key TEXT,                    -- of tasks that run one at a time; NULL: of none
    deadline INTEGER NOT NULL,         -- Unix ms; 9007199254740991: none, which sorts last
    unique_key TEXT,                   -- one unfinished task of a type with this key; NULL: none
    released INTEGER NOT NULL          -- 1: starts with the hub's permit only
) STRICT, WITHOUT ROWID;
-- Each filter of a list has an index for each order (shared/api/task_listing.py): newest first, and by
-- urgency. By creation, not by the id: a client may choose any. A change of status moves a task in the three
-- that hold the status, and in no other.
CREATE INDEX tasks_urgent ON tasks (priority, deadline, created_at, id);
CREATE INDEX tasks_by_priority ON tasks (priority, created_at, id);
CREATE INDEX tasks_by_status ON tasks (status, created_at, id);
CREATE INDEX tasks_by_status_urgent ON tasks (status, priority, deadline, created_at, id);
CREATE INDEX tasks_by_type ON tasks (type, created_at, id);
CREATE INDEX tasks_by_type_urgent ON tasks (type, priority, deadline, created_at, id);
CREATE INDEX tasks_by_device ON tasks (device, status, created_at, id);
CREATE INDEX tasks_by_device_urgent ON tasks (device, priority, deadline, created_at, id);
CREATE INDEX tasks_by_requester ON tasks (requester, created_at, id);
CREATE INDEX tasks_by_requester_urgent ON tasks (requester, priority, deadline, created_at, id);
-- Most tasks are of no group and cost nothing here.
CREATE INDEX tasks_by_group ON tasks (group_key, created_at, id) WHERE group_key IS NOT NULL;
CREATE INDEX tasks_by_group_urgent ON tasks (group_key, priority, deadline, created_at, id)
    WHERE group_key IS NOT NULL;

-- How many tasks there are of each: a summary must not look at a million rows. No row: none.
CREATE TABLE task_counts (
    site TEXT NOT NULL,
    status TEXT NOT NULL,              -- as in tasks
    type TEXT NOT NULL,
    priority INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (site, status, type, priority)
) STRICT, WITHOUT ROWID;

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
    device TEXT NOT NULL,              -- in the key: two agents number their own allocations alike
    id TEXT NOT NULL,
    boot TEXT NOT NULL,                -- run of the agent's process
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    error TEXT,                        -- JSON
    output TEXT,                       -- JSON
    PRIMARY KEY (task, epoch, n, number, device)
) STRICT, WITHOUT ROWID;
-- What runs, or ran when its agent ended.
CREATE INDEX attempts_open ON attempts (device) WHERE ended_at IS NULL;
-- What ended in a window of time, for throughput and durations.
CREATE INDEX attempts_ended ON attempts (ended_at) WHERE ended_at IS NOT NULL;

-- How many attempts ended in each way; '': they run.
CREATE TABLE attempt_counts (
    outcome TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Order constraints, to find who comes after a task.
CREATE TABLE edges (
    after TEXT NOT NULL,               -- predecessor
    task TEXT NOT NULL,
    PRIMARY KEY (after, task)
) STRICT, WITHOUT ROWID;
