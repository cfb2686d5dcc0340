"""What the cluster's settings make one expect of a drill, beforehand: it stands beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.posture import lab, predict, reading
from drkit.posture.collect import objects, with_provider

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.cluster.kube import Api
    from drkit.config.model import Config
    from drkit.drill.values import Drill


def expected(config: Config, api: Api, now: datetime, drill: Drill) -> dict[str, Any]:
    """The prediction for each probe, by its name, as the record's first entry has it.

    Raises:
        DrkitError: the settings cannot be read.
    """
    snapshot = with_provider(objects(api, now), config)
    return predict.for_drill(reading.settings(snapshot, lab.checks(config)), drill)
