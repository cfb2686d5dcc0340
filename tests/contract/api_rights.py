"""What a request to an API asks a right for, and whether a set of rights gives it, as Kubernetes has it.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from drkit.checks.rights import Right

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?"
)
_NAMESPACE = re.compile(r"/api/v1/namespaces(?:/(?P<name>[^/]+))?")
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}


def asked(method: str, target: str) -> Right:
    """The right that a request needs."""
    path, _, query = target.partition("?")
    namespace = _NAMESPACE.fullmatch(path)
    match = _PATH.fullmatch(path)
    if namespace is None and match is None:
        return Right(method.lower(), path=path)
    name = namespace["name"] if namespace else (match and match["name"])
    watches = "watch=true" in query or "watch=1" in query
    verb = _VERBS.get(method) or ("watch" if watches else "get" if name else "list")
    if namespace or match is None:
        return Right(verb, "", "namespaces")
    part = f"/{match['part']}" if match["part"] else ""
    return Right(verb, match["group"] or "", match["plural"] + part, match["namespace"] or "")


def reviewed(spec: dict[str, Any]) -> Right:
    """The right that a SelfSubjectAccessReview asks for."""
    other = spec.get("nonResourceAttributes")
    if other is not None:
        return Right(other["verb"], path=other["path"])
    found = spec["resourceAttributes"]
    part = f"/{found['subresource']}" if found.get("subresource") else ""
    return Right(found["verb"], found.get("group", ""), found["resource"] + part, found.get("namespace", ""))


def covers(granted: Iterable[Right], wanted: Right) -> bool:
    """Whether one of these rights is the wanted one, or more."""
    return any(_covers(each, wanted) for each in granted)


def _covers(each: Right, wanted: Right) -> bool:
    if each.verb not in {"*", wanted.verb}:
        return False
    if each.path or wanted.path:
        star = each.path.endswith("*") and wanted.path.startswith(each.path[:-1])
        return bool(each.path and wanted.path) and (star or each.path == wanted.path)
    group, plural = each.group in {"*", wanted.group}, each.resource in {"*", wanted.resource}
    return group and plural and each.namespace in {"", wanted.namespace}
