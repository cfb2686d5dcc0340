"""The declared patches (``patches``): partial objects, merged into those that are there by server-side apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.errors import ConfigurationError, KubeRefused, RestoreFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Api, Resource

_NOT_FOUND = 404
MANAGER = "drkit-patches"
"""Another field manager than the one that applied the objects: it says nothing of the fields that it leaves out."""


def apply_patches(api: Api, patches: Iterable[Mapping[str, Any]]) -> list[str]:
    """Apply them all, each to an object that is there, and say to which. Comes to the same when it is done again.

    Raises:
        ConfigurationError: one of them names no object, or a kind that the cluster does not serve.
        RestoreFailed: the API refuses one, or the object is not there.
    """
    served = {(each.group, each.kind): each for each in api.discover().resources}
    done = []
    for number, patch in enumerate(patches):
        path, shown = _path(f"patches[{number}]", patch, served)
        try:
            api.get(path)
            api.apply(path, dict(patch), dry_run=False, manager=MANAGER)
        except KubeRefused as error:
            why = "it is not there" if error.status == _NOT_FOUND else error.message
            raise RestoreFailed(f"patches[{number}]: {shown}: {why}") from None
        done.append(shown)
    return done


def _path(where: str, patch: Mapping[str, Any], served: Mapping[tuple[str, str], Resource]) -> tuple[str, str]:
    metadata = patch.get("metadata")
    named: Mapping[str, Any] = metadata if isinstance(metadata, dict) else {}
    group = str(patch.get("apiVersion", "")).rpartition("/")[0]
    kind = served.get((group, str(patch.get("kind", ""))))
    namespace, name = str(named.get("namespace") or ""), str(named.get("name") or "")
    try:
        if kind is not None:
            return kind.object_path(namespace, name), f"{kind.kind} {namespace}/{name}"
    except ValueError:
        pass
    raise ConfigurationError(
        f"{where}: expected apiVersion, kind and metadata of an object that the cluster serves",
        "such as: {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: kube-system, name: coredns}, spec: …}",
    )
