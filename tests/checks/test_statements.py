"""What a server's log tells of the statements it was sent."""

import pytest

from coursework.checks.statements import pings_between, statements_between

LOG = """\
2026-11-28 14:00:00 UTC [7] app@app_1 LOG:  statement: SELECT 'before'
2026-11-28 14:00:01 UTC [9] postgres@app_1 LOG:  mark-one
2026-11-28 14:00:01 UTC [9] postgres@app_1 CONTEXT:  PL/pgSQL function inline_code_block line 1
2026-11-28 14:00:02 UTC [7] app@app_1 LOG:  statement: BEGIN
2026-11-28 14:00:02 UTC [7] app@app_1 LOG:  execute <unnamed>: SELECT id
\tFROM shows WHERE id = $1
2026-11-28 14:00:02 UTC [7] app@app_1 DETAIL:  parameters: $1 = 'app@app_1 LOG: statement'
2026-11-28 14:00:02 UTC [8] app@app_2 LOG:  statement: SELECT 'elsewhere'
2026-11-28 14:00:02 UTC [7] app@app_1 ERROR:  relation "show" does not exist
2026-11-28 14:00:03 UTC [7] app@app_1 LOG:  execute lrupsc_1_0: SELECT "a: b"
2026-11-28 14:00:03 UTC [7] app@app_1 LOG:  statement: commit;
2026-11-28 14:00:04 UTC [9] postgres@app_1 LOG:  mark-two
2026-11-28 14:00:05 UTC [7] app@app_1 LOG:  statement: SELECT 'after'
"""

TYPES_OF_ASYNCPG = """\
WITH RECURSIVE typeinfo_tree(
\t    oid, depth)
\tAS (
\t    SELECT ti.oid, 0
\t    FROM
\t        (SELECT t.oid AS oid FROM pg_catalog.pg_type AS t) AS ti
\t    WHERE
\t        ti.oid = any($1::oid[])
\t)
\tSELECT DISTINCT * FROM typeinfo_tree ORDER BY depth DESC"""
TYPES_OF_NPGSQL = """\
SELECT version();
\tSELECT ns.nspname, t.oid, t.typname
\tFROM (
\t    -- Arrays have typtype=b
\t    SELECT typ.oid, typ.typname FROM pg_type AS typ
\t) AS t
\tJOIN pg_namespace AS ns ON (ns.oid = typnamespace)"""


def test_counts_what_the_answer_sent_between_two_marks():
    """Not what came before, after, from others, or only begins and ends."""
    found = statements_between(LOG, "mark-one", "mark-two", "app_1")
    assert found == ["SELECT id FROM shows WHERE id = $1", 'SELECT "a: b"']


def test_waits_for_a_mark_that_is_not_there_yet():
    """A log that is not complete yet says nothing."""
    assert statements_between(LOG, "mark-one", "mark-three", "app_1") is None


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        ("SELECT pg_advisory_unlock_all();\n\tCLOSE ALL;\n\tUNLISTEN *;\n\tRESET ALL;", False),
        ("select 1", False),
        ("-- ping", False),
        ("\n\tBEGIN", False),
        ("SELECT pg_catalog.set_config('search_path', '', false)", False),
        (
            "\n\tSELECT\n\t current_setting('jit') AS cur,\n\t set_config('jit', 'off', false)",
            False,
        ),
        ("select pg_catalog.version()", False),
        ("select current_schema()", False),
        ("SELECT t.oid, t.typname\n\tFROM pg_type as t\n\tLEFT JOIN pg_range as r ON true", False),
        (
            "SELECT\n\t  t.oid,\n\t  t.typelem   AS elemtype\n\tFROM\n\t  pg_catalog.pg_type AS t",
            False,
        ),
        (TYPES_OF_ASYNCPG, False),
        (TYPES_OF_NPGSQL, False),
        ("SELECT version() FROM shows", True),
        ("SELECT current_setting('x'), id FROM shows", True),
        ("SELECT t.oid FROM pg_type AS t JOIN shows ON true", True),
        ("SELECT t.oid FROM pg_type AS t WHERE EXISTS (SELECT 1 FROM shows)", True),
        ("SELECT id FROM shows, pg_type", True),
        ("SELECT (SELECT count(*) FROM shows) FROM pg_type", True),
        ("WITH RECURSIVE tree AS (SELECT 1) SELECT * FROM tree", True),
        ("\n\t  SELECT id\n\t  FROM shows", True),
        ("SELECT 1 FROM shows", True),
        ("SET ROLE app; SELECT * FROM shows", True),
        ("SELECT setting FROM shows", True),
        ("WITH begin AS (SELECT 1) SELECT * FROM begin", True),
    ],
)
def test_what_pools_and_drivers_say_between_statements_is_left_out(sent, counted):
    """A pool that resets its connection or asks whether it lives has searched nothing."""
    log = f"mark-one\n2026 UTC [7] app@app_1 LOG:  statement: {sent}\n2026 UTC LOG:  mark-two\n"
    found = statements_between(log, "mark-one", "mark-two", "app_1")
    assert found is not None
    assert len(found) == counted


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        ("select 1", True),
        ("SELECT 1;", True),
        ("SELECT version()", True),
        ("", True),
        ("-- ping", True),
        ("SET statement_timeout = 300; SELECT 1", True),
        ("BEGIN", False),
        ("SET statement_timeout = 300;", False),
        ("SELECT 1 FROM shows", False),
        ("SELECT 1; SELECT id FROM shows", False),
    ],
)
def test_what_only_asks_whether_the_server_answers_is_a_ping(sent, counted):
    """What belongs to a search, or begins and sets something, is none."""
    log = f"mark-one\n2026 UTC [7] app@app_1 LOG:  statement: {sent}\n2026 UTC LOG:  mark-two\n"
    found = pings_between(log, "mark-one", "mark-two", "app_1")
    assert found is not None
    assert len(found) == counted
