"""How many steps of which actions run at a time, where one after the other is not slower. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.restore import plan
from drkit.restore.engine.action import Group
from drkit.restore.rebuild_plan import FILL, FILLED, IN_POD

if TYPE_CHECKING:
    from collections.abc import Mapping

SIDE_BY_SIDE = 2
"""Databases that are loaded at a time: each needs a core here and one on the server."""
_DATABASES = Group("databases", SIDE_BY_SIDE)
_STATISTICS = Group("statistics", SIDE_BY_SIDE)
"""Of their own: statistics are collected while the rows are counted."""
_OF_DATABASES = {
    plan.CREATE: _DATABASES,
    plan.LOAD: _DATABASES,
    plan.ANALYZE: _STATISTICS,
    plan.PROVE: _DATABASES,
    plan.PUBLISH: _DATABASES,
    plan.SETTINGS: _DATABASES,
}
_VOLUMES = Group("volumes", SIDE_BY_SIDE)
GROUPS: Mapping[str, Group] = {
    FILL: _VOLUMES,
    FILLED: _VOLUMES,
    **_OF_DATABASES,
    **{f"{IN_POD}{name}": group for name, group in _OF_DATABASES.items()},
}
"""By the names of the plan's actions."""
