"""Which images the objects of a restore need, and with which pull secrets. Pure.

Templates of pods are found wherever an object holds containers, in built-in kinds and in custom resources alike. Custom
resources whose operator makes the pods name images in fields of their own, such as CloudNativePG's ``imageName``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drkit.restore.images import keyring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object, Resource
    from drkit.manifests.order import Found
    from drkit.restore.images.keyring import Login

NEVER: Final = "Never"
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_IMAGE_FIELDS: Final = frozenset({"image", "imageName"})
_PODS: Final = frozenset(
    {
        *(("", kind) for kind in ("pods", "podtemplates", "replicationcontrollers")),
        *(("apps", kind) for kind in ("daemonsets", "deployments", "replicasets", "statefulsets")),
        *(("batch", kind) for kind in ("cronjobs", "jobs")),
    }
)
_DEFAULT_ACCOUNT: Final = "default"


@dataclass(frozen=True)
class Wanted:
    """An image that a workload needs."""

    image: str
    """As the workload spells it."""
    used_by: str
    """Such as ``Deployment docfast/web``."""
    policy: str = ""
    """``Never``, ``Always``, ``IfNotPresent``, or nothing."""
    logins: tuple[Login, ...] = ()
    runs: bool = False
    """Whether pods are started with it: not known of the fields of custom resources, which may mean other things."""


@dataclass
class _Seen:
    """What has to be put together when all objects were seen."""

    uses: list[tuple[str, str, str, _Pod, bool]] = field(default_factory=list)
    accounts: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], tuple[Login, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pod:
    """What a template says of all of its images."""

    namespace: str
    secrets: tuple[str, ...]
    account: str


def wanted(found: Iterable[Found]) -> tuple[Wanted, ...]:
    """The images of all workloads, each once for each workload.

    Args:
        found: all objects of a restore; gone through once.
    """
    seen = _Seen()
    for kind, obj in found:
        namespace = str(_mapping(obj.get("metadata")).get("namespace") or "")
        name = str(_mapping(obj.get("metadata")).get("name"))
        if (kind.group, kind.plural) == ("", "serviceaccounts"):
            seen.accounts[namespace, name] = _names(obj.get("imagePullSecrets"))
        elif (kind.group, kind.plural) == ("", "secrets"):
            logins = keyring.logins(obj)
            if logins:
                seen.secrets[namespace, name] = logins
        elif (kind.group, kind.plural) in _PODS or _is_custom(kind):
            used_by = f"{kind.kind} {namespace}/{name}" if namespace else f"{kind.kind} {name}"
            runs = not _is_custom(kind) and _starts_pods(_mapping(obj.get("spec")))
            for image, policy, pod in _images(obj, namespace):
                seen.uses.append((image, policy, used_by, pod, runs))
    every = (
        Wanted(image, used_by, policy, _logins(seen, pod), runs) for image, policy, used_by, pod, runs in seen.uses
    )
    return tuple(dict.fromkeys(every))


def _is_custom(kind: Resource) -> bool:
    """Whether a kind is a custom resource's: built-in groups have no dot, or end with Kubernetes' own domain."""
    return "." in kind.group and not kind.group.endswith(".k8s.io")


def _starts_pods(spec: Mapping[str, Any]) -> bool:
    """Whether a workload is neither scaled to nothing nor suspended."""
    return spec.get("replicas") != 0 and spec.get("suspend") is not True


def _logins(seen: _Seen, pod: _Pod) -> tuple[Login, ...]:
    """A pod's own pull secrets; those of its service account where it names none, as the API server adds them."""
    names = pod.secrets or seen.accounts.get((pod.namespace, pod.account), ())
    return tuple(login for name in names for login in seen.secrets.get((pod.namespace, name), ()))


def _images(obj: Object, namespace: str) -> Iterator[tuple[str, str, _Pod]]:
    """Each image with its pull policy and the template that it is in."""
    own = _Pod(namespace, (), _DEFAULT_ACCOUNT)
    for key, value in obj.items():
        if key not in {"metadata", "status"}:
            yield from _below(value, own)


def _below(value: Any, pod: _Pod) -> Iterator[tuple[str, str, _Pod]]:
    if isinstance(value, list):
        for each in value:
            yield from _below(each, pod)
    elif isinstance(value, dict):
        inner = _pod(value, pod)
        policy = str(value.get("imagePullPolicy") or "")
        for key, each in value.items():
            if key in _IMAGE_FIELDS and isinstance(each, str) and each.strip():
                yield each, policy, inner
            else:
                yield from _below(each, inner)


def _pod(value: Mapping[str, Any], outer: _Pod) -> _Pod:
    """What holds from here on inwards: a mapping that has containers, or names pull secrets, says it."""
    secrets = _names(value.get("imagePullSecrets"))
    is_template = any(isinstance(value.get(key), list) for key in _CONTAINERS)
    if not secrets and not is_template:
        return outer
    account = value.get("serviceAccountName")
    return _Pod(outer.namespace, secrets, account if isinstance(account, str) and account else _DEFAULT_ACCOUNT)


def _names(value: Any) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else []
    return tuple(str(each["name"]) for each in entries if isinstance(each, dict) and each.get("name"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
