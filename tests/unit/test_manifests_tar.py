"""The archive of an export: the same for the same files, and nothing else is read back."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.kube import Resource
from drkit.errors import VerificationFailed
from drkit.manifests import paths, tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {
    "a": b"",
    "b/" + "n" * 98: b"exactly one hundred",
    "c/" + "n" * 99: b"one more",
    "d/" + "/".join(["n" * 220] * 4): b"x" * 512,
    "e": b"y" * 1_000_000,
}
ARCHIVE = b"".join(tar.entry(path, content) for path, content in FILES.items()) + tar.END


def _read(archive: bytes) -> dict[str, bytes]:
    return {each.path: each.content(2_000_000) for each in tar.entries(io.BytesIO(archive).read)}


def test_others_unpack_it(tmp_path: Path) -> None:
    """GNU tar and Python's own reader see the same files, which belong to nobody and are nobody else's to read."""
    (tmp_path / "archive").write_bytes(ARCHIVE)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "archive"), "-C", str(tmp_path / "out")], check=True)
    found = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    with tarfile.open(tmp_path / "archive") as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == list(FILES)
    assert {(each.mode, each.uid, each.mtime) for each in members} == {(0o600, 0, 0)}


def test_it_is_read_back() -> None:
    """What was written is read, files that nobody asks for are passed over."""
    assert _read(ARCHIVE) == FILES
    assert [each.path for each in tar.entries(io.BytesIO(ARCHIVE).read)] == list(FILES)


def test_it_may_come_in_small_pieces() -> None:
    """A pipe gives as much as it has."""
    stream = io.BytesIO(ARCHIVE)
    found = {each.path: each.content(2_000_000) for each in tar.entries(lambda size: stream.read(min(size, 7)))}
    assert found == FILES


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 700, len(ARCHIVE) - 1024, len(ARCHIVE) - 1])
def test_an_archive_that_was_cut_is_refused(keep: int) -> None:
    """An archive without its end is none."""
    with pytest.raises(VerificationFailed):
        _read(ARCHIVE[:keep])


def test_what_stands_behind_the_end_is_refused() -> None:
    """Nothing hides behind the end."""
    for more in (b"x", tar.entry("hidden", b"")):
        with pytest.raises(VerificationFailed):
            _read(ARCHIVE + more)


@given(st.integers(0, 511), st.integers(0, 255))
def test_a_header_that_was_changed_is_refused(at: int, value: int) -> None:
    """No other header than the one that drkit writes is accepted, to the last byte."""
    archive = bytearray(tar.entry("file", b"content") + tar.END)
    if archive[at] == value:
        return
    archive[at] = value
    with pytest.raises(VerificationFailed):
        _read(bytes(archive))


def _by_tarfile(change: Callable[[tarfile.TarInfo], object]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("file")
        info.size = 0
        change(info)
        archive.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        lambda info: setattr(info, "type", tarfile.SYMTYPE),
        lambda info: setattr(info, "type", tarfile.LNKTYPE),
        lambda info: setattr(info, "type", tarfile.DIRTYPE),
        lambda info: setattr(info, "type", tarfile.CHRTYPE),
        lambda info: setattr(info, "type", tarfile.FIFOTYPE),
        lambda info: setattr(info, "mode", 0o4755),
        lambda info: setattr(info, "mtime", 1),
        lambda info: info.pax_headers.update({"path": "x" * 200, "comment": "y"}),
        lambda info: info.pax_headers.update({"size": "99999999999999"}),
    ],
)
def test_other_kinds_of_entries_are_refused(change: Callable[[tarfile.TarInfo], object]) -> None:
    """Links, directories, devices, other modes and other attributes are not what drkit writes."""
    with pytest.raises(VerificationFailed):
        _read(_by_tarfile(change))


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", "a//x", "a/./x", "", "a/", "a\nb", "..", "x" * 1100])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    """No path leaves the directory, is absolute, or is no path."""
    with pytest.raises(VerificationFailed):
        _read(tar.entry(path, b"") + tar.END)


def test_a_path_comes_once() -> None:
    """The second file of a name is refused."""
    with pytest.raises(VerificationFailed, match="twice"):
        _read(tar.entry("a", b"1") + tar.entry("a", b"2") + tar.END)


def test_a_long_name_has_its_bound() -> None:
    """An extended header of gigabytes is not read."""
    block = bytearray(tar.entry("n" * 200, b""))[:512]
    huge = tar._block(b"././@PaxHeader", 8**11 - 1, b"x")
    assert len(huge) == len(block)
    with pytest.raises(VerificationFailed, match="a path of"):
        _read(huge)


def test_a_bomb_is_not_read() -> None:
    """A file that claims more than an object can have is refused before it is read."""
    (entry,) = [next(tar.entries(io.BytesIO(tar.header("a", 8**11 - 1)).read))]
    with pytest.raises(VerificationFailed, match="8589934591 bytes"):
        entry.content(64 * 1024 * 1024)


def test_lines_come_whole_and_bounded() -> None:
    """Lines are found across pieces, and one without an end is refused."""
    content = b"".join(b"%d" % number * 1000 + b"\n" for number in range(1000))
    (entry,) = [next(tar.entries(io.BytesIO(tar.entry("a", content) + tar.END).read))]
    assert b"".join(line + b"\n" for line in entry.lines(10_000)) == content
    (entry,) = [next(tar.entries(io.BytesIO(tar.entry("a", b"x" * 1_000_000) + tar.END).read))]
    with pytest.raises(VerificationFailed, match="a line of more"):
        list(entry.lines(10_000))


KIND = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False, verbs=frozenset())
_names = st.one_of(
    st.text(max_size=30), st.text("aAbB:%~./", max_size=6), st.text("x:", min_size=240, max_size=260), st.just("con")
)


@given(_names, _names)
def test_every_name_has_a_file_of_its_own(one: str, other: str) -> None:
    """Any two names have two files, also where the file system does not tell case, and none leaves its directory."""
    paths_of = [paths.of_object(KIND, "", name) for name in (one, other)]
    assert (paths_of[0].lower() == paths_of[1].lower()) == (one == other)
    for path in paths_of:
        assert path.isascii()
        assert path.isprintable()
        parts = path.split("/")
        assert len(parts) == 5
        assert all(0 < len(part) <= 255 and part not in {".", ".."} for part in parts)


def test_ordinary_names_are_readable() -> None:
    """By scope, namespace, group and kind, and name."""
    pods = Resource("", "v1", "pods", "Pod", namespaced=True, verbs=frozenset())
    assert paths.of_object(pods, "kube-system", "a.b-c") == "objects/namespaces/kube-system/core/pods/a.b-c.yaml"
    role = paths.of_object(KIND, "", "system:Node")
    assert role == "objects/cluster/rbac.authorization.k8s.io/clusterroles/system%3a%4eode.yaml"
    assert paths.of_raw(pods) == "raw/core/pods.jsonl"
