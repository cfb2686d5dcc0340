"""From a scenario, which is of no cluster, to the drill on this one: whom its faults hit, where its probes ask. Pure.

The same scenario on the same cluster always becomes the same drill: among several that fit, the first by name is
taken. What cannot be found is refused, all of it at once, with what was looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from drkit.drill import choose_probes
from drkit.drill.find_postgres import postgres, primary_of, primary_pods
from drkit.drill.scenario.kinds import KINDS, PEERS, SERVER, SERVERS
from drkit.drill.scenario.model import NodeSelector, PodSelector
from drkit.drill.values import Drill, Injection
from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from drkit.drill.scenario.model import Fault, Scenario
    from drkit.drill.snapshot import Node, Pod, Snapshot

Item = TypeVar("Item")
Made = TypeVar("Made")


def choose(name: str, scenario: Scenario, snapshot: Snapshot) -> Drill:
    """The drill that a scenario is on a cluster.

    Args:
        name: the scenario's.
        scenario: as its file has it.
        snapshot: the cluster as it is now.

    Raises:
        PreflightFailed: the cluster lacks something that it needs; each thing is one line.
    """
    problems: list[PreflightFailed] = []
    injected = _each(enumerate(scenario.faults), lambda each: _injections(*each, snapshot), problems)
    hit = frozenset(each.target for each in injected if KINDS[each.fault].hits == "node")
    asked = _each(scenario.probes, lambda each: choose_probes.probes(each, snapshot, hit), problems)
    if problems:
        hints = list(dict.fromkeys(each.hint for each in problems if each.hint))
        raise PreflightFailed("\n".join(f"{name}: {each.message}" for each in problems), "; ".join(hints))
    return Drill(
        scenario=name,
        title=scenario.title,
        steady_seconds=scenario.steady.seconds,
        probes=choose_probes.with_names(asked),
        injections=tuple(injected),
        needed=scenario.needed,
        settle_seconds=scenario.settle,
        expect=tuple(scenario.expect),
        hold=tuple(scenario.hold),
        during=scenario.during or "",
        lab_only=scenario.lab_only,
    )


def _each(items: Iterable[Item], make: Callable[[Item], Sequence[Made]], problems: list[PreflightFailed]) -> list[Made]:
    """What is made of the items; what is refused is added to the problems."""
    found: list[Made] = []
    for item in items:
        try:
            found.extend(make(item))
        except PreflightFailed as error:
            problems.append(error)
    return found


def _injections(number: int, fault: Fault, snapshot: Snapshot) -> list[Injection]:
    what = f"faults.{number} ({fault.fault})"
    selector = fault.on
    if isinstance(selector, NodeSelector):
        nodes = _nodes(what, fault, selector, snapshot)
        targets = [(each.name, _found(what, fault, each, snapshot)) for each in nodes]
    else:
        targets = [(str(each), {}) for each in _pods(what, selector, snapshot)]
    later = 0.0 if selector.which == "all" else fault.lasts + fault.after
    options = fault.options.model_dump()
    return [
        Injection(fault.fault, target, later if place else fault.after, fault.lasts, {**options, **found})
        for place, (target, found) in enumerate(targets)
    ]


def _nodes(what: str, fault: Fault, selector: NodeSelector, snapshot: Snapshot) -> list[Node]:
    meant = _meant(what, selector, snapshot)
    if len(meant) < selector.of_at_least:
        raise PreflightFailed(
            f"{what}: expected at least {selector.of_at_least} nodes that are {_WORDS[selector.node]}; "
            f"there {_are(meant)}",
            "this scenario is for larger clusters; `drkit drill list` shows the others",
        )
    named = [each for each in meant if selector.name in {None, each.name}]
    reasons = {each.name: _unfit(fault, each, snapshot) for each in named}
    fit = [each for each in named if not reasons[each.name]]
    if not fit:
        looked = f" called {selector.name}" if selector.name else ""
        said = ", ".join(f"{name} {reason}" for name, reason in reasons.items())
        raise PreflightFailed(
            f"{what}: no node that is {_WORDS[selector.node]}{looked} can be hit; {said or f'there {_are(meant)}'}",
            "`kubectl get nodes` shows their roles and whether they are ready",
        )
    return fit if selector.which == "each" else fit[:1]


_WORDS = {
    "worker": "a worker (no control plane)",
    "worker-with-primary": "a worker with the PostgreSQL primary",
    "with-primary": "the one with the PostgreSQL primary",
    "control-plane": "a server (control plane)",
    "etcd": "a server with a member of etcd",
    "any": "in the cluster",
}


def _are(found: Sequence[Node]) -> str:
    match found:
        case []:
            return "is none"
        case [only]:
            return f"is one: {only.name}"
        case _:
            return f"are {len(found)}: {', '.join(each.name for each in found)}"


def _meant(what: str, selector: NodeSelector, snapshot: Snapshot) -> list[Node]:
    """The nodes that the word means, the preferred ones first; whether they can be hit is another question."""
    by_name = _by_name(snapshot)
    servers, workers = ([each for each in by_name if each.is_server is wanted] for wanted in (True, False))
    match selector.node:
        case "worker":
            primaries = {pod.node for pod in primary_pods(snapshot)}
            return sorted(workers, key=lambda each: each.name in primaries)
        case "worker-with-primary" | "with-primary":
            pod = primary_of(what, selector.cluster, snapshot)
            if selector.node == "worker-with-primary" and pod.node in {each.name for each in servers}:
                raise PreflightFailed(
                    f"{what}: expected the PostgreSQL primary on a worker; {pod} runs on {pod.node}, a server",
                    "`on: {node: with-primary}` takes the node wherever the primary runs",
                )
            return [each for each in by_name if each.name == pod.node]
        case "control-plane":
            return servers
        case "etcd":
            return [each for each in servers if "etcd" in each.roles]
        case "any":
            return [*servers, *workers]


def _by_name(snapshot: Snapshot) -> list[Node]:
    return sorted(snapshot.nodes, key=lambda each: each.name)


def _unfit(fault: Fault, node: Node, snapshot: Snapshot) -> str:
    """Why a node cannot be hit; empty where it can."""
    if not node.ready:
        return "is not ready"
    match fault.fault:
        case "detach" if snapshot.targets is None:
            return "is behind no load balancer that is known"
        case "detach" if node.name not in (snapshot.targets or ()):
            return "is no target of the load balancer"
        case "isolate-from-api" | "block-client" if node.is_server:
            return "serves the API itself"
        case "drain" if not node.schedulable:
            return "is cordoned already"
        case _:
            return ""


def _found(what: str, fault: Fault, node: Node, snapshot: Snapshot) -> dict[str, object]:
    """What a fault has to know of the cluster, as ``drkit.drill.scenario.kinds`` explains it."""
    found: dict[str, object] = {}
    for word in KINDS[fault.fault].found:
        if word == PEERS:
            others = [each for each in _by_name(snapshot) if each.name != node.name]
            found[word] = [address for each in others for address in (*each.addresses, *each.pod_ranges)]
        elif word == SERVERS:
            found[word] = list(snapshot.api)
        elif word == SERVER:
            found[word] = snapshot.api[0] if snapshot.api else ""
        if not found[word]:
            raise PreflightFailed(
                f"{what}: {node.name} has no {'other node' if word == PEERS else 'server of the API'} to be cut from"
            )
    return found


def _pods(what: str, selector: PodSelector, snapshot: Snapshot) -> list[Pod]:
    meant = [
        each
        for each in _candidates(what, selector, snapshot)
        if selector.namespace in {None, each.namespace} and selector.labels.items() <= each.labels.items()
    ]
    ready = [each for each in meant if each.ready]
    if len(ready) < selector.of_at_least:
        said = ", ".join(f"{each} {'is' if each.ready else 'is not'} ready" for each in meant)
        raise PreflightFailed(
            f"{what}: expected at least {selector.of_at_least} ready pod{'s' * (selector.of_at_least > 1)}: "
            f"{_described(selector)}; {said or 'there is none'}",
            "`kubectl get pods --all-namespaces --show-labels` shows what there is",
        )
    return ready[:1] if selector.which == "first" else ready


def _described(selector: PodSelector) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.labels.items()))
    words = [selector.pod, labels and f"labelled {labels}", selector.namespace and f"in {selector.namespace}"]
    return " ".join(each for each in words if each)


_DNS_LABELS = {"k8s-app": "kube-dns"}


def _candidates(what: str, selector: PodSelector, snapshot: Snapshot) -> list[Pod]:
    if selector.pod == "coredns":
        system = (each for each in snapshot.pods if each.namespace == "kube-system")
        return [each for each in system if _DNS_LABELS.items() <= each.labels.items()]
    if selector.pod == "any":
        return list(snapshot.pods)
    if selector.pod == "primary":
        return [primary_of(what, selector.cluster, snapshot)]
    cluster = postgres(what, selector.cluster, snapshot)
    if selector.pod == "pooler":
        return [pod for pooler in snapshot.poolers_of(cluster) for pod in snapshot.pods_of_pooler(pooler)]
    pods = (snapshot.pod(cluster.namespace, name) for name in cluster.instances if name != cluster.primary)
    return [pod for pod in pods if pod is not None]
