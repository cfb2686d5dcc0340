"""One object: compared with what is there, left alone, applied, or made anew."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from drkit import process
from drkit.errors import KubeRefused
from drkit.manifests.strip import strip
from drkit.restore.objects import kept, refusal
from drkit.restore.objects.there import digest, get

if TYPE_CHECKING:
    from drkit.cluster.kube import Api, Object
    from drkit.restore.objects.gather import Entry
    from drkit.restore.objects.kept import Own
    from drkit.restore.objects.there import There

_GONE_SECONDS: Final = 30.0
_GLANCE_SECONDS: Final = 0.2


class How(Enum):
    """What became of an object."""

    EQUAL = "equal"
    APPLIED = "applied"
    LEFT = "left alone"
    REPLACED = "replaced"


@dataclass(frozen=True)
class Put:
    """What became of it, and what is to be told: why it was left, the fields for which it was replaced."""

    how: How
    why: str = ""
    taken_over: str = ""
    """Which managers' fields are drkit's now."""


class NotPut(Exception):
    """It was not taken.

    Args:
        why: in words.
        again: whether it may be taken later.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.why, self.again = why, again


@dataclass(frozen=True)
class Putting:
    """Puts objects into one API. Safe to use from several threads."""

    api: Api
    there: There
    own: Own

    def put(self, entry: Entry, wish: Object) -> Put:
        """See that it is there as it is wished, unless the cluster keeps it itself.

        Raises:
            NotPut: it was refused.
            KubeUnreachable: nobody answers.
        """
        if self.there.is_equal(entry, digest(wish)):
            return Put(How.EQUAL)
        try:
            path = entry.path
            live = get(self.api, path) if self.there.may_have(entry) else None
            return self._put(entry, path, wish, live)
        except KubeRefused as error:
            raise NotPut(refusal.text(error), again=refusal.passes(error)) from None
        except ValueError:
            raise NotPut("no object can have such a name", again=False) from None
        except RecursionError:
            raise NotPut("it is nested too deep", again=False) from None

    def _put(self, entry: Entry, path: str, wish: Object, live: Object | None) -> Put:
        why = kept.reason(entry.kind, wish, live, self.own)
        if why:
            return Put(How.LEFT, why)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            raise NotPut("the one that is there is being deleted", again=True)
        try:
            return self._apply(entry, path, wish, live)
        except KubeRefused as error:
            live = get(self.api, path) if refusal.is_unchangeable(error) else None
            if live is None:
                raise
            return self._replace(entry, path, wish, live, error)

    def _apply(self, entry: Entry, path: str, wish: Object, live: Object | None) -> Put:
        try:
            answer = self.api.apply(path, wish, dry_run=False, take_over=False)
        except KubeRefused as error:
            if not refusal.is_conflict(error):
                raise
            # It may have been made since it was looked for: by the cluster itself, which keeps it then.
            why = kept.reason(entry.kind, wish, get(self.api, path), self.own)
            if why:
                return Put(How.LEFT, why)
            self.api.apply(path, wish, dry_run=False)
            return Put(How.APPLIED, taken_over=refusal.owners(error))
        # The server writes nothing where nothing changes, such as where it has only added defaults of its own.
        unchanged = live is not None and _version(live) == _version(answer)
        return Put(How.EQUAL if unchanged else How.APPLIED)

    def _replace(self, entry: Entry, path: str, wish: Object, live: Object, error: KubeRefused) -> Put:
        fields = ", ".join(refusal.unchangeable(error, entry.kind, strip(live), wish))
        if not refusal.may_replace(entry.kind):
            raise NotPut(
                f"another one is there, and what differs cannot be changed in it: {fields}; delete it if nothing in it "
                "is needed",
                again=False,
            )
        uid = str(live["metadata"].get("uid") or "")
        self.api.delete(path, uid=uid)
        until = time.monotonic() + _GONE_SECONDS
        while (there := get(self.api, path)) is not None and there["metadata"].get("uid") == uid:
            if time.monotonic() > until:
                raise NotPut("the one that was there is being deleted, and a finalizer keeps it", again=True)
            process.pause(_GLANCE_SECONDS)
        self.api.apply(path, wish, dry_run=False)
        return Put(How.REPLACED, fields)


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion"))
