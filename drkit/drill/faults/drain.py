"""``drain``: a node is cordoned, and its pods are evicted as far as their budgets let them go; daemon sets' stay.

As ``kubectl drain --ignore-daemonsets --delete-emptydir-data --force`` does. The undo lets pods come there again, where
they could before; an annotation on the node says whose cordon it is. It waits on a server, beside the API.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from drkit import process
from drkit.drill.faults import armed
from drkit.drill.faults.armed import Armed
from drkit.drill.faults.port import Prepared
from drkit.errors import FaultFailed, KubeRefused, PreflightFailed
from drkit.restore.etcd.scrub import NODES, PODS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.cluster.kube import Object
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

ANNOTATION: Final = "drkit.dev/drill"
"""On a node that a drill has cordoned: what the injection is called."""
_NOT_FOUND, _CONFLICT, _TOO_MANY = 404, 409, 429
_DRAIN_SECONDS = 120.0
"""How long pods are evicted: those that their budgets keep by then stay."""
_AGAIN_SECONDS = 1.0
_MIRROR = "kubernetes.io/config.mirror"
_ENDED = frozenset({"Succeeded", "Failed"})
_UNCORDON = """
k() {{ k3s kubectl --request-timeout=10s "$@"; }}
annotation='jsonpath={{.metadata.annotations.drkit\\.dev/drill}}'
whose=$(k get node {node} --ignore-not-found --output="$annotation") || return 1
if [ "$whose" = {name} ]; then k patch node {node} --type=merge --patch='{patch}' >/dev/null || return 1; fi
"""
UNCORDONED: Final[Object] = {"metadata": {"annotations": {ANNOTATION: None}}, "spec": {"unschedulable": None}}
"""What undoes it, as a patch of the node."""


class Drain:
    """See ``Fault``. No options.

    Args:
        injection: its target is a node.
        means: with the API, and a way to a server.
        number: tells it from the drill's others.

    Raises:
        PreflightFailed: the API is not known, or no server that is not itself drained, where there are others.
    """

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        self._api = means.api()
        self._target = injection.target
        self._name = means.name(number)
        self._path = NODES.object_path("", injection.target)
        others = [each for each in means.servers if each != injection.target]
        if not (others or means.servers):
            raise PreflightFailed(
                "no server is known on which the undo could wait", "see cluster.servers in drkit.yaml"
            )
        self._armed = Armed(means.node((others or list(means.servers))[0]), self._name)
        self._evicted: set[str] = set()

    def prepare(self) -> Prepared:
        """See ``Fault.prepare``."""
        if lacks := armed.missing(self._armed.node, ["k3s"]):
            return Prepared(f"{self._armed.node.name}, where the undo would wait: {lacks}", (self._target,))
        if self._node() is None:
            return Prepared(f"there is no node {self._target}", (self._target,))
        return Prepared(hits=(self._target,))

    def arm(self, seconds: float) -> str:
        """See ``Fault.arm``."""
        body = _UNCORDON.format(node=self._target, name=self._name, patch=json.dumps(UNCORDONED))
        return self._armed.place(body, "pods may come to the node again", seconds)

    def inject(self) -> str:
        """See ``Fault.inject``. Goes on until all are evicted, or what keeps the rest does not let them go."""
        # Marks it as begun, which is refused where no undo waits.
        self._armed.act("")
        cordoned = self._cordon()
        until = time.monotonic() + _DRAIN_SECONDS
        left = self._evict()
        while left and time.monotonic() < until and self._armed.waits():
            process.pause(_AGAIN_SECONDS)
            process.see_interrupt()
            left = self._evict()
        said = (
            f"{self._target} is {'cordoned' if cordoned else 'cordoned as before'}; {len(self._evicted)} pods evicted"
        )
        return f"{said}; their budgets keep {', '.join(left)}" if left else said

    def confirm(self) -> str:
        """See ``Fault.confirm``: it takes no pods, and those that were evicted are gone, or going."""
        node = self._node()
        if node is None or not node.get("spec", {}).get("unschedulable") or not self._evicted:
            return ""
        still = {_uid(pod) for pod in self._pods() if not pod["metadata"].get("deletionTimestamp")}
        gone = len(self._evicted - still)
        return f"{self._target} takes no pods, and {gone} have left it" if gone else ""

    def undo(self) -> str:
        """See ``Fault.undo``."""
        node = self._node()
        if node is not None and _whose(node) == self._name:
            # From here, where the server that holds the undo may be what is in trouble.
            self._api.patch(self._path, UNCORDONED)
        return self._armed.fire()

    def _node(self) -> Object | None:
        try:
            return self._api.get(self._path)
        except KubeRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _cordon(self) -> bool:
        """Let no pods come there, and note whose cordon it is in the same breath; whether there was none."""
        while True:
            node = self._node()
            if node is None:
                raise FaultFailed(f"there is no node {self._target}")
            if node.get("spec", {}).get("unschedulable"):
                return _whose(node) == self._name
            version = node["metadata"].get("resourceVersion")
            patch = {
                "metadata": {"annotations": {ANNOTATION: self._name}, "resourceVersion": version},
                "spec": {"unschedulable": True},
            }
            try:
                self._api.patch(self._path, patch)
            except KubeRefused as error:
                if error.status != _CONFLICT:
                    raise
            else:
                return True

    def _pods(self) -> list[Object]:
        """The node's pods that a drain evicts."""
        path = f"{PODS.path}?{urlencode({'fieldSelector': f'spec.nodeName={self._target}'})}"
        return [pod for pod in self._api.get(path).get("items") or () if evictable(pod, self._target)]

    def _evict(self) -> list[str]:
        """Ask for the eviction of all that are there, and return those that their budgets keep."""
        kept = []
        for pod in self._pods():
            if pod["metadata"].get("deletionTimestamp"):
                continue
            namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            try:
                self._api.evict(PODS.object_path(namespace, name), uid=_uid(pod))
            except KubeRefused as error:
                if error.status != _TOO_MANY:
                    raise
                kept.append(f"{namespace}/{name}")
            else:
                self._evicted.add(_uid(pod))
        return kept


def evictable(pod: Object, node: str) -> bool:
    """Whether a drain of the node evicts a pod. Pure."""
    metadata: dict[str, Any] = pod.get("metadata", {})
    owners: Sequence[dict[str, Any]] = metadata.get("ownerReferences") or ()
    return (
        pod.get("spec", {}).get("nodeName") == node
        and pod.get("status", {}).get("phase") not in _ENDED
        and _MIRROR not in (metadata.get("annotations") or {})
        and not any(each.get("kind") == "DaemonSet" and each.get("controller") for each in owners)
    )


def _uid(pod: Object) -> str:
    return str(pod["metadata"].get("uid", ""))


def _whose(node: Object) -> str:
    return str((node["metadata"].get("annotations") or {}).get(ANNOTATION, ""))
