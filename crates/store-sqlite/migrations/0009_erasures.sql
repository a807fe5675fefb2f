-- What was asked to be erased. `kind` and `target` go when it is done: they say too much themselves.
CREATE TABLE erasures (
    id         BLOB    PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    kind       TEXT,
    target     TEXT,
    created_at INTEGER NOT NULL,
    erased     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
