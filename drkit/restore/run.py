"""The restore of databases: what it brings to the engine, preflight first."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from drkit.errors import DrkitError, PreflightFailed, TargetNotEmpty, VerificationFailed
from drkit.points.descriptor import LARGEST_BYTES
from drkit.postgres.access import ByDsn
from drkit.restore import databases, plan, remains, target
from drkit.restore.bounds import GROUPS, SIDE_BY_SIDE
from drkit.restore.databases import Origin
from drkit.restore.engine import journal
from drkit.restore.engine.action import Action
from drkit.restore.stream import feed
from drkit.restore.target import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from drkit.config.model import Config
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn
    from drkit.restore.engine.action import Call
    from drkit.restore.engine.journal import History
    from drkit.restore.engine.plan import Plan, Step
    from drkit.vault.port import Reader, Vault


class DatabaseRestore:
    """The restore of a plan's databases, each into one that a connection string names.

    Args:
        config: where unpacked dumps and programs are.
        vaults: by name.
        this: the plan; steps of other restores in it are passed over.
        sources: with their details, by name.
        dsns: the target's databases, by name.
    """

    def __init__(
        self,
        config: Config,
        vaults: Mapping[str, Vault],
        this: Plan,
        sources: Mapping[str, SourceEntry],
        dsns: Mapping[str, Dsn],
    ) -> None:
        self._config, self._vaults, self._plan = config, vaults, this
        self._sources, self._dsns = sources, dsns
        self._opened: dict[str, AbstractContextManager[Reader]] = {}

    @contextmanager
    def prepared(self, restore: str, history: History) -> Iterator[Mapping[str, Action]]:
        """Look at all databases before anything is touched, while the first archives are opened.

        Raises:
            TargetNotEmpty: nothing was touched.
            PreflightFailed: nothing was touched.
        """
        gone = sorted({step.details["database"] for step in self._steps(plan.LOAD)} - self._dsns.keys())
        if gone:
            raise PreflightFailed(
                f"target {self._plan.target} has no database {', '.join(gone)} any more, which the plan restores",
                f"add it to clusters.{self._plan.target}.databases again, or start anew without --resume",
            )
        named = remains.application(restore)
        self._dsns = {name: replace(dsn, application=named) for name, dsn in self._dsns.items()}
        with ExitStack() as ahead:
            self._open_ahead(ahead, history)
            self._preflight(history)
            yield {
                plan.ROLES: Action(self._make_roles),
                plan.CREATE: Action(self._create, GROUPS[plan.CREATE]),
                plan.LOAD: Action(self._load, GROUPS[plan.LOAD]),
                **of_loaded(lambda call: self._place(call.step)),
            }

    def _open_ahead(self, stack: ExitStack, history: History) -> None:
        """Let Borg connect and begin to read the first archives while the target is looked at."""
        for step in self._steps(plan.LOAD)[:SIDE_BY_SIDE]:
            source = self._source(step)
            if history.steps.get(step.id) != journal.DONE:
                reader = stack.enter_context(self._vaults[source.vault].open(source.archive))
                self._opened[source.name] = nullcontext(reader)

    def _preflight(self, history: History) -> None:
        """All databases, before anything is touched; one that is not empty counts for more than what else is wrong."""
        problems: list[DrkitError] = []
        for step in self._steps(plan.LOAD):
            try:
                target.preflight(self._place(step), must_be_empty=step.id not in history.steps)
            except (TargetNotEmpty, PreflightFailed) as error:
                problems.append(error)
        if problems:
            not_empty = [error for error in problems if isinstance(error, TargetNotEmpty)]
            first = (not_empty or problems)[0]
            raise type(first)("\n".join(error.message for error in problems), first.hint)

    def _make_roles(self, call: Call) -> dict[str, Any]:
        needed = {role for load in self._steps(plan.LOAD) for role in self._source(load).details["roles"]}
        every = bool(call.step.details["all"])
        servers = {
            tuple(dsn.parameters.get(key) for key in ("host", "hostaddr", "port", "service")): self._at(dsn)
            for dsn in self._dsns.values()
        }
        if not every and not any(databases.missing_roles(at, needed) for at in servers.values()):
            return {}
        source = self._source(call.step)
        text = read_globals(self._vaults[source.vault], source)
        made = [databases.make_roles(at, text, None if every else needed) for at in servers.values()]
        return {"roles_made": [role for each in made for role in each]}

    def _create(self, call: Call) -> None:
        for difference in databases.create(self._place(call.step)):
            call.warn(difference)

    def _load(self, call: Call) -> None:
        place = self._place(call.step)
        # Once: tried again, an archive is opened anew.
        opened = self._opened.pop(place.source.name, None)
        staging = self._config.staging or Path(gettempdir())
        origin = Origin(self._vaults[place.source.vault], opened, staging, call.task)
        # Two databases side by side keep the processors as busy as one that is dealt to two sessions.
        sessions = max(1, SIDE_BY_SIDE // len(self._steps(plan.LOAD)))
        databases.loading(place, origin, sessions=sessions, resumed=call.begun_before)

    def _steps(self, action: str) -> Sequence[Step]:
        return [step for step in self._plan.steps if step.action == action]

    def _source(self, step: Step) -> SourceEntry:
        return self._sources[step.details["source"]]

    def _place(self, step: Step) -> Place:
        return Place(self._at(self._dsns[step.details["database"]]), self._source(step))

    def _at(self, dsn: Dsn) -> ByDsn:
        return ByDsn(dsn, None, tuple(self._config.postgresql.bin_dirs))


def of_loaded(place: Callable[[Call], Place]) -> dict[str, Action]:
    """What is done with a database that is loaded, by the names of the plan's actions; the same wherever it is."""

    def put_back_properties(call: Call) -> None:
        for difference in databases.put_back_properties(place(call)):
            call.warn(difference)

    return {
        plan.ANALYZE: Action(lambda call: databases.analyze(place(call)), GROUPS[plan.ANALYZE]),
        plan.PROVE: Action(lambda call: databases.prove(place(call)), GROUPS[plan.PROVE]),
        plan.PUBLISH: Action(lambda call: databases.publish(place(call)), GROUPS[plan.PUBLISH]),
        plan.SETTINGS: Action(put_back_properties, GROUPS[plan.SETTINGS]),
    }


def read_globals(vault: Vault, source: SourceEntry) -> str:
    """The script of a server's roles.

    Raises:
        VerificationFailed: it is not what was sealed.
    """
    if source.size > LARGEST_BYTES:
        raise VerificationFailed(f"{source.name} has {source.size} bytes; no script of roles has")
    blocks: list[bytes] = []
    feed(vault, source, blocks.append)
    return b"".join(blocks).decode()
