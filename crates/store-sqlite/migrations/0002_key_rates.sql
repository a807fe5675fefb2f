-- Requests a second that a key may make; NULL for any number.
ALTER TABLE keys ADD COLUMN rate_max_per_s INTEGER;
