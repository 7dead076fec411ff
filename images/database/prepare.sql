-- The answer's own role: no superuser, and no way into a database that is not its own.
CREATE ROLE app LOGIN;
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
