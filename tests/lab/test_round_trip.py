"""The main job: backup, points, verify, restore, and what a user sees of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.postgres.connection import libpq_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.lab.box import LabBox
    from tests.lab.site import Site


def test_backup_restores_into_a_database_that_is_not_there(site: Site, small: str, absent: Callable[..., str]) -> None:
    """A dropped database comes back with the rows, views and sequences that it had."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there})
    made = site.run("backup", "--json").json()
    assert made["complete"] is True
    report = site.run("restore", "--to", "spare", "--only", "databases", "--json").json()
    assert report["proofs_equal"] is True
    assert report["rto_seconds"] > 0
    assert [step["status"] for step in report["steps"]] == ["done"] * 7
    with site.connect(there) as connection:
        assert connection.execute("select count(*), sum(amount) from purchase").fetchone() == (2000, 2001000)
        assert connection.execute("select count(*) from spent").fetchone() == (500,)
        assert connection.execute("select nextval('customer_id_seq')").fetchone() == (501,)
        assert connection.execute("select count(*) from pg_stats where schemaname = 'public'").fetchone() != (0,)


def test_points_lists_what_was_sealed(site: Site, small: str) -> None:
    """`points --json` has one entry a run, newest first, with the fields that scripts rely on."""
    site.write({"shop": small})
    site.run("backup")
    site.run("backup")
    points = site.points()
    assert len(points) == 2
    assert points[0]["created"] >= points[1]["created"]
    for point in points:
        assert point["complete"] is True
        assert point["verified"] is None
        assert [source["name"] for source in point["sources"]] == ["database/shop", "globals/shop"]
        assert all(len(source["archive_id"]) == 64 for source in point["sources"])


def test_diff_shows_tables_rows_and_versions(site: Site, small: str) -> None:
    """What changed between two runs reads as a history: tables that came and went, rows that were added."""
    site.write({"shop": small})
    site.run("backup")
    with site.connect(small) as connection:
        connection.execute("insert into customer (name) values ('one more')")
        connection.execute("create table added (id int)")
    site.run("backup")
    changes = {change["what"]: change for change in site.run("points", "diff", "--json").json()["changes"]}
    assert (changes["table public.customer"]["before"], changes["table public.customer"]["after"]) == (500, 501)
    assert changes["table public.added"]["change"] == "added"
    assert "table public.purchase" not in changes


def test_deep_verification_is_noted_in_the_vault(site: Site, small: str) -> None:
    """After `verify --deep` every machine that looks at the vault sees that the point was restored and compared."""
    site.write({"shop": small})
    site.run("backup")
    assert site.run("verify", "--deep", "--json").json()["verified"] is True
    site.environment["XDG_CACHE_HOME"] = str(site.path / "another-machine")
    assert site.points()[0]["verified"]["level"] == "restored"
    assert site.run("status", "--json").json()["sources"][0]["proven"] is not None


def test_content_proofs_notice_a_changed_value(site: Site, small: str, absent: Callable[..., str]) -> None:
    """With `proofs: content` the checksums in the descriptor are those of a restored copy, row order aside."""
    site.write({"shop": small}, targets={"shop": absent()}, more="proofs: content")
    site.run("backup")
    tables = site.run("points", "show", "--json").json()["sources"][0]["details"]["proof"]["tables"]
    assert all(table["checksum"].startswith("md5-64-sum:") for table in tables.values())
    assert site.run("restore", "--to", "spare", "--only", "databases", "--json").json()["proofs_equal"] is True
    site.run("verify", "--deep")


def test_staging_dumps_in_parallel_and_leaves_nothing(site: Site, small: str, absent: Callable[..., str]) -> None:
    """With `staging` a directory dump goes through that directory, restores from it, and nothing stays there."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there}, more="staging: staged")
    site.run("backup")
    site.run("verify", "--deep")
    assert site.run("restore", "--to", "spare", "--only", "databases", "--json").json()["proofs_equal"] is True
    assert list((site.path / "staged").iterdir()) == []


def test_restore_into_a_directory(site: Site, small: str) -> None:
    """`restore --into DIR` writes whole files that PostgreSQL's own programs read, and overwrites none."""
    site.write({"shop": small})
    site.run("backup")
    site.run("restore", "--into", "out", "--only", "databases")
    files = sorted((site.path / "out").iterdir())
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert files[0].read_bytes().startswith(b"PGDMP")
    assert b"CREATE ROLE postgres" in files[1].read_bytes()
    site.run("restore", "--into", "out", "--only", "databases", expect=14)


