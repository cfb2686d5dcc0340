"""One kind: its list is read from one version of the cluster, or it counts as not read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drkit.archive import Entry, Writer
from drkit.errors import KubeExpired, KubeRefused, SourceFailed
from drkit.manifests import paths
from drkit.manifests.emit import emit
from drkit.manifests.skip import reason
from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.cluster.kube import Api, Object, Resource
    from drkit.manifests.spool import Record, Spool

ATTEMPTS: Final = 3
"""How often a list is begun whose pages expire before its end."""
_GONE: Final = 410


@dataclass
class Listing:
    """All objects of a kind, as they wait in the spool."""

    kind: Resource
    resource_version: str = ""
    listed: int = 0
    """Objects that the API has."""
    objects: int = 0
    """Of these, the ones that a restore applies."""
    files: list[Record] = field(default_factory=list)
    """Entries of the archive."""
    raw: list[Record] = field(default_factory=list)
    """Lines of JSON."""
    _digest: Any = field(default_factory=hashlib.sha256)
    _seen: set[str] = field(default_factory=set)

    @property
    def digest(self) -> str:
        """SHA-256 over path and content of each file, in their order (hex)."""
        return str(self._digest.hexdigest())

    def add(self, page: Object, spool: Spool) -> None:
        """Take in a page.

        Raises:
            KubeExpired: it is not of the list that was begun.
            KubeRefused: it holds what is no object.
        """
        version = str(page["metadata"].get("resourceVersion") or "")
        if self.listed and version != self.resource_version:
            raise KubeExpired(_GONE, f"the pages of {self.kind.path} are of several versions")
        self.resource_version = version
        files: list[bytes] = []
        archive = Writer(files.append)
        objects = 0
        lines: list[bytes] = []
        for name, namespace, item in self._in_order(page["items"]):
            named = {"apiVersion": self.kind.api_version, "kind": self.kind.kind}
            obj = {**named, **item, **named}  # built-in kinds come without; they stand first in any case
            lines.append(_line(obj))
            if not reason(obj, self.kind):
                archive.add(*self._file(namespace, name, obj))
                objects += 1
        self.listed += len(lines)
        self.objects += objects
        if files:
            self.files.append(spool.put(b"".join(files)))
        if lines:
            self.raw.append(spool.put(b"".join(lines)))

    def _in_order(self, items: list[Object]) -> list[tuple[str, str, Object]]:
        """The order of etcd's keys, which most servers keep by themselves."""
        found: list[tuple[str, str, str, Object]] = []
        for item in items:
            metadata = item.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else None
            namespace = metadata.get("namespace", "") if isinstance(metadata, dict) else None
            if not isinstance(name, str) or not name or not isinstance(namespace, str):
                raise KubeRefused(0, f"the list {self.kind.path} holds an object without a name")
            key = f"{namespace}/{name}"
            if key in self._seen:
                raise KubeExpired(_GONE, f"the list {self.kind.path} holds {key} twice")
            self._seen.add(key)
            found.append((key, name, namespace, item))
        found.sort(key=lambda each: each[0])
        return [each[1:] for each in found]

    def _file(self, namespace: str, name: str, obj: Object) -> tuple[Entry, bytes]:
        path = paths.of_object(self.kind, namespace, name)
        content = emit(strip(obj)).encode()
        self._digest.update(f"{path}\0{len(content)}\0".encode())
        self._digest.update(content)
        return Entry(path), content


def _line(obj: Object) -> bytes:
    text = json.dumps(obj, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a pair of surrogates, which only an escape can spell
        return json.dumps(obj, separators=(",", ":")).encode() + b"\n"


def read(api: Api, kind: Resource, spool: Spool, go_on: Callable[[], None]) -> Listing:
    """The whole list of a kind, begun again where it expires before its end: never a mixture of two.

    Args:
        api: where from.
        kind: what.
        spool: where what was read waits.
        go_on: called before each page; raises where the work is to end.

    Raises:
        SourceFailed: it cannot be read.
    """
    for attempt in range(1, ATTEMPTS + 1):
        listing = Listing(kind)
        try:
            for page in api.pages(kind.path):
                go_on()
                listing.add(page, spool)
        except KubeExpired:
            if attempt == ATTEMPTS:
                raise
        except (RecursionError, ValueError) as error:
            raise SourceFailed(f"an object in {kind.path} is beyond what drkit reads: {error}") from None
        else:
            return listing
    raise AssertionError  # the loop returns or raises
