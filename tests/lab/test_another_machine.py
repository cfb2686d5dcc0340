"""A machine that has nothing but the configuration, the passphrase and a public key: the day after the disaster."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.site import Site


def _blank_machine(site: Site, there: str) -> Path:
    """Move the site to a machine without state, cache and keys; returns the public key's file of the old one."""
    (site.path / "signing.key").unlink()
    kept = site.path / "kept.pub"
    (site.path / "signing.key.pub").rename(kept)
    for directory in ("state", "cache"):
        shutil.rmtree(site.path / directory)
    site.write({"shop": there}, targets={"shop": there})
    return kept


def test_without_a_pinned_key_nothing_is_trusted(site: Site, small: str) -> None:
    """No public key pinned: the points are there, cannot be told genuine, and are neither listed nor used; exit 12."""
    site.write({"shop": small})
    site.run("backup")
    _blank_machine(site, small)
    listed = site.run("points", expect=12)
    assert "which is not pinned" in listed.err
    site.run("restore", "--into", "out", expect=12)
    ran = site.run("backup", expect=12)
    assert "put the key back" in ran.err


def test_with_the_public_key_alone_everything_comes_back(site: Site, small: str, absent: Callable[..., str]) -> None:
    """Configuration, passphrase and public key are enough to list, verify and restore."""
    there = absent()
    site.write({"shop": small}, targets={"shop": there})
    site.run("backup")
    kept = _blank_machine(site, there)
    with site.config.open("a", encoding="utf-8") as config:
        config.write(f'trusted_keys: ["{kept.read_text().strip()}"]\n')
    assert len(site.points()) == 1
    site.run("verify", "--deep")
    assert site.points()[0]["verified"] is None, "only a machine with the signing key can note it"
    report = site.run("restore", "--to", "spare", "--json").json()
    assert report["proofs_equal"] is True
    with site.connect(there) as connection:
        assert connection.execute("select count(*) from purchase").fetchone() == (2000,)
