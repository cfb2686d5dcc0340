"""Databases of CloudNativePG clusters, backed up in the lab from inside their pods, through what happens there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.pairs import Pair, pair
from tests.lab.processes import command_line, descendants, environment
from tests.lab.site import PASSPHRASE, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
NAMESPACE = "test-cnpg-backup"
PREFIX = f"database/{NAMESPACE}/pair/"
BULK = "create table bulk as select g, repeat(md5(g::text), 12) as t from generate_series(1, 600000) g"
"""A quarter of a gigabyte: a dump takes long enough to be met in its middle."""
ODD = """Größe "a=b" :c %s \\d"""
OLD = "Œuvre"
TABLES = [
    """create table "Zeile\n\\d :x ""y"" 'z';--" (id int primary key, t text)""",
    """insert into "Zeile\n\\d :x ""y"" 'z';--" select g, E'é\\t\\n\\\\N' || g from generate_series(1, 300) g""",
    "create table scan (id int, content oid)",
    "insert into scan select g, lo_from_bytea(0, decode(repeat(md5(g::text), 99), 'hex')) from generate_series(1, 7) g",
    "create sequence counted increment 3",
    "select setval('counted', 40)",
    "create schema other",
    "create table other.empty ()",
]


@pytest.fixture(scope="module")
def shop(workload: Lab) -> Iterator[Pair]:
    """Two instances with the database ``shop`` of a few rows."""
    with pair(workload, NAMESPACE) as made:
        made.sql("shop", "create table item as select g as id from generate_series(1, 1000) g", BULK)
        made.settled()
        yield made


@pytest.fixture
def there(site: Site, shop: Pair) -> Site:
    """A site with the lab's cluster and local vaults."""
    configure(site, shop)
    return site


def configure(site: Site, shop: Pair, databases: str = "[]", more: str = "") -> None:
    """Write the site's ``drkit.yaml``."""
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    vault = "passphrase: {file: passphrase}, lock_wait: 2"
    lines = [f"cluster: {{name: lab, kubeconfig: {json.dumps(shop.lab['kubeconfig'])}}}", "proofs: content"]
    lines += [f"vaults: {{databases: {{url: vault, {vault}}}}}"]
    lines += [f"databases: {databases}", more]
    site.config.write_text("\n".join([*lines, ""]))


def sealed(site: Site, *, expect: int = 0) -> dict[str, Any]:
    """The descriptor that a backup of the databases sealed."""
    ran = site.run("backup", "databases", "--json", expect=expect)
    found: dict[str, Any] = ran.json()["point"]
    return found


def source(point: dict[str, Any], name: str) -> dict[str, Any]:
    """One of its sources."""
    return next(dict(each) for each in point["sources"] if each["name"] == name)


def test_databases_come_and_go(there: Site, shop: Pair) -> None:
    """Every database is found, one that a later point has or lacks is said, and a missing cluster fails by its name."""
    first = sealed(there)
    names = {each["name"] for each in first["sources"]}
    assert {f"{PREFIX}shop", f"globals/{NAMESPACE}/pair", "database/postgres/main-db/docfast"} <= names
    assert first["complete"] is True
    assert source(first, f"globals/{NAMESPACE}/pair")["details"]["passwords"] is True
    assert source(first, f"{PREFIX}shop")["details"]["instance"] == {"pod": shop.primary, "role": "primary"}

    shop.sql("postgres", "create database later")
    configure(there, shop, f"[{{cnpg: {NAMESPACE}/none}}, {{cnpg: {NAMESPACE}/pair, databases: [later, never]}}]")
    second = sealed(there, expect=3)
    failed = {each["name"]: each["error"] for each in second["sources"] if each["status"] == "failed"}
    assert failed == {
        f"database/{NAMESPACE}/none": f"there is no CloudNativePG cluster {NAMESPACE}/none",
        f"{PREFIX}never": f"{NAMESPACE}/pair has no database never",
    }
    assert any(said.startswith("new since") and f"{PREFIX}later" in said for said in second["warnings"])
    assert any(said.startswith("gone since") and f"{PREFIX}shop" in said for said in second["warnings"])
    shop.sql("postgres", "drop database later")


