-- The rows are copied, and the old tables dropped.
CREATE ROLE catalog_app WITH LOGIN PASSWORD :'catalog_password';
CREATE ROLE booking_app WITH LOGIN PASSWORD :'booking_password';

CREATE SCHEMA catalog AUTHORIZATION catalog_app;
CREATE TABLE catalog.shows (LIKE public.shows INCLUDING ALL);
INSERT INTO catalog.shows SELECT * FROM public.shows;
ALTER TABLE catalog.shows OWNER TO catalog_app;

CREATE SCHEMA booking AUTHORIZATION booking_app;
CREATE TABLE booking.bookings (LIKE public.bookings INCLUDING ALL);
INSERT INTO booking.bookings SELECT * FROM public.bookings;
CREATE TABLE booking.known AS SELECT id AS show_id, title, price_cents FROM public.shows;
ALTER TABLE booking.known ADD PRIMARY KEY (show_id);
ALTER TABLE booking.bookings OWNER TO booking_app;
ALTER TABLE booking.known OWNER TO booking_app;

DROP TABLE public.bookings, public.shows;
