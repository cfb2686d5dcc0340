"""Digests of data scripts, and proofs."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.postgres import proof
from drkit.postgres.script import Digest, ScriptDigester, differences

SCRIPT = rb'''--
-- PostgreSQL database dump
--
SET statement_timeout = 0;

COPY public.plain (id, name) FROM stdin;
1	one
2	COPY public.fake (a) FROM stdin;
3	\\.
\.

COPY public.empty (id) FROM stdin;
\.

COPY "we ird"."new
line ""quoted""" (id) FROM stdin;
--
\N
SELECT pg_catalog.setval('fake', 1, true);

\.

COPY public.no_columns FROM stdin;


\.
SELECT pg_catalog.lo_open('16401', 131072);
SELECT pg_catalog.lowrite(0, '\x00ff');
SELECT pg_catalog.lo_close(0);
SELECT pg_catalog.setval('public."it''s a seq"', 42, true);
SELECT pg_catalog.setval('public.other', -7, false);
'''


def _digest(blocks: list[bytes]) -> dict[str, Digest]:
    digester = ScriptDigester()
    for block in blocks:
        digester.feed(block)
    return digester.result()


WHOLE = _digest([SCRIPT])


def test_each_table_has_the_digest_of_its_lines() -> None:
    """Rows that look like statements are rows; names may hold newlines and quotes; tables may be empty."""
    plain = b"1\tone\n2\tCOPY public.fake (a) FROM stdin;\n3\t\\\\.\n"
    odd = b"--\n\\N\nSELECT pg_catalog.setval('fake', 1, true);\n\n"
    assert WHOLE["public.plain"] == Digest(3, hashlib.sha256(plain).hexdigest())
    assert WHOLE["public.empty"] == Digest(0, hashlib.sha256().hexdigest())
    assert WHOLE['"we ird"."new\nline ""quoted"""'] == Digest(4, hashlib.sha256(odd).hexdigest())
    assert WHOLE["public.no_columns"] == Digest(2, hashlib.sha256(b"\n\n").hexdigest())
    assert WHOLE["(large objects)"].lines == 3
    assert WHOLE["(sequence public.\"it''s a seq\")"] == Digest(1, "42 true")
    assert WHOLE["(sequence public.other)"] == Digest(1, "-7 false")
    assert len(WHOLE) == 7


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=30))
def test_the_cut_of_the_blocks_does_not_count(cuts: list[int]) -> None:
    """However the script arrives, its digests are the same."""
    ends = [0, *sorted(cuts), len(SCRIPT)]
    assert _digest([SCRIPT[begin:end] for begin, end in itertools.pairwise(ends)]) == WHOLE


def test_byte_by_byte_is_the_same() -> None:
    """The smallest blocks give the same digests."""
    assert _digest([SCRIPT[position : position + 1] for position in range(len(SCRIPT))]) == WHOLE


_ROWS = st.lists(st.binary(max_size=12).filter(lambda row: b"\n" not in row and row != b"\\."), max_size=12)


@given(_ROWS, _ROWS, st.integers(1, 40))
def test_any_rows_are_told_apart(one: list[bytes], other: list[bytes], size: int) -> None:
    """Whatever the rows hold, each table has the lines and the hash of its own rows."""
    tables = {b"a": b"".join(row + b"\n" for row in one), b"b": b"".join(row + b"\n" for row in other)}
    script = b"".join(
        b"COPY public." + name + b" (x) FROM stdin;\n" + rows + b"\\.\n\n" for name, rows in tables.items()
    )
    found = _digest([script[begin : begin + size] for begin in range(0, len(script), size)])
    for name, rows in tables.items():
        assert found[f"public.{name.decode()}"] == Digest(rows.count(b"\n"), hashlib.sha256(rows).hexdigest())


@pytest.mark.parametrize("end", [b"", b"1\n", b"1\n\\", b"1\n\\."])
def test_data_without_an_end_are_an_error(end: bytes) -> None:
    """A script that was cut off inside a table is never taken for a whole one."""
    with pytest.raises(ValueError, match="does not end"):
        _digest([b"COPY public.t (x) FROM stdin;\n" + end])


def test_differences_are_sentences() -> None:
    """Each table that is missing, was not expected or has other contents is named."""
    one, other = Digest(1, "x"), Digest(2, "y")
    assert differences({"a": one}, {"a": one}) == []
    found = differences({"a": one, "b": one}, {"b": other, "c": one})
    assert [sentence.partition(" ")[0].rstrip(":") for sentence in found] == ["a", "b", "c"]


PROOF: proof.Proof = {
    "tables": {"t": {"rows": 3, "checksum": "md5-64-sum:1"}, "u": {"rows": 0}},
    "sequences": {"up": [5, True, 1], "down": [-5, True, -1]},
    "large_objects": 2,
}


def test_equal_proofs_have_no_differences() -> None:
    """What is the same is the same; a checksum that one side lacks is not compared."""
    assert proof.differences(PROOF, PROOF) == []
    assert proof.differences(PROOF, {**PROOF, "tables": {"t": {"rows": 3}, "u": {"rows": 0, "checksum": "x"}}}) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tables": {"t": PROOF["tables"]["t"]}}, "table u is missing (expected 0 rows)"),
        ({"tables": {**PROOF["tables"], "v": {"rows": 1}}}, "table v was not expected (1 rows)"),
        ({"tables": {**PROOF["tables"], "u": {"rows": 1}}}, "table u has 1 rows, expected 0"),
        ({"tables": {**PROOF["tables"], "t": {"rows": 3, "checksum": "y"}}}, "table t has other contents"),
        ({"sequences": {"up": [5, True, 1]}}, "sequence down is missing"),
        ({"sequences": {**PROOF["sequences"], "up": [5, False, 1]}}, "sequence up is at 5, behind 5"),
        ({"sequences": {**PROOF["sequences"], "down": [-4, True, -1]}}, "sequence down is at -4, behind -5"),
        ({"large_objects": 1}, "1 large objects, expected 2"),
    ],
)
def test_each_difference_is_a_sentence(changed: proof.Proof, says: str) -> None:
    """What a restore lacks, has too much of, or has otherwise is named."""
    (sentence,) = proof.differences(PROOF, {**PROOF, **changed})
    assert says in sentence


def test_a_sequence_may_be_further_on() -> None:
    """Sequences obey no snapshot: what the dump holds may be later than the proof, in the sequence's direction."""
    later = {**PROOF, "sequences": {"up": [6, True, 1], "down": [-6, False, -1]}}
    assert proof.differences(PROOF, later) == []
