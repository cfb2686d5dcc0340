"""Proofs: what is counted in a dump's own snapshot, and counted again after a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.postgres import catalog

if TYPE_CHECKING:
    from drkit.postgres.session import Session

Proof = dict[str, Any]
"""``{"tables": {name: {"rows", "checksum"?}}, "sequences": {name: [last, used, step]}, "large_objects": count}``"""

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
    counted = {name: _table(session, name, content, str(encoding and encoding[0])) for name in catalog.tables(session)}
    return {
        "tables": dict(sorted(counted.items())),
        "large_objects": _scalar(session, "select count(*) from pg_catalog.pg_largeobject_metadata"),
    }


def take_sequences(session: Session) -> Proof:
    """Where each sequence stands: its last value, whether that was used, its step.

    Sequences obey no snapshot (PostgreSQL, "Sequence Manipulation Functions"), so they are read before the dump
    starts: what the dump holds is the same or further on. Those that cycle have no order and are left out.
    """
    return {"sequences": {name: _sequence(session, name, step) for name, step in catalog.sequences(session)}}


def _table(session: Session, name: str, content: bool, encoding: str) -> dict[str, Any]:  # noqa: FBT001 - private
    if not content:
        return {"rows": _scalar(session, f"select count(*) from only {name}")}  # noqa: S608 - quoted by the server
    text = "(drkit_row.*)::text"
    # The same row in a database of another encoding has other bytes; SQL_ASCII has none that could be converted.
    hashed = text if encoding == "SQL_ASCII" else f"pg_catalog.convert_to({text}, 'UTF8')"
    row = session.execute(
        f"select count(*), coalesce(sum(('x' || left(pg_catalog.md5({hashed}), 16))::bit(64)::int8::numeric), 0)::text "  # noqa: S608 - the name is quoted by the server
        f"from only {name} as drkit_row"
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return {"rows": int(row[0]), "checksum": f"md5-64-sum:{row[1]}"}


def _sequence(session: Session, name: str, step: int) -> list[Any]:
    row = session.execute(f"select last_value, is_called from {name}").fetchone()  # noqa: S608 - quoted by the server
    assert row is not None  # noqa: S101 - a sequence has one row
    return [int(row[0]), bool(row[1]), step]


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
