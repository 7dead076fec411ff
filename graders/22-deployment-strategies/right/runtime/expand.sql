-- Each step by itself, and each may be run again.
SET lock_timeout TO 400;
ALTER TABLE buyers ADD COLUMN IF NOT EXISTS full_name text;
ALTER TABLE buyers ALTER COLUMN name DROP NOT NULL;

CREATE OR REPLACE FUNCTION from_old() RETURNS trigger AS $$
BEGIN
    NEW.full_name := NEW.name;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE OR REPLACE FUNCTION from_new() RETURNS trigger AS $$
BEGIN
    NEW.name := NEW.full_name;
    RETURN NEW;
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE TRIGGER a_from_old BEFORE UPDATE ON buyers FOR EACH ROW
    WHEN (NEW.name IS DISTINCT FROM OLD.name) EXECUTE FUNCTION from_old();
CREATE OR REPLACE TRIGGER b_from_new BEFORE UPDATE ON buyers FOR EACH ROW
    WHEN (NEW.full_name IS DISTINCT FROM OLD.full_name) EXECUTE FUNCTION from_new();
CREATE OR REPLACE TRIGGER c_insert_old BEFORE INSERT ON buyers FOR EACH ROW
    WHEN (NEW.full_name IS NULL) EXECUTE FUNCTION from_old();
CREATE OR REPLACE TRIGGER d_insert_new BEFORE INSERT ON buyers FOR EACH ROW
    WHEN (NEW.name IS NULL) EXECUTE FUNCTION from_new();

DO $$
DECLARE
    changed integer;
BEGIN
    LOOP
        UPDATE buyers SET full_name = name
        WHERE id IN (SELECT id FROM buyers WHERE full_name IS NULL LIMIT 50);
        GET DIAGNOSTICS changed = ROW_COUNT;
        EXIT WHEN changed = 0;
    END LOOP;
END $$;
