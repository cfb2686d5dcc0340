"""What nodes say of how they were started, and what follows for how their loss is noticed. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.config.times import length
from drkit.posture.settings import NodeLoss, Setting
from drkit.posture.snapshot import is_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.cluster.kube import Object
    from drkit.posture.snapshot import Snapshot

_ARGUMENTS: Final = "k3s.io/node-args"
"""The annotation in which k3s keeps what it was started with: its configuration files and command line, as a JSON list
(pkg/nodeconfig/nodeconfig.go); secrets are replaced by asterisks there."""

HEARTBEAT: Final = Setting(10, "kubelet's default: a quarter of the lease of 40 s")
PERIOD: Final = Setting(5, "default of node-monitor-period")
_GRACE: Final = Setting(50, "default of node-monitor-grace-period since Kubernetes 1.32")
_OLD_GRACE: Final = Setting(40, "default of node-monitor-grace-period before Kubernetes 1.32")
_LONGER_GRACE: Final = (1, 32, 0)
EVICTION: Final = Setting(300, "default of default-unreachable-toleration-seconds")


def words(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """The words that k3s was started with, by node."""
    found = {look.name(node): _annotated(node) for node in snapshot.of("nodes")}
    return {name: annotated or tuple(snapshot.told.get(name, ())) for name, annotated in found.items()}


def _annotated(node: Object) -> tuple[str, ...]:
    try:
        found = json.loads(look.text(node, "metadata", "annotations", _ARGUMENTS))
    except (ValueError, RecursionError):
        return ()
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def addresses(nodes: Iterable[Object]) -> tuple[tuple[str, str], ...]:
    """Every address of every node, with its name."""
    found = {
        (look.text(each, "address"), look.name(node))
        for node in nodes
        for each in look.items(node, "status", "addresses")
        if look.text(each, "type") in {"InternalIP", "ExternalIP"}
    }
    return tuple(sorted(found))


def version(nodes: Iterable[Object]) -> str:
    """That of the servers; the oldest where they differ, and of all nodes where no server is known."""
    listed = list(nodes)
    chosen = [node for node in listed if is_server(node)] or listed
    known = [look.text(node, "status", "nodeInfo", "kubeletVersion") for node in chosen]
    return min(filter(look.version, known), key=lambda each: look.version(each) or (0, 0, 0), default="")


def component(told: Mapping[str, Sequence[str]], option: str, argument: str) -> tuple[str, str] | None:
    """What k3s was told to tell a component, such as ``kube-controller-manager-arg``: the value, and where it stands.

    Of several servers the one with the highest value is taken: any of them may be the one that leads.
    """
    found = []
    for node, said in told.items():
        for each in look.options(said, option):
            key, equals, value = each.removeprefix("--").partition("=")
            if key == argument and equals:
                found.append((value, f"{option} of {node}: {argument}={value}"))
    return max(found, key=lambda each: length(each[0]) or 0.0, default=None)


def _duration(told: Mapping[str, Sequence[str]], option: str, argument: str, default: Setting) -> Setting:
    found = component(told, option, argument)
    seconds = length(found[0]) if found else None
    return default if found is None or not seconds else Setting(seconds, found[1])


def loss(nodes: Iterable[Object], told: Mapping[str, Sequence[str]]) -> NodeLoss:
    """How the loss of a node is noticed."""
    manager = "kube-controller-manager-arg"
    known = look.version(version(nodes))
    grace = _OLD_GRACE if known is not None and known < _LONGER_GRACE else _GRACE
    return NodeLoss(
        HEARTBEAT,
        _duration(told, manager, "node-monitor-period", PERIOD),
        _duration(told, manager, "node-monitor-grace-period", grace),
    )


def eviction(told: Mapping[str, Sequence[str]]) -> Setting:
    """How long pods stay on a lost node that say nothing of it themselves.

    Source: Kubernetes, plugin/pkg/admission/defaulttolerationseconds.
    """
    return _duration(told, "kube-apiserver-arg", "default-unreachable-toleration-seconds", EVICTION)


def election() -> Setting:
    """After which silence etcd elects another leader; k3s gives its etcd no option for it to be read from."""
    return Setting(5, "k3s's: ElectionTimeout of pkg/etcd/etcd.go")
