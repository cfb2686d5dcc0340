"""Whether the API lets drkit do what it needs, asked rule by rule: the rules are those of ``drkit/cluster/rbac*.yaml``.

A SelfSubjectAccessReview is answered and not stored
(https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access), and every account may ask.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

from drkit.checks.result import Look, Seen
from drkit.cluster import cnpg
from drkit.config.model import CnpgDatabase
from drkit.errors import KubeRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Api
    from drkit.config.model import Config

READING, DATABASES, DRILLS = "rbac.yaml", "rbac-databases.yaml", "rbac-drills.yaml"
PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SIDE_BY_SIDE = 8
_SHOWN = 8
_ROLES = ("ClusterRole", "Role")


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a kind of objects, or on a path of the API that is no object.

    Attributes:
        resource: the plural, with the subresource after a slash.
        namespace: empty for all.
        path: of what is no object; the others are empty then.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.verb} {self.path}"
        group = f".{self.group}" if self.group and self.group != "*" else ""
        return f"{self.verb} {self.resource}{group}" + (f" in {self.namespace}" if self.namespace else "")

    def attributes(self) -> dict[str, Any]:
        """What a review asks."""
        if self.path:
            return {"nonResourceAttributes": {"path": self.path, "verb": self.verb}}
        plural, _, part = self.resource.partition("/")
        asked = {"group": self.group, "resource": plural, "subresource": part, "namespace": self.namespace}
        return {"resourceAttributes": {"verb": self.verb, **{key: value for key, value in asked.items() if value}}}


def text(file: str) -> str:
    """One of the files, which ship with drkit."""
    return (resources.files("drkit.cluster") / file).read_text(encoding="utf-8")


def rights(documents: Iterable[Mapping[str, Any]]) -> tuple[Right, ...]:
    """Each right that the roles in these objects give. Pure."""
    found: set[Right] = set()
    for each in documents:
        if each.get("kind") in _ROLES:
            namespace = each["metadata"].get("namespace", "")
            for rule in each["rules"]:
                found.update(_of(rule, namespace))
    return tuple(sorted(found))


def _of(rule: Mapping[str, Any], namespace: str) -> Iterator[Right]:
    for verb in rule["verbs"]:
        yield from (Right(verb, path=path) for path in rule.get("nonResourceURLs", ()))
        for group in rule.get("apiGroups", ()):
            yield from (Right(verb, group, each, namespace) for each in rule.get("resources", ()))


def read(file: str) -> tuple[Right, ...]:
    """The rights that a file gives."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and only needed with a cluster

    return rights(YAML(typ="safe", pure=True).load_all(text(file)))


def lacking(api: Api, wanted: Iterable[Right]) -> list[Right]:
    """Those that this user does not have.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let one ask.
    """
    listed = list(wanted)
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "rights") as pool:
        allowed = list(pool.map(partial(_allowed, api), listed))
    return [each for each, may in zip(listed, allowed, strict=True) if not may]


def _allowed(api: Api, right: Right) -> bool:
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": right.attributes()}
    answer = api.create(PATH, review)
    return (answer.get("status") or {}).get("allowed") is True


def looks(config: Config, api: Api) -> list[Look]:
    """What to try: to read everything; to read databases where there are some; to drill where that is allowed."""
    return [
        Look("rights to read the cluster", partial(_see, api, READING)),
        Look("rights to read its databases", partial(_see_databases, config, api)),
        Look("rights to drill", partial(_see_drills, config, api)),
    ]


def _see(api: Api, file: str) -> Seen:
    wanted = read(file)
    missing = lacking(api, wanted)
    if missing:
        shown = ", ".join(map(str, missing[:_SHOWN])) + (f" and {len(missing) - _SHOWN} more" * (len(missing) > _SHOWN))
        raise KubeRefused(
            403,
            f"the user of cluster.kubeconfig may not: {shown}",
            f"an administrator gives it the rights: kubectl apply -f drkit/cluster/{file}",
        )
    return Seen(f"all {len(wanted)} of drkit/cluster/{file}")


def _see_databases(config: Config, api: Api) -> Seen:
    if not any(isinstance(each, CnpgDatabase) for each in config.databases) and not cnpg.clusters(api):
        return Seen("there is no CloudNativePG cluster", skipped=True)
    return _see(api, DATABASES)


def _see_drills(config: Config, api: Api) -> Seen:
    if not config.drills.allow and config.drills.provider != "lab":
        return Seen("no scenario is allowed (drills: allow)", skipped=True)
    return _see(api, DRILLS)
