"""``delete-pod``: a pod is deleted. There is nothing to undo: who owns it makes another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.drill.faults.port import Prepared
from drkit.errors import FaultFailed, KubeRefused, PreflightFailed
from drkit.restore.etcd.scrub import PODS

if TYPE_CHECKING:
    from drkit.cluster.kube import Object
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

_NOT_FOUND: Final = 404


class DeletePod:
    """See ``Fault``. Options: ``grace``, seconds that its processes get; the pod's own where it is None.

    Args:
        injection: its target is ``namespace/pod``.
        means: with the API.
        number: not needed.

    Raises:
        PreflightFailed: the API is not known, or the target is no pod.
    """

    def __init__(self, injection: Injection, means: Means, number: int) -> None:  # noqa: ARG002 - as all faults are made
        namespace, _, name = injection.target.partition("/")
        self._api = means.api()
        self._target = injection.target
        try:
            self._path = PODS.object_path(namespace, name)
        except ValueError:
            raise PreflightFailed(f"no pod: {injection.target!r}", "say namespace/pod") from None
        grace = injection.options.get("grace")
        self._grace = None if grace is None else int(grace)
        self._uid = ""

    def prepare(self) -> Prepared:
        """See ``Fault.prepare``."""
        pod = self._found()
        if pod is None:
            return Prepared(f"there is no pod {self._target}")
        self._uid = str(pod["metadata"].get("uid", ""))
        node = str(pod.get("spec", {}).get("nodeName") or "")
        hits = (node,) if node else ()
        if not pod["metadata"].get("ownerReferences"):
            return Prepared(f"nobody owns {self._target}: it would not come back", hits)
        return Prepared(hits=hits)

    def arm(self, seconds: float) -> str:  # noqa: ARG002 - see the module
        """See ``Fault.arm``."""
        if not self._uid and (refused := self.prepare().impossible):
            raise PreflightFailed(refused)
        return "nothing to undo: who owns the pod makes another"

    def inject(self) -> str:
        """See ``Fault.inject``."""
        if not self._uid:
            raise FaultFailed(f"{self._target} is not armed", "arm the fault first")
        there = self._api.delete(self._path, uid=self._uid, grace=self._grace)
        return f"the API deletes {self._target}" if there else f"{self._target} was gone already"

    def confirm(self) -> str:
        """See ``Fault.confirm``: it is gone, or another one has its name."""
        if not self._uid:
            return ""
        pod = self._found()
        if pod is None:
            return f"{self._target} is gone"
        now = str(pod["metadata"].get("uid", ""))
        return f"{self._target} is another pod by now ({now})" if now != self._uid else ""

    def undo(self) -> str:
        """See ``Fault.undo``."""
        return "nothing to undo"

    def _found(self) -> Object | None:
        try:
            return self._api.get(self._path)
        except KubeRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise
