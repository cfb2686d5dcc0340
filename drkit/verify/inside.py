"""Deep verification of what is no database: each archive is opened, and what it holds compared with its descriptor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from drkit.cluster import files, volume_files
from drkit.datastore import sqlite, status
from drkit.datastore.look import Kind
from drkit.errors import VerificationFailed
from drkit.manifests import read as exports
from drkit.manifests.rehearse import rehearse
from drkit.restore.stream import Whole, feed
from drkit.sources import topology as topologies

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.cluster.kube import Api
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault

_BLOCK = 256 * 1024
_SHOWN = 20
"""How many refused objects are named."""


@dataclass(frozen=True)
class Seen:
    """What is wrong, as sentences, and what a user may want to know though it is not."""

    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look(vault: Vault, source: SourceEntry, api: Api | None) -> Seen | None:
    """Open an archive and compare; nothing for kinds of which only the bytes can be compared.

    Args:
        vault: where it is.
        source: as the descriptor has it.
        api: a cluster on which every object of the manifests is tried as a dry run.

    Raises:
        VerificationFailed: it is not what was sealed.
    """
    looker = _LOOKERS.get(source.kind)
    return looker(vault, source, api) if looker else None


def _manifests(vault: Vault, source: SourceEntry, api: Api | None) -> Seen:
    with vault.open(source.archive) as reader:
        found = exports.objects(Whole(reader, source).read, source.details)
        if api is None:
            for _ in found:
                pass
            return Seen()
        tried = rehearse(api, exports.wished(found))
    refused = [f"{api.server} refuses {each.kind} {each.namespace}/{each.name}: {each.why}" for each in tried.refused]
    more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
    notes = [f"{source.name}: {tried.taken} objects are accepted by {api.server}"]
    if tried.untried:
        notes.append(f"{source.name}: {len(tried.untried)} could not be tried: their namespace or kind is not there")
    return Seen((*refused[:_SHOWN], *more), tuple(notes))


def _topology(vault: Vault, source: SourceEntry, api: Api | None) -> Seen:  # noqa: ARG001 - one signature for all kinds
    blocks: list[bytes] = []
    feed(vault, source, blocks.append)
    try:
        counts = topologies.details(json.loads(b"".join(blocks)))["counts"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise VerificationFailed(f"{source.name}: the archive {source.archive} holds no topology") from None
    sealed = source.details.get("counts")
    return Seen() if counts == sealed else Seen((f"it has {counts}; sealed were {sealed}",))


def _datastore(vault: Vault, source: SourceEntry, api: Api | None) -> Seen:  # noqa: ARG001 - see _topology
    with vault.open(source.archive) as reader:
        whole = Whole(reader, source)
        if source.details.get("datastore") == Kind.SQLITE:
            found = asdict(sqlite.facts(whole, Path(gettempdir())))
        else:
            found = asdict(status.facts(whole))
        while whole.read(_BLOCK):
            pass
    found = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    return Seen(tuple(status.differences({name: source.details.get(name) for name in found}, found)))


def _server_files(vault: Vault, source: SourceEntry, api: Api | None) -> Seen:  # noqa: ARG001 - see _topology
    with vault.open(source.archive) as reader:
        found = files.listing(Whole(reader, source))
    return Seen(tuple(files.differences(source.details.get("files", {}), found)))


def _volume(vault: Vault, source: SourceEntry, api: Api | None) -> Seen:  # noqa: ARG001 - see _topology
    with vault.open(source.archive) as reader:
        found = volume_files.listing(Whole(reader, source)).details()
    return Seen(tuple(status.differences({name: source.details.get(name) for name in found}, found)))


_LOOKERS: dict[str, Callable[[Vault, SourceEntry, Api | None], Seen]] = {
    "datastore": _datastore,
    "manifests": _manifests,
    "server-files": _server_files,
    "topology": _topology,
    "volumes": _volume,
}
