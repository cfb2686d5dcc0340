"""What ``drkit check`` tries of a cluster: its API, its machines, its PostgreSQL clusters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit.cluster import cnpg
from drkit.cluster.reach import reach
from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded, tail
from drkit.sources import cluster as clusters
from drkit.sources import cnpg as databases

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.cluster.api import HttpApi
    from drkit.cluster.cnpg import PostgresCluster
    from drkit.cluster.members import Member
    from drkit.config.model import Config

    Look = tuple[str, Callable[[], str]]

_SECONDS = 30.0
_LISTED = "/api/v1/secrets"
"""What a user with too few rights is refused first."""


def looks(config: Config) -> list[Look]:
    """Each thing to try, under its name; trying it says how it is, or raises what is wrong.

    Raises:
        ConfigurationError: the kubeconfig is not as expected.
    """
    connected = clusters.connect(config.cluster)
    found: list[Look] = [("cluster API", partial(_api, connected))] if connected else []
    machines = clusters.machines_of(config.cluster, connected)
    found += [(f"node {machine.name}", partial(_machine, config, machine)) for machine in machines]
    if connected:
        found.append(("databases in the cluster", partial(_databases, connected)))
    return found


def _api(connected: HttpApi) -> str:
    version = connected.get("/version").get("gitVersion", "of unknown version")
    served = connected.discover()
    next(iter(connected.pages(_LISTED)))
    lacking = f"; without an answer: {', '.join(sorted(served.failed))}" if served.failed else ""
    return f"{connected.server}: Kubernetes {version}, {len(served.resources)} kinds of objects{lacking}"


def _machine(config: Config, machine: Member) -> str:
    argv = ["k3s", "--version"] if machine.is_server else ["uname", "-srm"]
    try:
        done = reach(machine.name, machine.address, config.cluster.ssh).run(argv, deadline=_SECONDS)
    except DeadlineExceeded as error:
        raise SourceFailed(f"{machine.name}: {error}") from None
    if done.status != 0:
        raise SourceFailed(f"{machine.name}: {argv[0]} ended with status {done.status}: {tail(done.stderr)}")
    said = done.stdout.decode(errors="replace").splitlines()
    return f"{machine.address}: {said[0] if said else 'answers'}"


def _databases(connected: HttpApi) -> str:
    found = cnpg.clusters(connected)
    return "; ".join(_of(connected, each) for each in found) or "no CloudNativePG cluster"


def _of(connected: HttpApi, cluster: PostgresCluster) -> str:
    return f"{cluster}: {', '.join(databases.databases(connected, cluster))}"
