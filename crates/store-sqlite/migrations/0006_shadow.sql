-- How many events of a skipped stretch matched, where they were counted (shadow).
ALTER TABLE skipped ADD COLUMN matched INTEGER NOT NULL DEFAULT 0;
