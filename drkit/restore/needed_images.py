"""The images that the sealed workloads need, asked for before anything is made; what cannot be had is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.restore.images import mirrors, wanted
from drkit.restore.images.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from drkit.restore.etcd.values import File
    from drkit.restore.sealed_objects import SealedObjects

_ARCHITECTURE = "kubernetes.io/arch"
_SHOWN = 5


def missing(sealed: SealedObjects, topology: Mapping[str, Any], files: Mapping[str, File]) -> Iterator[str]:
    """A sentence for each image with which pods would not start.

    New machines are of the old ones' architectures: a provider's alternatives never change them.

    Args:
        sealed: the objects.
        topology: the document of the source ``topology``, which says the old nodes' architectures.
        files: the first server's, of which ``registries.yaml`` says where images are asked for.

    Raises:
        ConfigurationError: that file is none.
    """
    nodes = topology.get("nodes") or ()
    architectures = {each["labels"][_ARCHITECTURE] for each in nodes if _ARCHITECTURE in each["labels"]}
    if not architectures:
        return
    told = mirrors.parse(files[mirrors.PATH].content) if mirrors.PATH in files else mirrors.Mirrors()
    for each in resolve(wanted.wanted(sealed.gathered().objects()), architectures, told):
        if each.is_problem:
            more = f" and {len(each.used_by) - _SHOWN} more" if len(each.used_by) > _SHOWN else ""
            yield f"the image {each.image} of {', '.join(each.used_by[:_SHOWN])}{more}: {each.why}"
