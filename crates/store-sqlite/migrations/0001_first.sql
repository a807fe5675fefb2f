-- Everything that one data directory holds. Read `src/<noun>.rs` for what is done with each table.
--
-- Times are microseconds since 1970. Ids that we make are the 16 bytes of their bits, most significant
-- first. A tenant is a small number wherever it is part of an index. No index that no route needs.

CREATE TABLE about (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    epoch      INTEGER NOT NULL,
    written_by TEXT    NOT NULL                     -- the program that migrated last: what a newer directory asks for
) STRICT;

-- A number is given with the first row that needs it, and never again: tenants may have rows before they have a name.
CREATE TABLE tenant_nos (
    no INTEGER PRIMARY KEY,
    id TEXT    NOT NULL UNIQUE
) STRICT;

CREATE TABLE events (
    seq           INTEGER PRIMARY KEY,
    tenant        INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    id            BLOB    NOT NULL,
    type          TEXT    NOT NULL,
    subject       TEXT,
    key           TEXT,
    audience      TEXT    NOT NULL,
    timestamp     INTEGER NOT NULL,
    committed_at  INTEGER NOT NULL,                 -- never falls from one seq to the next
    ends          INTEGER NOT NULL,                 -- the last one of its change set
    resource_type TEXT,
    resource_id   TEXT,
    version       INTEGER,
    entered       TEXT,
    deleted       INTEGER,
    bytes         BLOB    NOT NULL                  -- last, so that a look at the rest need not read it
) STRICT;
CREATE UNIQUE INDEX events_sequence ON events (tenant, sequence);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_key ON events (tenant, key) WHERE key IS NOT NULL;
-- The version is carried along so that finding the event of one never visits the rows.
CREATE INDEX events_subject ON events (subject, tenant, sequence, version) WHERE subject IS NOT NULL;

CREATE TABLE event_types (
    type   TEXT    NOT NULL,
    tenant INTEGER NOT NULL,
    PRIMARY KEY (type, tenant)
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    tenant           INTEGER NOT NULL,
    type             TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    since            INTEGER NOT NULL,
    deleted          INTEGER NOT NULL,
    timer_due_at     INTEGER,
    timer_transition TEXT,
    fields           TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX resources_id ON resources (tenant, type, id);
CREATE INDEX resources_list ON resources (type, tenant, created_at, id) WHERE deleted = 0;
CREATE INDEX resources_timer ON resources (timer_due_at) WHERE timer_due_at IS NOT NULL;

-- The indexes that type files declare: `no` names the SQL index, `members` is a JSON list.
CREATE TABLE resource_indexes (
    no      INTEGER PRIMARY KEY,
    type    TEXT    NOT NULL,
    members TEXT    NOT NULL
) STRICT;

CREATE TABLE tenants (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    metadata   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    data_key   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id          BLOB    PRIMARY KEY,
    role        TEXT    NOT NULL,
    tenant      TEXT,
    scopes      TEXT    NOT NULL,
    description TEXT    NOT NULL,
    expires_at  INTEGER,
    created_at  INTEGER NOT NULL,
    digest      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE types (
    name       TEXT    PRIMARY KEY,
    source     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    no      INTEGER PRIMARY KEY,
    tenant  TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

-- What a settlement reads and writes of a subscription, apart from its body.
CREATE TABLE readers (
    subscription INTEGER PRIMARY KEY,
    generation   INTEGER NOT NULL,
    cursor       INTEGER NOT NULL,
    scope        TEXT    NOT NULL                   -- a tenant, or * whose places are `seq`
) STRICT;

CREATE TABLE skipped (
    subscription INTEGER NOT NULL,
    from_place   INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    to_place     INTEGER NOT NULL,
    why          TEXT    NOT NULL,
    PRIMARY KEY (subscription, from_place, generation, to_place)
) STRICT, WITHOUT ROWID;

CREATE TABLE exceptions (
    subscription INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    event        BLOB    NOT NULL,
    subject      TEXT,
    revision     INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    at           INTEGER,                           -- retrying: when it is due; parked: since when
    reason       TEXT,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (subscription, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    subscription  INTEGER NOT NULL,
    place         INTEGER NOT NULL,
    n             INTEGER NOT NULL,
    id            BLOB    NOT NULL,
    event         BLOB    NOT NULL,
    generation    INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    via           TEXT    NOT NULL,
    outcome       TEXT    NOT NULL,
    reason        TEXT,
    status_code   INTEGER,
    dns_ms        INTEGER,
    connect_ms    INTEGER,
    tls_ms        INTEGER,
    first_byte_ms INTEGER,
    total_ms      INTEGER NOT NULL,
    peer          TEXT,
    response      TEXT,
    PRIMARY KEY (subscription, place, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE answers (
    scope       BLOB    PRIMARY KEY,
    fingerprint BLOB    NOT NULL,
    expires_at  INTEGER NOT NULL,
    answer      BLOB    NOT NULL
) STRICT;
CREATE INDEX answers_expiry ON answers (expires_at);

CREATE TABLE audit (
    no     INTEGER PRIMARY KEY,
    tenant TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    actor  BLOB,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL
) STRICT;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
