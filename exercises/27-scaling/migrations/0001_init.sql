-- One row a tick: when it was, and which replica wrote it.
CREATE TABLE ticks (
  at  timestamptz NOT NULL DEFAULT now(),
  by  text NOT NULL
);
