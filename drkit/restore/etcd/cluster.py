"""What a restore does through the API of the cluster that it brings back; what is to be done is decided elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from drkit import process
from drkit.errors import KubeRefused, KubeUnreachable, RestoreFailed
from drkit.restore import holds
from drkit.restore.etcd import scrub as selection
from drkit.restore.operations import patch, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drkit.cluster.kube import Api, Object, Resource
    from drkit.restore.etcd.scrub import Asked, Listed, Selected

_NOT_FOUND: Final = 404
_ROUNDS: Final = 5
_NO_NETWORK: Final = "container runtime network not ready"
_LOOK_SECONDS: Final = 1.0


def restore_of(api: Api) -> str:
    """The id of the restore that the cluster is of; empty where it is of none.

    Raises:
        KubeUnreachable: the API does not answer; likewise below.
    """
    try:
        return str((api.get(selection.RECORD).get("data") or {}).get("restore", ""))
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return ""
        raise


def scrub(api: Api, asked: Asked) -> Selected:
    """Free a woken cluster of its old machines, and put to sleep what must not wake yet.

    Called again it goes on, and at the end does nothing.

    Returns:
        What was to be done at first, with what is lost.

    Raises:
        RestoreFailed: something comes back each time.
        KubeRefused: the API refuses; likewise below.
    """
    first = selected = selection.select(_listed(api), asked)
    for _ in range(_ROUNDS):
        if not selected.operations:
            return first
        for operation in selected.operations:
            perform(api, operation)
        selected = selection.select(_listed(api), asked)
    if not selected.operations:
        return first
    raise RestoreFailed(
        f"the cluster goes on having {selected.operations[0].about}, and {len(selected.operations)} such things in all",
        "see who makes them again: k3s must run without controllers at this time",
    )


def _listed(api: Api) -> Listed:
    return {kind: _all(api, kind) for kind in selection.KINDS}


def _all(api: Api, kind: Resource) -> list[Object]:
    """All objects of a kind; none where the API does not serve it."""
    try:
        found = [each for page in api.pages(kind.path) for each in page["items"]]
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return []
        raise
    # Lists leave out what each of their objects is.
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **each} for each in found]


def release(api: Api) -> list[str]:
    """Give all that is held its state back, CronJobs last, and say what that was. Called again it goes on."""
    order = sorted(selection.HELD, key=lambda kind: kind.kind in {"CronJob", "Job"})
    released = []
    for kind in order:
        for each in _all(api, kind):
            wake = holds.forget_patch(each) if holds.is_follower(each) else holds.release_patch(each)
            namespace, name = each["metadata"]["namespace"], each["metadata"]["name"]
            if wake is not None and patch(api, kind.object_path(namespace, name), wake) and not holds.is_follower(each):
                released.append(f"{kind.kind} {namespace}/{name}")
    return released


def set_labels(api: Api, node: str, labels: Mapping[str, str]) -> None:
    """Set what a kubelet may not set on its own node.

    Raises:
        RestoreFailed: there is no such node.
    """
    path = selection.NODES.object_path("", node)
    if labels and not patch(api, path, {"metadata": {"labels": dict(labels)}}):
        raise RestoreFailed(f"there is no node {node}", "see whether k3s runs there: journalctl -u k3s-agent")


def wait_ready(
    api: Api,
    names: Iterable[str],
    seconds: float,
    *,
    network: bool = True,
    pause: Callable[[float], None] = process.pause,
) -> None:
    """Wait until nodes of these names are there and ready.

    The old ones of the same names must be gone: see ``scrub``.

    Args:
        api: the cluster's.
        names: of the nodes.
        seconds: how long that may take.
        network: whether the pods' network must be there; else a node that lacks nothing but that will do.
        pause: waits.

    Raises:
        RestoreFailed: that took longer.
    """
    wanted = list(names)
    until = time.monotonic() + seconds
    while True:
        missing = _missing(api, wanted, network=network)
        if not missing:
            return
        if time.monotonic() > until:
            raise RestoreFailed(
                f"after {seconds:.0f} s these nodes are not ready: {', '.join(missing)}",
                "the nodes' own logs say why: journalctl -u k3s, or -u k3s-agent",
            )
        pause(_LOOK_SECONDS)


def _missing(api: Api, names: Iterable[str], *, network: bool) -> list[str]:
    try:
        nodes = {each["metadata"]["name"]: each for each in _all(api, selection.NODES)}
    except KubeUnreachable as error:
        return [error.message]
    return [name for name in names if not is_ready(nodes.get(name), network=network)]


def is_ready(node: Object | None, *, network: bool = True) -> bool:
    """Whether a Node object says that it is. Pure.

    Args:
        node: it, where it is there.
        network: whether the pods' network must be there too. A kubelet that lacks it alone says so in the condition's
            message (k8s.io/kubernetes, pkg/kubelet/kubelet.go: "container runtime network not ready").
    """
    conditions = ((node or {}).get("status") or {}).get("conditions") or []
    ready = [each for each in conditions if each.get("type") == "Ready"]
    return any(
        each.get("status") == "True" or (not network and str(each.get("message", "")).startswith(_NO_NETWORK))
        for each in ready
    )
