"""The shape of ``patches:`` in ``drkit.yaml``: what ``harden`` keeps right in a cluster, and a restore puts back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

_NAME = r"^[A-Za-z0-9][A-Za-z0-9.:_-]*$"
_OBJECT, _CHART = "object-patch", "chart-patch"
PATCH_TAGS = frozenset({_OBJECT, _CHART, "dict", "list"})
"""What pydantic puts into an error's location beside the keys that stand in the file; the last two are JSON's."""


class PatchMetadata(BaseModel):
    """Which object; labels and annotations may be among what is wished of it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    name: str = Field(pattern=_NAME)
    namespace: str | None = Field(default=None, pattern=_NAME)


class ObjectPatch(BaseModel):
    """Fields of an object as server-side apply takes them: any kind, custom resources included.

    All keys but drkit's own ones below are the object's. A list is merged by its elements' keys where the API says so
    (containers, by their name), and is replaced else.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    api_version: str = Field(alias="apiVersion", min_length=1)
    kind: str = Field(min_length=1)
    metadata: PatchMetadata
    create: bool = False
    """Whether it is made where it is not there: a whole object then, such as a PodDisruptionBudget."""
    take_over: bool = False
    """Whether fields that others have set otherwise become drkit's; where not, they are told and left."""
    own: bool = False
    """Whether k3s shall leave it alone from now on: it is of a k3s AddOn, whose manifest every server then skips.

    In its place every server gets a manifest of one's own, with what is patched as it is in the cluster.
    """

    @property
    def wished(self) -> dict[str, Any]:
        """The object, without drkit's own keys."""
        found = self.model_dump(by_alias=True, exclude={"create", "take_over", "own"})
        if self.metadata.namespace is None:
            del found["metadata"]["namespace"]
        return found


class ChartPatch(BaseModel):
    """Values of a chart that k3s deploys itself, such as Traefik: a HelmChartConfig, which outlives upgrades of k3s."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chart: str = Field(pattern=_NAME)
    """The HelmChart's name."""
    namespace: str = Field(default="kube-system", pattern=_NAME)
    """The HelmChart's."""
    values: dict[str, JsonValue] = Field(min_length=1)
    take_over: bool = False


def _shape(value: Any) -> str:
    is_chart = "chart" in value if isinstance(value, dict) else isinstance(value, ChartPatch)
    return _CHART if is_chart else _OBJECT


Patch = Annotated[
    Annotated[ObjectPatch, Tag(_OBJECT)] | Annotated[ChartPatch, Tag(_CHART)],
    Discriminator(_shape),
]


def _once_each(patches: list[Patch]) -> list[Patch]:
    """Each object in one patch alone.

    The API server takes away what a field manager applied before and leaves out now: two patches of one object would
    undo each other for ever.
    """
    first: dict[tuple[str, ...], int] = {}
    for number, patch in enumerate(patches):
        one = _about(patch)
        if one in first:
            raise ValueError(f"expected one patch for each object; {first[one]} and {number} are of the same")
        first[one] = number
    return patches


def _about(patch: ObjectPatch | ChartPatch) -> tuple[str, ...]:
    if isinstance(patch, ChartPatch):
        return "helm.cattle.io", "HelmChartConfig", patch.namespace, patch.chart
    group = patch.api_version.rpartition("/")[0]
    return group, patch.kind, patch.metadata.namespace or "", patch.metadata.name


Patches = Annotated[list[Patch], AfterValidator(_once_each)]
