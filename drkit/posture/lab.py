"""How a lab's load balancer checks its targets, which no provider tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.posture.reading.balancers import lab_checks

if TYPE_CHECKING:
    from drkit.config.model import Config
    from drkit.posture.settings import Check


def checks(config: Config) -> tuple[Check, ...]:
    """The checks of the configured lab's load balancer; none where the configuration names no lab.

    Raises:
        PreflightFailed: the lab, or its Docker engine, is not there.
    """
    if config.drills.provider != "lab":
        return ()
    # Docker's client is there only where labs are.
    from docker.errors import DockerException  # noqa: PLC0415 - see above

    from drkit.lab import engine, machines, traffic  # noqa: PLC0415 - see above
    from drkit.lab.topology import Role  # noqa: PLC0415 - see above

    name = config.cluster.name
    try:
        connected = engine.connect()
        found = machines.lab_of(connected, name).the(Role.BALANCER)
        return lab_checks(traffic.setting(connected.containers.get(found.name)), found.member)
    except DockerException as error:
        raise PreflightFailed(f"the lab {name} cannot be asked: {error}", "drkit lab status") from None
