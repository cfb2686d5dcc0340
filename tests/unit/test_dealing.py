"""How a data script is dealt to sessions."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import RestoreFailed
from drkit.postgres.dealing import Dealer

SCRIPT = rb'''--
-- PostgreSQL database dump
--

\restrict 8LnNlXYjXlZi9o458

SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

COPY public.plain (id, name) FROM stdin;
1	one
2	COPY public.fake (a) FROM stdin;
3	\\.
4	it's
\.


COPY public.empty (id) FROM stdin;
\.

COPY "we ird"."it's a
line ""quoted""" (id) FROM stdin;
--
\N
SELECT pg_catalog.setval('fake', 1, true);

\.

COPY public.no_columns FROM stdin;


\.
BEGIN;

SELECT pg_catalog.lo_open('16401', 131072);
SELECT pg_catalog.lowrite(0, '\x00ff');
SELECT pg_catalog.lo_close(0);

COMMIT;

SELECT pg_catalog.setval('public."it''s; a
""seq"', 42, true);
--
-- PostgreSQL database dump complete
--

\unrestrict 8LnNlXYjXlZi9o458

'''
TABLES = {
    b"COPY public.plain (id, name) FROM stdin;": [
        b"1\tone",
        b"2\tCOPY public.fake (a) FROM stdin;",
        b"3\t\\\\.",
        b"4\tit's",
    ],
    b'COPY "we ird"."it\'s a\nline ""quoted""" (id) FROM stdin;': [
        b"--",
        b"\\N",
        b"SELECT pg_catalog.setval('fake', 1, true);",
        b"",
    ],
    b"COPY public.no_columns FROM stdin;": [b"", b""],
}
EVERYWHERE = [b"SET client_encoding = 'UTF8';", b"SELECT pg_catalog.set_config('search_path', '', false);"]
ONCE = [
    b"BEGIN;",
    b"SELECT pg_catalog.lo_open('16401', 131072);",
    b"SELECT pg_catalog.lowrite(0, '\\x00ff');",
    b"SELECT pg_catalog.lo_close(0);",
    b"COMMIT;",
    b"SELECT pg_catalog.setval('public.\"it''s; a\n\"\"seq\"', 42, true);",
]


class _Session:
    """Keeps what it is given, and never has less to do than before."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.statements: list[bytes] = []
        self.rows: dict[bytes, bytes] = defaultdict(bytes)
        self.given = 0

    def execute(self, statement: bytes) -> None:
        self.statements.append(statement)

    def copy(self, statement: bytes, rows: bytes) -> None:
        self.given += 1
        self.rows[statement] += rows

    def waiting(self) -> int:
        return self.given

    def finish(self) -> None:
        """Nothing is under way."""


def _dealt(blocks: list[bytes], sessions: int = 2) -> list[_Session]:
    workers = [_Session() for _ in range(sessions)]
    dealer = Dealer(workers)
    for block in blocks:
        dealer.feed(block)
    dealer.end()
    return workers


def _see(workers: list[_Session]) -> None:
    """Every row whole and once, wherever; settings everywhere; the rest in order in the first session."""
    for copy, rows in TABLES.items():
        dealt = [worker.rows[copy].split(b"\n")[:-1] for worker in workers if worker.rows[copy]]
        assert all(worker.rows[copy].endswith(b"\n") for worker in workers if worker.rows[copy])
        assert sorted(itertools.chain(*dealt)) == sorted(rows)
    assert {copy for worker in workers for copy, rows in worker.rows.items() if rows} == set(TABLES)
    assert workers[0].statements == EVERYWHERE + ONCE
    assert all(worker.statements == EVERYWHERE for worker in workers[1:])


def test_rows_go_to_one_session_each_and_settings_to_all() -> None:
    """In one block, rows that look like statements are rows, and names may hold quotes and newlines."""
    _see(_dealt([SCRIPT]))


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=30), st.integers(1, 3))
def test_wherever_the_script_is_cut_the_rows_are_the_same(cuts: list[int], sessions: int) -> None:
    """Blocks begin and end anywhere, also inside a row or the end mark, and no row is split between sessions."""
    edges = [0, *sorted(cuts), len(SCRIPT)]
    _see(_dealt([SCRIPT[begin:end] for begin, end in itertools.pairwise(edges)], sessions))


def test_a_table_is_shared_out() -> None:
    """What comes in several blocks is worked on by every session."""
    rows = [b"%d\n" % number for number in range(1000)]
    blocks = [b"COPY t (id) FROM stdin;\n", *(b"".join(rows[at : at + 100]) for at in range(0, 1000, 100)), b"\\.\n"]
    workers = _dealt(blocks)
    shares = [len(worker.rows[b"COPY t (id) FROM stdin;"].splitlines()) for worker in workers]
    assert sum(shares) == 1000
    assert min(shares) >= 400


@pytest.mark.parametrize("end", [SCRIPT.index(b"3\t"), SCRIPT.index(b"setval('public") + 5])
def test_a_script_that_ends_in_the_middle_is_refused(end: int) -> None:
    """Neither half a table nor half a statement counts as an end."""
    with pytest.raises(RestoreFailed, match="in the middle"):
        _dealt([SCRIPT[:end]])


def test_a_sessions_error_ends_the_load() -> None:
    """Once the server refused something nothing more is dealt."""
    workers = [_Session(), _Session()]
    dealer = Dealer(workers)
    workers[1].error = ValueError("no room")
    with pytest.raises(RestoreFailed, match="no room"):
        dealer.feed(SCRIPT)