def test_a_failover_in_the_middle_of_a_dump(there: Site, shop: Pair) -> None:
    """The primary's pod is deleted while it is dumped: the dump is made again on the new one, and is whole."""
    shop.settled()
    before = shop.primary
    running = there.start("backup", "databases", "--json")
    until(lambda: shop.is_being_dumped(before), 120)
    kubectl(shop.lab, "delete", "pod", "-n", NAMESPACE, before, "--wait=false")
    ran = finish(running)
    assert ran.status == 0, ran.err
    assert "starting again" in ran.err
    found = source(ran.json()["point"], f"{PREFIX}shop")
    assert found["details"]["instance"] == {"pod": shop.primary, "role": "primary"}
    assert found["details"]["proof"]["tables"]["public.item"]["rows"] == 1000
    shop.settled()


def test_a_replica_is_read_where_it_is_preferred(there: Site, shop: Pair) -> None:
    """The replica serves with all that the primary had; evicted in mid-dump, it is replaced, and the dump is whole."""
    shop.settled()
    configure(there, shop, f"[{{cnpg: {NAMESPACE}/pair, databases: [shop], read_from: replica}}]")
    shop.sql("shop", "create table just_written ()")
    replica = shop.replica
    found = source(sealed(there), f"{PREFIX}shop")["details"]
    assert found["instance"] == {"pod": replica, "role": "replica"}
    assert "public.just_written" in found["proof"]["tables"]

    running = there.start("backup", "databases", "--json")
    until(lambda: shop.is_being_dumped(replica), 120)
    shop.evict(replica)
    ran = finish(running)
    assert ran.status == 0, ran.err
    assert "starting again" in ran.err
    assert "public.just_written" in source(ran.json()["point"], f"{PREFIX}shop")["details"]["proof"]["tables"]
    shop.sql("shop", "drop table just_written")
    shop.settled()


def test_a_killed_backup_leaves_nothing_in_the_pod(there: Site, shop: Pair) -> None:
    """After kill -9 no program of drkit's is left in the pod; and no secret was in any argument or environment."""
    shop.settled()
    pod = shop.primary
    running = there.start("backup", "databases")
    until(lambda: shop.is_being_dumped(pod), 120)
    said = [" ".join(command_line(each)) + environment(each) for each in descendants(running.pid)]
    running.kill()
    running.wait()
    said += shop.processes(pod)
    until(lambda: not [line for line in shop.processes(pod) if "pg_dump" in line or "psql" in line], 60)
    kubeconfig = Path(shop.lab["kubeconfig"]).read_text(encoding="utf-8").splitlines()
    key = next(line for line in kubeconfig if "client-key-data" in line).split()[1]
    assert said
    assert not [line for line in said if PASSPHRASE in line or key in line]
    assert sealed(there)["complete"] is True


def test_odd_databases_come_back_equal(there: Site, shop: Pair) -> None:
    """Odd names, another encoding and large objects: everything is equal when it is restored into a scratch server."""
    for name, encoding in ((ODD, "UTF8"), (OLD, "LATIN1")):
        quoted = '"' + name.replace('"', '""') + '"'
        locale = "template template0 lc_collate 'C' lc_ctype 'C'"
        shop.sql("postgres", f"create database {quoted} owner keeper encoding '{encoding}' {locale}")
        # In the database itself, whose encoding a shared catalogue then has; escaped, since psql there has its own.
        shop.sql(name, f"comment on database {quoted} is U&'\\00FCber'", *TABLES)
    configure(there, shop, more=f"postgresql: {{scratch_image: {json.dumps(shop.image)}}}")
    point = sealed(there)
    old = source(point, PREFIX + OLD)["details"]
    assert (old["encoding"], old["properties"]["comment"], old["proof"]["large_objects"]) == ("LATIN1", "über", 7)
    assert source(point, PREFIX + ODD)["details"]["proof"]["tables"].keys() == old["proof"]["tables"].keys()
    assert "everything is as it was sealed" in there.run("verify", "--deep").out
    for name in (ODD, OLD):
        quoted = '"' + name.replace('"', '""') + '"'
        shop.sql("postgres", f"drop database {quoted}")
