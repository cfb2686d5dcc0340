"""The plan of a restore: ordered steps, made without any I/O from what was sealed and what the target names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from drkit.points.select import Chosen, RecoverySet

ROLES = "roles"
CREATE = "create"
LOAD = "load"
SETTINGS = "settings"
ANALYZE = "analyze"
PROVE = "prove"
PUBLISH = "publish"

_TITLES = {
    CREATE: "make the database aside, if it is not there",
    LOAD: "load the dump: aside, or in one transaction",
    ANALYZE: "collect the planner's statistics",
    PROVE: "count, and compare with the descriptor's proof",
    PUBLISH: "give the database its own name",
    SETTINGS: "put back the database's own owner, privileges, settings and comment",
}


@dataclass(frozen=True)
class Step:
    """One step: what it does, to which database of the target, from which source, after which others."""

    id: str
    action: str
    title: str
    database: str
    source: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """A source that the restore draws on, the point it is from, and how old it is in seconds."""

    source: str
    point: str
    age: int
    size: int


@dataclass(frozen=True)
class Plan:
    """What a restore will do. The same sources, target and options always give the same steps."""

    target: str
    steps: tuple[Step, ...]
    draws_on: tuple[Drawn, ...]
    all_roles: bool
    """Whether every role of the original server is made, or only those that the databases need."""
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the journal."""
        return asdict(self)


def bind(source: str, databases: Sequence[str]) -> str | None:
    """The target's database for a source: of the same name, or of the source's last part (``…/docfast``)."""
    name = source.partition("/")[2]
    if name in databases:
        return name
    last = name.rpartition("/")[2]
    return last if last in databases else None


def is_maintenance(source: str) -> bool:
    """Whether a source is the database that every server of a cluster has for its own upkeep."""
    kind, *_, name = source.split("/")
    return kind == "database" and name == "postgres" and source.count("/") > 1


def make(
    target: str, databases: Sequence[str], chosen: RecoverySet, roles_from: Sequence[Chosen], now: datetime
) -> Plan:
    """The plan for restoring the databases of a recovery set.

    Args:
        target: its name in the configuration.
        databases: the names of the target's databases.
        chosen: what to restore.
        roles_from: the sources with roles that belong to it.
        now: the time, for ages.

    Raises:
        PreflightFailed: the target has no place for a source.
    """
    everything = [each for each in chosen.chosen if each.source.kind == "database"]
    places = {each.source.name: bind(each.source.name, databases) for each in everything}
    wanted = [each for each in everything if places[each.source.name] or not is_maintenance(each.source.name)]
    # Asked for by name, it is a source without a place like any other.
    wanted = wanted or everything
    bound = {each.source.name: places[each.source.name] for each in wanted}
    passed_over = places.keys() - bound.keys()
    homeless = [name for name, database in bound.items() if database is None]
    if homeless:
        raise PreflightFailed(
            f"target {target} has no database for {', '.join(homeless)} (it has: {', '.join(databases) or 'none'})",
            f"add it to clusters.{target}.databases, or choose what to restore with --only",
        )
    twice = sorted({str(database) for database in bound.values() if list(bound.values()).count(database) > 1})
    if twice:
        raise PreflightFailed(
            f"more than one source would go to {', '.join(twice)} of target {target}", "choose one of them with --only"
        )
    steps = [_roles_step(each) for each in roles_from]
    needs = tuple(step.id for step in steps)
    for name, database in bound.items():
        steps += _database_steps(name, str(database), needs)
    drawn = [
        Drawn(each.source.name, each.point.id, round((now - each.point.created).total_seconds()), each.source.size)
        for each in (*roles_from, *wanted)
    ]
    all_roles = any(each.source.kind == "globals" for each in chosen.chosen)
    warnings = [f"{name} is left out: target {target} has no database for it" for name in sorted(passed_over)]
    return Plan(target, tuple(steps), tuple(drawn), all_roles, (*chosen.warnings, *warnings))


def _roles_step(each: Chosen) -> Step:
    return Step(f"{ROLES} {each.source.name}", ROLES, "make the roles that are missing", "", each.source.name, ())


def _database_steps(source: str, database: str, needs: tuple[str, ...]) -> list[Step]:
    loaded = (f"{LOAD} {database}",)
    after = {
        CREATE: needs,
        LOAD: (f"{CREATE} {database}",),
        ANALYZE: loaded,
        PROVE: loaded,
        PUBLISH: (f"{ANALYZE} {database}", f"{PROVE} {database}"),
        SETTINGS: (f"{PUBLISH} {database}",),
    }
    return [
        Step(f"{action} {database}", action, title, database, source, after[action])
        for action, title in _TITLES.items()
    ]
