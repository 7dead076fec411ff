-- A theatre's titles are sorted as people sort, not by bytes.
CREATE DATABASE lantern OWNER app TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8';
ALTER DATABASE lantern SET timezone = 'UTC';
