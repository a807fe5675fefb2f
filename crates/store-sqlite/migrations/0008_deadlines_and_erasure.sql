-- From when on an event is not delivered any more, and when its data was erased.
ALTER TABLE events ADD COLUMN expires_at INTEGER;
ALTER TABLE events ADD COLUMN erased_at INTEGER;
-- When a delivery that is still pending is parked as `expired`.
ALTER TABLE exceptions ADD COLUMN expires_at INTEGER;
