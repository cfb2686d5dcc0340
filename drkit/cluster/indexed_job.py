"""The Indexed Job whose pod drkit runs in: when it was made, and which of its pods have come to an end.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#backoff-limit-per-index: ``completedIndexes`` and
``failedIndexes`` of its status are numbers and ranges of them, such as ``0-2,5``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from drkit import process
from drkit.clock import from_text
from drkit.errors import ConfigurationError
from drkit.points import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drkit.cluster.kube import Api, Object

NAMESPACE, NAME = "DRKIT_JOB_NAMESPACE", "DRKIT_JOB_NAME"
"""The environment variables that say which Job it is."""
_LOOK_SECONDS: Final = 3.0


def asked(api: Api, environment: Mapping[str, str] = os.environ) -> Object:
    """The Job as it is now.

    Raises:
        ConfigurationError: this is no pod of one.
        KubeRefused: it may not be got.
    """
    namespace, name = environment.get(NAMESPACE, ""), environment.get(NAME, "")
    if not namespace or not name:
        raise ConfigurationError(
            f"sealing: {NAMESPACE} and {NAME} do not name a Job", "it is for the pods that `cronjobs render` makes"
        )
    return api.get(f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs/{quote(name, safe='')}")


def point(job: Object) -> str:
    """The id of the recovery point that all of its pods make together. Pure."""
    metadata = job["metadata"]
    return names.shared_point(from_text(metadata["creationTimestamp"]), str(metadata["uid"]))


def others_are_done(job: Object, own: int) -> bool:
    """Whether each pod but the one of index ``own`` has ended, well or for good. Pure."""
    status = job.get("status") or {}
    ended = indexes(str(status.get("completedIndexes") or "")) | indexes(str(status.get("failedIndexes") or ""))
    return set(range(int(job["spec"]["completions"]))) - {own} <= ended


def indexes(text: str) -> set[int]:
    """The numbers that a text such as ``0-2,5`` means. Pure."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def wait_for_others(ask: Callable[[], Object], pause: Callable[[float], None] = process.pause) -> Object:
    """Wait until the pods of all indexes but the last one, which is this one, have ended; the Job as it is then.

    Raises:
        DrkitError: as ``ask`` does.
    """
    while not others_are_done(job := ask(), int(job["spec"]["completions"]) - 1):
        pause(_LOOK_SECONDS)
    return job
