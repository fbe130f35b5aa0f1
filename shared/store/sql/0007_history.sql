-- A record's events by time. Not an index of the journal, because a burst of writes would touch a
-- page of it for each record: the rows are written when the tables follow the journal.
CREATE TABLE history (
    record INTEGER NOT NULL REFERENCES records (id),
    at INTEGER NOT NULL,               -- hybrid logical stamp of the author
    entry INTEGER NOT NULL REFERENCES journal (entry),
    PRIMARY KEY (record, at, entry)
) STRICT, WITHOUT ROWID;
INSERT INTO history (record, at, entry) SELECT record, at, entry FROM journal ORDER BY record, at;
DROP INDEX journal_by_record;
