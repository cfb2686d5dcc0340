"""Parts of a cluster that are not the real ones: what is measured there neither proves nor refutes a claim. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import fields
from drkit.drill import whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.kube import Object

_WORD = "stand-in"


def stand_ins(found: Mapping[str, Sequence[Object]]) -> tuple[str, ...]:
    """Those that say so, by the name or a label of whoever runs them.

    Args:
        found: the cluster's objects by kind, as ``drkit.drill.look.objects`` gives them.
    """
    kinds = (whole.DEPLOYMENT, whole.STATEFUL_SET, whole.DAEMON_SET)
    return tuple(sorted({_named(each) for kind in kinds for each in found.get(kind, ()) if _says_so(each)}))


def _named(thing: Object) -> str:
    return f"{fields.text(thing, 'metadata', 'namespace')}/{fields.text(thing, 'metadata', 'name')}"


def _says_so(thing: Object) -> bool:
    labels = fields.strings(thing, "metadata", "labels")
    return any(_WORD in word for word in (fields.text(thing, "metadata", "name"), *labels.values()))
