"""The CronJob of each component and its storage, as they are before a configuration is known. Pure.

The fields are Kubernetes' own: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/ and
the restricted Pod Security Standard.
"""

from __future__ import annotations

from typing import Any, Final

from drkit.cronjobs.jobs import COMPONENTS, DRILLS, EVERYTHING
from drkit.cronjobs.settings import SECRETS, SETTINGS

IMAGE: Final = "drkit"
"""As the base calls it; an overlay says which one that is."""
USER: Final = 10001
"""The image's user: OpenSSH runs for nobody who is not in its list of users."""
STATE, CACHE, TEMPORARY, CONTAINER = "/var/lib/drkit", "/var/cache/drkit", "/tmp", "drkit"  # noqa: S108 - a pod's own
_LATE_SECONDS: Final = 3 * 3600
"""A run that could not begin in time begins once within this, and after that with the next one."""
_LEAVE_SECONDS: Final = 60
_FINAL: Final = (2, 3, 4, 12, 13, 16, 20, 21, 22)
"""Exit codes that another attempt would not change: settings, keys, what was sealed in part, what a drill found."""
_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_AT_ONCE: Final = 5
"""A Storage Box takes about ten connections."""
INDEX: Final = "JOB_COMPLETION_INDEX"


APPLICATION: Final = {"app.kubernetes.io/name": "drkit"}
"""On everything of drkit's own."""


def labels(component: str) -> dict[str, str]:
    """What all objects of a component carry."""
    return {**APPLICATION, "app.kubernetes.io/component": component}


def metadata(component: str, **more: Any) -> dict[str, Any]:
    """Of an object with the component's own name."""
    return {"name": f"drkit-{component}", "labels": labels(component)} | more


def cron_job(component: str) -> dict[str, Any]:
    """The CronJob, suspended until an overlay says when."""
    assert component in COMPONENTS  # noqa: S101 - callers go through that list
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(component),
        "spec": {
            "schedule": "0 3 * * *",
            "timeZone": "UTC",
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _LATE_SECONDS,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 5,
            "jobTemplate": {"spec": _job(component)},
        },
    }


def storage(component: str) -> dict[str, Any]:
    """The claim for Borg's cache and security directory, drkit's records and locks."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(component),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
    }


def _job(component: str) -> dict[str, Any]:
    again = component != DRILLS  # a drill that was cut off is looked at by a person before the next one
    return {
        "backoffLimit": 2 if again else 0,
        "activeDeadlineSeconds": 5 * 3600,
        "ttlSecondsAfterFinished": 7 * 86400,
        "podFailurePolicy": _failures("FailJob", again=again),
        "template": {"metadata": {"labels": labels(component)}, "spec": _pod(component)},
    }


def indexed(shares: int) -> dict[str, Any]:
    """What makes a Job one of several pods, each with its number; what is null goes from the plain one's.

    The last number is that of the pod which seals what the others stored.
    """
    return {
        "completionMode": "Indexed",
        "completions": shares + 1,
        "parallelism": min(shares, _AT_ONCE) + 1,
        "backoffLimit": None,
        "backoffLimitPerIndex": 2,
        # One share that fails does not end the others.
        "maxFailedIndexes": shares + 1,
        "podFailurePolicy": _failures("FailIndex", again=True),
    }


def _failures(action: str, *, again: bool) -> dict[str, Any]:
    exits = {"containerName": CONTAINER, "operator": "In", "values": [*_FINAL]}
    rules: list[dict[str, Any]] = [
        {"action": action, "onExitCodes": exits},
        # Evicted, preempted, or its node went: that is not the job's fault.
        {"action": "Ignore" if again else action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
    return {"rules": rules}


def _pod(component: str) -> dict[str, Any]:
    """A pod with nothing of the node's, and no right in it that it does not need."""
    name = f"drkit-{component}"
    found: dict[str, Any] = {
        "restartPolicy": "Never",
        "serviceAccountName": name,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _LEAVE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container()],
        "volumes": [
            {"name": "config", "configMap": {"name": name, "defaultMode": 0o444}},
            # Root's, and for the pod's group: OpenSSH takes a key that others could read for none, if it is its user's.
            {"name": "secrets", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "state", "persistentVolumeClaim": {"claimName": name}},
            {"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    if component == EVERYTHING:
        # It has root's key to the servers: a kubelet can read the Secrets of its own pods, and this keeps that one on
        # machines which that key opens anyway.
        found["nodeSelector"] = {_CONTROL_PLANE: "true"}
        found["tolerations"] = [
            {"key": key, "operator": "Exists", "effect": effect}
            for key, effect in ((_CONTROL_PLANE, "NoSchedule"), ("CriticalAddonsOnly", "NoExecute"))
        ]
    return found


def _container() -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [
        {"name": "config", "mountPath": SETTINGS, "readOnly": True},
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "state", "mountPath": STATE},
        {"name": "cache", "mountPath": CACHE},
        {"name": "tmp", "mountPath": TEMPORARY},
    ]
    return {
        "name": CONTAINER,
        "image": IMAGE,
        "args": ["--help"],
        "env": [
            {"name": "HOME", "value": STATE},
            {"name": "XDG_STATE_HOME", "value": STATE},
            {"name": "XDG_CACHE_HOME", "value": CACHE},
            {"name": "TMPDIR", "value": TEMPORARY},
            {"name": "NO_COLOR", "value": "1"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
