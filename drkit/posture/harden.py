"""Keeps the declared patches in a cluster: looks by a dry-run of server-side apply, and applies what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster.kube import FIELD_MANAGER
from drkit.errors import KubeRefused
from drkit.posture.drift import APPLIED, CONFLICT, DRIFTED, FORBIDDEN, KEPT, REFUSED, Found, drift, undone_by
from drkit.posture.wishes import Wish, wishes
from drkit.restore.objects import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api, Object
    from drkit.config.patches import ChartPatch, ObjectPatch

MANAGER: Final = "drkit-patches"
"""Another field manager than the one that applied the objects: it says nothing of the fields that it leaves out."""
_OURS: Final = frozenset({MANAGER, FIELD_MANAGER})
_FORBIDDEN: Final = 403
_BY_RIGHTS: Final = ("cannot get resource", "cannot patch resource")
"""What admission refuses has the same status."""
_NOT_FOUND: Final = 404
_ABSENT: Final = "it is not there"


def look(api: Api, patches: Iterable[ObjectPatch | ChartPatch]) -> tuple[Found, ...]:
    """What applying the patches would change, one by one. Changes nothing.

    Raises:
        ConfigurationError: one of them is of a kind that the cluster does not serve.
        KubeUnreachable: the API does not answer.
    """
    return tuple(_put(api, wish, dry_run=True, take_over=False) for wish in _wished(api, patches))


def apply(api: Api, patches: Iterable[ObjectPatch | ChartPatch], *, take_over: bool = False) -> tuple[Found, ...]:
    """Apply the patches that the cluster lacks; comes to the same when it is done again, or by two at once.

    One that is refused keeps no other from being applied.

    Args:
        api: the cluster's.
        patches: as they are declared.
        take_over: whether others' fields become drkit's even where that is not declared, as in a cluster that drkit
            has just made.

    Raises:
        ConfigurationError: one of them is of a kind that the cluster does not serve; nothing was changed.
        KubeUnreachable: the API does not answer.
    """
    return tuple(_put(api, wish, dry_run=False, take_over=take_over) for wish in _wished(api, patches))


def _wished(api: Api, patches: Iterable[ObjectPatch | ChartPatch]) -> tuple[Wish, ...]:
    return wishes(patches, api.discover().resources)


def _put(api: Api, wish: Wish, *, dry_run: bool, take_over: bool) -> Found:
    try:
        live = _get(api, wish.path)
        if live is None and not wish.create:
            return Found(wish.number, str(wish), REFUSED, why=_ABSENT)
        return _applied(api, wish, live, dry_run=dry_run, take_over=take_over or wish.take_over or wish.own)
    except KubeRefused as error:
        state = FORBIDDEN if error.status == _FORBIDDEN and any(each in error.said for each in _BY_RIGHTS) else REFUSED
        return Found(wish.number, str(wish), state, why=refusal.text(error))


def _applied(api: Api, wish: Wish, live: Object | None, *, dry_run: bool, take_over: bool) -> Found:
    owners, state = "", DRIFTED if dry_run else APPLIED
    try:
        after = api.apply(wish.path, wish.obj, dry_run=dry_run, take_over=False, manager=MANAGER)
    except KubeRefused as error:
        if not refusal.is_conflict(error):
            raise
        owners = refusal.owners(error)
        if not (take_over or _are_ours(refusal.owners_of(error))):
            state, dry_run = CONFLICT, True
        # Tried by force even where it stays: the difference is to be shown.
        after = api.apply(wish.path, wish.obj, dry_run=dry_run, take_over=True, manager=MANAGER)
    change = drift(wish.kind, live, after)
    note = "" if live is None else undone_by(live)
    return Found(wish.number, str(wish), KEPT if change is None else state, change, owners, note=note)


def _are_ours(managers: frozenset[str]) -> bool:
    return bool(managers) and managers <= _OURS


def _get(api: Api, path: str) -> Object | None:
    try:
        return api.get(path)
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return None
        raise