def test_restore_at_a_time_takes_the_newest_at_or_before_it(site: Site, small: str, absent: Callable[..., str]) -> None:
    """`--at` goes back to what was true then; before the first backup there is nothing."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there})
    site.run("backup")
    first = site.points()[0]["created"]
    with site.connect(small) as connection:
        connection.execute("delete from purchase")
    site.run("backup")
    site.run("restore", "--to", "spare", "--at", first)
    with site.connect(there) as connection:
        assert connection.execute("select count(*) from purchase").fetchone() == (2000,)
    site.run("restore", "--to", "spare", "--at", "2001-01-01", "--plan", expect=15)


def test_plan_changes_nothing(site: Site, small: str, absent: Callable[..., str]) -> None:
    """`--plan` shows steps and the age of what they draw on, and makes no database."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there})
    site.run("backup")
    plan = site.run("restore", "--to", "spare", "--plan", "--json").json()["plan"]
    actions = [step["action"] for step in plan["steps"]]
    assert actions == ["roles", "create", "load", "analyze", "prove", "publish", "settings"]
    assert plan["draws_on"][0]["age"] >= 0
    with site.connect("postgres") as server:
        assert server.execute("select from pg_database where datname = %s", [there]).fetchone() is None


def test_a_restore_leaves_its_report(site: Site, small: str, absent: Callable[..., str]) -> None:
    """The report is kept as page, JSON and text, says where, holds no secret, and gives the next plan its estimates."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there})
    site.run("backup")
    ran = site.run("restore", "--to", "spare", "--json")
    page = Path(ran.json()["report"])
    assert f"report: {page}" in ran.err
    assert "every proof is equal" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["restore"] == page.stem
    assert page.with_suffix(".txt").read_text().splitlines()[-1].endswith("every proof is equal")
    kept = list(page.parent.iterdir())
    assert len(kept) == 3
    assert all(file.stat().st_mode & 0o077 == 0 and site.postgres.password not in file.read_text() for file in kept)
    plan = site.run("restore", "--to", "spare", "--plan", "--json").json()["plan"]
    assert plan["estimate"]["never_run"] == []
    assert plan["estimate"]["seconds"] > 0


def test_missing_roles_are_made_and_existing_ones_left_alone(
    site: Site, database: Callable[..., str], absent: Callable[..., str]
) -> None:
    """A role that the target lacks comes back with its password and memberships; one that exists keeps its own."""
    script = """
        create role clerk login password 'clerk-secret'; create role staff; grant staff to clerk;
        create role keeper login connection limit 3;
        create table t (id int); alter table t owner to clerk; grant select on t to keeper;
    """
    source, there = database(script), absent()
    try:
        site.write({"shop": source}, targets={"shop": there})
        site.run("backup")
        with site.connect("postgres") as server:
            server.execute(f'drop database "{source}"')
            server.execute("drop role clerk; drop role staff; alter role keeper connection limit 7")
        report = site.run("restore", "--to", "spare", "--only", "databases", "--json").json()
        assert sorted(report["roles_made"]) == ["clerk", "staff"]
        with site.postgres.dsn(there, user="clerk", password="clerk-secret").connect() as connection:
            assert connection.execute("select count(*) from t").fetchone() == (0,)
            assert connection.execute("select pg_has_role('clerk', 'staff', 'member')").fetchone() == (True,)
        with site.connect("postgres") as server:
            assert server.execute("select rolconnlimit from pg_roles where rolname = 'keeper'").fetchone() == (7,)
    finally:
        with site.connect("postgres") as server:
            server.execute(f'drop database if exists "{there}" with (force)')
            server.execute("drop role if exists clerk; drop role if exists staff; drop role if exists keeper")


def test_over_ssh(site: Site, small: str, absent: Callable[..., str], box: LabBox) -> None:
    """The same over SSH to a forced `borg serve`, with the vault's own key and known_hosts."""
    there = absent()
    ssh = f", ssh: {{key: {box.key}, known_hosts: {box.known_hosts}}}"
    site.write({"shop": small}, targets={"shop": there}, url=box.url("db"), vault=ssh)
    site.run("check")
    site.run("backup")
    site.run("verify", "--deep")
    assert site.run("restore", "--to", "spare", "--json").json()["proofs_equal"] is True


def test_prune_keeps_what_the_rules_say(site: Site, small: str) -> None:
    """`prune` removes whole points, keeps the newest of the day and the newest verified, and frees the room."""
    site.write({"shop": small}, vault=", keep: {daily: 1, weekly: 0}")
    site.run("backup")
    site.run("verify", "latest")
    site.run("backup")
    site.run("backup")
    ids = [point["id"] for point in site.points()]
    planned = site.run("prune", "--plan", "--json").json()["vaults"]["databases"]
    assert planned["removed"] == [ids[1]]
    assert len(site.points()) == 3
    site.run("prune")
    assert [point["id"] for point in site.points()] == [ids[0], ids[2]]
    site.run("verify")


