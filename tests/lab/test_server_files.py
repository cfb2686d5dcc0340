"""The files of real servers and agents: what a rebuild needs is there, and only what changed differs."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster import files
from drkit.errors import SourceFailed
from drkit.restore.unpack import unpack
from drkit.sources.server_files import ServerFilesSource
from tests.lab.labs import COLD_SECONDS
from tests.lab.machines import copied, machine, shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.ssh import SshNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]

SERVER = "var/lib/rancher/k3s/server"


@pytest.fixture
def server(lab: Lab) -> Iterator[SshNode]:
    """The shared lab's server."""
    with machine(lab, "server-1") as node:
        yield node


def test_a_server_can_be_rebuilt_from_its_files(server: SshNode, tmp_path: Path) -> None:
    """Token, keys, certificates, manifests, settings and units are there as on the server; its datastore is not."""
    content, details = copied(ServerFilesSource(server))
    assert details["node"] == "server-1"
    names = set(details["files"])
    for name in ("token", "cred/passwd", "tls/server-ca.key", "tls/etcd/peer-ca.key", "manifests/coredns.yaml"):
        assert f"{SERVER}/{name}" in names
    assert {"etc/rancher/k3s/config.yaml", "etc/systemd/system/k3s.service", "etc/rancher/node/password"} <= names
    assert not any("/db/" in name for name in names)
    assert files.listing(io.BytesIO(content)) == details["files"]

    unpack(io.BytesIO(content), tmp_path / "out")
    there = shell(server, f"cd / && find {SERVER}/tls {SERVER}/token -type f -exec sha256sum {{}} +")
    for line in there.splitlines():
        digest, name = line.split()
        assert details["files"][name]["sha256"] == digest
    assert (tmp_path / "out" / SERVER / "node-token").read_text() == shell(server, f"cat /{SERVER}/token")


def test_equal_files_give_equal_bytes(server: SshNode) -> None:
    """Times do not count; a change of content or rights names its file and nothing else."""
    before, first = copied(ServerFilesSource(server))
    path = f"/{SERVER}/manifests/drkit-test.yaml"
    shell(server, f"touch /{SERVER}/tls/server-ca.crt")
    assert copied(ServerFilesSource(server))[0] == before
    try:
        server.write(path, b"# nothing\n", mode=0o600)
        shell(server, f"chmod 640 /{SERVER}/manifests/coredns.yaml")
        _, second = copied(ServerFilesSource(server))
    finally:
        shell(server, f"rm -f {path}; chmod 600 /{SERVER}/manifests/coredns.yaml")
    assert files.differences(first["files"], second["files"]) == [
        f"{SERVER}/manifests/coredns.yaml has changed (mode)",
        f"{SERVER}/manifests/drkit-test.yaml is new",
    ]


def test_an_agents_settings_are_kept(lab: Lab) -> None:
    """An agent has settings, a unit and a password of its own; of its containers nothing is taken."""
    with machine(lab, "agent-1") as agent:
        _, details = copied(ServerFilesSource(agent))
    names = set(details["files"])
    assert {"etc/rancher/k3s/config.yaml", "etc/systemd/system/k3s-agent.service", "etc/rancher/node/password"} <= names
    assert not any(name.startswith((SERVER, "var/lib/rancher/k3s/agent/containerd")) for name in names)


def test_extra_paths_come_with_all_that_they_hold(server: SshNode) -> None:
    """Odd names, links, empty directories and what a link leads to are there; sockets are passed over."""
    make = r"""
    mkdir -p "$1/deep/empty" "$1/real"
    printf one >"$1/deep/ odd ' name *"
    printf two >"$1/deep/$(printf 'line\nfeed')"
    printf three >"$1/real/file"
    ln "$1/real/file" "$1/real/hard"
    ln -s real "$1/link"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1/deep/socket"
    """
    extra = shell(server, "mktemp -d /srv/extra.XXXXXX").strip()
    try:
        shell(server, make, extra)
        _, details = copied(ServerFilesSource(server, (f"{extra}/deep", f"{extra}/link")))
    finally:
        shell(server, 'rm -r "$1"', extra)
    here = extra.lstrip("/")
    found = {name.removeprefix(here): each for name, each in details["files"].items() if name.startswith(here)}
    assert set(found) == {
        "/deep",
        "/deep/empty",
        "/deep/ odd ' name *",
        "/deep/line\nfeed",
        "/link",
        "/real",
        "/real/file",
        "/real/hard",
    }
    assert found["/link"] == {"link": "real"}
    assert found["/real/hard"] == found["/real/file"]
    json.dumps(details)


def test_an_extra_path_that_is_not_there_is_a_failure(server: SshNode) -> None:
    """What the user asked for and cannot be saved is named, never passed over."""
    with pytest.raises(SourceFailed, match=r"server-1.*\n.*extra: /srv/no such is not there"):
        copied(ServerFilesSource(server, ("/etc/hostname", "/srv/no such")))


def test_files_that_come_and_go_do_not_fail_it(server: SshNode) -> None:
    """A backup of a directory in which another program works is made of what is there."""
    extra = shell(server, "mktemp -d /srv/busy.XXXXXX").strip()
    busy = (
        'echo on; while :; do for i in 1 2 3 4 5; do echo "$i" >"$1/$i"; echo more >>"$1/log"; rm "$1/$i"; done; done'
    )
    try:
        with server.open(["sh", "-c", busy, "sh", extra]):
            for _ in range(5):
                _, details = copied(ServerFilesSource(server, (extra,)))
                assert f"{SERVER}/token" in details["files"]
    finally:
        shell(server, 'rm -r "$1"', extra)
