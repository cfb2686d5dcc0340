"""Ordered server-side apply: phase after phase, several objects at a time, again where that helps.

Every object is compared with what is there first, so that a second run, after whatever ended the first one, does what
is left to do and ends the same. An object that is refused does not keep the others from being applied; all of them are
named at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.manifests.order import Phase
from drkit.restore.objects import awaited, outcome
from drkit.restore.objects.put import Putting
from drkit.restore.objects.rounds import settle
from drkit.restore.objects.there import There

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drkit.cluster.kube import Api, Object
    from drkit.restore.objects.gather import Entry, Gathered
    from drkit.restore.objects.outcome import Applied
    from drkit.restore.objects.put import Put

    Transform = Callable[[Object], Object | None]
    Progress = Callable[[int, int], None]

PATIENCE: Final = 60.0
"""Seconds without any progress after which what is refused for a passing reason counts as failed."""


def apply(
    api: Api,
    gathered: Gathered,
    transform: Transform = lambda obj: obj,
    *,
    patience: float = PATIENCE,
    progress: Progress = lambda _done, _total: None,
) -> Applied:
    """Apply all objects that were gathered. Comes to the same when it is done again.

    Args:
        api: the new cluster's; ``connect(access, ALONE)`` is one that is not slowed down.
        gathered: the objects.
        transform: what is applied of an object, or nothing where it is left out.
        patience: seconds without progress after which what may pass has failed.
        progress: told how many objects of how many are done.

    Raises:
        RestoreFailed: some were not taken; all of them are named.
        KubeUnreachable: nobody answers any more.
        KubeRefused: what is there cannot be read.
    """
    run = _Applying(api, gathered, transform, patience, progress)
    for phase in Phase:
        run.apply(phase)
        if phase is Phase.DEFINITIONS:
            run.await_definitions()
        elif phase is Phase.NAMESPACES:
            run.see_namespaces()
    return run.outcome()


class _Applying:
    def __init__(self, api: Api, gathered: Gathered, transform: Transform, patience: float, progress: Progress) -> None:
        self._api, self._gathered, self._transform = api, gathered, transform
        self._patience, self._progress = patience, progress
        self._there = There(api)
        self._putting = Putting(api, self._there, awaited.own(api))
        self._put: dict[Entry, Put | None] = {}
        """With which it is over; nothing where the transform left it out."""
        self._failed: dict[Entry, str] = {}
        self._over = 0

    def apply(self, phase: Phase) -> None:
        """Apply those of a phase that are not lost yet; webhooks only where all the others are there."""
        entries = [entry for entry in self._gathered.entries if entry.phase is phase and entry not in self._failed]
        if phase is Phase.ADMISSION and self._failed:
            self._fail(dict.fromkeys(entries, outcome.WEBHOOKS_WAIT))
            return
        for claims in (True, False):
            self._settle([entry for entry in entries if entry.claims is claims])

    def await_definitions(self) -> None:
        """Wait until all is served, and give up the objects of kinds that are not."""
        self._fail(awaited.definitions(self._api, self._taken(Phase.DEFINITIONS), self._patience))
        self._fail(awaited.unserved(self._api, self._waiting()))

    def see_namespaces(self) -> None:
        """Give up what is in namespaces that did not come to be."""
        self._fail(awaited.homeless(self._api, self._waiting()))

    def outcome(self) -> Applied:
        """What became of it all.

        Raises:
            RestoreFailed: not all of it is there.
        """
        if self._failed:
            raise outcome.failed(self._failed, len(self._gathered.entries))
        return outcome.of(self._put)

    def _settle(self, entries: Sequence[Entry]) -> None:
        self._there.look(entries)
        settled = settle(entries, self._one, self._patience, self._tell)
        self._put |= settled.done
        self._failed |= settled.failed

    def _one(self, entry: Entry) -> Put | None:
        wish = self._transform(self._gathered.load(entry))
        return None if wish is None else self._putting.put(entry, wish)

    def _tell(self) -> None:
        self._over += 1
        self._progress(self._over, len(self._gathered.entries))

    def _fail(self, failed: Mapping[Entry, str]) -> None:
        self._failed |= failed

    def _taken(self, phase: Phase) -> list[Entry]:
        return [entry for entry, put in self._put.items() if put is not None and entry.phase is phase]

    def _waiting(self) -> list[Entry]:
        return [entry for entry in self._gathered.entries if entry not in self._put and entry not in self._failed]
