"""The steps that bring the files of volumes back: each claim gets its volume, on a node where it may be, and is filled.

A claim of local-path waits for its first pod, whose node then has the volume. Here no pod may run yet: so the node is
told by what the scheduler would leave on the claim (``volume.kubernetes.io/selected-node``), and the volume is made on
it. That is the new machine that takes the old node's place, so that volumes which were together stay together.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.cluster import claims, members, volume_files
from drkit.errors import RestoreFailed, SourceFailed, VerificationFailed
from drkit.restore import rebuild_plan
from drkit.restore.bounds import GROUPS
from drkit.restore.engine.action import Action
from drkit.restore.operations import patch
from drkit.restore.stream import Whole
from drkit.sources.passing import Incoming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.cluster.kube import Api, Object
    from drkit.cluster.node import Node
    from drkit.cluster.volumes import Claim
    from drkit.restore.engine.action import Call
    from drkit.restore.machines import Machines
    from drkit.restore.new_cluster import NewCluster
    from drkit.restore.rebuild import Means

SELECTED = "volume.kubernetes.io/selected-node"
_BOUND_SECONDS = 300.0
"""How long the provisioner may take: the image of what makes a directory may have to be pulled."""
_LOOK_SECONDS = 1.0
_BLOCK = 256 * 1024
_NO_PODS = frozenset({"NoSchedule", "NoExecute"})


class Filling:
    """Made once for an attempt.

    Args:
        means: what the functions are made of.
        machines: those of the cluster.
        new: its API.
    """

    def __init__(self, means: Means, machines: Machines, new: NewCluster) -> None:
        self._means, self._machines, self._new = means, machines, new

    def actions(self) -> dict[str, Action]:
        """The functions, by the names of the plan's actions."""
        group = GROUPS[rebuild_plan.FILL]
        return {rebuild_plan.FILL: Action(self._fill, group), rebuild_plan.FILLED: Action(self._prove, group)}

    def _fill(self, call: Call) -> dict[str, Any]:
        api, claim = self._new.api(call), _claim(call)
        source = self._means.sources[call.step.details["source"]]
        place = self._bound(api, claim, call)
        name, node = self._node(api, place, call)
        archive = f"{place.path}.{call.restore}.tar"
        with self._means.vaults[source.vault].open(source.archive) as reader:
            whole = Whole(reader, source)
            blocks = _told(iter(lambda: whole.read(_BLOCK), b""), call, source.size)
            _see_directory(node, place.path)
            node.send(archive, blocks, size=source.size, sha256=source.sha256, mode=0o600)
        run(node, volume_files.fill(place.path, archive))
        return {"node": name, "path": place.path}

    def _prove(self, call: Call) -> dict[str, Any]:
        """Read it back, as a backup does, and compare with what was sealed.

        Raises:
            VerificationFailed: it is not the same; what differs is named.
        """
        api, claim = self._new.api(call), _claim(call)
        source = self._means.sources[call.step.details["source"]]
        place = self._bound(api, claim, call)
        _, node = self._node(api, place, call)
        found = read(node, place.path)
        if found.digest == source.details["digest"]:
            return {"files": found.files, "bytes": found.size}
        with self._means.vaults[source.vault].open(source.archive) as reader:
            sealed = volume_files.listing(Whole(reader, source))
        said = volume_files.differences(sealed, found) or ["its archive is not what its descriptor says"]
        raise VerificationFailed(
            f"{source.name} is not as it was sealed: {', '.join(said)}",
            f"see {place.path} on {node.name}: who writes there? then go on with --resume",
        )

    def _bound(self, api: Api, claim: Claim, call: Call) -> claims.Place:
        """Where the claim's volume is, which is made if need be.

        Raises:
            RestoreFailed: there is no such claim, or it gets no volume.
        """
        path = f"/api/v1/namespaces/{claim[0]}/persistentvolumeclaims/{claim[1]}"
        until = time.monotonic() + _BOUND_SECONDS
        chosen: str = ""
        while True:
            there = {claims.key_of(each): each for each in _all(api, claims.CLAIMS)}
            volumes = {each["metadata"]["name"]: each for each in _all(api, claims.VOLUMES)}
            obj = there.get(claim)
            if obj is None:
                raise RestoreFailed(f"there is no claim {'/'.join(claim)}", "apply it, then go on with --resume")
            if (obj.get("spec") or {}).get("volumeName") in volumes:
                return _place(claim, there, volumes)
            if not chosen:
                chosen = (obj["metadata"].get("annotations") or {}).get(SELECTED) or self._chosen(api, call)
                patch(api, path, {"metadata": {"annotations": {SELECTED: chosen}}})
            if time.monotonic() > until:
                raise RestoreFailed(
                    f"{'/'.join(claim)} got no volume on {chosen} within {_BOUND_SECONDS:.0f} s",
                    "see why: kubectl describe pvc; the provisioner's log says more; then go on with --resume",
                )
            process.pause(_LOOK_SECONDS)

    def _chosen(self, api: Api, call: Call) -> str:
        """The node that gets the volume."""
        old = call.step.details["node"]
        heir = next((name for name, step in self._machines.steps.items() if step.details["node"] == old), None)
        preferred = "" if heir is None else self._machines.machine(heir, call).name
        return choose(_all(api, members.NODES), preferred)

    def _node(self, api: Api, place: claims.Place, call: Call) -> tuple[str, Node]:
        """The machine that has the volume, by its name in the cluster.

        Raises:
            RestoreFailed: it is none of those that the restore made.
        """
        wanted = claims.node_names(_all(api, members.NODES)).get(place.node, place.node)
        for name in self._machines.steps:
            if self._machines.machine(name, call).name == wanted:
                return wanted, self._machines.node(name, call)
        raise RestoreFailed(f"the volume is on {wanted}, which this restore did not make")


