-- An index can only be made by its table's owner.
ALTER TABLE shows OWNER TO app;
ALTER TABLE seats OWNER TO app;
ALTER TABLE bookings OWNER TO app;
