"""A box that only appends, and somebody who has stolen the key that backs up: prune sees it before it is final."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.lab import box as boxes
from tests.lab.site import BORG, PASSPHRASE, Site
from tests.runbooks import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.lab.box import LabBox

REPOSITORY = "db"
PAGE = pages()["archives-vanished"]


@dataclass
class Scene:
    """A site that backs up under a key that only appends, and prunes under another one."""

    site: Site
    box: LabBox

    @property
    def repository(self) -> Path:
        """Its files, as who owns the box sees them."""
        return self.box.storage / REPOSITORY

    @property
    def thief_state(self) -> Path:
        """What the thief's Borg remembers of the repository."""
        return self.site.path / "thief"

    def thief(self, *words: str, content: bytes = b"") -> str:
        """Borg with what the machine that backs up has: its key and the passphrase."""
        rsh = f"ssh -F none -i {self.box.key} -o UserKnownHostsFile={self.box.known_hosts} -o BatchMode=yes"
        env = {**self.site.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_RSH": rsh}
        env |= {"BORG_REPO": self.box.url(REPOSITORY), "BORG_BASE_DIR": str(self.thief_state)}
        done = subprocess.run([BORG, *words], env=env, input=content, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def archives(self, point: str) -> list[str]:
        """The archives of a point."""
        return [name for name in self.thief("list", "--short").split() if f".{point}." in name]

    def delete(self, *names: str) -> None:
        """Have the thief delete archives."""
        self.thief("delete", "::" + names[0], *names[1:])

    def backup(self) -> str:
        """Back up; the point."""
        return str(self.site.run("backup", "--json").json()["point"]["id"])

    def files(self) -> dict[str, bytes]:
        """What the repository holds of data."""
        return {path.name: path.read_bytes() for path in (self.repository / "data").rglob("*") if path.is_file()}

    def stops(self) -> str:
        """See that prune ends with 13 and has touched nothing; what it says."""
        before = self.files()
        ran = self.site.run("prune", "--json", expect=13)
        assert self.files() == before
        error = ran.json()["error"]
        assert "transactions" in error["hint"]
        assert "drkit runbook archives-vanished" in error["hint"]
        return str(error["message"])

    def type(self, text: str, last: int, status: int) -> str:
        """Give the commands of a block of the page, with the repository and the transaction that it means."""
        env = {**self.site.env(), "REPO": str(self.repository), "LAST": str(last)}
        env["PATH"] = f"{Path(BORG).parent}:{env['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            env=env,
            cwd=self.site.path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, f"{text}{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def scene(site: Site, small: str, lab_directory: Path) -> Iterator[Scene]:
    """It, with one database."""
    directory = Path(tempfile.mkdtemp(prefix="append-", dir=lab_directory))
    with boxes.box(directory, append_only=True) as box:
        ssh = f"{{key: {box.key}, prune_key: {box.full_key}, known_hosts: {box.known_hosts}}}"
        site.write({"shop": small}, url=box.url(REPOSITORY), vault=f", ssh: {ssh}, keep: {{daily: 1, weekly: 0}}")
        yield Scene(site, box)
    shutil.rmtree(directory, ignore_errors=True)


def test_prune_frees_room_under_its_own_key(scene: Scene) -> None:
    """The key that backs up only adds; what retention removes goes under the key that prunes, and its room too."""
    first, second, third = (scene.backup() for _ in range(3))
    before = scene.files()
    removed = scene.site.run("prune", "--json").json()["vaults"]["databases"]["removed"]
    assert removed == [second, first]
    assert scene.archives(third)
    assert set(before) - set(scene.files())
    scene.site.run("verify")
    scene.site.run("prune")


def test_what_was_deleted_is_seen_and_had_back(scene: Scene) -> None:
    """A whole point that goes under the key that appends stops prune; the page's commands bring it back."""
    older, point = scene.backup(), scene.backup()
    last = int((scene.repository / "transactions").read_text().splitlines()[-1].split()[1].rstrip(","))
    there = scene.archives(point)
    scene.delete(*there)
    assert [each["id"] for each in scene.site.points()] == [older]
    said = scene.stops()
    assert all(f"{name} is gone" in said for name in there)
    for block in PAGE.blocks:
        scene.type(block.text, last, block.status)
    shutil.rmtree(scene.thief_state)
    assert scene.archives(point) == there
    assert scene.site.run("prune", "--json").json()["vaults"]["databases"]["removed"] == [older]
    scene.site.run("verify", "--deep")


def test_an_archive_that_was_replaced_is_missed(scene: Scene) -> None:
    """An archive that another one stands for stops prune, also where it never looked before."""
    point = scene.backup()
    shutil.rmtree(scene.site.path / "state/drkit/vaults")
    (archive,) = [name for name in scene.archives(point) if "database" in name]
    scene.delete(archive)
    scene.thief("create", "--stdin-name", "database.dump", f"::{archive}", "-", content=b"nothing")
    assert f"{archive} is another one than was sealed" in scene.stops()


def test_a_descriptor_that_says_something_else_is_missed(scene: Scene) -> None:
    """With the summary that was signed and another text under it, it is none, also where it was never seen before."""
    point = scene.backup()
    (name,) = [name for name in scene.archives(point) if name.endswith(".point")]
    comment = scene.thief("list", "--format", "{comment}", "--glob-archives", name)
    scene.delete(name)
    words = ["create", "--comment", comment, "--stdin-name", "descriptor.json", f"::{name}", "-"]
    scene.thief(*words, content=b"{}")
    assert f"{name} is another one" in scene.stops()
    shutil.rmtree(scene.site.path / "state/drkit/vaults")
    shutil.rmtree(scene.site.path / "cache")
    assert point in scene.stops()


def test_what_is_accepted_is_not_missed_again(scene: Scene) -> None:
    """Who knows why something is gone says so once for each point, and prune goes on by itself from then."""
    first, second = scene.backup(), scene.backup()
    (archive,) = [name for name in scene.archives(second) if "database" in name]
    scene.delete(archive)
    assert f"{archive} is gone" in scene.stops()
    scene.site.run("prune", "--accept-vanished", first, expect=15)
    assert archive in scene.site.run("prune", "--accept-vanished", second).err
    scene.site.run("prune")
    (left,) = [point for point in scene.site.points() if point["id"] == second]
    assert left["missing"] == ["database/shop"]
    assert first in [point["id"] for point in scene.site.points()]
