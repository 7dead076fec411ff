-- Tries again by itself for half a minute, then gives up; it may be run again.
DO $$
BEGIN
    FOR attempt IN 1..100 LOOP
        BEGIN
            SET LOCAL lock_timeout = '100ms';
            ALTER TABLE buyers ADD COLUMN IF NOT EXISTS full_name varchar(200);
            ALTER TABLE buyers ALTER name DROP NOT NULL;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.1);
        END;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION copy_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.full_name = coalesce(NEW.full_name, NEW.name);
        NEW.name = NEW.full_name;
    ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
        NEW.full_name = NEW.name;
    ELSE
        NEW.name = coalesce(NEW.full_name, NEW.name);
    END IF;
    RETURN NEW;
END
$$;

SET lock_timeout = '1s';
CREATE OR REPLACE TRIGGER copy_name BEFORE INSERT OR UPDATE OF name, full_name ON buyers
    FOR EACH ROW EXECUTE PROCEDURE copy_name();

UPDATE buyers SET full_name = name WHERE full_name IS DISTINCT FROM name;
