"""AddOns of k3s that the user owns: each server skips the packaged manifest, and has one of drkit's in its place."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from drkit.cluster import k3s
from drkit.cluster.reach import reach
from drkit.config.patches import ObjectPatch
from drkit.errors import DrkitError, KubeRefused, SourceFailed
from drkit.posture import owned
from drkit.posture.drift import APPLIED, DRIFTED, KEPT, REFUSED, Found
from drkit.posture.wishes import wishes
from drkit.process import DeadlineExceeded
from drkit.sources import cluster as clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.config.model import Config
    from drkit.posture.wishes import Wish

MANIFESTS: Final = f"{k3s.DATA_DIRECTORY}/server/manifests"
_OWNER: Final = "objectset.rio.cattle.io/owner-name"
"""Where k3s notes on an object of which AddOn it is."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_MODE: Final = 0o600
_WHY: Final = b"drkit harden: patches in drkit.yaml say own: true\n"


@dataclass(frozen=True)
class Addon:
    """An AddOn that patches own.

    Attributes:
        name: k3s's for it: the packaged manifest's, without ``.yaml``.
        wished: the patches of objects of it.
    """

    name: str
    wished: tuple[Wish, ...]

    @property
    def number(self) -> int:
        """The place of the first of its patches."""
        return self.wished[0].number

    @property
    def patches(self) -> str:
        """A short name for what the patches wish."""
        return owned.of_patches(each.obj for each in self.wished)


def look(config: Config, api: HttpApi) -> tuple[Found, ...]:
    """Which servers would still deploy the packaged manifest, or have none in its place. Changes nothing.

    Raises:
        ConfigurationError: a patch is of a kind that the cluster does not serve.
        KubeUnreachable: the API does not answer.
    """
    nodes, found = _servers(config, api), addons(config, api)
    return (*skip_on(nodes, found, dry_run=True), *own_on(nodes, found, api, dry_run=True))


def skip(config: Config, api: HttpApi) -> tuple[Found, ...]:
    """Tell each server to leave alone what is owned; twice comes to the same as once. Raises what ``look`` does."""
    return tuple(skip_on(_servers(config, api), addons(config, api), dry_run=False))


def own(config: Config, api: HttpApi) -> tuple[Found, ...]:
    """Give each server the manifests of what is owned, once the patches are applied; likewise."""
    return tuple(own_on(_servers(config, api), addons(config, api), api, dry_run=False))


def _servers(config: Config, api: HttpApi) -> list[Node]:
    if not any(isinstance(each, ObjectPatch) and each.own for each in config.patches):
        return []
    servers = [each for each in clusters.machines_of(config.cluster, api) if each.is_server]
    return [reach(each.name, each.address, config.cluster.ssh) for each in servers]


def addons(config: Config, api: Api) -> tuple[Addon, ...]:
    """The AddOns that patches own. Raises what ``look`` does."""
    found: dict[str, Addon] = {}
    for wish in wishes(config.patches, api.discover().resources):
        if wish.own:
            name = _addon_of(wish, api)
            known = found.get(name, Addon(name, ()))
            found[name] = replace(known, wished=(*known.wished, wish))
    return tuple(found.values())


def _addon_of(wish: Wish, api: Api) -> str:
    name: str = wish.obj["metadata"]["name"]
    with suppress(KubeRefused):  # the patch itself tells that the object is not there
        name = (api.get(wish.path)["metadata"].get("annotations") or {}).get(_OWNER) or name
    return name.removeprefix(owned.PREFIX)


def skip_on(
    nodes: Sequence[Node], found: Iterable[Addon], *, dry_run: bool, directory: str = MANIFESTS
) -> Iterator[Found]:
    """See to the packaged manifests on each server.

    Args:
        nodes: the servers.
        found: see ``addons``.
        dry_run: whether nothing is to be changed.
        directory: where k3s has its manifests.
    """

    def skipped(node: Node, addon: Addon) -> Found:
        manifest = f"{directory}/{addon.name}.yaml"
        done = Found(addon.number, f"{addon.name}.yaml.skip on {node.name}", DRIFTED if dry_run else APPLIED)
        if node.read(f"{manifest}.skip") is not None:
            return replace(done, state=KEPT)
        _packaged(node, manifest)
        if not dry_run:
            node.write(f"{manifest}.skip", _WHY, mode=_MODE)
        return done

    for addon in found:
        yield from (_told(skipped, node, addon, f"{addon.name}.yaml.skip") for node in nodes)


def own_on(
    nodes: Sequence[Node], found: Iterable[Addon], api: Api, *, dry_run: bool, directory: str = MANIFESTS
) -> Iterator[Found]:
    """See to the manifests of one's own on each server; likewise.

    Args:
        nodes: the servers.
        found: see ``addons``.
        api: has the patched objects as they shall be.
        dry_run: whether nothing is to be changed.
        directory: where k3s has its manifests.
    """

    def made(node: Node, addon: Addon) -> Found:
        path, manifest = f"{directory}/{owned.PREFIX}{addon.name}.yaml", f"{directory}/{addon.name}.yaml"
        done = Found(addon.number, f"{owned.PREFIX}{addon.name}.yaml on {node.name}", DRIFTED if dry_run else APPLIED)
        packaged = _packaged(node, manifest)
        patches, base = owned.marks(node.read(path) or b"")
        if patches == addon.patches:
            another = f"k3s packages another {addon.name}.yaml by now: remove {path}, and drkit harden takes that up"
            return replace(done, state=KEPT, note="" if base == owned.digest(packaged) else another)
        if not dry_run:
            objects = [api.get(each.path) for each in addon.wished]
            node.write(path, owned.manifest(addon.name, packaged, addon.patches, objects), mode=_MODE)
        return done

    for addon in found:
        yield from (_told(made, node, addon, f"{owned.PREFIX}{addon.name}.yaml") for node in nodes)


def _packaged(node: Node, manifest: str) -> bytes:
    found = node.read(manifest)
    if found is None:
        raise SourceFailed(f"there is no {manifest}: own is for what k3s deploys itself")
    return found


def _told(see: Callable[[Node, Addon], Found], node: Node, addon: Addon, file: str) -> Found:
    """What became of a file; why it is refused, where it is."""
    what = f"{file} on {node.name}"
    if not _NAME.match(addon.name):  # it may come from the API, and becomes a path
        return Found(addon.number, what, REFUSED, why="no AddOn of k3s has such a name")
    try:
        return see(node, addon)
    except (DrkitError, DeadlineExceeded, ValueError) as error:
        return Found(addon.number, what, REFUSED, why=str(error))
