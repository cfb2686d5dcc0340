"""A server whose objects are in an external PostgreSQL: what is on the server's disk is then of little worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.lab.build import ensure
from drkit.lab.recipes import read
from drkit.lab.topology import DATABASE_PORT
from drkit.observe.progress import PlainReporter
from tests.contract.k3s.cluster import SECRET
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]

PASSWORD = "of-the-database"
DATABASE = "/var/lib/rancher/k3s/server/db"


@pytest.fixture(scope="module")
def database(machines: Machines, docker_engine: DockerClient) -> str:
    """The address of a PostgreSQL with nothing in it, as k3s's configuration names it."""
    address = machines.add_database(ensure(docker_engine, read("database"), PlainReporter()), PASSWORD)
    return f"postgres://postgres:{PASSWORD}@{address}:{DATABASE_PORT}/k3s"


@pytest.fixture(scope="module")
def pair(machines: Machines, database: str) -> Iterator[list[Node]]:
    """A server that was told of the database, and a machine that knows the same and does not run yet."""
    made = machines.add("srv1", "srv2")
    for node in made:
        node.configure(datastore_endpoint=database, token=SECRET)
    first = made[0]
    first.start()
    until(lambda: first.ready_nodes() == {"srv1"}, what="a ready node")
    first.ok("k3s", "kubectl", "create", "configmap", "kept")
    yield made
    machines.remove(*made)


def psql(server: Node, database: str, statement: str) -> str:
    """What the database answers."""
    return server.ok("psql", "-XqtA", database, "-c", statement)


def test_the_state_is_in_the_database(pair: list[Node], database: str) -> None:
    """Objects and the cluster's identity are rows of the table ``kine``; the server has neither etcd nor SQLite."""
    server = pair[0]
    assert psql(server, database, "select count(*) from kine where name = '/registry/configmaps/default/kept'") == "1"
    assert psql(server, database, "select count(distinct name) from kine where name like '/bootstrap/%'") == "1"
    assert not server.run("test", "-e", f"{DATABASE}/state.db").good
    assert not server.run("test", "-e", f"{DATABASE}/etcd").good
    assert "node-role.kubernetes.io/etcd" not in server.get("node", "srv1")["metadata"]["labels"]


def test_there_are_no_snapshots(pair: list[Node]) -> None:
    """An etcd snapshot of an external datastore is refused: its own backup is what there is."""
    refused = pair[0].run("k3s", "etcd-snapshot", "save")
    assert not refused.good
    assert "etcd datastore disabled" in refused.output


def test_another_token_does_not_open_it(pair: list[Node], database: str) -> None:
    """The identity in the database is encrypted with the token: a machine with another one does not become a server."""
    second = pair[1]
    second.configure(datastore_endpoint=database, token="another-token")
    second.start()
    until(lambda: "bootstrap data already found and encrypted with different token" in second.log(), what="the refusal")
    second.stop()
    second.configure(datastore_endpoint=database, token=SECRET)


def test_objects_survive_the_server(pair: list[Node]) -> None:
    """After a restart they are there; a blank machine with the same endpoint and token has them, and the same CA."""
    first, second = pair
    first.stop()
    first.start()
    until(lambda: first.kubectl("get", "configmap/kept").good, what="the server's return")
    authority = first.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt")
    first.power_off()
    second.start()
    until(lambda: second.kubectl("get", "configmap/kept").good, what="the second server with the first one's objects")
    assert second.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt") == authority
    until(lambda: "srv2" in second.ready_nodes(), what="the second server's node")
