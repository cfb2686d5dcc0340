"""The declared patches as objects that server-side apply takes, and where they are in an API. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.config.patches import ChartPatch
from drkit.errors import ConfigurationError
from drkit.manifests.emit import emit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Object, Resource
    from drkit.config.patches import ObjectPatch


@dataclass(frozen=True)
class Wish:
    """A patch of one object.

    Attributes:
        number: its place under ``patches``, from 0.
        path: where the API has the object.
        obj: the fields that are wished of it.
        create: whether it is made where it is not there.
        take_over: whether others' fields become drkit's.
        own: whether k3s is to leave it alone.
    """

    number: int
    kind: Resource
    path: str
    obj: Object
    create: bool
    take_over: bool
    own: bool

    def __str__(self) -> str:
        metadata = self.obj["metadata"]
        namespace = metadata.get("namespace")
        return f"{self.kind.kind} {f'{namespace}/' if namespace else ''}{metadata['name']}"


def wishes(patches: Iterable[ObjectPatch | ChartPatch], served: Iterable[Resource]) -> tuple[Wish, ...]:
    """What the patches wish of the objects of an API.

    Args:
        patches: as they are declared.
        served: the kinds that the API serves.

    Raises:
        ConfigurationError: one of them is of a kind that the cluster does not serve.
    """
    kinds = {(each.group, each.kind): each for each in served}
    return tuple(_wish(number, patch, kinds) for number, patch in enumerate(patches))


def _wish(number: int, patch: ObjectPatch | ChartPatch, kinds: dict[tuple[str, str], Resource]) -> Wish:
    obj = _chart_config(patch) if isinstance(patch, ChartPatch) else patch.wished
    kind = kinds.get((obj["apiVersion"].rpartition("/")[0], obj["kind"]))
    if kind is None:
        raise ConfigurationError(
            f"patches[{number}]: the cluster serves no {obj['kind']} of {obj['apiVersion']}",
            "see kubectl api-resources; what an operator defines is there when the operator is",
        )
    try:
        path = kind.object_path(obj["metadata"].get("namespace") or "", obj["metadata"]["name"])
    except ValueError:
        expected = "expected metadata.namespace" if kind.namespaced else "expected no metadata.namespace"
        raise ConfigurationError(f"patches[{number}]: {kind.kind} {obj['metadata']['name']}: {expected}") from None
    if isinstance(patch, ChartPatch):
        return Wish(number, kind, path, obj, create=True, take_over=patch.take_over, own=False)
    return Wish(number, kind, path, obj, create=patch.create, take_over=patch.take_over, own=patch.own)


def _chart_config(patch: ChartPatch) -> Object:
    """Rules are k3s's: docs.k3s.io/helm: values come as text, and lie in the namespace of the chart."""
    return {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChartConfig",
        "metadata": {"name": patch.chart, "namespace": patch.namespace},
        "spec": {"valuesContent": emit(patch.values)},
    }
