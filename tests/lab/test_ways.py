"""Whole clusters of every kind, lost and brought back by one command: datastores, providers, numbers of servers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hcloud
import pytest
from hcloud.load_balancers import LoadBalancerTarget, LoadBalancerTargetLabelSelector
from ruamel.yaml import YAML

from drkit.lab import containers, machines, traffic
from drkit.lab.engine import LABEL
from drkit.lab.hcloud.seed import serving_lab
from drkit.lab.placed import Placed
from drkit.lab.topology import Role, full_name
from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.rebuilds import ended, spares
from tests.lab.ways import TARGET, Back, Small, small
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container
    from hcloud.load_balancers import BoundLoadBalancer

    from drkit.lab.hcloud.serve import StandIn
    from tests.lab.labs import LabUser
    from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

TOKEN = "a-token-for-tests"
SPARES = "spare_hosts"


@contextmanager
def on_spares(
    was: Small, servers: tuple[str, ...], agents: tuple[str, ...] = (), *, inside: bool = False
) -> Iterator[Back]:
    """The cluster, lost, with fresh machines that are its target; ``inside`` a network that is not their first one."""
    hosts, names = was.site.path / SPARES, (*servers, *agents)
    with spares(was.engine, was.topology, was.lab, hosts, names, workload=False) as first:
        addresses = connected(was, names, dict(zip(names, first, strict=True))) if inside else first
        listed = [{"name": name, "address": address} for name, address in zip(names, addresses, strict=True)]
        target = {"provider": "ssh", "servers": listed[: len(servers)], "agents": listed[len(servers) :]}
        was.configure(target, hosts=SPARES)
        yield Back(was, addresses[0], str(hosts))


def connected(was: Small, names: tuple[str, ...], before: dict[str, str]) -> list[str]:
    """Give machines another interface, and return their addresses on it; they are believed there as they were."""
    label, hosts = {LABEL: was.lab["name"]}, was.site.path / SPARES
    network = was.engine.networks.create(full_name(was.lab["name"], "inside"), labels=label)
    found = []
    for name in names:
        machine = running(was, name)
        network.connect(machine)
        machine.reload()
        found.append(str(machine.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]))
        hosts.write_text(hosts.read_text().replace(f"{before[name]} ", f"{found[-1]} "))
    return found


def running(was: Small, name: str) -> Container:
    """The machine that runs and whose name begins like that."""
    beginning = full_name(was.lab["name"], name)
    (found,) = [each for each in was.engine.containers.list() if str(each.name).startswith(beginning)]
    return found


def address_of(was: Small, name: str) -> str:
    """Its address."""
    return machines.address_of(running(was, name), was.topology)


def believed(was: Small, name: str) -> Back:
    """The cluster by the running server whose name begins like that; its container says its host key."""
    address, hosts = address_of(was, name), was.site.path / "believed_hosts"
    hosts.write_text(f"{address} {machines.booted(running(was, name), address)}\n")
    return Back(was, address, str(hosts))


def test_three_servers(lab_user: LabUser, docker_engine: DockerClient, site: Site) -> None:
    """The first server is reset to the snapshot, or begins anew; the others join its etcd one after another."""
    with small(lab_user, docker_engine, site, "--servers", "3", "--agents", "0") as was:
        was.configure({"provider": "ssh"})
        was.fill()
        was.backup()
        was.lose()
        names = ("spare-1", "spare-2", "spare-3")
        for mode in ("etcd", "manifests"):
            with on_spares(was, names) as back:
                was.restored("--mode", mode)
                back.is_whole(set(names))
                roles = [each["metadata"]["labels"] for each in back.items("nodes")]
                assert all("node-role.kubernetes.io/etcd" in each for each in roles)


def test_one_server_with_sqlite_on_a_labs_own_machines(
    lab_user: LabUser, docker_engine: DockerClient, site: Site
) -> None:
    """k3s's default datastore comes back on machines that the provider ``lab`` makes, behind its load balancer."""
    options = ("--servers", "1", "--agents", "1", "--datastore", "sqlite")
    with small(lab_user, docker_engine, site, *options) as was:
        name = f"shop.{was.topology.zone}"
        was.configure({"provider": "lab", "servers": ["new-1"], "agents": ["new-2"], "dns": [name]})
        was.fill(doors=True)
        was.backup()
        was.lose()
        report = was.restored("--mode", "etcd")
        assert {"network", "balancer", "dns"} <= {each["id"] for each in report["steps"]}
        back = believed(was, "new-1")
        back.is_whole({each["metadata"]["name"] for each in back.items("nodes")})
        assert not was.names & back.ready()
        assert back.shell("ls", "/var/lib/rancher/k3s/server/db/state.db").status == 0
        dns = docker_engine.containers.get(was.topology.the(Role.DNS).name)
        assert traffic.answers(dns).records[name] == [was.lab["load_balancer"]["address"]]


def test_servers_that_share_an_external_postgresql(lab_user: LabUser, docker_engine: DockerClient, site: Site) -> None:
    """The dump goes into the emptied database, both servers find each other there, and no old lease stands."""
    options = ("--servers", "2", "--agents", "0", "--datastore", "postgres")
    with small(lab_user, docker_engine, site, *options) as was:
        was.configure({"provider": "ssh"})
        was.fill()
        was.backup()
        was.lose()
        with on_spares(was, ("spare-1", "spare-2")) as back:
            refused = was.site.start("restore", "--to", TARGET, "--mode", "etcd")
            said = ended(refused)
            assert (said.status, "holds a cluster's objects" in said.err) == (14, True), said
            empty(was)
            was.restored("--resume")
            back.is_whole({"spare-1", "spare-2"})


