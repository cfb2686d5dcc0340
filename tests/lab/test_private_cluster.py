"""A cluster that only SSH leads to: its API is asked through one of its servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster import tunnel
from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.errors import KubeUnreachable
from tests.lab.site import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

pytestmark = pytest.mark.lab

NAMESPACE = "/api/v1/namespaces/kube-system"


def server(lab: dict[str, Any]) -> str:
    """The address of the lab's server."""
    return str(next(each["address"] for each in lab["nodes"] if each["name"] == "server-1"))


def login(lab: dict[str, Any], port: int = 22) -> Ssh:
    """How its nodes are logged in to."""
    return Ssh(user="root", key=Path(lab["ssh"]["key"]), known_hosts=Path(lab["ssh"]["known_hosts"]), port=port)


@pytest.fixture
def node(lab: dict[str, Any]) -> Iterator[SshNode]:
    """The way to the lab's server."""
    made = SshNode("server-1", server(lab), login(lab))
    yield made
    made.close()


def test_a_way_that_was_cut_is_made_again(node: SshNode) -> None:
    """What is asked next after the connection to the server broke is answered."""
    api = tunnel.connect([node])
    first = api.get(NAMESPACE)["metadata"]["uid"]
    node.close()
    assert api.get(NAMESPACE)["metadata"]["uid"] == first


def test_another_server_leads_there_too(lab: dict[str, Any], node: SshNode) -> None:
    """A server that does not answer is passed over; where none does, all of them are named."""
    gone = SshNode("server-9", server(lab), login(lab, port=1))
    assert tunnel.connect([gone, node]).get(NAMESPACE)["metadata"]["name"] == "kube-system"
    with pytest.raises(KubeUnreachable, match="server-9"):
        tunnel.connect([gone]).get(NAMESPACE)


def test_a_backup_through_ssh_has_all_objects(lab: dict[str, Any], site: Site) -> None:
    """With ``kubeconfig: ssh`` objects, files and databases in pods are backed up, and nothing of it is on the disk."""
    ssh = f"user: root, key: {lab['ssh']['key']}, known_hosts: {lab['ssh']['known_hosts']}"
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    site.config.write_text(
        f"cluster:\n  name: lab\n  kubeconfig: ssh\n  ssh: {{{ssh}}}\n"
        f"  servers: [{{name: server-1, address: {server(lab)}}}]\n"
        "vaults:\n  databases: {url: vault, passphrase: {file: passphrase}}\n"
        "  cluster: {url: other, passphrase: {file: passphrase}}\n"
    )
    checked = {each["what"]: each["ok"] for each in site.run("check", "--json").json()["checks"]}
    assert checked["cluster API"] is True
    sealed = site.run("backup", "--json").json()["point"]
    assert sealed["complete"] is True
    kinds = {each["kind"] for each in sealed["sources"]}
    assert {"datastore", "server-files", "manifests", "topology"} <= kinds
    assert not [path for path in site.path.rglob("*") if path.is_file() and b"client-key-data" in path.read_bytes()]
