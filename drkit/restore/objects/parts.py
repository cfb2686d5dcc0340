"""Parts of an export of manifests: which objects ``--only manifests/…`` means. Pure.

    manifests                          everything
    manifests/NAMESPACE                a namespace with all that is in it
    manifests/NAMESPACE/KIND           its objects of one kind
    manifests/NAMESPACE/KIND/NAME      one of them
    manifests/-[/KIND[/NAME]]          likewise of what is in no namespace

A kind is named as in a manifest (``Deployment``), in the plural (``deployments``), or with its group where two groups
have one of that name (``clusters.postgresql.cnpg.io``); capitals make no difference.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drkit.errors import NoSuchPoint, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.cluster.kube import Object, Resource
    from drkit.manifests.order import Found

SOURCE: Final = "manifests"
NO_NAMESPACE: Final = "-"
_MOST_WORDS: Final = 4
_SUGGESTIONS: Final = 3


@dataclass(frozen=True)
class Part:
    """One part. What is empty is not restricted."""

    namespace: str = ""
    """``-`` for what is in none."""
    kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        return "/".join(word for word in (SOURCE, self.namespace, self.kind, self.name) if word)

    def has(self, kind: Resource, obj: Object) -> bool:
        """Whether an object belongs to it."""
        namespace, name = _named(obj)
        if self.kind and not _is_called(kind, self.kind):
            return False
        if self.name:
            return self._is_there(namespace) and name == self.name
        is_the_namespace = (kind.group, kind.plural) == ("", "namespaces") and name == self.namespace and not self.kind
        return self._is_there(namespace) or is_the_namespace

    def _is_there(self, namespace: str) -> bool:
        return not self.namespace or namespace == ("" if self.namespace == NO_NAMESPACE else self.namespace)


def parse(text: str) -> Part:
    """A part as the command line has it.

    Raises:
        UsageError: it names none.
    """
    words = text.split("/")
    if words[0] != SOURCE or len(words) > _MOST_WORDS or not all(words):
        raise UsageError(
            f"--only {text}: expected {SOURCE}/NAMESPACE, {SOURCE}/NAMESPACE/KIND or {SOURCE}/NAMESPACE/KIND/NAME",
            f"for what is in no namespace: {SOURCE}/{NO_NAMESPACE}/ClusterRole/NAME",
        )
    return Part(*words[1:])


def select(found: Iterable[Found], parts: Sequence[Part]) -> Iterator[Found]:
    """Of all objects those that belong to any of the parts.

    Raises:
        NoSuchPoint: when all were seen: there is nothing of one part.
        UsageError: likewise: a kind's name means several.
    """
    kinds: dict[Part, set[Resource]] = {part: set() for part in parts}
    near: dict[Part, list[str]] = {part: [] for part in parts}
    for kind, obj in found:
        mine = [part for part in parts if part.has(kind, obj)]
        for part in mine:
            kinds[part].add(kind)
        for part in parts:
            if not kinds[part]:
                near[part] += _nearly(part, kind, obj)
        if mine:
            yield kind, obj
    for part in parts:
        _see(part, kinds[part], near[part])


def _see(part: Part, kinds: set[Resource], near: list[str]) -> None:
    if not kinds:
        raise NoSuchPoint(
            f"the recovery point has no {part}",
            f"did you mean {', or '.join(near[:_SUGGESTIONS])}?"
            if near
            else "look at what it has: drkit restore --into DIR",
        )
    if part.kind and len(kinds) > 1:
        named = ", ".join(sorted(f"{each.plural}.{each.group}" if each.group else each.plural for each in kinds))
        raise UsageError(f"--only {part}: {part.kind} may be any of {named}", "name the one that you mean")


def _nearly(part: Part, kind: Resource, obj: Object) -> list[str]:
    """The part that names this object, where that may have been meant."""
    if not part.name or not _is_called(kind, part.kind):
        return []
    namespace, name = _named(obj)
    other = str(Part(namespace or NO_NAMESPACE, part.kind, name))
    return [other] if name == part.name or difflib.get_close_matches(part.name, [name], 1, 0.8) else []


def _is_called(kind: Resource, text: str) -> bool:
    names = {kind.kind, kind.plural, f"{kind.plural}.{kind.group}" if kind.group else kind.plural}
    return text.lower() in {name.lower() for name in names}


def _named(obj: Object) -> tuple[str, str]:
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
