"""Which workloads mount a volume that is to be filled, and so must not wake before. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.restore.database_users import pod_spec
from drkit.restore.holds import identity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from drkit.cluster.kube import Object
    from drkit.cluster.volumes import Claim
    from drkit.restore.holds import Identity


def users(workloads: Iterable[Object], claims: Collection[Claim]) -> set[Identity]:
    """Which of these workloads mount one of the claims.

    Args:
        workloads: objects with a pod template, or CronJobs.
        claims: namespaces and names.
    """
    return {identity(each) for each in workloads if _mounts(each, claims)}


def _mounts(workload: Object, claims: Collection[Claim]) -> bool:
    namespace = workload["metadata"].get("namespace", "")
    names = {name for where, name in claims if where == namespace}
    volumes = pod_spec(workload).get("volumes") or []
    if any((each.get("persistentVolumeClaim") or {}).get("claimName") in names for each in volumes):
        return True
    return workload.get("kind") == "StatefulSet" and any(_is_of(workload, name) for name in names)


def _is_of(stateful_set: Object, claim: str) -> bool:
    """Whether a claim is one that a StatefulSet makes for its pods: ``TEMPLATE-NAME-ORDINAL``."""
    templates = (stateful_set.get("spec") or {}).get("volumeClaimTemplates") or []
    begins = [f"{each['metadata']['name']}-{stateful_set['metadata']['name']}-" for each in templates]
    return any(claim.startswith(begin) and claim.removeprefix(begin).isdecimal() for begin in begins)
