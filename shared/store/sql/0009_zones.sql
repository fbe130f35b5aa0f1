-- Hub: how each time zone in use was reckoned with last, to notice a new time-zone database.
CREATE TABLE zones (
    name TEXT PRIMARY KEY,
    year INTEGER NOT NULL,             -- first of the years that the digest covers
    digest BLOB NOT NULL               -- of the offsets from UTC in them, and of when they change
) STRICT, WITHOUT ROWID;
