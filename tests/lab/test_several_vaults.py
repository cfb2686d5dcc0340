"""A source in two vaults, each a real Borg repository: what losing one of them means, and what it does not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.site import Site


@pytest.fixture
def two(site: Site, small: str, absent: Callable[..., str]) -> tuple[Site, str]:
    """A site whose database goes to two vaults, and the database that a restore makes."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there}, copies={"offsite": "offsite"})
    return site, there


@pytest.mark.parametrize("lost", ["vault", "offsite"])
def test_a_vault_that_is_lost_whole_costs_nothing(two: tuple[Site, str], lost: str) -> None:
    """With one repository deleted, points, verification and restore go on with the other, and say which one lacks."""
    site, there = two
    made = site.run("backup", "--json").json()
    assert (made["complete"], made["incomplete_in"]) == (True, [])
    assert [(each["name"], each["vault"]) for each in made["point"]["sources"]] == [
        (name, vault) for name in ("database/shop", "globals/shop") for vault in ("databases", "offsite")
    ]
    shutil.rmtree(site.path / lost)
    name, left = ("databases", "offsite") if lost == "vault" else ("offsite", "databases")
    (point,) = site.points()
    assert (point["complete"], point["missing"], point["incomplete_in"]) == (True, [], [name])
    assert f"complete, incomplete in vault {name}" in site.run("points").out
    ran = site.run("verify", point["id"], expect=13)
    assert f"the archive of database/shop in vault {name} is gone" in ran.out
    assert f"ok    database/shop in vault {left}" in ran.out
    assert site.run("verify", expect=13).out.count("WRONG") == 1
    assert site.points()[0]["verified"]["level"] == "checksums"
    plan = site.run("restore", "--to", "spare", "--plan")
    assert (f"incomplete in vault {name}: database/shop" in plan.out + plan.err) == (lost == "vault")
    report = site.run("restore", "--to", "spare", "--json").json()
    assert report["proofs_equal"] is True
    with site.connect(there) as connection:
        assert connection.execute("select count(*), sum(amount) from purchase").fetchone() == (2000, 2001000)


def test_a_backup_with_a_vault_lost_is_sealed_in_the_other(two: tuple[Site, str]) -> None:
    """It ends with 3, says which vault lacks, is drawn on without further ado, and does not make the vault anew."""
    site, _ = two
    site.run("backup")
    shutil.rmtree(site.path / "offsite")
    ran = site.run("backup", expect=3)
    assert "sealed, incomplete in vault offsite" in ran.out
    assert "database/shop in vault offsite: " in ran.err
    assert "is gone" in ran.err
    assert not (site.path / "offsite").exists()
    newest = site.points()[0]
    assert (newest["complete"], newest["incomplete_in"]) == (True, ["offsite"])
    plan = site.run("restore", "--to", "spare", "--plan", "--json").json()["plan"]
    assert {each["point"] for each in plan["draws_on"]} == {newest["id"]}
    standing = site.run("status", "--json").json()
    assert standing["verdict"] == "at risk"
    assert any(f"{newest['id']} is incomplete in vault offsite" in each["text"] for each in standing["findings"])


def test_an_archive_that_is_gone_in_one_vault_is_read_from_the_other(two: tuple[Site, str]) -> None:
    """What somebody deleted in the first vault is drawn from the second, source by source."""
    site, _ = two
    site.run("backup")
    (archive,) = (each for each in site.archives() if "database-shop" in each)
    site.borg("delete", f"::{archive}")
    (point,) = site.points()
    assert (point["complete"], point["missing"], point["incomplete_in"]) == (True, [], ["databases"])
    ran = site.run("restore", "--to", "spare", "--only", "databases")
    assert "incomplete in vault databases: database/shop from vault offsite" in ran.out + ran.err


def test_each_vault_is_thinned_out_by_itself(two: tuple[Site, str], small: str) -> None:
    """Prune goes by each vault's own part: neither counts on what the other one keeps."""
    site, _ = two
    site.run("backup")
    shutil.move(site.path / "offsite", site.path / "away")
    site.run("backup", expect=3)
    shutil.move(site.path / "away", site.path / "offsite")
    newest, first = (each["id"] for each in site.points())
    site.write({"shop": small}, vault=", keep: {daily: 1, weekly: 0}", copies={"offsite": "offsite"})
    pruned = site.run("prune", "--json").json()["vaults"]
    assert (list(pruned["databases"]["kept"]), pruned["databases"]["removed"]) == ([newest], [first])
    assert (list(pruned["offsite"]["kept"]), pruned["offsite"]["removed"]) == ([first], [])