OPTIONS = """flannel-iface: eth0
flannel-backend: wireguard-native
flannel-external-ip: true
node-external-ip: {address}
embedded-registry: true
"""
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
CONFIG = "/etc/rancher/k3s/config.yaml"
MIRRORS = "mirrors:\n  registry.example:\n    endpoint: ['http://{address}:5000']\n"


def test_options_of_interface_addresses_registry_and_labels(
    lab_user: LabUser, docker_engine: DockerClient, site: Site
) -> None:
    """k3s starts with what it was told, about another interface and the new addresses; nodes have their labels.

    The stand-in for k3s takes these options, and has neither flannel nor a mirror: what they do is not tried here.
    """
    with small(lab_user, docker_engine, site, "--servers", "1", "--agents", "1") as was:
        was.configure({"provider": "ssh"})
        was.fill()
        old = {each["name"]: each["address"] for each in was.lab["nodes"]}
        for name, address in old.items():
            more = OPTIONS if name == "server-1" else "node-external-ip: {address}\n"
            files = {
                CONFIG: containers.fetch(running(was, name), CONFIG) + more.format(address=address),
                REGISTRIES: MIRRORS.format(address=old["server-1"]),
            }
            containers.place(running(was, name), [Placed(path, text, 0o600) for path, text in files.items()])
        labels = ("pool=db", "node-role.kubernetes.io/worker=true")
        assert kubectl(was.lab, "label", "node", "agent-1", *labels).status == 0
        was.backup()
        was.lose()
        with on_spares(was, ("spare-1",), ("spare-2",), inside=True) as back:
            was.restored("--mode", "etcd")
            back.is_whole({"spare-1", "spare-2"})
            told = YAML(typ="safe").load(back.shell("cat", CONFIG).out)
            assert told["flannel-iface"] == "eth1"
            assert (told["node-ip"], told["node-external-ip"]) == (back.address, back.address)
            assert (told["flannel-backend"], told["flannel-external-ip"]) == ("wireguard-native", True)
            assert told["embedded-registry"] is True
            assert back.shell("cat", REGISTRIES).out == MIRRORS.format(address=back.address)
            nodes = {each["metadata"]["name"]: each for each in back.items("nodes")}
            internal = [
                each["address"] for each in nodes["spare-1"]["status"]["addresses"] if each["type"] == "InternalIP"
            ]
            assert internal == [back.address]
            assert dict(label.split("=") for label in labels).items() <= nodes["spare-2"]["metadata"]["labels"].items()


def empty(was: Small) -> None:
    """Lose the database that the servers shared."""
    database = was.engine.containers.get(was.topology.the(Role.DATABASE).name)
    drop = "psql --host=/tmp --username=postgres --command='drop database k3s with (force)'"
    status, said = database.exec_run(["sh", "-c", f"PGPASSWORD=$(cat /etc/lab/password) {drop}"])
    assert status == 0, said


def test_servers_that_take_over_the_names_of_the_old(
    lab_user: LabUser, docker_engine: DockerClient, site: Site
) -> None:
    """With --replace the old servers are off and put aside; new ones have names, labels and the load balancer's eye.

    What is destroyed afterwards gives the names back.
    """
    with small(lab_user, docker_engine, site, "--servers", "1", "--agents", "1") as was:
        (site.path / "token").write_text(TOKEN + "\n")
        target = {"provider": "hetzner", "token": {"file": "token"}, "dns": [f"shop.{was.topology.zone}"]}
        was.configure(target, "token: {file: token}")
        was.fill(doors=True)
        with serving_lab(docker_engine, was.lab["name"], TOKEN, Heard()) as api:
            site.environment["HCLOUD_ENDPOINT"] = api.endpoint
            by_label(api)
            was.backup()
            report = was.restored("--replace", "--mode", "etcd")
            steps = [each["id"] for each in report["steps"]]
            assert steps.index("fence") < steps.index("network")
            believed(was, "server-1").is_whole(was.names)
            off = {each.name: each.status for each in servers(api) if each.name not in was.names}
            assert (len(off), set(off.values())) == (2, {"off"})
            # The old agent carries the label too, and shall not get traffic when somebody switches it on.
            (now,) = list(balancer(api).targets or ())
            assert (now.type, now.server and now.server.name) == ("server", "agent-1")
            led = traffic.setting(docker_engine.containers.get(was.topology.the(Role.BALANCER).name)).targets
            assert list(led.values()) == [address_of(was, "agent-1")]
            done = ended(site.start("restore", "--to", TARGET, "--destroy"))
            assert done.status == 0, done
            assert {each.name: each.status for each in servers(api)} == dict.fromkeys(was.names, "off")
            assert [each.type for each in balancer(api).targets or ()] == ["label_selector"]


def by_label(api: StandIn) -> None:
    """Let the load balancer's targets be the servers with a label."""
    there = balancer(api)
    selector = LoadBalancerTarget(
        type="label_selector",
        label_selector=LoadBalancerTargetLabelSelector(selector="role=agent"),
        use_private_ip=True,
    )
    there.add_target(selector).wait_until_finished()
    for each in there.targets or ():
        there.remove_target(each).wait_until_finished()


def balancer(api: StandIn) -> BoundLoadBalancer:
    """The load balancer of the project."""
    (found,) = hcloud.Client(TOKEN, api.endpoint, poll_interval=0.2).load_balancers.get_all()
    return found


def servers(api: StandIn) -> list[Any]:
    """All servers of the project."""
    return list(hcloud.Client(TOKEN, api.endpoint).servers.get_all())
