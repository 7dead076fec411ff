-- Tries again by itself until it gets its locks.
DO $$
BEGIN
    FOR attempt IN 1..400 LOOP
        BEGIN
            SET LOCAL lock_timeout = '100ms';
            ALTER TABLE buyers ADD full_name varchar(200);
            ALTER TABLE buyers ALTER name DROP NOT NULL;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.1);
        END;
    END LOOP;
END
$$;

CREATE FUNCTION copy_name() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER copy_name BEFORE INSERT OR UPDATE OF name, full_name ON buyers
    FOR EACH ROW EXECUTE PROCEDURE copy_name();

UPDATE buyers SET full_name = name WHERE full_name IS DISTINCT FROM name;
