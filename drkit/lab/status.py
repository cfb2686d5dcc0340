"""What there is of a lab, for people and scripts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from drkit.errors import PreflightFailed
from drkit.lab import balancer, containers, inside
from drkit.lab.accounts import ACCOUNTS, BACKUP
from drkit.lab.files import APPEND_KEY, FULL_KEY, NODE_KEY, files_of
from drkit.lab.join import RUNNING, ready
from drkit.lab.k3s.given import is_stand_in, version_line
from drkit.lab.topology import BOX_PORT, Role
from drkit.lab.workload.deploy import status as workload_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from docker import DockerClient

    from drkit.lab.files import LabFiles
    from drkit.lab.topology import Topology

MISSING = "missing"


def status(engine: DockerClient, lab: str) -> dict[str, Any]:
    """What there is of the lab of that name, as ``drkit lab status --json`` shows it.

    Raises:
        PreflightFailed: nothing of it is there.
    """
    found = containers.find(engine, lab)
    if found is None:
        others = ", ".join(containers.labs(engine))
        raise PreflightFailed(
            f"there is no lab {lab}",
            f"make it: drkit lab up --name {lab}" + (f"; there are: {others}" if others else ""),
        )
    described = describe(
        found, containers.states(engine, lab), ready(engine, found), version(engine, found), files_of(lab)
    )
    return {**described, "workload": workload_of(engine, found)}


def version(engine: DockerClient, lab: Topology) -> str | None:
    """What k3s on the lab's nodes calls itself; None where no node answers."""
    for node in lab.nodes:
        container = containers.get(engine, node.name)
        if container is not None and container.status == RUNNING:
            return version_line(inside.run_in(container, "k3s", "--version")[1])
    return None


def describe(
    lab: Topology, states: Mapping[str, str], ready: Collection[str], k3s: str | None, files: LabFiles
) -> dict[str, Any]:
    """The same from values.

    Args:
        lab: what there shall be.
        states: what the engine says of each container that is there, by the container's name.
        ready: the nodes that the cluster counts as Ready.
        k3s: its version line.
        files: where its keys are.
    """
    all_run = all(states.get(container.name) == RUNNING for container in lab.containers)
    all_ready = {node.member for node in lab.nodes} <= set(ready)
    box = lab.the(Role.BOX).address
    databases = lab.by_role(Role.DATABASE)
    return {
        "name": lab.spec.name,
        "state": "up" if all_run and all_ready and files.config.exists() else "incomplete",
        "datastore": str(lab.spec.datastore),
        "k3s": {"kind": _kind(k3s), "version": k3s},
        "network": str(lab.subnet),
        "nodes": [
            {
                "name": node.member,
                "role": str(node.role),
                "address": node.address,
                "container": node.name,
                "state": states.get(node.name, MISSING),
                "ready": node.member in ready,
            }
            for node in lab.nodes
        ],
        "ssh": {"user": "root", "key": str(files.key(NODE_KEY)), "known_hosts": str(files.known_hosts)},
        "kubeconfig": str(files.kubeconfig) if files.kubeconfig.exists() else None,
        "config": str(files.config),
        "box": {
            "url": BACKUP.url(box, BOX_PORT, ""),
            "address": box,
            "port": BOX_PORT,
            "accounts": [asdict(account) for account in ACCOUNTS],
            "append_only_key": str(files.key(APPEND_KEY)),
            "full_access_key": str(files.key(FULL_KEY)),
        },
        "load_balancer": {
            "address": lab.the(Role.BALANCER).address,
            "ports": [service.listen for service in balancer.INGRESS],
        },
        "dns": {"address": lab.the(Role.DNS).address, "zone": lab.zone},
        "database": databases[0].address if databases else None,
        "services": {each.member: states.get(each.name, MISSING) for each in lab.containers if not each.role.is_node},
    }


def _kind(version: str | None) -> str | None:
    if version is None:
        return None
    return "stand-in" if is_stand_in(version) else "real"
