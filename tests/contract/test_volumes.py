"""The files of volumes: read on a node, through a vault, and into another volume, on this machine and over a real sshd.

The API is one in memory; what makes volumes in a cluster is played by the test, by the note on the claim alone.
"""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit.cluster import volume_files
from drkit.cluster.api import connect
from drkit.cluster.local import LocalNode
from drkit.cluster.ssh import SshNode
from drkit.errors import RestoreFailed, SourceFailed, VerificationFailed
from drkit.points.descriptor import OK, SourceEntry
from drkit.restore import filling
from drkit.restore.engine.action import Call
from drkit.restore.engine.plan import Step
from drkit.restore.rebuild_plan import FILL, FILLED
from drkit.sources.claim import ClaimSource
from drkit.verify import inside
from tests.contract.api_server import MemoryApi, memory_api, resource
from tests.contract.memory_vault import MemoryVault
from tests.contract.node_suite import shell_host
from tests.contract.test_node import settings_of
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.kube import Object
    from drkit.cluster.node import Node
    from drkit.lab.box import LabBox

CLAIMS = resource("persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = resource("persistentvolumes", "PersistentVolume", namespaced=False)
NODES = resource("nodes", "Node", namespaced=False)
HOST = "kubernetes.io/hostname"
NAME = ("docfast", "uploads")


@pytest.fixture(scope="module")
def host() -> Iterator[LabBox]:
    """An sshd on loopback that gives its user a shell."""
    with shell_host() as running:
        yield running


@pytest.fixture(params=["here", "over SSH"])
def node(request: pytest.FixtureRequest, host: LabBox) -> Iterator[Node]:
    """The node that has the volumes."""
    if request.param == "here":
        yield LocalNode("k3s-w1")
    else:
        made = SshNode("k3s-w1", "127.0.0.1", settings_of(host))
        yield made
        made.close()


@pytest.fixture
def here() -> Node:
    """This machine, where it does not matter which."""
    return LocalNode("k3s-w1")


def volume(name: str, path: Path) -> Object:
    """A volume as local-path makes it."""
    term = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["host-of-w1"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    return {"metadata": {"name": name}, "spec": {"hostPath": {"path": str(path)}, "nodeAffinity": affinity}}


class Cluster:
    """One node, one claim, and what gives the claim a volume once its node is chosen."""

    def __init__(self, api: MemoryApi, directory: Path) -> None:
        self.api, self.path = api, directory / "volume"
        api.resources += [CLAIMS, VOLUMES, NODES]
        api.add(NODES, {"metadata": {"name": "k3s-w1", "labels": {HOST: "host-of-w1"}}, "spec": {}})
        self.claim: Object = {"metadata": {"namespace": NAME[0], "name": NAME[1]}, "spec": {}}
        api.add(CLAIMS, self.claim)
        api.add(VOLUMES)
        api.on_request = lambda _: self._provide()

    def bind(self) -> None:
        """Give the claim its volume."""
        self.path.mkdir(exist_ok=True)
        self.claim["spec"]["volumeName"] = "pv-1"
        self.api.objects[VOLUMES.path] = [volume("pv-1", self.path)]

    def _provide(self) -> None:
        (there,) = self.api.objects[CLAIMS.path]
        chosen = (there["metadata"].get("annotations") or {}).get(filling.SELECTED)
        if chosen == "k3s-w1" and "volumeName" not in there["spec"]:
            self.claim = there
            self.bind()

    def source(self, node: Node) -> ClaimSource:
        """The claim, as a source."""
        return ClaimSource(NAME, connect(self.api.access), {"k3s-w1": node}.get)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Such a cluster, whose claim has no volume yet."""
    with memory_api() as api:
        yield Cluster(api, tmp_path)


@dataclass
class Machines:
    """One machine, which takes the place of the old node."""

    node_of_it: Node

    @property
    def steps(self) -> dict[str, Step]:
        """The step that made it."""
        return {"w1": Step("server w1", "server", "", (), {"name": "w1", "node": "old-w1"})}

    def machine(self, _: str, __: Call) -> Any:
        """What the cluster calls it."""
        return self.node_of_it

    def node(self, _: str, __: Call) -> Node:
        """The way to it."""
        return self.node_of_it


class Restore:
    """The steps of one volume, as the engine calls them."""

    def __init__(self, cluster: Cluster, node: Node, vault: MemoryVault, entry: SourceEntry) -> None:
        means = type("Means", (), {"vaults": {"cluster": vault}, "sources": {entry.name: entry}})
        new = type("New", (), {"api": lambda *_: connect(cluster.api.access)})
        made = filling.Filling(cast("Any", means), cast("Any", Machines(node)), cast("Any", new()))
        self._actions = made.actions()
        attempt = type("Attempt", (), {"journal": type("Journal", (), {"restore": "restore-1"})})
        details = {"claim": "/".join(NAME), "source": entry.name, "node": "old-w1"}
        step = Step("fill docfast/uploads", FILL, "", (), details)
        self._call = Call(step, cast("Any", attempt), begun_before=False, results={}, task=Heard())

    def fill(self) -> Any:
        """Fill the volume."""
        return self._actions[FILL].run(self._call)

    def prove(self) -> Any:
        """Compare it with what was sealed."""
        return self._actions[FILLED].run(self._call)


def stored(vault: MemoryVault, source: ClaimSource) -> SourceEntry:
    """The source, stored as a run does it."""
    vault.create()
    with source.open() as stream:
        kept = vault.store("archive", stream, file_name=source.file_name)
        details = stream.details()
    return SourceEntry(
        name=source.name,
        kind=source.kind,
        vault="cluster",
        status=OK,
        archive="archive",
        file=source.file_name,
        size=kept.size,
        sha256=kept.sha256,
        details=details,
    )


def odd_files(directory: Path) -> None:
    """All that a volume may have."""
    (directory / "two\nlines").write_bytes(b"x" * 300_000)
    os.chown(directory / "two\nlines", 1234, 5678)
    (directory / os.fsdecode(b"\xff\xfe not UTF-8")).write_text("bytes")
    plain = directory / "plain"
    plain.write_text("content")
    plain.chmod(0o4750)
    os.setxattr(plain, "user.note", b"v\n\x00\xff")
    os.utime(plain, ns=(1, 1_600_000_000_123_456_789))
    os.link(plain, directory / "one more name")
    (directory / "link").symlink_to("/etc/shadow")
    (directory / "dangling").symlink_to("nowhere\nat all")
    with (directory / "holes").open("wb") as file:
        file.seek(1 << 40)
        file.write(b"end")
        file.seek(5_000_000)
        file.write(b"middle")
    deep = directory / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    (deep / ("f" * 200)).write_text("deep")
    deep.parent.chmod(0o1777)
    (directory / "empty").touch()
    (directory / "-rf").mkdir(mode=0o711)
    os.mkfifo(directory / "pipe", 0o620)
    with socket.socket(socket.AF_UNIX) as listening:
        place = os.open(directory, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{place}/socket")
        os.close(place)
    directory.chmod(0o2770)


@pytest.mark.skipif(os.geteuid() != 0, reason="owners are given by root alone")
def test_a_volume_comes_back_as_it_was(cluster: Cluster, node: Node, tmp_path: Path) -> None:
    """Names with line feeds, holes, hard links, attributes, owners, modes, times: all is there again, and proven so."""
    cluster.bind()
    odd_files(cluster.path)
    vault = MemoryVault("cluster")
    entry = stored(vault, cluster.source(node))
    assert entry.details["files"] == 6
    assert entry.size < 10_000_000
    assert "warnings" not in entry.details
    assert inside.look(vault, entry, None) == inside.Seen()

    old = cluster.path
    cluster.path = tmp_path / "new volume"
    cluster.claim["spec"] = {}
    restore = Restore(cluster, node, vault, entry)
    restore.fill()
    assert restore.prove()["files"] == 6
    assert sorted(tmp_path.iterdir()) == sorted([old, cluster.path])
    new = cluster.path
    assert (new / "plain").stat().st_ino == (new / "one more name").stat().st_ino
    assert (new / "plain").stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert os.getxattr(new / "plain", "user.note") == b"v\n\x00\xff"
    assert ((new / "two\nlines").stat().st_uid, (new / "two\nlines").stat().st_gid) == (1234, 5678)
    assert (new / "holes").stat().st_blocks < 1000
    assert (new / "link").readlink() == (old / "link").readlink()
    assert new.stat().st_mode == old.stat().st_mode
    assert not (new / "socket").exists()


def test_what_is_changed_afterwards_fails_the_proof(cluster: Cluster, here: Node) -> None:
    """A file that is not as it was sealed, one that is missing and one too many are named, contents are not."""
    cluster.bind()
    for name in ("a", "b", "c"):
        (cluster.path / name).write_text(f"secret of {name}")
    vault = MemoryVault("cluster")
    entry = stored(vault, cluster.source(here))
    restore = Restore(cluster, here, vault, entry)
    (cluster.path / "b").write_text("secret of x")
    (cluster.path / "c").unlink()
    (cluster.path / "d\n").touch()
    with pytest.raises(VerificationFailed) as caught:
        restore.prove()
    assert "b differs, c is missing, d\\n is new" in caught.value.message
    assert "secret" not in caught.value.message


def test_only_what_an_attempt_put_there_itself_goes(cluster: Cluster, here: Node) -> None:
    """Files of somebody else are refused and kept, however often; those of an attempt that was killed are replaced."""
    cluster.bind()
    (cluster.path / "mine").write_text("as it was")
    vault = MemoryVault("cluster")
    restore = Restore(cluster, here, vault, stored(vault, cluster.source(here)))
    (cluster.path / "mine").write_text("somebody's")
    for _ in range(2):
        with pytest.raises(RestoreFailed, match="holds files already"):
            restore.fill()
    assert (cluster.path / "mine").read_text() == "somebody's"
    (cluster.path.parent / "volume.restore-1.tar.begun").touch()
    (cluster.path / "half").write_text("of a killed attempt")
    restore.fill()
    assert [each.name for each in cluster.path.iterdir()] == ["mine"]
    assert (cluster.path / "mine").read_text() == "as it was"
    restore.prove()
    assert [each.name for each in cluster.path.parent.iterdir()] == ["volume"]


def test_files_that_come_and_go_meanwhile_are_no_failure(cluster: Cluster, here: Node) -> None:
    """A volume that is written to all the time is backed up all the same; that it was is said."""
    cluster.bind()
    for number in range(500):
        (cluster.path / f"still-{number}").write_bytes(b"x" * 10_000)
    over = threading.Event()

    def churn() -> None:
        number = 0
        while not over.is_set():
            number += 1
            place = cluster.path / f"moving-{number % 50}"
            place.write_bytes(b"y" * (number % 7) * 50_000)
            (cluster.path / f"moving-{(number + 25) % 50}").unlink(missing_ok=True)

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        vaults = [MemoryVault("cluster") for _ in range(5)]
        entries = [stored(vault, cluster.source(here)) for vault in vaults]
    finally:
        over.set()
        writer.join()
    for vault, entry in zip(vaults, entries, strict=True):
        assert inside.look(vault, entry, None) == inside.Seen()
        assert entry.details["files"] >= 500
    (said,) = entries[0].details["warnings"]
    assert said.startswith("volumes/docfast/uploads: written to while it was read: moving-")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"csi": {"driver": "csi.hetzner.cloud"}}, "is not on the disk of one node"),
        ({"hostPath": {"path": "/srv/../etc"}}, "where no volume is"),
        ({"hostPath": {"path": "/"}}, "where no volume is"),
        ({"hostPath": {"path": "/nowhere/at all"}}, "no directory that can be read"),
    ],
)
def test_what_is_no_directory_of_a_node_is_said(cluster: Cluster, here: Node, spec: Object, says: str) -> None:
    """A volume that is elsewhere, or nowhere, is a source that fails and says why."""
    cluster.bind()
    there = cluster.api.objects[VOLUMES.path][0]["spec"]
    cluster.api.objects[VOLUMES.path] = [
        {"metadata": {"name": "pv-1"}, "spec": {**spec, "nodeAffinity": there["nodeAffinity"]}}
    ]
    with pytest.raises(SourceFailed, match=says):
        stored(MemoryVault("cluster"), cluster.source(here))


def test_a_claim_that_has_no_volume_is_said(cluster: Cluster, here: Node) -> None:
    """One without a volume yet, one that is not there, and one on a machine that is not known."""
    with pytest.raises(SourceFailed, match="has no volume yet"):
        stored(MemoryVault("cluster"), cluster.source(here))
    cluster.bind()
    with pytest.raises(SourceFailed, match="is on k3s-w1, which is no node"):
        stored(MemoryVault("cluster"), ClaimSource(NAME, connect(cluster.api.access), lambda _: None))
    other = ClaimSource(("docfast", "other"), connect(cluster.api.access), {"k3s-w1": here}.get)
    with pytest.raises(SourceFailed, match="there is no claim docfast/other"):
        stored(MemoryVault("cluster"), other)


def test_a_link_in_the_place_of_the_volume_is_not_followed(cluster: Cluster, here: Node, tmp_path: Path) -> None:
    """Who may write beside volumes cannot have other files of the node backed up."""
    cluster.bind()
    cluster.path.rmdir()
    cluster.path.symlink_to(tmp_path)
    with pytest.raises(SourceFailed, match="no directory that can be read"):
        stored(MemoryVault("cluster"), cluster.source(here))


def packed(**members: bytes | str) -> io.BytesIO:
    """A tar archive with the directory itself and these files, or links where a text is given."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        top = tarfile.TarInfo(".")
        top.type = tarfile.DIRTYPE
        archive.addfile(top)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
    file.seek(0)
    return file


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./../evil"])
def test_an_unsafe_name_ends_the_reading(name: str) -> None:
    """An archive that leads out of its volume is not believed."""
    with pytest.raises(VerificationFailed, match="unsafe"):
        volume_files.listing(packed(**{name: b"x"}))


def test_zeros_and_holes_are_the_same_content(tmp_path: Path) -> None:
    """A file whose holes a restore wrote as zeros is equal; one byte elsewhere is not."""
    zeros, holes, other = (tmp_path / name for name in ("zeros", "holes", "other"))
    found = []
    for directory in (zeros, holes, other):
        directory.mkdir()
        with (directory / "file").open("wb") as file:
            if directory != holes:
                file.write(bytes(3_000_000))
            file.seek(3_000_000)
            file.write(b"end")
            if directory == other:
                file.seek(1_000_001)
                file.write(b"\1")
        os.utime(directory / "file", (1, 1))
        os.utime(directory, (1, 1))
        found.append(filling.read(LocalNode("here"), str(directory)))
    assert volume_files.differences(found[0], found[1]) == []
    assert found[0].digest == found[1].digest
    assert volume_files.differences(found[0], found[2]) == ["file differs"]


@pytest.mark.parametrize("at", [1, 511, 700, 1500, 9000])
def test_a_damaged_archive_is_no_surprise(at: int) -> None:
    """Whatever was changed or cut off, the reading ends in what a caller expects, or shows another digest."""
    whole = packed(a=b"x" * 5000, b="a").getvalue()
    sealed = volume_files.listing(io.BytesIO(whole)).digest
    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
        try:
            found = volume_files.listing(io.BytesIO(damaged)).digest
        except VerificationFailed:
            continue
        assert found != sealed or damaged[: 3 * 512 + 5120] == whole[: 3 * 512 + 5120]
