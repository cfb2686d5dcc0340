"""What is tried of a cluster: its API, its machines, its PostgreSQL clusters."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from drkit.checks import clocks, rights
from drkit.checks.result import Look, Seen
from drkit.cluster import cnpg
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.cluster.transport import Limits
from drkit.datastore import look as datastore
from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded, tail
from drkit.sources import claim
from drkit.sources import cluster as clusters
from drkit.sources import cnpg as databases

if TYPE_CHECKING:
    from drkit.cluster.api import HttpApi
    from drkit.cluster.cnpg import PostgresCluster
    from drkit.cluster.members import Member
    from drkit.cluster.node import Node
    from drkit.config.model import Config

_SECONDS = 30.0
_DATABASES_SECONDS = cnpg.WAIT_SECONDS + 30.0
_LIMITS = Limits(connections=8, rate=50.0, connect_seconds=5.0, read_seconds=20.0, attempts=2)
_LISTED = "/api/v1/secrets"
"""What a user with too few rights is refused first."""


def looks(config: Config) -> list[Look]:
    """Each thing to try. The API is asked which machines there are.

    Raises:
        ConfigurationError: the kubeconfig is not as expected.
    """
    connected = clusters.connect(config.cluster, _LIMITS)
    found = [Look("cluster API", partial(_api, connected))] if connected else []
    machines = clusters.machines_of(config.cluster, connected)
    found += [Look(f"node {machine.name}", partial(_machine, config, machine)) for machine in machines]
    if connected:
        found.append(Look("databases in the cluster", partial(_databases, connected), _DATABASES_SECONDS))
        if config.volumes:
            found.append(Look("volumes", partial(_volumes, config, connected)))
        found += rights.looks(config, connected)
    return found


def _api(connected: HttpApi) -> str:
    version = connected.get("/version").get("gitVersion", "of unknown version")
    served = connected.discover()
    next(iter(connected.pages(_LISTED)))
    lacking = f"; without an answer: {', '.join(sorted(served.failed))}" if served.failed else ""
    return f"{connected.server}: Kubernetes {version}, {len(served.resources)} kinds of objects{lacking}"


def _machine(config: Config, machine: Member) -> Seen:
    node = reach(machine.name, machine.address, config.cluster.ssh)
    try:
        return _seen(node, machine)
    except DeadlineExceeded as error:
        raise SourceFailed(f"{machine.name}: {error}", "see how busy it is: uptime, dmesg") from None
    finally:
        if isinstance(node, SshNode):
            node.close()


def _seen(node: Node, machine: Member) -> Seen:
    said = [_asked(node, ["k3s", "--version"] if machine.is_server else ["uname", "-srm"])]
    user = _asked(node, ["id", "-u"])
    if user != "0":
        raise SourceFailed(
            f"{machine.name}: {machine.address}: drkit is user {user} there, and has to be root",
            "cluster: {ssh: {user: root}}, with drkit's key in /root/.ssh/authorized_keys there",
        )
    if machine.is_server:
        said.append(f"datastore: {datastore.decide(datastore.look(node))}")
    before = time.time()
    told = _asked(node, ["date", "+%s.%N"])
    skew = clocks.skew(before, told, time.time())
    said += [str(skew)] if skew else []
    bad = skew is not None and skew.bad
    return Seen(f"{machine.address}: {'; '.join(said)}", warning=bad, hint=clocks.HINT if bad else "")


def _asked(node: Node, argv: list[str]) -> str:
    """The first line that a program prints."""
    done = node.run(argv, deadline=_SECONDS)
    if done.status != 0:
        raise SourceFailed(
            f"{node.name}: {argv[0]} ended with status {done.status}: {tail(done.stderr)}",
            "cluster.servers names the machines that run k3s server" if argv[0] == "k3s" else "",
        )
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0] if lines else "answers"


def _volumes(config: Config, connected: HttpApi) -> str:
    """Where the files of the chosen claims are; that their nodes answer is seen of each machine."""
    meant = claim.claim_sources(config.volumes, connected, lambda _: None)
    if not meant:
        raise SourceFailed("volumes: no claim has these labels", "see what there is: kubectl get pvc -A --show-labels")
    return "; ".join(f"{'/'.join(each.claim)} on {each.located()[1]}" for each in meant)


def _databases(connected: HttpApi) -> str:
    found = cnpg.clusters(connected)
    return "; ".join(_of(connected, each) for each in found) or "no CloudNativePG cluster"


def _of(connected: HttpApi, cluster: PostgresCluster) -> str:
    return f"{cluster}: {', '.join(databases.databases(connected, cluster))}"
