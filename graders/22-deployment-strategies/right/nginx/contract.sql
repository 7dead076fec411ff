SET lock_timeout = '300ms';
BEGIN;
ALTER TABLE buyers DROP COLUMN name CASCADE;
DROP FUNCTION IF EXISTS copy_name CASCADE;
CREATE OR REPLACE FUNCTION want_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.full_name IS NULL THEN
        RAISE EXCEPTION 'every buyer has a full_name';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER want_name BEFORE INSERT OR UPDATE ON buyers
    FOR EACH ROW EXECUTE FUNCTION want_name();
COMMIT;
