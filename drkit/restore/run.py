"""Carries out a plan: journal, preflight, steps side by side, and the report with the time of each."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

from drkit import process, state
from drkit.clock import to_text
from drkit.errors import DrkitError, Interrupted, PreflightFailed, TargetNotEmpty, VerificationFailed
from drkit.points import names
from drkit.points.descriptor import LARGEST_BYTES
from drkit.postgres.access import ByDsn
from drkit.restore import databases, journal, plan, target
from drkit.restore.databases import Origin
from drkit.restore.stream import feed
from drkit.restore.target import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn
    from drkit.restore.journal import History, Journal
    from drkit.restore.plan import Plan, Step
    from drkit.vault.port import Reader, Vault

SIDE_BY_SIDE = 2
"""Databases that are loaded at a time: each needs a core here and one on the server."""


@dataclass(frozen=True)
class StepReport:
    """How one step went: seconds since the restore's start, and how long it took."""

    id: str
    title: str
    status: str
    began: float
    seconds: float


@dataclass(frozen=True)
class Report:
    """How a restore went."""

    target: str
    plan: Plan
    steps: tuple[StepReport, ...]
    seconds: float
    """From the start to the last proof: the RTO, measured."""
    roles_made: tuple[str, ...]
    started: str
    notes: tuple[str, ...]
    """What could not be made as it was, though every proof is equal."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "target": self.target,
            "started": self.started,
            "point": max(drawn.point for drawn in self.plan.draws_on),
            "draws_on": [asdict(drawn) for drawn in self.plan.draws_on],
            "proofs_equal": True,  # a report is made only of restores whose every proof was equal
            "rto_seconds": round(self.seconds, 3),
            "roles_made": list(self.roles_made),
            "warnings": [*self.plan.warnings, *self.notes],
            "steps": [asdict(step) for step in self.steps],
        }


class Restore:
    """One restore into the databases of one target."""

    def __init__(
        self,
        config: Config,
        vaults: Mapping[str, Vault],
        this: Plan,
        sources: Mapping[str, SourceEntry],
        dsns: Mapping[str, Dsn],
        clock: Clock,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._vaults = vaults
        self._plan = this
        self._sources = sources
        self._dsns = dsns
        self._clock = clock
        self._reporter = reporter
        self._history: History | None = None
        self._journal: Journal | None = None
        self._reports: list[StepReport] = []
        self._roles_made: list[str] = []
        self._notes: list[str] = []
        self._opened: dict[str, AbstractContextManager[Reader]] = {}
        self._lock = threading.Lock()
        self._start = clock.monotonic()

    def execute(self, resume: Journal | None, history: History | None) -> Report:
        """Carry the plan out, or on from where ``history`` ends.

        Raises:
            TargetNotEmpty: nothing was touched.
            PreflightFailed: nothing was touched.
            VerificationFailed: what was restored is not what was sealed.
            RestoreFailed: a step failed; the journal says how far it came.
            Interrupted: a signal came; databases that were being loaded are empty again.
        """
        started = self._clock.now()
        self._history = history
        with self._hold_target(), ExitStack() as ahead:
            self._open_ahead(ahead)
            self._preflight()
            self._journal = resume or journal.begin(
                names.slug(self._plan.target), names.new_point(started), self._plan.as_json()
            )
            try:
                self._carry_out()
            except KeyboardInterrupt:
                process.stop_all()
                raise Interrupted(
                    f"interrupted; what was being loaded was thrown away (journal: {self._journal.path})",
                    "go on with: drkit restore --to … --resume",
                ) from None
            self._journal.write(status=journal.FINISHED, at=to_text(self._clock.now()))
        seconds = self._clock.monotonic() - self._start
        steps = tuple(sorted(self._reports, key=lambda step: step.began))
        return Report(
            self._plan.target, self._plan, steps, seconds, tuple(self._roles_made), to_text(started), tuple(self._notes)
        )

    def _open_ahead(self, stack: ExitStack) -> None:
        """Let Borg connect and begin to read the first archives while the target is looked at."""
        for step in self._steps(plan.LOAD)[:SIDE_BY_SIDE]:
            source = self._sources[step.source]
            if self._last_word(step) != journal.DONE:
                reader = stack.enter_context(self._vaults[source.vault].open(source.archive))
                self._opened[source.name] = nullcontext(reader)

    def _hold_target(self) -> AbstractContextManager[None]:
        return state.exclusive(
            f"restore-{names.slug(self._plan.target)}",
            "drkit restore",
            0,
            lambda holder: TargetNotEmpty(
                f"target {self._plan.target} is being restored by {holder}", "wait for it to end"
            ),
            lambda _: None,
        )

    def _preflight(self) -> None:
        """All databases, before anything is touched; one that is not empty counts for more than what else is wrong."""
        problems: list[DrkitError] = []
        for step in self._steps(plan.LOAD):
            try:
                target.preflight(self._place(step), must_be_empty=self._last_word(step) is None)
            except (TargetNotEmpty, PreflightFailed) as error:
                problems.append(error)
        if problems:
            not_empty = [error for error in problems if isinstance(error, TargetNotEmpty)]
            first = (not_empty or problems)[0]
            raise type(first)("\n".join(error.message for error in problems), first.hint)

    def _carry_out(self) -> None:
        for step in self._steps(plan.ROLES):
            self._do(step, lambda step=step: self._make_roles(step))  # type: ignore[misc]
        errors: list[DrkitError] = []
        with (
            ThreadPoolExecutor(SIDE_BY_SIDE, "restore") as loaders,
            ThreadPoolExecutor(SIDE_BY_SIDE, "statistics") as side,
        ):
            try:
                chains = [loaders.submit(self._database, step.database, side) for step in self._steps(plan.LOAD)]
                for chain in chains:
                    try:
                        chain.result()
                    except DrkitError as error:
                        errors.append(error)
            except BaseException:
                process.stop_all()
                raise
        if errors:
            raise type(errors[0])("\n".join(error.message for error in errors), errors[0].hint or self._go_on())

    def _go_on(self) -> str:
        return f"mend it, then: drkit restore --to {self._plan.target} --resume"

    def _database(self, name: str, side: ThreadPoolExecutor) -> None:
        """The steps of one database in order; statistics are collected while the rows are counted."""
        step = {step.action: step for step in self._plan.steps if step.database == name}
        place = self._place(step[plan.LOAD])
        resumed = self._last_word(step[plan.LOAD]) == journal.STARTED
        # Two databases side by side keep the processors as busy as one that is dealt to two sessions.
        sessions = max(1, SIDE_BY_SIDE // len(self._steps(plan.LOAD)))
        self._do(step[plan.CREATE], lambda: self._notes.extend(databases.create(place)))
        with self._reporter.task(f"loading {name}") as task:
            origin = Origin(
                self._vaults[place.source.vault],
                self._opened.get(place.source.name),
                self._config.staging or Path(gettempdir()),
                task,
            )
            self._do(step[plan.LOAD], lambda: databases.loading(place, origin, sessions=sessions, resumed=resumed))
        statistics = side.submit(self._do, step[plan.ANALYZE], lambda: databases.analyze(place))
        try:
            self._do(step[plan.PROVE], lambda: databases.prove(place))
        finally:
            statistics.result()
        self._do(step[plan.PUBLISH], lambda: databases.publish(place))
        self._do(step[plan.SETTINGS], lambda: self._notes.extend(databases.put_back_properties(place)))

    def _make_roles(self, step: Step) -> None:
        needed = {role for load in self._steps(plan.LOAD) for role in self._sources[load.source].details["roles"]}
        servers = {
            tuple(dsn.parameters.get(key) for key in ("host", "hostaddr", "port", "service")): self._at(dsn)
            for dsn in self._dsns.values()
        }
        if not self._plan.all_roles and not any(databases.missing_roles(at, needed) for at in servers.values()):
            return
        text = self._read_globals(self._sources[step.source])
        for at in servers.values():
            self._roles_made += databases.make_roles(at, text, None if self._plan.all_roles else needed)

    def _read_globals(self, source: SourceEntry) -> str:
        if source.size > LARGEST_BYTES:
            raise VerificationFailed(f"{source.name} has {source.size} bytes; no script of roles has")
        blocks: list[bytes] = []
        feed(self._vaults[source.vault], source, blocks.append)
        return b"".join(blocks).decode()

    def _do(self, step: Step, action: Callable[[], object]) -> None:
        """One step, with its place in the journal and in the report; a step that is done already is passed over."""
        assert self._journal is not None  # noqa: S101 - execute opened it
        if self._last_word(step) == journal.DONE:
            return
        began = self._clock.monotonic()
        self._journal.write(step=step.id, status=journal.STARTED, at=to_text(self._clock.now()))
        action()
        self._journal.write(step=step.id, status=journal.DONE, at=to_text(self._clock.now()))
        with self._lock:
            seconds = self._clock.monotonic() - began
            self._reports.append(
                StepReport(step.id, step.title, journal.DONE, round(began - self._start, 3), round(seconds, 3))
            )

    def _last_word(self, step: Step) -> str | None:
        return None if self._history is None else self._history.steps.get(step.id)

    def _steps(self, action: str) -> Sequence[Step]:
        return [step for step in self._plan.steps if step.action == action]

    def _place(self, step: Step) -> Place:
        return Place(self._at(self._dsns[step.database]), self._sources[step.source])

    def _at(self, dsn: Dsn) -> ByDsn:
        return ByDsn(dsn, None, tuple(self._config.postgresql.bin_dirs))
