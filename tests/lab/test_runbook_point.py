"""``drkit runbook`` beside a real vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.site import Site


def test_the_newest_point_stands_on_the_page(site: Site, small: str) -> None:
    """What the vault has last is in the commands; a vault that is gone is said, and the page comes all the same."""
    site.write({"shop": small})
    site.run("backup")
    site.run("backup")
    newest = site.points()[0]
    page = site.run("runbook", "incomplete-point").out
    assert f"> The newest recovery point is {newest['id']}, begun at " in page
    assert f"--point {newest['id']} --accept-incomplete" in page
    said = site.run("runbook", "earlier-time", "--json").json()
    assert said["names"]["time"][:16] == newest["created"][:16]
    site.vault.rename(site.path / "elsewhere")
    page = site.run("runbook", "incomplete-point").out
    assert "> The newest recovery point is not known" in page
    assert '--point "$POINT" --accept-incomplete' in page
