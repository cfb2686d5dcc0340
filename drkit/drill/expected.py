"""What the cluster's settings make one expect of a drill, beforehand: it stands beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.drill.values import KUBE_API
from drkit.posture import predict, reading
from drkit.posture.collect import live
from drkit.posture.paths import POOLER, RO, RW
from drkit.posture.reading.balancers import lab_checks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.drill.snapshot import Snapshot
    from drkit.drill.values import Drill, Probe
    from drkit.posture.paths import Target
    from drkit.posture.settings import Check, Settings


def expected(config: Config, now: datetime, drill: Drill, snapshot: Snapshot, *, in_lab: bool) -> dict[str, Any]:
    """The prediction for each probe, by its name, as the record's first entry has it.

    Raises:
        DrkitError: the settings cannot be read.
    """
    checks = _in_lab(config.cluster.name) if in_lab else ()
    settings = reading.settings(live(config, now), checks)
    return predict.for_drill(settings, drill, targets(settings, drill, snapshot))


def targets(settings: Settings, drill: Drill, snapshot: Snapshot) -> Mapping[str, Target]:
    """Whom each probe asks, by its name. Pure."""
    return {probe.name: _target(settings, probe, snapshot) for probe in drill.probes}


def _target(settings: Settings, probe: Probe, snapshot: Snapshot) -> Target:
    options = probe.options
    if probe.kind == KUBE_API:
        host = options["server"].rpartition(":")[0].removeprefix("https://").strip("[]")
        node = next((each.name for each in snapshot.nodes if host in each.addresses), "")
        return predict.target_of(settings, probe, server=node)
    if "cluster" not in options:
        return predict.target_of(settings, probe)
    service = options["service"].rpartition("/")[2]
    name = options["cluster"].rpartition("/")[2]
    route = {f"{name}-rw": RW, f"{name}-ro": RO}.get(service, POOLER)
    return predict.target_of(settings, probe, database=options["cluster"], route=route)


def _in_lab(lab: str) -> tuple[Check, ...]:
    """A lab's load balancer is in no provider's project."""
    from drkit.lab import containers, engine, machines, traffic  # noqa: PLC0415 - only where there is a lab
    from drkit.lab.topology import Role  # noqa: PLC0415 - see above

    connected = engine.connect()
    balancer = machines.lab_of(connected, lab).the(Role.BALANCER)
    container = containers.get(connected, balancer.name)
    return () if container is None else lab_checks(traffic.setting(container), balancer.member)
