"""The operator's pod."""

from __future__ import annotations

import os
import time

from . import SAID, log
from .election import Election
from .kube import ApiError, Kube
from .reconcile import Reconciler

_LOOK_SECONDS = 1.5


def main() -> None:
    """Work for as long as this pod holds the lease."""
    log.say(SAID)
    kube = Kube()
    election = Election(kube, os.environ["POD_NAMESPACE"], os.environ["POD_NAME"])
    reconciler = Reconciler(kube, os.environ["OPERATOR_IMAGE_NAME"])
    leading = False
    while True:
        won = election.won()
        if won != leading:
            log.say("holds the lease: it works" if won else "does not hold the lease any more: it waits")
            leading = won
        if won:
            try:
                reconciler.all()
            except ApiError as problem:
                log.say(str(problem))
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    main()
