"""A source that fails, moves while it is read, or has names that nobody expected."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from tests.lab.processes import alive, named
from tests.lab.site import Site, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

ODD_NAMES = [
    "with space",
    "with \"quotes\" and 'apostrophes'",
    "with/slash",
    "with {braces} {now}",
    "ключ 鍵 ключ",
    "semi;colon -- comment",
    "back\\slash",
    "new\nline",
    "percent%s $1 *?[x]",
]


def test_database_that_does_not_exist_beside_one_that_does(site: Site, small: str) -> None:
    """One source fails, the other is sealed; exit 3 names the failed one, and so does the point."""
    site.write({"shop": small, "nowhere": "there_is_no_such_database"})
    ran = site.run("backup", "--json", expect=3)
    made = ran.json()
    assert made["complete"] is False
    status = {source["name"]: source["status"] for source in made["point"]["sources"]}
    assert status == {"database/shop": "ok", "database/nowhere": "failed", "globals/shop": "ok"}
    assert "database/nowhere" in ran.err
    point = site.points()[0]
    assert point["complete"] is False
    site.run("verify")
    assert site.run("restore", "--into", "out", "--point", point["id"], expect=16).out == ""
    ran = site.run("restore", "--into", "out", "--point", point["id"], "--accept-incomplete")
    assert "incomplete" in ran.err


def test_every_source_failing_seals_nothing(site: Site) -> None:
    """When all sources fail there is no recovery point, and exit 3 says so."""
    site.write({"nowhere": "there_is_no_such_database"})
    ran = site.run("backup", expect=3)
    assert "there_is_no_such_database" in ran.err
    site.write({"nowhere": "there_is_no_such_database"})
    points = site.points()
    assert all(not point["complete"] for point in points)
    assert all(
        source["kind"] == "globals" for point in points for source in point["sources"] if source["status"] == "ok"
    )


def test_pg_dump_killed_in_mid_dump(site: Site, small: str, database: Callable[..., str]) -> None:
    """A dump that is killed leaves no archive, the other database is sealed, and the next run is whole."""
    victim = database("create table t (id int); insert into t select generate_series(1, 1000)")
    site.write({"victim": victim, "shop": small})
    with site.connect(victim) as blocker:
        blocker.autocommit = False
        # pg_dump reads this catalog after its own locks and before its first byte of data: there it stands still.
        blocker.execute("lock table pg_catalog.pg_largeobject_metadata in access exclusive mode")
        child = site.start("backup", "--json")
        until(lambda: named(child.pid, "pg_dump") is not None or child.poll() is not None)
        pid = named(child.pid, "pg_dump")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid))
        blocker.rollback()
    ran = finish(child)
    assert ran.status == 3, ran.err
    status = {source["name"]: source["status"] for source in ran.json()["point"]["sources"]}
    assert status == {"database/victim": "failed", "database/shop": "ok", "globals/victim": "ok"}
    assert not any(".database-victim" in name for name in site.archives())
    assert "was killed" in ran.err
    site.run("backup")
    site.run("verify", "--deep")


def test_table_dropped_while_it_is_dumped(site: Site, database: Callable[..., str]) -> None:
    """A DROP waits for the dump: the point has the table and its rows, and then the table goes."""
    name = database("create table doomed as select generate_series(1, 1000) as id; create table kept (id int)")
    site.write({"shop": name})
    with site.connect(name) as blocker, site.connect(name) as dropper:
        blocker.autocommit = False
        # Holds pg_dump up before its first lock, with drkit's own locks taken.
        blocker.execute("lock table pg_catalog.pg_largeobject_metadata in access exclusive mode")
        child = site.start("backup", "--json")
        until(lambda: _holds_lock(blocker, "doomed") or child.poll() is not None)
        pending = _drop_in_background(dropper)
        blocker.rollback()
        ran = finish(child)
        pending()
    assert ran.status == 0, ran.err
    tables = ran.json()["point"]["sources"][0]["details"]["proof"]["tables"]
    assert tables.get("public.doomed", {"rows": 1000}) == {"rows": 1000}
    site.run("verify", "--deep")
    with site.connect(name) as connection:
        assert connection.execute("select to_regclass('public.doomed')").fetchone() == (None,)


def _holds_lock(connection: psycopg.Connection[tuple[object, ...]], table: str) -> bool:
    row = connection.execute(
        "select count(*) from pg_locks where relation = %s::regclass and granted", [table]
    ).fetchone()
    return row is not None and row[0] != 0


def _drop_in_background(connection: psycopg.Connection[tuple[object, ...]]) -> Callable[[], None]:
    import threading  # noqa: PLC0415 - here alone

    thread = threading.Thread(target=lambda: connection.execute("drop table doomed"))
    thread.start()
    return thread.join


def test_odd_names_everywhere(site: Site, database: Callable[..., str], absent: Callable[..., str]) -> None:
    """Databases, schemas, tables, columns, roles and sources with any name are saved, verified and restored."""
    name = database(name="data base/{now} \"x\" 'y' имя")
    there = absent("copy of /{now} \"x\" 'y' имя")
    roles = [f"role {odd}".replace("\n", " ") for odd in ODD_NAMES]
    try:
        with site.connect(name) as connection:
            for odd, role in zip(ODD_NAMES, roles, strict=True):
                identifiers = {"s": sql.Identifier(f"s {odd}"), "t": sql.Identifier(odd), "r": sql.Identifier(role)}
                for statement in (
                    "create role {r}",
                    "create schema {s}",
                    "create table {s}.{t} (id serial primary key, {t} text)",
                    "insert into {s}.{t} ({t}) select 'value ' || g from generate_series(1, 20) g",
                    "alter table {s}.{t} owner to {r}",
                ):
                    connection.execute(sql.SQL(statement).format(**identifiers))
        source = "odd/{now} name"
        site.write({source: name}, targets={source: there}, more="proofs: content")
        site.run("backup")
        site.run("verify", "--deep")
        with site.connect("postgres") as server:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
            for role in roles:
                server.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
        report = site.run("restore", "--to", "spare", "--json").json()
        assert sorted(report["roles_made"]) == sorted(roles)
        with site.connect(there) as connection:
            for odd in ODD_NAMES:
                table = sql.Identifier(f"s {odd}", odd)
                assert connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone() == (20,)
    finally:
        with site.connect("postgres") as server:
            for each in (name, there):
                server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(each)))
            for role in roles:
                server.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


def test_user_without_rights_gets_roles_without_passwords(site: Site, database: Callable[..., str]) -> None:
    """Who may not read password hashes still gets the roles; the point says that the passwords are not in it."""
    name = database(
        "create table t (id int); create role plain login password 'plain-secret'; alter table t owner to plain"
    )
    try:
        site.write({"shop": name})
        (site.path / "from-0.dsn").write_text(site.postgres.address(name, user="plain", password="plain-secret"))
        site.run("backup")
        details = {each["name"]: each["details"] for each in site.run("points", "show", "--json").json()["sources"]}
        assert details["globals/shop"]["passwords"] is False
        site.run("verify", "--deep")
    finally:
        with site.connect("postgres") as server:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
            server.execute("drop role plain")


@pytest.mark.parametrize(
    "script",
    ["create table t (id int)", "create function f() returns int language sql as 'select 1'", "select lo_create(0)"],
)
def test_target_that_is_not_empty(site: Site, small: str, database: Callable[..., str], script: str) -> None:
    """Anything at all in the target, and nothing is touched: exit 14."""
    there = database(script)
    site.write({"shop": small}, targets={"shop": there})
    site.run("backup")
    ran = site.run("restore", "--to", "spare", expect=14)
    assert "nothing was touched" in ran.err
    with site.connect(there) as connection:
        assert connection.execute("select to_regclass('public.customer')").fetchone() == (None,)


def test_one_full_target_keeps_all_from_being_touched(
    site: Site, small: str, database: Callable[..., str], absent: Callable[..., str]
) -> None:
    """Preflight looks at every database before anything is made."""
    other, there, full = database("create table o (id int)"), absent(), database("create table t (id int)")
    site.write({"a": small, "b": other}, targets={"a": there, "b": full})
    site.run("backup")
    site.run("restore", "--to", "spare", expect=14)
    with site.connect("postgres") as server:
        assert server.execute("select from pg_database where datname = %s", [there]).fetchone() is None
