"""Whether an API server would take the objects of an export: each is applied as a dry run, which changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from drkit.errors import KubeRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api, Object, Resource

THREADS: Final = 4
_AT_ONCE: Final = 64
"""Objects in memory."""
_NOT_FOUND: Final = 404
_GOING: Final = "because it is being terminated"
"""What a server says of everything in a namespace that is being deleted."""


@dataclass(frozen=True)
class Refusal:
    """An object that was not taken, and why."""

    kind: str
    namespace: str
    name: str
    why: str


@dataclass(frozen=True)
class Rehearsal:
    """How many objects were taken; which were refused; which could not be tried there."""

    taken: int
    refused: tuple[Refusal, ...]
    untried: tuple[Refusal, ...]
    """Their namespace or kind is not there yet, a restore makes it first; or the namespace is being deleted."""


def rehearse(api: Api, objects: Iterable[tuple[Resource, Object]]) -> Rehearsal:
    """Apply every object as a dry run.

    Args:
        api: the server that judges.
        objects: as a restore would apply them (``read.wished``).

    Raises:
        KubeUnreachable: the server does not answer.
    """
    taken = 0
    refused: list[Refusal] = []
    untried: list[Refusal] = []
    waiting = iter(objects)
    with ThreadPoolExecutor(THREADS, "rehearse") as pool:
        while some := list(islice(waiting, _AT_ONCE)):
            for status, refusal in pool.map(lambda each: _try(api, *each), some):
                if refusal is None:
                    taken += 1
                else:
                    (untried if status == _NOT_FOUND or _GOING in refusal.why else refused).append(refusal)
    return Rehearsal(taken, tuple(refused), tuple(untried))


def _try(api: Api, kind: Resource, obj: Object) -> tuple[int, Refusal | None]:
    metadata = obj.get("metadata") or {}
    namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name", ""))
    named = f"{kind.api_version}/{kind.plural}"
    try:
        api.apply(kind.object_path(namespace, name), obj, dry_run=True)
    except KubeRefused as error:
        return error.status, Refusal(named, namespace, name, error.message)
    except ValueError:
        return 0, Refusal(named, namespace, name, "no object can have such a name")
    except RecursionError:
        return 0, Refusal(named, namespace, name, "it is nested too deep")
    return 0, None
