"""The objects that a restore applies: read from the archive in one pass, then as often and in any order as is needed.

What waits is compressed and encrypted under a key in memory (``drkit.manifests.spool``), so that little of it is in
memory and no secret reaches a disk in clear. Nothing is applied before the whole archive was compared with what was
sealed.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import RestoreFailed, VerificationFailed
from drkit.manifests import order
from drkit.manifests.spool import Record, Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.cluster.kube import Object, Resource
    from drkit.manifests.order import Found, Phase


@dataclass(frozen=True, eq=False)
class Entry:
    """One object, and when it is applied. Each is equal to itself alone."""

    kind: Resource
    namespace: str
    """Empty for one of the whole cluster."""
    name: str
    phase: Phase
    claims: bool
    """Whether it asks for a port that another one of its phase could be given by chance: it goes first."""
    record: Record

    @property
    def path(self) -> str:
        """Where it is in the API.

        Raises:
            ValueError: no object can have such a name.
        """
        return self.kind.object_path(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.kind} {self.name}"


@dataclass(frozen=True)
class Gathered:
    """All of them; valid for the body of ``gather``. Safe to use from several threads."""

    entries: Sequence[Entry]
    _spool: Spool

    def load(self, entry: Entry) -> Object:
        """The object of an entry."""
        found: Object = json.loads(self._spool.get(entry.record))
        return found

    def objects(self) -> Iterator[Found]:
        """All objects, one after the other, for whoever has to look at them as a whole."""
        for entry in self.entries:
            yield entry.kind, self.load(entry)


@contextmanager
def gather(found: Iterable[Found]) -> Iterator[Gathered]:
    """Read them all.

    Args:
        found: the objects as a restore applies them: ``read.wished(read.objects(…))``.

    Raises:
        RestoreFailed: there is no room for them.
        VerificationFailed: they are not what was sealed.
    """
    with Spool() as spool:
        read: list[tuple[Resource, str, str, bool, Record]] = []

        def reading() -> Iterator[Found]:
            for kind, obj in found:
                try:
                    read.append((kind, *_named(kind, obj), _claims(kind, obj), spool.put(_packed(obj))))
                except OSError as error:
                    raise RestoreFailed(
                        f"the objects cannot be kept until they are applied: {error.strerror}",
                        "make room in the directory for temporary files",
                    ) from None
                yield kind, obj

        operators = order.operators(reading())
        entries: list[Entry] = []
        for kind, namespace, name, claims, record in read:
            obj = json.loads(spool.get(record)) if order.may_operate(kind) else {}
            entries.append(Entry(kind, namespace, name, order.phase(kind, obj, operators), claims, record))
        yield Gathered(entries, spool)


def _named(kind: Resource, obj: Object) -> tuple[str, str]:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not isinstance(namespace, str):
        raise VerificationFailed(f"an export of manifests holds an object without a name: {kind.plural}")
    return namespace, name


def _claims(kind: Resource, obj: Object) -> bool:
    if (kind.group, kind.plural) != ("", "services"):
        return False
    spec = obj.get("spec")
    ports: Any = spec.get("ports") if isinstance(spec, dict) else None
    return isinstance(ports, list) and any(isinstance(port, dict) and "nodePort" in port for port in ports)


def _packed(obj: Object) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()
