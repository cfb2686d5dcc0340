"""Which kind of work each action is, for the picture in a report. Pure."""

from __future__ import annotations

from typing import Final

from drkit.restore import plan, rebuild_plan

MACHINES, CLUSTER, DATA, PROOF, OBJECTS, TRAFFIC = "machines", "cluster", "data", "proof", "objects", "traffic"

_DATABASES = {
    plan.ROLES: DATA,
    plan.CREATE: DATA,
    plan.LOAD: DATA,
    plan.ANALYZE: DATA,
    plan.PROVE: PROOF,
    plan.PUBLISH: DATA,
    plan.SETTINGS: DATA,
}

KINDS: Final = {
    **_DATABASES,
    **{f"{rebuild_plan.IN_POD}{action}": kind for action, kind in _DATABASES.items()},
    rebuild_plan.NETWORK: MACHINES,
    rebuild_plan.MAKE: MACHINES,
    rebuild_plan.MARK: MACHINES,
    rebuild_plan.K3S: CLUSTER,
    rebuild_plan.FILES: CLUSTER,
    rebuild_plan.DATASTORE: CLUSTER,
    rebuild_plan.WAKE: CLUSTER,
    rebuild_plan.SCRUB: CLUSTER,
    rebuild_plan.START: CLUSTER,
    rebuild_plan.JOIN: CLUSTER,
    rebuild_plan.LABELS: CLUSTER,
    rebuild_plan.REACH: CLUSTER,
    rebuild_plan.APPLY: OBJECTS,
    rebuild_plan.POSTGRES: DATA,
    rebuild_plan.FILL: DATA,
    rebuild_plan.FILLED: PROOF,
    rebuild_plan.FENCE: TRAFFIC,
    rebuild_plan.RELEASE: OBJECTS,
    rebuild_plan.PATCHES: OBJECTS,
    rebuild_plan.OBJECTS: PROOF,
    rebuild_plan.BALANCER: TRAFFIC,
    rebuild_plan.HEALTH: PROOF,
    rebuild_plan.DNS: TRAFFIC,
}
"""By the actions' names."""
