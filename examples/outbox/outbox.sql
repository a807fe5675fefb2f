-- Your tables stay as they are. A trigger writes one row to the outbox for each change of an invoice, in
-- the same transaction: what is committed is there, what is rolled back never was. A relay carries it over.

CREATE TABLE IF NOT EXISTS invoice (
    id     bigint PRIMARY KEY,
    status text   NOT NULL,
    amount bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS outbox (
    -- Two changes of one row wait for each other, so of one row these numbers rise in the order of its changes.
    source_version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text   NOT NULL,
    body           jsonb,                       -- NULL: the row is gone
    sent_at        timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (source_version) WHERE sent_at IS NULL;

CREATE OR REPLACE FUNCTION invoice_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO outbox (id, body) VALUES (OLD.id::text, NULL);
    ELSE
        INSERT INTO outbox (id, body) VALUES (NEW.id::text, to_jsonb(NEW) - 'id');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER invoice_to_outbox
    AFTER INSERT OR UPDATE OR DELETE ON invoice
    FOR EACH ROW EXECUTE FUNCTION invoice_changed();
