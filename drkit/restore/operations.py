"""Changes to objects of a cluster, decided in one place as plain values and made through the API in another."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from drkit.errors import KubeRefused

if TYPE_CHECKING:
    from drkit.cluster.kube import Api, Object


@dataclass(frozen=True)
class Operation:
    """One request. Each may be made twice, and one whose object is gone is done.

    Attributes:
        verb: what is asked of the API.
        path: where.
        about: the object, for people.
        content: the object or the merge patch.
        uid: of the object to patch or delete; another that has its name by now is left alone. Empty where it may be
            any object of that name.
    """

    verb: Literal["apply", "patch", "delete"]
    path: str
    about: str
    content: Object | None = None
    uid: str = ""


def perform(api: Api, operation: Operation) -> None:
    """Make one request.

    Raises:
        KubeUnreachable: the API does not answer; likewise below.
        KubeRefused: it refuses; likewise below.
    """
    content = operation.content or {}
    match operation.verb:
        case "apply":
            api.apply(operation.path, content, dry_run=False)
        case "delete":
            api.delete(operation.path, uid=operation.uid, grace=0)
        case "patch":
            patch(api, operation.path, content, uid=operation.uid)


def patch(api: Api, path: str, content: Object, *, uid: str = "") -> bool:
    """Merge into an object, and say whether it was there; ``uid`` as in ``Operation``."""
    if uid:
        content = {**content, "metadata": {**content.get("metadata", {}), "uid": uid}}
    try:
        api.patch(path, content)
    except KubeRefused as error:
        # A conflict without a uid is no word about the object: whatever the patch was for has not happened.
        if error.status == HTTPStatus.NOT_FOUND or (uid and error.status == HTTPStatus.CONFLICT):
            return False
        raise
    return True
