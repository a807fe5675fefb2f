-- Replays: what was asked for once (`body`), and how far it is (`progress`), which settlements write.
CREATE TABLE replays (
    id           BLOB    PRIMARY KEY,
    subscription INTEGER NOT NULL,
    tenant       TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    progress     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_subscription ON replays (subscription, id);
CREATE INDEX replays_tenant ON replays (tenant, id);
