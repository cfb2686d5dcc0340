"""The declared patches (``patches``), put back into a cluster that a restore has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import RestoreFailed
from drkit.posture import harden
from drkit.posture.drift import drifted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api
    from drkit.config.patches import ChartPatch, ObjectPatch


def apply_patches(api: Api, patches: Iterable[ObjectPatch | ChartPatch]) -> list[str]:
    """Apply them all, and say to which objects. Comes to the same when it is done again.

    Others' fields are taken over: in a cluster that has just been made, nobody but drkit and k3s has set any.

    Raises:
        ConfigurationError: one of them is of a kind that the cluster does not serve.
        RestoreFailed: the API refuses one, or the object is not there.
    """
    done = harden.apply(api, patches, take_over=True)
    for each in drifted(done):
        raise RestoreFailed(f"patches[{each.number}]: {each.what}: {each.why}")
    return [each.what for each in done]
