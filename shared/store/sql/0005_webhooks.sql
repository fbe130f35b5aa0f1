-- Hub: what receivers outside are told of tasks. Times are Unix ms.

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,               -- as in the settings; one that is not there any more is deleted
    cursor INTEGER NOT NULL,           -- position up to which the journal has been looked through
    dropped INTEGER NOT NULL,          -- events that it was never told: too many waited, or it said 410
    last_success_at INTEGER,
    last_error TEXT,
    last_error_at INTEGER
) STRICT;

-- What is still to be told, written in the transaction that moves the cursor past it.
CREATE TABLE outbox (
    webhook TEXT NOT NULL,
    event TEXT NOT NULL,               -- id: of task, claim and status, so that it is the same at each try
    task TEXT NOT NULL,
    position INTEGER NOT NULL,         -- of the change: the order in which a task's events are told
    type TEXT NOT NULL,                -- task.succeeded
    at INTEGER NOT NULL,               -- when the status changed
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,          -- not to be tried before
    give_up_at INTEGER NOT NULL,       -- a try that goes wrong after this is the last
    failed_at INTEGER,                 -- given up; NULL: pending
    last_error TEXT,
    PRIMARY KEY (webhook, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (webhook, next_at) WHERE failed_at IS NULL;
CREATE INDEX outbox_by_task ON outbox (webhook, task, position) WHERE failed_at IS NULL;
CREATE INDEX outbox_by_age ON outbox (webhook, position);
