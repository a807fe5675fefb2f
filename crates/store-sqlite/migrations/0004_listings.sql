-- The indexes that type files declare are tables of their own, so that one for many rows
-- can be filled in slices: `listed_<no>`, kept by triggers from the moment it is declared.
-- `members` is a JSON list. Up to where it is filled: the tenant, created_at and id of the
-- last row, all NULL before the first; `whole` once every row is in it.
CREATE TABLE listings (
    no        INTEGER PRIMARY KEY AUTOINCREMENT,
    type      TEXT    NOT NULL,
    members   TEXT    NOT NULL,
    whole     INTEGER NOT NULL,
    at_tenant INTEGER,
    at_made   INTEGER,
    at_id     TEXT
) STRICT;
