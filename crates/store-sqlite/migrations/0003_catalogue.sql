-- What was declared by a file is kept too, so that the next start sees what has changed.
ALTER TABLE types ADD COLUMN from_file INTEGER NOT NULL DEFAULT 0;

-- When events of a type were last stored (to the minute), and whether tenants may see any of them.
ALTER TABLE event_types ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_types ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
UPDATE event_types SET last_seen = seen.at, open = seen.open
FROM (SELECT type, tenant, max(committed_at) AS at, max(audience = 'tenant') AS open FROM events GROUP BY type, tenant) AS seen
WHERE seen.type = event_types.type AND seen.tenant = event_types.tenant;
