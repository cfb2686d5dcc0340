"""The images that the sealed workloads need, asked for before anything is made.

What a registry says that it does not have refuses the restore, which would end with pods that never start. What cannot
be told from here, or may be for nobody, is said and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.restore.images import mirrors, wanted
from drkit.restore.images.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from drkit.observe.progress import Reporter
    from drkit.restore.etcd.values import File
    from drkit.restore.images.resolve import Finding
    from drkit.restore.objects.gather import Gathered

_ARCHITECTURE = "kubernetes.io/arch"
_SHOWN = 5


def see(
    sealed: Gathered, topology: Mapping[str, Any], files: Mapping[str, File], reporter: Reporter, *, accepted: bool
) -> None:
    """Say with which images pods would not start, or may not.

    New machines are of the old ones' architectures: a provider's alternatives never change them.

    Args:
        sealed: the objects.
        topology: the document of the source ``topology``, which says the old nodes' architectures.
        files: the first server's, of which ``registries.yaml`` says where images are asked for.
        reporter: told.
        accepted: the user does without those that cannot be had.

    Raises:
        PreflightFailed: a registry does not have an image that is needed, and that was not accepted.
        ConfigurationError: ``registries.yaml`` is none.
    """
    nodes = topology.get("nodes") or ()
    architectures = {each["labels"][_ARCHITECTURE] for each in nodes if _ARCHITECTURE in each["labels"]}
    if not architectures:
        return
    told = mirrors.parse(files[mirrors.PATH].content) if mirrors.PATH in files else mirrors.Mirrors()
    found = [each for each in resolve(wanted.wanted(sealed.objects()), architectures, told) if each.is_problem]
    for each in found:
        if accepted or not each.stops:
            reporter.warn(_said(each))
    stops = [_said(each) for each in found if each.stops]
    if stops and not accepted:
        raise PreflightFailed(
            "\n".join([*stops, "nothing was touched"]),
            "put them into their registries again; or do without what needs them: --accept-incomplete",
        )


def _said(finding: Finding) -> str:
    more = f" and {len(finding.used_by) - _SHOWN} more" if len(finding.used_by) > _SHOWN else ""
    return f"the image {finding.image} of {', '.join(finding.used_by[:_SHOWN])}{more}: {finding.why}"
