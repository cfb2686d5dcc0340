"""Reading an export back, from a stream and without trust in it.

Whatever is read is compared with the details in the descriptor, which are signed; who uses what comes before the end of
the stream has to be able to take it back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.archive import Kind, entries
from drkit.cluster.kube import Resource
from drkit.errors import VerificationFailed
from drkit.manifests import paths
from drkit.manifests.export import FORMAT
from drkit.manifests.skip import reason
from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from drkit.archive import Content
    from drkit.cluster.kube import Object

LARGEST_OBJECT: Final = 64 * 1024 * 1024
"""Bytes. An API server takes 1.5 MB; written as YAML with every character escaped that is some MB more."""
_PIECE: Final = 256 * 1024
_LONGEST_PART: Final = 255
_CLUSTER_PARTS: Final = 5
_NAMESPACED_PARTS: Final = 6


def kinds(details: Mapping[str, Any]) -> dict[str, Resource]:
    """The kinds that an export holds, by their directory.

    Raises:
        VerificationFailed: the details are not of a format that this version reads.
    """
    if details.get("format") != FORMAT:
        raise VerificationFailed(
            f"an export of manifests has format {details.get('format')!r}; this version reads {FORMAT}"
        )
    try:
        return {path: _resource(each) for path, each in details["kinds"].items()}
    except (KeyError, TypeError, AttributeError):
        raise VerificationFailed("the details of an export of manifests are malformed") from None


def _resource(each: Mapping[str, Any]) -> Resource:
    return Resource(
        each["group"], each["version"], each["plural"], each["kind"], each["namespaced"], frozenset(each["verbs"])
    )


def files(read: Callable[[int], bytes], details: Mapping[str, Any]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Every file: its path, and its content piece by piece, to be used before the next one is asked for.

    Args:
        read: the archive's bytes, up to so many at a time.
        details: as the descriptor has them.

    Raises:
        VerificationFailed: it is not the export that the details describe.
    """
    check = _Check(details)
    for path, content in _walk(read):
        if path.startswith(f"{paths.OBJECTS}/"):
            whole = content.whole(LARGEST_OBJECT)
            check.file(path, whole)
            yield path, iter((whole,))
        elif path == paths.INDEX:
            whole = content.whole(LARGEST_OBJECT)
            check.index(whole)
            yield path, iter((whole,))
        else:
            yield path, check.counted(check.raw(path), content)
    check.end()


def objects(read: Callable[[int], bytes], details: Mapping[str, Any]) -> Iterator[tuple[Resource, Object]]:
    """Every object as the API gave it, with its kind. Raises what ``files`` does."""
    check = _Check(details)
    for path, content in _walk(read):
        if path.startswith(f"{paths.OBJECTS}/"):
            check.file(path, content.whole(LARGEST_OBJECT))
        elif path == paths.INDEX:
            check.index(content.whole(LARGEST_OBJECT))
        else:
            kind = check.raw(path)
            for line in _lines(content):
                yield check.kinds[kind], check.line(kind, line)
    check.end()


@dataclass(frozen=True)
class _Source:
    read: Callable[[int], bytes]


def _walk(read: Callable[[int], bytes]) -> Iterator[tuple[str, Content]]:
    """The files; anything else in an archive, and what no file system takes for a name, is none of drkit's."""
    for entry, content in entries(_Source(read)):
        parts = entry.name.split("/")
        if entry.kind is not Kind.FILE or not entry.name.isascii() or max(map(len, parts)) > _LONGEST_PART:
            raise _refused(entry.name)
        yield entry.name, content


def _pieces(content: Content) -> Iterator[bytes]:
    return iter(lambda: content.read(_PIECE), b"")


def _lines(content: Content) -> Iterator[bytes]:
    """Lines without their ends."""
    rest = b""
    for piece in _pieces(content):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > LARGEST_OBJECT:
            raise VerificationFailed(f"an export of manifests has a line of more than {LARGEST_OBJECT} bytes")
    if rest:
        yield rest


def wished(found: Iterable[tuple[Resource, Object]]) -> Iterator[tuple[Resource, Object]]:
    """Of all objects those that a restore applies, in the form in which it does."""
    for kind, obj in found:
        if not reason(obj, kind):
            yield kind, strip(obj)


class _Check:
    """Compares what is read with the details."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        self.kinds = kinds(details)
        self._details = details
        self._digests = {path: hashlib.sha256() for path in self.kinds}
        self._files = dict.fromkeys(self.kinds, 0)
        self._lines = dict.fromkeys(self.kinds, 0)
        self._indexed = False

    def file(self, path: str, content: bytes) -> None:
        parts = path.split("/")
        scoped = {_CLUSTER_PARTS: "cluster", _NAMESPACED_PARTS: "namespaces"}.get(len(parts))
        kind = "/".join(parts[-3:-1])
        if parts[1] != scoped or kind not in self.kinds:
            raise _refused(path)
        self._files[kind] += 1
        self._digests[kind].update(f"{path}\0{len(content)}\0".encode())
        self._digests[kind].update(content)

    def raw(self, path: str) -> str:
        kind = path.removeprefix(f"{paths.RAW}/").removesuffix(".jsonl")
        if kind not in self.kinds or path != f"{paths.RAW}/{kind}.jsonl":
            raise _refused(path)
        return kind

    def counted(self, kind: str, content: Content) -> Iterator[bytes]:
        for piece in _pieces(content):
            self._lines[kind] += piece.count(b"\n")
            yield piece

    def line(self, kind: str, line: bytes) -> Object:
        self._lines[kind] += 1
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise VerificationFailed(f"an export of manifests has a line that is no object: {kind}")
        return found

    def index(self, content: bytes) -> None:
        try:
            self._indexed = json.loads(content) == self._details
        except (ValueError, RecursionError):
            self._indexed = False

    def end(self) -> None:
        for kind, each in self._details["kinds"].items():
            found = self._files[kind], self._digests[kind].hexdigest(), self._lines[kind]
            if found != (each["objects"], each["digest"], each["listed"]) or not self._indexed:
                raise VerificationFailed(
                    f"the manifests of {kind} are not those that were sealed",
                    "choose another recovery point (drkit points) and look at the vault: drkit verify",
                )


def _refused(path: str) -> VerificationFailed:
    return VerificationFailed(f"an export of manifests holds what belongs to none of its kinds: {path!r}")
