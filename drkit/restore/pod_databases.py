"""The databases of CloudNativePG clusters: their steps, each in the pod of whoever is the primary."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from drkit.restore import databases, plan, remains, target
from drkit.restore.bounds import GROUPS, SIDE_BY_SIDE
from drkit.restore.cnpg.primary import InPrimary
from drkit.restore.databases import Origin
from drkit.restore.engine.action import Action
from drkit.restore.rebuild_plan import IN_POD
from drkit.restore.run import of_loaded, read_globals
from drkit.restore.target import Place
from drkit.restore.waking import postgres_cluster

if TYPE_CHECKING:
    from drkit.restore.engine.action import Call
    from drkit.restore.new_cluster import NewCluster
    from drkit.restore.rebuild import Means


class PodDatabases:
    """Made once for an attempt.

    Args:
        means: what the functions are made of.
        new: the cluster's API.
    """

    def __init__(self, means: Means, new: NewCluster) -> None:
        self._means, self._new = means, new
        loads = sum(step.action in {plan.LOAD, f"{IN_POD}{plan.LOAD}"} for step in means.plan.steps)
        # Two databases side by side keep the processors as busy as one that is dealt to two sessions.
        self._sessions = max(1, SIDE_BY_SIDE // max(1, loads))

    def actions(self) -> dict[str, Action]:
        """The functions, by the names of the plan's actions."""
        found = {
            plan.ROLES: Action(self._make_roles),
            plan.CREATE: Action(self._create, GROUPS[plan.CREATE]),
            plan.LOAD: Action(self._load, GROUPS[plan.LOAD]),
            **of_loaded(self._place),
        }
        return {f"{IN_POD}{name}": action for name, action in found.items()}

    def _make_roles(self, call: Call) -> dict[str, Any]:
        source = self._means.sources[call.step.details["source"]]
        text = read_globals(self._means.vaults[source.vault], source)
        return {"roles_made": databases.make_roles(self._at(call, "postgres"), text, None)}

    def _create(self, call: Call) -> None:
        place = self._place(call)
        target.preflight(place, must_be_empty=not call.begun_before)
        for difference in databases.create(place):
            call.warn(difference)

    def _load(self, call: Call) -> None:
        place = self._place(call)
        staging = self._means.config.staging or Path(gettempdir())
        origin = Origin(self._means.vaults[place.source.vault], None, staging, call.task)
        databases.loading(place, origin, sessions=self._sessions, resumed=call.begun_before)

    def _place(self, call: Call) -> Place:
        details = call.step.details
        return Place(self._at(call, details["database"]), self._means.sources[details["source"]])

    def _at(self, call: Call, database: str) -> InPrimary:
        cluster = postgres_cluster(call.step.details["cluster"])
        return InPrimary(self._new.api(call), cluster, database, remains.application(call.restore))
