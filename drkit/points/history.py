"""What changed between two recovery points, seen inside their archives: objects of the cluster, and its topology.

The descriptors alone tell that something changed (``drkit.points.diff``); here both archives are opened, read to their
ends and compared with what was sealed.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from drkit.errors import VerificationFailed
from drkit.manifests import diff as manifests
from drkit.manifests import read as exports
from drkit.points import document
from drkit.points.diff import Change, mapping
from drkit.restore.stream import Whole, feed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.points.descriptor import Descriptor, SourceEntry
    from drkit.vault.port import Vault

_LARGEST_DOCUMENT = 64 * 1024 * 1024


def inside(old: Descriptor, new: Descriptor, vaults: Mapping[str, Vault]) -> tuple[Change, ...]:
    """All differences inside the archives of sources that both points have.

    Raises:
        VerificationFailed: an archive is not what was sealed.
    """
    before = {source.name: source for source in old.sources if source.archive}
    changes: list[Change] = []
    for source in sorted(new.sources, key=lambda source: source.name):
        earlier = before.get(source.name)
        if earlier is None or not source.archive or earlier.sha256 == source.sha256:
            continue
        if source.kind == "manifests":
            changes += _objects(earlier, source, vaults)
        elif source.kind == "topology":
            changes += _things(earlier, source, vaults)
    return tuple(changes)


def _objects(old: SourceEntry, new: SourceEntry, vaults: Mapping[str, Vault]) -> list[Change]:
    with ExitStack() as opened:

        def wished(source: SourceEntry) -> Any:
            reader = opened.enter_context(vaults[source.vault].open(source.archive))
            whole = Whole(reader, source)
            return exports.wished(exports.objects(whole.read, source.details))

        found = manifests.compare(wished(old), wished(new))
    return [change for each in found for change in _of_object(new.name, each)]


def _of_object(source: str, found: manifests.ObjectChange) -> list[Change]:
    what = f"{found.kind} {found.namespace}/{found.name}" if found.namespace else f"{found.kind} {found.name}"
    if not found.fields:
        return [Change(source, what, found.change)]
    return [
        Change(source, f"{what} {field.path}", field.change, field.before or None, field.after or None)
        for field in found.fields
    ]


def _things(old: SourceEntry, new: SourceEntry, vaults: Mapping[str, Vault]) -> list[Change]:
    before, after = (document.things(_document(source, vaults)) for source in (old, new))
    changes: list[Change] = []
    for thing in sorted(before.keys() | after.keys()):
        if thing in before and thing in after:
            changes += mapping(new.name, thing, before[thing], after[thing])
        else:
            changes.append(Change(new.name, thing, "added" if thing in after else "removed"))
    return changes


def _document(source: SourceEntry, vaults: Mapping[str, Vault]) -> dict[str, Any]:
    blocks: list[bytes] = []
    if source.size <= _LARGEST_DOCUMENT:
        feed(vaults[source.vault], source, blocks.append)
    try:
        found = json.loads(b"".join(blocks))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise VerificationFailed(f"{source.name}: the archive {source.archive} holds no JSON document")
    return found
