"""Source ``volumes``: the files of a claim's volume, read on the node that holds them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster import claims, members, volume_files
from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded
from drkit.sources.passing import Copied, passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from drkit.cluster.kube import Api, Object
    from drkit.cluster.node import Node, Output
    from drkit.cluster.volumes import Claim
    from drkit.config.model import Volumes
    from drkit.sources.passing import Incoming, Passing, Prepared, Write
    from drkit.sources.port import Source, SourceStream

KIND = "volumes"
_SECONDS = 300.0
_NAMED = 5


@dataclass(frozen=True)
class ClaimSource:
    """One claim.

    Where its volume is is asked when it is read: a claim that is made anew is another volume, maybe elsewhere.

    Args:
        claim: namespace and name.
        api: the cluster's.
        node: the way to one of its nodes by its name; none where no address of it is known.
    """

    claim: Claim
    api: Api
    node: Callable[[str], Node | None]
    vaults: Sequence[str] = ("cluster",)
    kind: str = KIND
    file_name: str = "volume.tar"

    @property
    def name(self) -> str:
        """One for each claim."""
        return f"{KIND}/{'/'.join(self.claim)}"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Start reading its files.

        Raises:
            SourceFailed: it has no volume, one that is not on a node's own disk, or on a node that does not answer.
        """
        claim, name, place = self.located()
        node = self.node(name)
        if node is None:
            raise SourceFailed(f"the volume of {'/'.join(self.claim)} is on {name}, which is no node of the cluster")
        began = _clock(node)

        def prepare(_: Output) -> Prepared:
            return _passed

        with passing(node.open(volume_files.command(place.path)), prepare) as stream:
            yield _Stream(stream, self.name, node, place, began, _facts(claim, node, place))

    def located(self) -> tuple[Object, str, claims.Place]:
        """The claim, the name of the node that has its volume, and where it is there.

        Raises:
            SourceFailed: there is none, or none on a node's own disk.
        """
        there = {claims.key_of(each): each for each in _all(self.api, claims.CLAIMS)}
        volumes = {each["metadata"]["name"]: each for each in _all(self.api, claims.VOLUMES)}
        place = claims.place(self.claim, there, volumes)
        name = claims.node_names(_all(self.api, members.NODES)).get(place.node, place.node)
        return there[self.claim], name, place


def _all(api: Api, path: str) -> list[Object]:
    return [each for page in api.pages(path) for each in page["items"]]


def _facts(claim: Object, node: Node, place: claims.Place) -> dict[str, Any]:
    spec = claim.get("spec") or {}
    return {"node": node.name, "path": place.path, "storage_class": str(spec.get("storageClassName") or "")}


def _passed(incoming: Incoming, write: Write) -> dict[str, Any]:
    return volume_files.listing(Copied(incoming, write)).details()


def _clock(node: Node) -> str:
    """Now, by the node's own clock: seconds of the epoch."""
    return _said(node, ["date", "+%s.%N"]).decode(errors="replace").strip()


def _said(node: Node, argv: list[str]) -> bytes:
    try:
        done = node.run(argv, deadline=_SECONDS)
    except DeadlineExceeded as error:
        raise SourceFailed(f"{node.name}: {error}") from None
    return done.stdout if done.status == 0 else b""


@dataclass(frozen=True)
class _Stream:
    """The files on their way, and what is known of them: those that were changed meanwhile too."""

    passing: Passing
    name: str
    node: Node
    place: claims.Place
    began: str
    facts: dict[str, Any]

    def fileno(self) -> int:
        return self.passing.fileno()

    def finish(self) -> None:
        self.passing.finish()
        found = _said(self.node, volume_files.changed(self.place.path, self.began))
        changed = [each.decode("utf-8", "surrogateescape").removeprefix("./") for each in found.split(b"\0") if each]
        if changed:
            named = ", ".join(volume_files.shown(each) for each in changed[:_NAMED])
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            self.facts["warnings"] = [f"{self.name}: written to while it was read: {named}{more}"]

    def details(self) -> dict[str, Any]:
        return {**self.facts, **self.passing.details()}


@dataclass(frozen=True)
class Unlisted:
    """Chosen claims that could not be listed: their absence is said."""

    name: str
    error: SourceFailed
    vaults: Sequence[str]
    kind: str = KIND
    file_name: str = "volume.tar"

    def open(self) -> AbstractContextManager[SourceStream]:
        """Raise why."""
        raise self.error


def sources(entries: Sequence[Volumes], api: Api, node: Callable[[str], Node | None]) -> list[Source]:
    """The claims that entries of ``volumes`` mean; what cannot be asked is a source that fails by its name."""
    try:
        return list(claim_sources(entries, api, node))
    except SourceFailed as error:
        return [Unlisted(_called(each), error, tuple(each.vaults)) for each in entries]


def claim_sources(entries: Sequence[Volumes], api: Api, node: Callable[[str], Node | None]) -> list[ClaimSource]:
    """The claims that entries of ``volumes`` mean.

    Raises:
        SourceFailed: they cannot be asked for.
    """
    there = _all(api, claims.CLAIMS) if any(each.claim is None for each in entries) else []
    return [ClaimSource(claim, api, node, vaults) for claim, vaults in claims.chosen(entries, there).items()]


def _called(entry: Volumes) -> str:
    return f"{KIND}/{entry.claim or entry.namespace}"
