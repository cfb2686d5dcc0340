"""AddOns of k3s that the user owns: k3s is told on each server to leave their manifests alone.

Rules are k3s's (docs.k3s.io/installation/packaged-components): a file ``NAME.yaml.skip`` beside ``NAME.yaml`` makes k3s
treat that manifest as if it were not there. What was deployed from it stays as it is, and upgrades of k3s do not
change it any more.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drkit.cluster import k3s
from drkit.cluster.reach import reach
from drkit.config.patches import ObjectPatch
from drkit.errors import DrkitError, KubeRefused
from drkit.posture.drift import APPLIED, DRIFTED, KEPT, REFUSED, Found
from drkit.posture.wishes import wishes
from drkit.process import DeadlineExceeded
from drkit.sources import cluster as clusters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.config.model import Config

MANIFESTS: Final = f"{k3s.DATA_DIRECTORY}/server/manifests"
_OWNER: Final = "objectset.rio.cattle.io/owner-name"
"""Where k3s notes on an object of which AddOn it is."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_MODE: Final = 0o600
_WHY: Final = b"drkit harden: patches in drkit.yaml say own: true\n"


def look(config: Config, api: HttpApi) -> tuple[Found, ...]:
    """Which servers would still deploy what is owned. Changes nothing.

    Raises:
        ConfigurationError: a patch is of a kind that the cluster does not serve.
        KubeUnreachable: the API does not answer.
    """
    return _all(config, api, dry_run=True)


def skip(config: Config, api: HttpApi) -> tuple[Found, ...]:
    """Tell each server to leave alone what is owned; twice comes to the same as once. Raises what ``look`` does."""
    return _all(config, api, dry_run=False)


def _all(config: Config, api: HttpApi, *, dry_run: bool) -> tuple[Found, ...]:
    if not any(isinstance(each, ObjectPatch) and each.own for each in config.patches):
        return ()
    servers = [each for each in clusters.machines_of(config.cluster, api) if each.is_server]
    nodes = [reach(each.name, each.address, config.cluster.ssh) for each in servers]
    return tuple(on_servers(nodes, owned(api, config), dry_run=dry_run))


def owned(api: Api, config: Config) -> dict[int, str]:
    """The names of the AddOns that patches own, by the patches' places.

    Raises what ``look`` does.
    """
    found = {}
    for wish in wishes(config.patches, api.discover().resources):
        if wish.own:
            found[wish.number] = wish.obj["metadata"]["name"]
            with suppress(KubeRefused):  # the patch itself tells that the object is not there
                live = api.get(wish.path)
                found[wish.number] = (live["metadata"].get("annotations") or {}).get(_OWNER) or found[wish.number]
    return found


def on_servers(
    nodes: Sequence[Node], names: Mapping[int, str], *, dry_run: bool, directory: str = MANIFESTS
) -> Iterator[Found]:
    """See to the files on each server.

    Args:
        nodes: the servers.
        names: see ``owned``.
        dry_run: whether nothing is to be changed.
        directory: where k3s has its manifests.
    """
    for number, name in names.items():
        yield from (_on(node, number, name, directory, dry_run=dry_run) for node in nodes)


def _on(node: Node, number: int, name: str, directory: str, *, dry_run: bool) -> Found:
    what = f"{name}.yaml.skip on {node.name}"
    if not _NAME.match(name):  # it may come from the API, and becomes a path
        return Found(number, what, REFUSED, why="no AddOn of k3s has such a name")
    manifest = f"{directory}/{name}.yaml"
    try:
        if node.read(f"{manifest}.skip") is not None:
            return Found(number, what, KEPT)
        if node.read(manifest) is None:
            return Found(number, what, REFUSED, why=f"there is no {manifest}: own is for what k3s deploys itself")
        if not dry_run:
            node.write(f"{manifest}.skip", _WHY, mode=_MODE)
    except (DrkitError, DeadlineExceeded) as error:
        return Found(number, what, REFUSED, why=str(error))
    return Found(number, what, DRIFTED if dry_run else APPLIED)