def test_what_belongs_to_the_database_itself_comes_back(
    site: Site, database: Callable[..., str], absent: Callable[..., str]
) -> None:
    """Owner, privileges, settings, comment and limit of a database are those of the original, search paths included."""
    source, there = database("create role lodger login; create table t (id int)"), absent()
    try:
        with site.connect(source) as connection:
            connection.execute(
                f"""alter database {source} owner to lodger; revoke connect on database {source} from public;
                    grant connect on database {source} to lodger; alter database {source} connection limit 17;
                    alter database {source} set search_path = "$user", public, "odd, name";
                    alter database {source} set timezone = 'Europe/Vienna';
                    alter database {source} set bytea_output = 'escape';
                    alter role lodger in database {source} set work_mem = '7MB';
                    comment on database {source} is 'it''s a shop'"""
            )
        site.write({"shop": source}, targets={"shop": there})
        site.run("backup")
        site.run("verify", "--deep")
        assert site.run("restore", "--to", "spare", "--only", "database/shop", "--json").json()["warnings"] == []
        with site.connect(there) as connection:
            connection.execute("reset all")
            shown = connection.execute("select current_setting('search_path'), current_setting('timezone')").fetchone()
            assert shown == ('"$user", public, "odd, name"', "Europe/Vienna")
            row = connection.execute(
                """select pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database'),
                          has_database_privilege('public', oid, 'connect')
                     from pg_database where datname = current_database()"""
            ).fetchone()
            assert row == ("lodger", 17, "it's a shop", False)
        with site.postgres.dsn(there, user="postgres").connect() as connection:
            found = connection.execute("select setconfig from pg_db_role_setting where setrole <> 0").fetchall()
            assert (["work_mem=7MB"],) in found
    finally:
        with site.connect("postgres") as server:
            for name in (source, there):
                server.execute(f"drop database if exists {name} with (force)")
            server.execute("drop role if exists lodger")


RICH = """
create table parent (id int primary key, n text);
insert into parent select g, repeat(md5(g::text), 3) from generate_series(1, 60000) g;
create table child (id int generated always as identity primary key, parent int not null references parent,
  doubled int generated always as (parent * 2) stored);
insert into child (parent) select 1 + g % 60000 from generate_series(1, 60000) g;
create index on child (parent);
create index on child (doubled);
create table parted (id int, at date) partition by range (at);
create table parted_old partition of parted for values from (minvalue) to ('2026-01-01');
create table parted_new partition of parted for values from ('2026-01-01') to (maxvalue);
insert into parted select g, date '2025-12-01' + g % 62 from generate_series(1, 2000) g;
create table wide (id int, content text);
insert into wide select 1, string_agg(md5(g::text), E'\\n\\t') from generate_series(1, 100000) g;
insert into wide values (2, E'\\\\.'), (3, null), (4, '');
create materialized view counted as select count(*) as n from parent;
select lo_from_bytea(0, decode(repeat('00ff', 60000), 'hex')), lo_from_bytea(0, '');
create function touch() returns trigger language plpgsql as $$begin raise 'no trigger fires in a restore'; end$$;
create trigger touched before insert on parent for each row execute function touch();
create function seen() returns event_trigger language plpgsql as $$begin raise 'no event either'; end$$;
create event trigger seen on ddl_command_start execute function seen();
alter event trigger seen disable;
create rule quiet as on update to wide do instead nothing;
revoke insert, update on wide from postgres;
grant select on parent to public;
alter default privileges grant select on tables to public;
"""


def test_everything_that_a_database_has_comes_back(
    site: Site, database: Callable[..., str], absent: Callable[..., str]
) -> None:
    """Definitions, rights and rows are the same, dealt to several sessions or loaded in one transaction."""
    rich, away, there = database(RICH), absent(), database()
    for target in (away, there):
        site.write({"rich": rich}, targets={"rich": target})
        site.run("backup")
        assert site.run("restore", "--to", "spare", "--json").json()["proofs_equal"] is True
        assert _definitions(site, target) == _definitions(site, rich)
        assert _contents(site, target) == _contents(site, rich)


def _definitions(site: Site, database: str) -> str:
    with libpq_environment(site.postgres.dsn(database)) as (env, descriptors):
        argv = [str(site.postgres.bin_dir / "pg_dump"), "--schema-only", f"--dbname={database}"]
        dumped = subprocess.run(argv, env=env, pass_fds=descriptors, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in dumped.splitlines() if "restrict" not in line)


def _contents(site: Site, database: str) -> list[object]:
    tables = ("parent", "child", "parted_old", "parted_new", "wide", "counted")
    with site.connect(database) as connection:
        found: list[object] = [
            connection.execute(f"select count(*), sum(hashtext(t::text)::int8) from {table} t").fetchone()
            for table in tables
        ]
        found += connection.execute(
            "select loid, md5(string_agg(data, '' order by pageno)) from pg_largeobject group by loid order by loid"
        ).fetchall()
        return [*found, connection.execute("select last_value from child_id_seq").fetchone()]
