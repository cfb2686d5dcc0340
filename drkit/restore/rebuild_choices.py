"""What there is to draw on, what the user asks for, and which mode of a restore comes of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.errors import NoSuchPoint, UsageError
from drkit.restore.wanted import ETCD, MANIFESTS, PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.points.descriptor import SourceEntry

_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_IN_PARTS = frozenset({"database", "globals", "manifests"})


@dataclass(frozen=True)
class Choices:
    """What the user asks for.

    Attributes:
        mode: ``etcd`` or ``manifests``; empty for whichever the recovery set can do, etcd first.
        picked: the names of the sources that ``--only`` means; all where it is not given.
        only: whether it is given.
        parts: of the manifests those to apply, as ``NAMESPACE/KIND/NAME``.
        namespaces: old and new names.
        expires: when a rehearsal is over (RFC 3339, UTC); empty where the cluster is to live.
    """

    mode: str
    picked: frozenset[str]
    only: bool = False
    parts: tuple[str, ...] = ()
    namespaces: tuple[tuple[str, str], ...] = ()
    replace: bool = False
    old_is_dead: bool = False
    expires: str = ""


@dataclass(frozen=True)
class Sealed:
    """What there is to draw on.

    Attributes:
        sources: with their details, by name.
        points: the point of each.
        topology: the document of the source ``topology``; empty where there is none.
        volumes: those that no source covers; see ``Descriptor.volumes``.
    """

    sources: Mapping[str, SourceEntry]
    points: Mapping[str, str]
    topology: Mapping[str, Any]
    volumes: Sequence[Mapping[str, Any]] = ()

    def of_kind(self, kind: str) -> list[SourceEntry]:
        """The sources of a kind, by name."""
        return sorted((each for each in self.sources.values() if each.kind == kind), key=lambda each: each.name)


def mode_of(kinds: set[str], choices: Choices) -> str:
    """The mode of a restore.

    Args:
        kinds: of the sources that are picked.
        choices: what else the user asks for.

    Raises:
        UsageError: what is asked for contradicts itself.
        NoSuchPoint: what the mode needs was not backed up.
    """
    whole = [mode for mode, kind in ((ETCD, "datastore"), (MANIFESTS, "manifests")) if kind in kinds]
    if choices.parts and MANIFESTS in whole:
        whole.remove(MANIFESTS)
    if choices.expires and ETCD in whole:
        _see_rehearsal(choices)
        whole.remove(ETCD)
    if choices.only and not whole:
        _see_parts(kinds, choices)
        return PARTS
    mode = choices.mode or next(iter(whole), "")
    if mode not in whole:
        what = {ETCD: "a datastore", MANIFESTS: "manifests"}.get(mode, "a datastore or manifests")
        if choices.only:
            raise UsageError(f"--mode {mode} needs {what}, which --only leaves out")
        other = f"restore with --mode {whole[0]}" if whole else "see what there is: drkit points show"
        raise NoSuchPoint(f"{f'mode {mode}' if mode else 'a cluster'} needs {what}, and none was backed up", other)
    if choices.parts:
        raise UsageError("--only: parts of the manifests and a whole cluster exclude each other")
    if choices.namespaces and mode == ETCD:
        raise UsageError("--namespace: in mode etcd every object keeps its name; use --mode manifests")
    return mode


def _see_rehearsal(choices: Choices) -> None:
    if choices.mode == ETCD:
        raise UsageError(
            "--rehearsal: mode etcd brings back the living cluster's own identity, its tokens, and every Secret in its"
            " datastore; rehearse it in a lab: drkit lab rehearse --mode etcd; or here with --mode manifests"
        )


def _see_parts(kinds: set[str], choices: Choices) -> None:
    if choices.mode:
        raise UsageError(f"--mode {choices.mode} is for a whole cluster, and --only asks for parts alone")
    into = sorted(kinds - _IN_PARTS)
    if into:
        raise UsageError(f"--only {into[0]}: that alone is written out with --into DIR")


def cluster_of(source: SourceEntry) -> str | None:
    """The CloudNativePG cluster, ``NAMESPACE/NAME``, that a database was in."""
    # Only of such a cluster is said which instance was read.
    return "/".join(source.name.split("/")[1:3]) if "instance" in source.details else None


def old_nodes(sealed: Sealed) -> tuple[list[str], list[str]]:
    """The servers and the agents that there were, by name.

    Where no topology says it, those whose files were backed up, the one that gave the datastore's copy being a server.
    """
    nodes = sealed.topology.get("nodes") or ()
    if nodes:
        servers = sorted(str(node["name"]) for node in nodes if _CONTROL_PLANE in node["labels"])
        return servers, sorted(str(node["name"]) for node in nodes if _CONTROL_PLANE not in node["labels"])
    names = [source.name.partition("/")[2] for source in sealed.of_kind("server-files")]
    kept = sealed.sources.get("datastore")
    server = str(kept.details["server"]) if kept is not None else ""
    return [server] if server in names else [], [name for name in names if name != server]


def take_over(names: Sequence[str], old: Sequence[str]) -> list[tuple[str, str]]:
    """Which old node each new machine stands for: the one of its name, else the next one that is left; or none."""
    left = iter(node for node in old if node not in names)
    return [(name, name if name in old else next(left, "")) for name in names]
