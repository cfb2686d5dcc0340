"""Whether a cluster has the objects that were sealed: a proof for each kind. Pure.

What is missing and what differs is named, field by field; what the cluster keeps itself is set apart. What is there
beside the sealed objects is named too, and speaks against nothing: a new cluster has things of its own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.manifests import diff, paths
from drkit.manifests.skip import reason as skipped
from drkit.manifests.strip import strip
from drkit.restore.objects import kept
from drkit.restore.objects.there import digest, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drkit.cluster.kube import Object, Resource
    from drkit.manifests.diff import ObjectChange
    from drkit.restore.objects.kept import Own

    Key = tuple[str, str]


@dataclass(frozen=True)
class KindProof:
    """One kind: names are ``NAMESPACE/NAME``, or ``NAME`` where there is no namespace."""

    kind: str
    """Such as ``apps/deployments``."""
    sealed: int
    """Objects that a restore applies."""
    left_out: int = 0
    """Of these, the ones that were not to be applied."""
    found: int = 0
    """Of these, the ones that are there."""
    missing: tuple[str, ...] = ()
    different: tuple[ObjectChange, ...] = ()
    kept: tuple[str, ...] = ()
    """Missing or different, and the cluster's own."""
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """All kinds of which there is anything to say."""

    kinds: tuple[KindProof, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(each.missing for each in self.kinds)

    @property
    def equal(self) -> bool:
        """Whether nothing is missing or different."""
        return self.complete and not any(each.different for each in self.kinds)

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {"complete": self.complete, "equal": self.equal, "kinds": [asdict(each) for each in self.kinds]}


@dataclass(frozen=True)
class Wishes:
    """The sealed objects of a kind: their names, and how each is had as it was to be applied (nothing: left out)."""

    names: Iterable[Key]
    load: Callable[[Key], Object | None]


def of_kind(kind: Resource, wishes: Wishes, live: Iterable[Object], own: Own, *, with_extra: bool) -> KindProof:
    """Compare one kind.

    Args:
        kind: which one.
        wishes: what was sealed.
        live: all of its objects as the API gives them; gone through once, nothing of them is kept but names.
        own: what k3s has there of its own.
        with_extra: whether everything that was there was sealed, so that what is there beside it is worth naming.
    """
    digests: dict[Key, bytes] = {}
    left_out = 0
    for key in wishes.names:
        obj = wishes.load(key)
        if obj is None:
            left_out += 1
        else:
            digests[key] = _digest(obj)
    sealed = left_out + len(digests)
    different: list[ObjectChange] = []
    kept_names: list[str] = []
    extra: list[str] = []
    found = 0
    for item in live:
        obj = named(item, kind)
        key = _key(obj)
        wished = digests.pop(key, None)
        if wished is None:
            extra += [] if skipped(obj, kind) or not with_extra else [_shown(key)]
            continue
        found += 1
        change = None if wished == _digest(strip(obj)) else _change(kind, wishes, key, obj)
        if change is not None and kept.reason(kind, _wish(wishes, key), obj, own):
            kept_names.append(_shown(key))
        elif change is not None:
            different.append(change)
    missing = {key: bool(kept.reason(kind, _wish(wishes, key), None, own)) for key in digests}
    kept_names += [_shown(key) for key, is_kept in missing.items() if is_kept]
    return KindProof(
        paths.of_kind(kind),
        sealed,
        left_out,
        found,
        tuple(sorted(_shown(key) for key, is_kept in missing.items() if not is_kept)),
        tuple(sorted(different, key=lambda each: (each.namespace, each.name))),
        tuple(sorted(kept_names)),
        tuple(sorted(extra)),
    )


def _wish(wishes: Wishes, key: Key) -> Object:
    return wishes.load(key) or {}


def _change(kind: Resource, wishes: Wishes, key: Key, live: Object) -> ObjectChange | None:
    changes = diff.compare([(kind, _wish(wishes, key))], [(kind, strip(live))])
    return changes[0] if changes else None


def _digest(obj: Object) -> bytes:
    """Of all but the version in which the API gave it."""
    return digest({name: value for name, value in obj.items() if name != "apiVersion"})


def _key(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def _shown(key: Key) -> str:
    return "/".join(part for part in key if part)
