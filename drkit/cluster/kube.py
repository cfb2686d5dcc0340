"""The port: a cluster's API, as raw JSON. Typed models drop the fields that they do not know; a backup must not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

Object = dict[str, Any]
FIELD_MANAGER = "drkit"


@dataclass(frozen=True, order=True)
class Resource:
    """A kind of object that the API serves, in the version that the API prefers."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """As objects carry it: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """Where all of its objects are listed."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/{self.plural}"

    def object_path(self, namespace: str, name: str) -> str:
        """Where one of its objects is.

        Raises:
            ValueError: no object can have such a name.
        """
        if name in {"", ".", ".."} or namespace in {".", ".."} or bool(namespace) != self.namespaced:
            raise ValueError(f"{self.plural} {namespace!r} {name!r}")
        root, _, plural = self.path.rpartition("/")
        within = f"{root}/namespaces/{quote(namespace, safe='')}" if self.namespaced else root
        return f"{within}/{plural}/{quote(name, safe='')}"


@dataclass(frozen=True)
class Discovery:
    """What the API serves, and the group versions that it names and cannot serve now, with what it said."""

    resources: tuple[Resource, ...]
    failed: Mapping[str, str]


class Execution(Protocol):
    """A program in a container: its output is on its way; how it ended is known only from the API's last word."""

    def fileno(self) -> int:
        """The descriptor to read its output from, to its end."""
        ...

    def write(self, data: bytes) -> None:
        """Feed its input."""
        ...

    def end_input(self) -> None:
        """Say that there is no more input."""
        ...

    def cut(self) -> None:
        """Cut it off: who reads its output comes to the end of it, who feeds it fails. Safe from another thread."""
        ...

    def finish(self) -> None:
        """See that it ended with status 0 and that all of its output came.

        Raises:
            SourceFailed: it did not, or its end was never heard of; its last words on stderr are in the message.
        """
        ...


class Api(Protocol):
    """Reading and applying objects.

    Every method raises ``KubeUnreachable`` where it does not answer, ``KubeRefused`` with its status else.

    What passes by itself (429 with its ``Retry-After``, 5xx, a cut connection) has been tried again, within a bound.
    """

    @property
    def server(self) -> str:
        """Its address, for messages."""
        ...

    def get(self, path: str) -> Object:
        """What is at a path, query included."""
        ...

    def discover(self) -> Discovery:
        """Every kind that the API serves, one version of each."""
        ...

    def pages(self, path: str, *, selector: str = "") -> Iterator[Object]:
        """The pages of a list, each with its ``items`` and the list's ``metadata.resourceVersion``.

        Raises:
            KubeExpired: the list's next page is gone (410): what came so far is not the whole.
        """
        ...

    def create(self, path: str, obj: Object) -> Object:
        """Make one object where none of its name is; 409 where one is.

        Where an answer was lost and the call was tried again, the one that is there may be what this call itself made.

        Args:
            path: where its kind is listed, in its namespace.
            obj: the object.
        """
        ...

    def apply(
        self, path: str, obj: Object, *, dry_run: bool, take_over: bool = True, manager: str = FIELD_MANAGER
    ) -> Object:
        """Server-side apply of one object. What its manager applied before and leaves out now is removed.

        Args:
            path: where it is.
            obj: what is wished of it.
            dry_run: whether it is only tried.
            take_over: whether fields that another manager wishes otherwise become drkit's. Where they are to stay, the
                API refuses with 409, and each such field is among the causes.
            manager: the field manager.
        """
        ...

    def patch(self, path: str, patch: Object) -> Object:
        """Merge into one object that is there (RFC 7386: lists are replaced, ``None`` removes), and return it.

        A ``metadata.resourceVersion`` in the patch makes it one for that version alone; any other is refused with 409.
        """
        ...

    def delete(self, path: str, *, uid: str = "", orphan: bool = False, grace: int | None = None) -> bool:
        """Let one object be deleted, and say whether it was there. It may stay for as long as a finalizer holds it.

        Args:
            path: where it is.
            uid: only the object with this one: another that has its name by now is left alone, and was not there.
            orphan: whether what it owns stays.
            grace: seconds that a pod gets to end, where that is not for itself to say. With 0 it is gone at once, and
                nobody waits for its node's word.
        """
        ...

    def evict(self, path: str, *, uid: str) -> bool:
        """Let one pod be deleted as far as its disruption budgets allow, and say whether it was there.

        What they do not allow now is refused with 429, at once.

        Args:
            path: where it is.
            uid: only the pod with this one; another that has its name by now is left alone, and was not there.
        """
        ...


class Watch(Protocol):
    """A watch that is under way."""

    def changes(self) -> Iterator[tuple[str, Object]]:
        """Each change as it comes: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object as it is, or last was.

        Ends where the API ends it in order, which it does now and then: list again, and watch from there.

        Raises:
            KubeUnreachable: it was cut, by whomever.
            KubeExpired: the API has no changes any more since the version that was named.
        """
        ...

    def cut(self) -> None:
        """End it: ``changes`` fails. Safe from another thread."""
        ...


class Watching(Api, Protocol):
    """The API with what changes."""

    def watch(self, path: str, version: str) -> AbstractContextManager[Watch]:
        """Begin to watch. Leaving the body ends it.

        Args:
            path: where the objects are listed.
            version: the list's ``metadata.resourceVersion``, after which changes are told.
        """
        ...


class Executor(Protocol):
    """What runs in pods."""

    def execute(
        self, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool = False
    ) -> AbstractContextManager[Execution]:
        """Start a program in a container.

        Args:
            namespace: the pod's; likewise ``pod`` and ``container``, which needs ``sh`` and ``cat``.
            pod: see ``namespace``.
            container: see ``namespace``.
            argv: the program and its arguments; never a secret.
            stdin: whether it is fed. One that is not ends with drkit, and when the body is left; one that is fed sees
                the end of its input then, and ends by that.
        """
        ...


class Kube(Api, Executor, Protocol):
    """The API with what runs in its pods."""
