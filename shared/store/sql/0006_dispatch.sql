-- What the hub needs to give tasks to several robots.

-- Who else of a group is not over. Ended tasks leave it.
CREATE INDEX tasks_in_group ON tasks (site, group_key, created_at, id)
    WHERE group_key IS NOT NULL AND status IN ('waiting', 'running', 'cancelling', 'unknown');

-- From a task to what it comes after: a predecessor may wait for its successors to come back.
CREATE INDEX edges_by_task ON edges (task, after);

-- Hub: start requests that were not granted yet, the oldest first.
CREATE TABLE start_requests (
    seq INTEGER PRIMARY KEY,           -- order of arrival, which is the order of the grants
    task TEXT NOT NULL UNIQUE,
    site TEXT NOT NULL,
    epoch TEXT NOT NULL,               -- of the claim
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL
) STRICT;

-- Hub: locks that are held. A row lasts until its claim has ended or a person speaks.
CREATE TABLE locks (
    site TEXT NOT NULL,
    name TEXT NOT NULL,
    task TEXT NOT NULL,
    epoch TEXT NOT NULL,               -- of the claim that holds it
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    device TEXT NOT NULL,
    granted_at INTEGER NOT NULL,       -- Unix ms
    PRIMARY KEY (site, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_by_task ON locks (task);
