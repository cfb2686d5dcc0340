"""The plan for restoring databases: made without any I/O from what was sealed and what the target names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.restore.engine.plan import Drawn, Plan, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    all_roles = any(each.source.kind == "globals" for each in chosen.chosen)
    steps = [roles_step(each.source.name, all_roles=all_roles) for each in roles_from]
    needs = tuple(step.id for step in steps)
    sizes = {each.source.name: each.source.size for each in wanted}
    for name, database in bound.items():
        steps += database_steps(name, str(database), sizes[name], needs)
    warnings = [f"{name} is left out: target {target} has no database for it" for name in sorted(passed_over)]
    return Plan(target, tuple(steps), drawn((*roles_from, *wanted), now), (*chosen.warnings, *warnings))


def drawn(sources: Iterable[Chosen], now: datetime) -> tuple[Drawn, ...]:
    """What a restore draws on, each with its age."""
    return tuple(
        Drawn(each.source.name, each.point.id, round((now - each.point.created).total_seconds()), each.source.size)
        for each in sources
    )


def roles_step(source: str, *, all_roles: bool) -> Step:
    """The step that makes the roles of a source: all, or those that the databases of the plan need."""
    return Step(
        f"{ROLES} {source}", ROLES, "make the roles that are missing", details={"source": source, "all": all_roles}
    )


def database_steps(source: str, database: str, size: int, needs: tuple[str, ...]) -> list[Step]:
    """The steps that bring one database back, its proof before its name.

    Args:
        source: what fills it.
        database: what it is called in the target.
        size: of the source, in bytes.
        needs: the steps that come before all of them.
    """
    loaded = (f"{LOAD} {database}",)
    after = {
        CREATE: needs,
        LOAD: (f"{CREATE} {database}",),
        ANALYZE: loaded,
        PROVE: loaded,
        PUBLISH: (f"{ANALYZE} {database}", f"{PROVE} {database}"),
        SETTINGS: (f"{PUBLISH} {database}",),
    }
    details = {"database": database, "source": source, "size": size}
    return [Step(f"{action} {database}", action, title, after[action], details) for action, title in _TITLES.items()]
