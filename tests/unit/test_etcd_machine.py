"""What is decided about a machine that becomes a node again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from drkit.archive import Kind, entries
from drkit.cluster import kubeconfig
from drkit.cluster.k3s import Settings
from drkit.errors import ConfigurationError
from drkit.restore.etcd import datastores, machine, program
from drkit.restore.etcd.values import File


@pytest.mark.parametrize(
    ("there", "wanted", "will_do"),
    [
        ("v1.34.4+k3s1", "v1.34.4+k3s1", True),
        ("v1.34.5+k3s1", "v1.34.4+k3s1", True),
        ("v1.34.3+k3s1", "v1.34.4+k3s1", False),
        ("v1.35.0+k3s1", "v1.34.4+k3s1", True),
        ("v1.36.0+k3s1", "v1.34.4+k3s1", False),
        ("v1.33.9+k3s1", "v1.34.4+k3s1", False),
        ("v2.34.4", "v1.34.4", False),
        ("built-here", "built-here", True),
        ("built-here", "v1.34.4", False),
    ],
)
def test_which_versions_will_do(there: str, wanted: str, will_do: bool) -> None:
    """The same, a newer patch or the next minor version takes over a datastore; nothing older does."""
    assert program.fits(there, wanted) is will_do


@pytest.mark.parametrize(
    ("content", "restore"),
    [(b'{"restore": "a"}', "a"), (b"", ""), (b"[]", ""), (b"{", ""), (b'{"other": 1}', "")],
)
def test_a_mark_says_whose_a_machine_is(content: bytes, restore: str) -> None:
    """What is no mark is nobody's."""
    assert machine.marked(content) == restore


def test_files_are_packed_with_their_modes() -> None:
    """A machine's files are one archive: each with its own mode, the server's directory for root alone."""
    files = {"/b/server/token": File(b"t", 0o600), "/a": File(b"", 0o644)}
    found = list(entries(io.BytesIO(machine.packed(files, ["/b/server"]))))
    assert [(entry.name, entry.kind, entry.mode) for entry, _ in found] == [
        ("b/server", Kind.DIRECTORY, 0o700),
        ("a", Kind.FILE, 0o644),
        ("b/server/token", Kind.FILE, 0o600),
    ]
    assert [entry.name for entry, _ in entries(io.BytesIO(machine.packed({"/a": File(b"")}, ["/b/server"])))] == ["a"]


def test_an_etcd_of_its_own_is_brought_back_by_hand() -> None:
    """Each member gets its exact command, with a revision that no watch has seen, and how to see that it is well."""
    endpoint = "https://10.0.0.5:2379, https://10.0.0.6:2379"
    settings = Settings(endpoint=endpoint, cafile="/ca", certfile="/crt", keyfile="/key")
    said = datastores.by_hand(settings, "/root/snap shot").splitlines()
    members = "etcd1=https://10.0.0.5:2380,etcd2=https://10.0.0.6:2380"
    assert (
        "  etcdutl snapshot restore '/root/snap shot' --data-dir=/var/lib/etcd --name=etcd2"
        f" --initial-cluster={members} --initial-advertise-peer-urls=https://10.0.0.6:2380"
        " --bump-revision=1000000000 --mark-compacted"
    ) in said
    assert (
        "  etcdctl --cacert=/ca --cert=/crt --key=/key --endpoints=https://10.0.0.5:2379,https://10.0.0.6:2379"
        " endpoint health"
    ) in said


KUBECONFIG = b"""
apiVersion: v1
kind: Config
current-context: default
contexts: [{name: default, context: {cluster: default, user: default}}]
clusters: [{name: default, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Q0E=}}]
users: [{name: default, user: {client-certificate-data: QQ==, client-key-data: Qg==}}]
"""


def test_a_servers_own_kubeconfig_leads_to_it_from_elsewhere() -> None:
    """It is read without a file of it, and its server is the one that is reached from here."""
    found = kubeconfig.parse(Path("/etc/rancher/k3s/k3s.yaml"), KUBECONFIG, "https://10.0.0.11:6443")
    assert (found.server, found.authority) == ("https://10.0.0.11:6443", b"CA")
    assert (found.credentials.certificate, found.credentials.key) == (b"A", b"B")
    with pytest.raises(ConfigurationError):
        kubeconfig.parse(Path("/k3s.yaml"), b"[", "https://10.0.0.11:6443")
