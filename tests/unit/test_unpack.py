"""A node's files written out: as they were, and never beside the directory that was named."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.archive import Entry, Kind, Writer
from drkit.cluster import files
from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.restore.unpack import contained, unpack

if TYPE_CHECKING:
    from pathlib import Path


def packed(*contents: tuple[Entry, bytes]) -> io.BytesIO:
    """An archive with these entries."""
    to = io.BytesIO()
    writer = Writer(to.write)
    for entry, content in contents:
        writer.add(entry, content)
    writer.close()
    to.seek(0)
    return to


def link(name: str, target: str) -> tuple[Entry, bytes]:
    """A symbolic link."""
    return Entry(name, Kind.SYMLINK, mode=0o777, target=target), b""


def test_files_come_out_as_they_were(tmp_path: Path) -> None:
    """Contents and the owner's rights are those of the node; nobody else gets any."""
    into = tmp_path / "new" / "out"
    archive = packed(
        (Entry("etc", Kind.DIRECTORY, mode=0o555), b""),
        (Entry("etc/unit", mode=0o644), b"[Unit]\n"),
        (Entry("var/lib/run", mode=0o4755), b"x" * 300_000),
    )
    assert unpack(archive, into) == [into / "etc/unit", into / "var/lib/run"]
    assert (into / "etc/unit").read_bytes() == b"[Unit]\n"
    assert (into / "var/lib/run").read_bytes() == b"x" * 300_000
    modes = {name: (into / name).stat().st_mode & 0o7777 for name in ("etc", "etc/unit", "var", "var/lib/run")}
    assert modes == {"etc": 0o500, "etc/unit": 0o600, "var": 0o700, "var/lib/run": 0o700}


def test_links_lead_where_they_led(tmp_path: Path) -> None:
    """An absolute link leads to the same file among those that were written, not to this machine's own."""
    archive = packed(
        (Entry("srv/token"), b"secret"), link("srv/node-token", "/srv/token"), link("a/up", "../../../srv")
    )
    unpack(archive, tmp_path)
    assert (tmp_path / "srv/node-token").read_bytes() == b"secret"
    assert (tmp_path / "a/up/token").read_bytes() == b"secret"


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "/"]), max_size=8).map("/".join))
def test_no_link_leads_out(target: str) -> None:
    """Whatever a link says, it stays below the directory that was named."""
    inner = os.path.normpath(f"/root/d/{contained('d/link', target)}")
    assert inner == "/root" or inner.startswith("/root/")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A link first, then a file below its name, is a contradiction and no way out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, target in (("d", str(outside)), ("d", "../outside"), ("d", ".")):
        into = tmp_path / f"into-{target.replace('/', '-')}"
        with pytest.raises(VerificationFailed, match="contradict"):
            unpack(packed(link(name, target), (Entry("d/file"), b"x")), into)
    assert not list(outside.iterdir())


def test_a_link_that_was_put_there_is_not_followed(tmp_path: Path) -> None:
    """A directory that holds something, such as another's link, is refused before anything is written."""
    (tmp_path / "into").mkdir()
    (tmp_path / "into/etc").symlink_to("/etc")
    with pytest.raises(TargetNotEmpty):
        unpack(packed((Entry("etc/new"), b"x")), tmp_path / "into")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../up", "a/../../up"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    """A hostile archive writes nothing beside the directory."""
    header = tarfile.TarInfo(name)
    with pytest.raises(VerificationFailed):
        unpack(io.BytesIO(header.tobuf() + bytes(1024)), tmp_path / "into")
    assert [path.name for path in tmp_path.iterdir()] == ["into"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Devices and hard links are not made."""
    for kind in (tarfile.CHRTYPE, tarfile.LNKTYPE):
        header = tarfile.TarInfo("x")
        header.type, header.linkname = kind, "/etc/shadow"
        with pytest.raises(VerificationFailed):
            unpack(io.BytesIO(header.tobuf() + bytes(1024)), tmp_path / kind.decode())


def test_a_listing_tells_files_apart() -> None:
    """Equal files list equally; a changed one is named by what changed of it, and never by its content."""
    before = files.listing(
        packed((Entry("a"), b"1"), (Entry("b", mode=0o600), b"2"), link("l", "a"), (Entry("c"), b""))
    )
    assert before["a"] == {
        "mode": "0600",
        "sha256": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    }
    after = files.listing(packed((Entry("a"), b"3"), (Entry("b", mode=0o644), b"2"), link("l", "b"), (Entry("d"), b"")))
    assert files.differences(before, before) == []
    assert files.differences(before, after) == [
        "a has changed (content)",
        "b has changed (mode)",
        "c is gone",
        "d is new",
        "l has changed (where it leads)",
    ]


def test_repacking_forgets_all_but_the_files() -> None:
    """Times and users' names of the node's own tar go: what is equal is stored once."""
    stored = []
    for when in (0, 1_700_000_000):
        header = tarfile.TarInfo("etc/a")
        header.size, header.mtime, header.uname = 3, when, f"user{when}"
        theirs = header.tobuf(tarfile.GNU_FORMAT) + b"abc".ljust(512, b"\0") + bytes(10240)
        to = io.BytesIO()
        files.repack(io.BytesIO(theirs), to.write)
        stored.append(to.getvalue())
    assert stored[0] == stored[1]