def choose(nodes: list[Object], preferred: str) -> str:
    """The node that gets a volume: the preferred one, else the first that takes pods. Pure.

    Raises:
        RestoreFailed: there is none.
    """
    by_name: dict[str, Any] = {str(each["metadata"]["name"]): each.get("spec") or {} for each in nodes}
    if preferred in by_name:
        return preferred
    for name, spec in sorted(by_name.items()):
        taints = {each.get("effect") for each in spec.get("taints") or []}
        if not spec.get("unschedulable") and not taints & _NO_PODS:
            return name
    raise RestoreFailed("no node takes pods, so none can have the volume", "see the nodes' taints: kubectl get nodes")


def read(node: Node, path: str) -> volume_files.Listing:
    """What is on a node below a directory.

    Raises:
        SourceFailed: it cannot be read.
    """
    with node.open(volume_files.command(path)) as output:
        try:
            found = volume_files.listing(Incoming(output.fileno()))
        except VerificationFailed:
            output.finish()  # its own words say more
            raise
        output.finish()
    return found


def run(node: Node, argv: list[str]) -> None:
    """Run a program that may take long to its end.

    Raises:
        RestoreFailed: it failed.
    """
    try:
        with node.open(argv) as output:
            incoming = Incoming(output.fileno())
            while incoming.read(_BLOCK):
                pass
            output.finish()
    except SourceFailed as error:
        if error.passes:
            raise
        raise RestoreFailed(error.message, error.hint) from None


def _see_directory(node: Node, path: str) -> None:
    """See that there is a directory to fill: local-path makes it, a volume that is there already may be without it."""
    run(node, ["sh", "-c", '[ -d "$1" ] || mkdir -m 0777 -p -- "$1"', "sh", path])


def _told(blocks: Iterator[bytes], call: Call, size: int) -> Iterator[bytes]:
    done = 0
    for block in blocks:
        done += len(block)
        call.task.update(done, size)
        yield block


def _claim(call: Call) -> Claim:
    namespace, _, name = call.step.details["claim"].partition("/")
    return namespace, name


def _place(claim: Claim, there: Mapping[Claim, Object], volumes: Mapping[str, Object]) -> claims.Place:
    try:
        return claims.place(claim, there, volumes)
    except SourceFailed as error:
        hint = "have the files by hand: drkit restore --only volumes --into DIR"
        raise RestoreFailed(error.message, hint) from None


def _all(api: Api, path: str) -> list[Object]:
    return [each for page in api.pages(path) for each in page["items"]]
