"""Reading a cluster's objects again, and comparing them with the sealed ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from drkit.errors import KubeRefused
from drkit.manifests import listing as listings
from drkit.manifests import paths
from drkit.manifests import read as exports
from drkit.manifests.spool import Spool
from drkit.restore.objects import awaited, compare
from drkit.restore.objects.compare import KindProof, Proof, Wishes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.cluster.kube import Api, Object, Resource
    from drkit.manifests.listing import Listing
    from drkit.restore.objects.apply import Transform
    from drkit.restore.objects.gather import Entry, Gathered

_NOT_FOUND: Final = 404


def prove(
    api: Api,
    gathered: Gathered,
    details: Mapping[str, Any] | None = None,
    transform: Transform = lambda obj: obj,
) -> Proof:
    """Whether the objects that were sealed are there, and as they were.

    A kind whose objects have the count and digest that the descriptor names is equal as a whole; the others are
    compared object by object.

    Args:
        api: the cluster.
        gathered: the sealed objects.
        details: of the descriptor, where all of it was to be restored: what is there beside it is named then.
        transform: what was to be applied of an object; nothing where it was left out. For what was held and is released
            again, without the holds.

    Raises:
        KubeUnreachable, KubeRefused: the cluster cannot be read.
    """
    entries: dict[Resource, list[Entry]] = {kind: [] for kind in (exports.kinds(details).values() if details else ())}
    for entry in gathered.entries:
        entries.setdefault(entry.kind, []).append(entry)
    served = {(each.group, each.plural): each for each in api.discover().resources}
    own = awaited.own(api)
    proofs: list[KindProof] = []
    for kind, mine in sorted(entries.items(), key=lambda each: (each[0].group, each[0].plural)):
        with Spool() as spool:
            live = _read(api, kind, served.get((kind.group, kind.plural)), spool)
            if details and live is not None and _is_as_sealed(live, details["kinds"].get(paths.of_kind(kind))):
                proofs.append(KindProof(paths.of_kind(kind), len(mine), found=len(mine)))
                continue
            wishes, objects = _wishes(gathered, mine, transform), _objects(live, spool)
            proofs.append(compare.of_kind(kind, wishes, objects, own, with_extra=bool(details)))
    return Proof(tuple(each for each in proofs if each.sealed or each.extra))


def _read(api: Api, kind: Resource, served: Resource | None, spool: Spool) -> Listing | None:
    """The kind's objects in the version in which they were sealed, or in the one that is left; nothing without any."""
    for each in dict.fromkeys((kind, served)):
        if each is not None:
            try:
                return listings.read(api, each, spool, lambda: None)
            except KubeRefused as error:
                if error.status != _NOT_FOUND:
                    raise
    return None


def _is_as_sealed(live: Listing, sealed: Mapping[str, Any] | None) -> bool:
    return sealed is not None and (live.objects, live.digest) == (sealed["objects"], sealed["digest"])


def _wishes(gathered: Gathered, entries: list[Entry], transform: Transform) -> Wishes:
    by_name = {(entry.namespace, entry.name): entry for entry in entries}
    return Wishes(tuple(by_name), lambda key: transform(gathered.load(by_name[key])))


def _objects(live: Listing | None, spool: Spool) -> Iterator[Object]:
    for record in live.raw if live is not None else ():
        for line in spool.get(record).split(b"\n"):
            if line:
                yield json.loads(line)
