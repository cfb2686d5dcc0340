"""Whether the declared patches that were in a cluster before a drill are there after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from drkit import process
from drkit.drill.record import PATCHES_SEEN, Event
from drkit.drill.values import PATCHES_KEPT
from drkit.errors import DrkitError
from drkit.posture import harden

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.cluster.kube import Api
    from drkit.config.patches import ChartPatch, ObjectPatch
    from drkit.drill.record import Recorder
    from drkit.drill.values import Drill
    from drkit.posture.drift import Found

_PATIENCE: Final = 20.0
"""Seconds. k3s looks at its manifests every 15 s (pkg/deploy/controller.go): what it undoes, it has undone by then."""
_PAUSE: Final = 1.0
_SHOWN: Final = 3


class Patched:
    """The patches of one drill.

    Args:
        api: the cluster's.
        patches: as ``drkit.yaml`` declares them.
        drill: nothing is asked where it does not demand that they are kept.
    """

    def __init__(self, api: Api, patches: Sequence[ObjectPatch | ChartPatch], drill: Drill) -> None:
        self._api, self._patches = api, patches
        self._demanded = PATCHES_KEPT in drill.hold

    def before(self) -> Mapping[int, str]:
        """The objects of the patches that are in the cluster now, by the patches' places.

        Raises:
            DrkitError: they cannot be tried.
        """
        found = harden.look(self._api, self._patches) if self._demanded else ()
        return {each.number: each.what for each in found if each.is_right}

    def after(self, recorder: Recorder, before: Mapping[int, str]) -> Iterator[Event]:
        """What a record says of them at the end of the drill; nothing where nobody asked."""
        if self._demanded:
            more = {"before": str(len(before)), "declared": str(len(self._patches))}
            try:
                more["lost"] = "; ".join(map(_said, self._lost(before)))
            except DrkitError as error:
                more["said"] = error.message
            yield Event(recorder.at(), PATCHES_SEEN, "patches", {key: value for key, value in more.items() if value})

    def _lost(self, before: Mapping[int, str]) -> list[Found]:
        """Those that are lost, or will be within ``_PATIENCE``."""
        until = time.monotonic() + _PATIENCE
        while True:
            found = harden.look(self._api, self._patches) if before else ()
            lost = [each for each in found if each.number in before and not each.is_right]
            if lost or not before or time.monotonic() > until:
                return lost
            process.pause(_PAUSE)


def _said(found: Found) -> str:
    shown = ", ".join(found.fields[:_SHOWN])
    more = f" and {len(found.fields) - _SHOWN} more" if len(found.fields) > _SHOWN else ""
    return f"{found.what} ({shown}{more})" if shown else f"{found.what} ({found.why or found.state})"
