-- Recurring tasks. Times are Unix ms.

-- A row per schedule, for lists. Rewritten whenever the record changes.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    paused INTEGER NOT NULL,           -- 1: its slots pass without a task
    retired INTEGER NOT NULL           -- 1: deleted
) STRICT;
CREATE INDEX schedules_in_use ON schedules (id) WHERE retired = 0;

-- Hub: how far each schedule has got; written in the transaction of the tasks it submits.
CREATE TABLE schedule_marks (
    schedule TEXT PRIMARY KEY,
    upto INTEGER NOT NULL,             -- slots up to here are settled: run, or passed over
    last_slot INTEGER,                 -- newest slot that got a task; NULL: none did
    last_task TEXT,                    -- that task
    last_error TEXT                    -- why the newest slot's task was refused; NULL: it was not
) STRICT;
