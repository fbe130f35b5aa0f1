-- What can be booked, and what is. Times are Unix ms.

-- A row per resource and group of resources, for lists. Its rules are in the record.
CREATE TABLE resources (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    name TEXT,
    is_group INTEGER NOT NULL,         -- 1: booked by booking its members
    region TEXT,                       -- country-subdivision of its public holidays; NULL: none
    retired INTEGER NOT NULL,          -- 1: it can no longer be booked
    rules TEXT NOT NULL                -- digest of its rules, so that they need not be read to be known
) STRICT;
CREATE INDEX resources_in_use ON resources (id) WHERE retired = 0;
CREATE INDEX resources_by_region ON resources (region) WHERE retired = 0 AND region IS NOT NULL;

-- A row per booking, for the lists of a site and of a person.
CREATE TABLE bookings (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    status TEXT NOT NULL,
    begins INTEGER,                    -- NULL: it was cancelled before it came
    ends INTEGER,                      -- without buffers
    held_until INTEGER,                -- of a hold; from then on it blocks nothing
    requester TEXT,
    series TEXT,                       -- made with this series; NULL: by itself
    undecided INTEGER NOT NULL,        -- requests without a decision, as far as this node knows
    flagged INTEGER NOT NULL,          -- 1: outside rules that were changed later, or overbooked
    source TEXT                        -- busy time of this calendar; NULL: somebody asked for it
) STRICT;
-- With what tells whether one is still on, so that those which are over are passed without a look.
CREATE INDEX bookings_by_time ON bookings (begins, id, ends, status);
CREATE INDEX bookings_by_person ON bookings (requester, begins, id);
-- What overlaps an instant begins less than four hours before it, or is one of these few.
CREATE INDEX bookings_long ON bookings (begins, id) WHERE ends - begins > 14400000;
CREATE INDEX bookings_long_by_person ON bookings (requester, begins, id)
    WHERE ends - begins > 14400000;
CREATE INDEX bookings_held ON bookings (held_until) WHERE status = 'held';
CREATE INDEX bookings_undecided ON bookings (id) WHERE undecided > 0;
CREATE INDEX bookings_flagged ON bookings (id) WHERE flagged = 1;
CREATE INDEX bookings_by_source ON bookings (source, ends) WHERE source IS NOT NULL;

-- How many bookings have each status.
CREATE TABLE booking_counts (
    status TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A row per booking and resource. Buffers are no part of it: they are a rule of the resource, which
-- may change, and whoever looks for what overlaps adds those of today.
CREATE TABLE booking_places (
    booking TEXT NOT NULL,
    resource TEXT NOT NULL,
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    status TEXT NOT NULL,
    held_until INTEGER,
    PRIMARY KEY (booking, resource)
) STRICT, WITHOUT ROWID;
-- All of a resource in a window.
CREATE INDEX booking_places_by_time ON booking_places (resource, begins, booking);
-- What takes a place: every decision and every search walks along it, and finds all it needs there.
CREATE INDEX booking_places_taken
    ON booking_places (resource, begins, booking, ends, status, held_until)
    WHERE status IN ('requested', 'held', 'confirmed');
-- What is longer than four hours, of any status; no booking is longer than 31 days.
CREATE INDEX booking_places_long
    ON booking_places (resource, begins, booking, ends, status, held_until)
    WHERE ends - begins > 14400000;

-- Hub: in which time records concern every device of their site. Within it a row of scope stands
-- for all of them, under the name of the site with a star before it.
CREATE TABLE scope_windows (
    record INTEGER PRIMARY KEY REFERENCES records (id),
    device TEXT NOT NULL,
    opens INTEGER NOT NULL,
    closes INTEGER NOT NULL,
    is_open INTEGER NOT NULL           -- 1: the row of scope is there
) STRICT;
CREATE INDEX scope_windows_to_open ON scope_windows (opens) WHERE is_open = 0;
CREATE INDEX scope_windows_to_close ON scope_windows (closes);
