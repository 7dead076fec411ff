CREATE TABLE bookings (
  number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  show_id     integer NOT NULL REFERENCES shows,
  seat        text NOT NULL,
  user_name   text NOT NULL,
  price_cents integer NOT NULL,
  status      text NOT NULL DEFAULT 'pending'
);
CREATE UNIQUE INDEX one_owner ON bookings (show_id, seat) WHERE status IN ('pending', 'confirmed');

-- What is still to be done; a row goes when it is done.
CREATE TABLE tasks (
  kind    text NOT NULL CHECK (kind IN ('charge', 'refund')),
  booking bigint NOT NULL REFERENCES bookings,
  PRIMARY KEY (kind, booking)
);
CREATE TABLE unsent (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL DEFAULT gen_random_uuid(),
  subject  text NOT NULL,
  booking  bigint NOT NULL
);
CREATE TABLE handled (event_id text PRIMARY KEY);

CREATE FUNCTION tell_workers() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_notify('work', TG_TABLE_NAME); RETURN NULL; END$$;
CREATE TRIGGER new_task AFTER INSERT ON tasks EXECUTE FUNCTION tell_workers();
CREATE TRIGGER new_event AFTER INSERT ON unsent EXECUTE FUNCTION tell_workers();
