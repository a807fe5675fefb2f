-- What retention took, from the front: of each tenant its last `sequence`, and of the whole log (tenant 0) its last `seq`,
-- with the commit time of that event. Places go on after it even when no event is left.
CREATE TABLE floors (
    tenant       INTEGER PRIMARY KEY,
    floor        INTEGER NOT NULL,
    committed_at INTEGER NOT NULL
) STRICT;
