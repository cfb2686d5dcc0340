"""Tar archives: equal bytes for equal contents, read back whole, and refused where they are hostile or damaged."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.archive import Entry, Kind, Writer, entries
from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from pathlib import Path

Found = list[tuple[Entry, bytes]]


def read(archive: bytes, piece: int = 1 << 20) -> Found:
    """All entries with their contents; the source gives at most ``piece`` bytes at once."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(piece, size) if size is not None and size >= 0 else piece)

    return [(entry, content.whole(1 << 30)) for entry, content in entries(Slow(archive))]


def write(*contents: tuple[Entry, bytes]) -> bytes:
    """An archive with these entries."""
    to = io.BytesIO()
    writer = Writer(to.write)
    for entry, content in contents:
        writer.add(entry, content)
    writer.close()
    return to.getvalue()


def hostile(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """An archive with one entry as nobody's own tar would write it."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120).filter(
    lambda part: part not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(PATHS, st.binary(max_size=3000), max_size=6), st.integers(1, 2000))
def test_what_is_written_is_read(contents: dict[str, bytes], piece: int) -> None:
    """Every name that Linux allows and every content comes back, whatever the pieces in which the bytes arrive."""
    given_ = [(Entry(name, size=len(content), mode=0o640), content) for name, content in contents.items()]
    assert read(write(*given_), piece) == given_


def test_other_programs_read_what_is_written() -> None:
    """GNU tar lists names, modes, owners and a fixed time, long names and links included."""
    archive = write(
        (Entry("d", Kind.DIRECTORY, mode=0o700), b""),
        (Entry("d/" + "x" * 200, mode=0o4755, owner=5, group=6), b"content"),
        (Entry("d/link", Kind.SYMLINK, mode=0o777, target="/" + "y" * 150), b""),
    )
    argv = ["tar", "--list", "--verbose", "--numeric-owner", "--file=-"]
    listed = subprocess.run(
        argv, input=archive, capture_output=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}
    )
    lines = listed.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["drwx------", "-rwsr-xr-x", "lrwxrwxrwx"]
    assert lines[1].split()[1:] == ["5/6", "7", "1970-01-01", "00:00", "d/" + "x" * 200]
    assert lines[2].endswith(" -> /" + "y" * 150)


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar"])
def test_what_other_programs_write_is_read(tmp_path: Path, form: str) -> None:
    """The formats of GNU tar give the same entries: long names, odd characters, links, directories."""
    deep = tmp_path / ("long-" + "n" * 60) / ("m" * 60)
    deep.mkdir(parents=True)
    (deep / "odd \n name é").write_bytes(b"x" * 700)
    (tmp_path / "empty").touch(mode=0o604)
    (tmp_path / "link").symlink_to("../elsewhere")
    argv = ["tar", "--create", f"--format={form}", "--sort=name", f"--directory={tmp_path}", "."]
    found = read(subprocess.run(argv, capture_output=True, check=True).stdout)
    assert [(entry.name, entry.kind, entry.size, content) for entry, content in found] == [
        ("empty", Kind.FILE, 0, b""),
        ("link", Kind.SYMLINK, 0, b""),
        (deep.parent.name, Kind.DIRECTORY, 0, b""),
        (f"{deep.parent.name}/{deep.name}", Kind.DIRECTORY, 0, b""),
        (f"{deep.parent.name}/{deep.name}/odd \n name é", Kind.FILE, 700, b"x" * 700),
    ]
    assert found[1][0].target == "../elsewhere"


def test_an_entry_that_nobody_reads_is_passed_over() -> None:
    """The next entry is found wherever the reading of the one before it stopped."""
    archive = write((Entry("a"), b"a" * 5000), (Entry("b"), b"b"))
    found = []
    for entry, content in entries(io.BytesIO(archive)):
        found.append((entry.name, content.read(1)))
    assert found == [("a", b"a"), ("b", b"b")]


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", "", ".", "..", "a/.."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """A name that is absolute, empty or has ".." in it ends the reading."""
    with pytest.raises(VerificationFailed):
        read(hostile(name))


def test_a_name_that_is_there_twice_is_refused() -> None:
    """The second entry of a name would replace the first behind the reader's back."""
    with pytest.raises(VerificationFailed, match="twice"):
        read(write((Entry("a"), b"1"), (Entry("a"), b"2")))


def test_hard_links_and_devices_have_no_content() -> None:
    """What is neither file, directory nor symbolic link is said to be other, and leads nowhere."""
    for kind in (tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        assert read(hostile("a", kind, "/etc/passwd")) == [(Entry("a", Kind.OTHER, mode=0o644), b"")]


@given(st.data())
def test_a_cut_or_damaged_archive_is_noticed(data: st.DataObject) -> None:
    """Cut anywhere before its end mark, an archive is refused; damaged, it never gives a name that leads elsewhere."""
    whole = write((Entry("n" * 150), b"c" * 600), (Entry("b", mode=0o600), b""))
    cut = data.draw(st.integers(0, len(whole) - 2 * 512 - 1))
    with pytest.raises(VerificationFailed):
        read(whole[:cut])
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[at] ^= 1 << bit
    try:
        found = read(bytes(damaged))
    except VerificationFailed:
        return
    assert all(not entry.name.startswith("/") and ".." not in entry.name.split("/") for entry, _ in found)


def test_a_header_that_wants_all_memory_is_refused() -> None:
    """A long name or an extended header of gigabytes is refused before it is read."""
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, 8 << 30
        with pytest.raises(VerificationFailed, match="header of"):
            read(header.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("record", [b"9 path=x\n ", b"99 path=x\n", b"x path=x\n", b"0 =\n", b"3 a\n", b"-5 a=b\n"])
def test_a_malformed_extended_header_is_refused(record: bytes) -> None:
    """Lengths that lie, or are none, end the reading."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    block = header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0")
    with pytest.raises(VerificationFailed):
        read(block + hostile("a"))
