"""Databases of CloudNativePG clusters, backed up in the lab from inside their pods, through what happens there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.pairs import Pair, pair
from tests.lab.site import PASSPHRASE, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
NAMESPACE = "test-cnpg-backup"
PREFIX = f"database/{NAMESPACE}/pair/"


@pytest.fixture(scope="module")
def shop(workload: Lab) -> Iterator[Pair]:
    """Two instances with the database ``shop`` of a few rows."""
    with pair(workload, NAMESPACE) as made:
        made.sql("shop", "create table item as select g as id from generate_series(1, 1000) g")
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
    lines += ["vaults:", f"  databases: {{url: vault, {vault}}}", f"  cluster: {{url: other, {vault}}}"]
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
    with shop.held_up("shop"):
        running = there.start("backup", "databases", "--json")
        until(lambda: shop.is_being_dumped(before), 120, 0.3)
        kubectl(shop.lab, "delete", "pod", "-n", NAMESPACE, before, "--wait=false")
        until(lambda: shop.primary != before, 120, 0.5)
    ran = finish(running)
    assert ran.status == 0, ran.err
    assert "starting again" in ran.err
    found = source(ran.json()["point"], f"{PREFIX}shop")
    assert found["details"]["instance"] == {"pod": shop.primary, "role": "primary"}
    assert found["details"]["proof"]["tables"]["public.item"]["rows"] == 1000
    shop.settled()
