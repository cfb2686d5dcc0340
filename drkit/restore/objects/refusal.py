"""What an API server's refusal of one object means: whether it passes, who stands against it, which field it is. Pure.

A server quotes what it refuses, environment variables of pods among it, so values are never taken over from its words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from drkit.manifests.diff import REMOVED, compare

if TYPE_CHECKING:
    from drkit.cluster.kube import Object, Resource
    from drkit.errors import Cause, KubeRefused

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_INVALID: Final = 422
_TOO_MANY: Final = 429
_SERVER: Final = 500
_OF_A_MANAGER: Final = "FieldManagerConflict"
_MANAGER: Final = re.compile(r'conflict with "([^"]*)"')
_PASSING: Final = re.compile(
    # A namespace that goes; a quota that is not counted yet; a namespace whose account the controller has not made yet.
    r"because it is being terminated|status unknown for quota|error looking up service account"
)
_NEVER: Final = "failed to create typed patch object"
"""A field that the version of the server does not know; it says so with 500."""
_UNCHANGEABLE: Final = re.compile(
    r"immutable|may not change|may not be changed|cannot change|updates to .* are forbidden|cannot be changed"
)
_QUOTES: Final = re.compile(r"(?:Invalid|Duplicate|Unsupported) value: ")
_REPLACED: Final = frozenset(
    {
        ("", "configmaps"),
        ("", "podtemplates"),
        ("", "secrets"),
        ("apps", "controllerrevisions"),
        ("networking.k8s.io", "ingressclasses"),
        ("node.k8s.io", "runtimeclasses"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("storage.k8s.io", "csidrivers"),
        ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "volumeattributesclasses"),
    }
)
"""Kinds that hold nothing but what is written in them: one that is deleted and made again has lost nothing."""


def may_replace(kind: Resource) -> bool:
    """Whether an object whose fields cannot be changed is deleted and made anew."""
    return (kind.group, kind.plural) in _REPLACED


def passes(error: KubeRefused) -> bool:
    """Whether the same object may be taken a little later: what it needs is on its way, or a webhook's backend is."""
    if error.status == _FORBIDDEN:
        return _PASSING.search(error.said) is not None
    if error.status >= _SERVER:
        return _NEVER not in error.said
    return error.status in {_NOT_FOUND, _CONFLICT, _TOO_MANY}


def is_conflict(error: KubeRefused) -> bool:
    """Whether other managers wish fields otherwise."""
    return error.status == _CONFLICT and any(cause.reason == _OF_A_MANAGER for cause in error.causes)


def owners(error: KubeRefused) -> str:
    """Who owns which fields: ``kubectl-patch: .spec.replicas, .spec.paused; …``."""
    return "; ".join(f"{manager}: {', '.join(each)}" for manager, each in _owned(error).items())


def owners_of(error: KubeRefused) -> frozenset[str]:
    """The managers that wish fields otherwise."""
    return frozenset(_owned(error))


def _owned(error: KubeRefused) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for cause in error.causes:
        match = _MANAGER.match(cause.message)
        if cause.reason == _OF_A_MANAGER and match:
            fields.setdefault(match[1], []).append(cause.field)
    return fields


def is_unchangeable(error: KubeRefused) -> bool:
    """Whether it would change what cannot be changed in an object that is there."""
    return error.status == _INVALID and any(_UNCHANGEABLE.search(cause.message) for cause in error.causes)


def unchangeable(error: KubeRefused, kind: Resource, live: Object, wish: Object) -> tuple[str, ...]:
    """The fields that cannot be changed and would be.

    The server often names no more than ``spec``; what differs below that is told from both forms.

    Args:
        error: the refusal.
        kind: the object's.
        live: as it is, stripped.
        wish: as it was to be.
    """
    changed = [
        change.path
        for each in compare([(kind, live)], [(kind, wish)])
        for change in each.fields
        if change.change != REMOVED  # applying leaves fields alone that are not wished
    ]
    found: list[str] = []
    for cause in error.causes:
        if _UNCHANGEABLE.search(cause.message):
            found += [path for path in changed if _is_below(path, cause.field)] or [cause.field]
    return tuple(dict.fromkeys(found))


def _is_below(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def text(error: KubeRefused) -> str:
    """The server's reasons, without the values that it quotes."""
    named = [_said(cause) for cause in error.causes if cause.field]
    return "; ".join(named) or error.said


def _said(cause: Cause) -> str:
    message = cause.message.partition("\n")[0]
    # What is wrong with a value stands behind it.
    said = message.rpartition(": ")[2] if _QUOTES.match(message) else message
    return f"{cause.field}: {said}"
