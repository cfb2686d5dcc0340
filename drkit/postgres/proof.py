"""Proofs: what is counted in a dump's own snapshot, and counted again after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.postgres import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.postgres.session import Session

Proof = dict[str, Any]
"""``{"tables": {name: {"rows", "checksum"?}}, "sequences": {name: [last, used, step]}, "large_objects": count}``"""

_AT_ONCE = 100
"""How many tables or sequences one statement asks about."""

# Under these, a row's text form depends on nothing but the row.
_CANONICAL = (
    "set search_path = ''",
    "set datestyle = 'ISO, YMD'",
    "set intervalstyle = 'postgres'",
    "set timezone = 'UTC'",
    "set extra_float_digits = 3",
    "set bytea_output = 'hex'",
    "set xmlbinary = 'base64'",
    "set row_security = off",
    "set statement_timeout = 0",
    "set lock_timeout = 0",
    "set idle_in_transaction_session_timeout = 0",
)


def settle(session: Session) -> None:
    """Give the session the settings under which proofs are taken."""
    for statement in _CANONICAL:
        session.execute(statement)


def take(session: Session, *, content: bool) -> Proof:
    """Count everything in the session's database, as its transaction sees it, sequences apart.

    Args:
        session: see ``settle``.
        content: also a checksum for each table: the sum, over its rows, of the first 64 bits of MD5 of the row's
            text form. MD5 because it is the same in every version of PostgreSQL; the sum because rows have no order.
    """
    encoding = session.execute("select pg_catalog.getdatabaseencoding()").fetchone()
    names = catalog.tables(session)
    hashed = _hashed(str(encoding and encoding[0])) if content else ""
    counted: dict[str, Any] = {}
    for some in _portions(names):
        asked = " union all ".join(_counting(number, name, hashed) for number, name in enumerate(some))
        counted.update({some[number]: _counted(rows, checksum) for number, rows, checksum in session.execute(asked)})
    return {
        "tables": dict(sorted(counted.items())),
        "large_objects": _scalar(session, "select count(*) from pg_catalog.pg_largeobject_metadata"),
    }


def take_sequences(session: Session) -> Proof:
    """Where each sequence stands: its last value, whether that was used, its step.

    Sequences obey no snapshot (PostgreSQL, "Sequence Manipulation Functions"), so they are read before the dump
    starts: what the dump holds is the same or further on. Those that cycle have no order and are left out.
    """
    steps = dict(catalog.sequences(session))
    found: dict[str, Any] = {}
    for some in _portions(list(steps)):
        reading = (f"select {number}, last_value, is_called from {name}" for number, name in enumerate(some))  # noqa: S608 - quoted by the server
        for number, last, used in session.execute(" union all ".join(reading)):
            found[some[number]] = [int(last), bool(used), steps[some[number]]]
    return {"sequences": dict(sorted(found.items()))}


def _portions(names: list[str]) -> Iterator[list[str]]:
    """So many at once: on a session that is far away each question costs its way there and back."""
    for begin in range(0, len(names), _AT_ONCE):
        yield names[begin : begin + _AT_ONCE]


def _hashed(encoding: str) -> str:
    """A row's text form as it is hashed, for a database of this encoding."""
    text = "(drkit_row.*)::text"
    # The same row in a database of another encoding has other bytes; SQL_ASCII has none that could be converted.
    return text if encoding == "SQL_ASCII" else f"pg_catalog.convert_to({text}, 'UTF8')"


def _counting(number: int, name: str, hashed: str) -> str:
    """The question for one table, whose name the server has quoted."""
    checksum = "null::text"
    if hashed:
        bits = f"('x' || left(pg_catalog.md5({hashed}), 16))::bit(64)::int8::numeric"
        checksum = f"coalesce(sum({bits}), 0)::text"
    return f"select {number}, count(*), {checksum} from only {name} as drkit_row"  # noqa: S608 - see above


def _counted(rows: int, checksum: str | None) -> dict[str, Any]:
    return {"rows": int(rows)} if checksum is None else {"rows": int(rows), "checksum": f"md5-64-sum:{checksum}"}


def _scalar(session: Session, statement: str) -> int:
    row = session.execute(statement).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return int(row[0])


def differences(expected: Proof, found: Proof) -> list[str]:
    """Each way in which ``found`` is not what ``expected`` says, as a sentence; empty where they are equal.

    A checksum that only one side has is not compared: what the descriptor does not promise cannot be broken.
    """
    wrong: list[str] = []
    was, is_now = expected.get("tables", {}), found.get("tables", {})
    for name in sorted(was.keys() | is_now.keys()):
        if name not in is_now:
            wrong.append(f"table {name} is missing (expected {was[name]['rows']} rows)")
        elif name not in was:
            wrong.append(f"table {name} was not expected ({is_now[name]['rows']} rows)")
        elif was[name]["rows"] != is_now[name]["rows"]:
            wrong.append(f"table {name} has {is_now[name]['rows']} rows, expected {was[name]['rows']}")
        elif {"checksum"} <= was[name].keys() & is_now[name].keys() and was[name]["checksum"] != is_now[name][
            "checksum"
        ]:
            wrong.append(f"table {name} has other contents than expected")
    return wrong + _other_differences(expected, found)


def _other_differences(expected: Proof, found: Proof) -> list[str]:
    wrong = []
    is_now = found.get("sequences", {})
    for name, was in sorted(expected.get("sequences", {}).items()):
        if name not in is_now:
            wrong.append(f"sequence {name} is missing")
        elif _is_behind(is_now[name], was):
            wrong.append(f"sequence {name} is at {is_now[name][0]}, behind {was[0]}")
    if expected.get("large_objects", 0) != found.get("large_objects", 0):
        wrong.append(f"{found.get('large_objects', 0)} large objects, expected {expected.get('large_objects', 0)}")
    return wrong


def _is_behind(now: list[Any], was: list[Any]) -> bool:
    def following(state: list[Any]) -> int:
        last, used, step = state
        return int(last) + (int(step) if used else 0)

    direction = 1 if was[2] > 0 else -1
    return direction * following(now) < direction * following(was)
