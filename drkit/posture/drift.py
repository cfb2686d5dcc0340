"""What of the declared patches a cluster has lost: compared with what server-side apply would make of it. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.manifests.diff import compare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object, Resource
    from drkit.manifests.diff import ObjectChange

_CLUSTERS_OWN: Final = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})
"""Of ``metadata``: what the API server writes, and nobody declares."""

_VALUES: Final = "valuesContent"
"""Where k3s's HelmChart and HelmChartConfig have YAML as text."""

KEPT, DRIFTED, APPLIED, CONFLICT, REFUSED, FORBIDDEN = (
    "kept",
    "drifted",
    "applied",
    "conflict",
    "refused",
    "forbidden",
)


@dataclass(frozen=True)
class Found:
    """What became of a patch, or would.

    Attributes:
        number: its place under ``patches``, from 0.
        what: its object: ``Deployment kube-system/coredns``.
        state: ``kept`` (nothing to do), ``drifted`` (to be applied), ``applied``, ``conflict`` (others have set its
            fields, and ``take_over`` is not declared), ``refused``, or ``forbidden`` (this account may not even try).
        change: the difference; None where there is none, or none is known.
        owners: who had set fields otherwise: ``kubectl: .spec.replicas``.
        why: why it is refused.
        note: what undoes it, as far as that is to be seen.
    """

    number: int
    what: str
    state: str
    change: ObjectChange | None = None
    owners: str = ""
    why: str = ""
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the cluster has what was declared."""
        return self.state in {KEPT, APPLIED}

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths of the fields that differ; none where the whole object lacks."""
        return tuple(each.path for each in self.change.fields) if self.change else ()

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "patch": self.number,
            "object": self.what,
            "state": self.state,
            "change": self.change.as_json() if self.change else None,
            "owners": self.owners,
            "why": self.why,
            "note": self.note,
        }


def drift(kind: Resource, live: Object | None, wished: Object) -> ObjectChange | None:
    """What applying a patch would change in an object.

    Args:
        kind: the object's.
        live: as it is; None where it is not there.
        wished: as a dry-run of server-side apply says that it would be, defaults and all.
    """
    before = [] if live is None else [(kind, _declarable(live))]
    return next(iter(compare(before, [(kind, _declarable(wished))])), None)


def undone_by(live: Object) -> str:
    """Who makes an object out of another one, and so takes a patch away again; empty where nobody is known to."""
    metadata = live.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            return f"{owner.get('kind')} {owner.get('name')} makes this object: patch that one, or it undoes this"
    release = (metadata.get("annotations") or {}).get("meta.helm.sh/release-name")
    if release:
        return f"the chart {release} sets it again when it is upgraded: if k3s deploys it, declare {{chart: {release}}}"
    return ""


def drifted(found: Iterable[Found]) -> tuple[Found, ...]:
    """Those that the cluster does not have as declared."""
    return tuple(each for each in found if not each.is_right)


def _declarable(obj: Object) -> Object:
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    kept = {name: value for name, value in metadata.items() if name not in _CLUSTERS_OWN}
    found = {**{name: value for name, value in obj.items() if name != "status"}, "metadata": kept}
    spec = found.get("spec")
    if isinstance(spec, dict) and isinstance(spec.get(_VALUES), str):
        found["spec"] = {**spec, _VALUES: _values(spec[_VALUES])}
    return found


def _values(text: str) -> Any:
    """A chart's values field by field: what changed is to be told, and what is named a secret among it is not."""
    try:
        return json.loads(json.dumps(bounded_yaml.load(text, YAML(typ="safe", pure=True)), default=str))
    except (YAMLError, TypeError, ValueError, RecursionError):
        return f"no YAML, {hashlib.sha256(text.encode()).hexdigest()[:16]}"
