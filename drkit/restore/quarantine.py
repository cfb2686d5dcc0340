"""What of a cluster's objects is let into a rehearsal, which runs beside the living cluster. Pure.

A rehearsal must not do what only one cluster may: run jobs on a schedule, ask for certificates in the living one's
name (ACME has limits for each domain, and answers to whoever has the address), or write into its backups. So CronJobs
come suspended and stay so; what asks an ACME server stays out; and so do the Secrets of drkit's own jobs, among which
are the vault's key and passphrase, and what CloudNativePG archives to.
"""

from __future__ import annotations

import copy
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.clock import from_text
from drkit.cronjobs.pods import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from drkit.cluster.kube import Object

RESTORE: Final = "drkit.dev/rehearsal"
"""On a namespace that a rehearsal made: the restore's id. What carries it is removed when its time is over."""
EXPIRES: Final = "drkit.dev/expires"
"""Beside it: when that is, as seconds since 1970 in UTC; a label's value has no room for colons."""

_ISSUERS: Final = frozenset({"Issuer", "ClusterIssuer"})
_ACME_GROUP: Final = "acme.cert-manager.io"
_CNPG: Final = "postgresql.cnpg.io"
_HELM: Final = "helm.cattle.io"
_RESOLVER: Final = re.compile(r"--certificatesresolvers\.", re.IGNORECASE)
"""Where Traefik's static configuration names who gives certificates (Traefik, "Certificate Resolvers", CLI)."""
_RESOLVERS: Final = frozenset({"certificatesresolvers", "certresolvers"})
"""The same in the values of its chart, in lower case."""
_WITH_PODS: Final = frozenset({"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Pod", "Job"})
_ARCHIVES: Final = ("backup", "plugins")
"""Of a Cluster: where CloudNativePG writes its own backups and write-ahead log."""

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class Quarantine:
    """It, for one rehearsal.

    Attributes:
        secrets: those that stay out.
    """

    secrets: frozenset[Name] = frozenset()

    def __call__(self, obj: Object) -> Object | None:
        """The object as it comes into a rehearsal; nothing where it stays out. What is given is not changed."""
        group, kind = str(obj.get("apiVersion", "")).rpartition("/")[0], obj.get("kind")
        if self._stays_out(group, kind, obj):
            return None
        if group == "batch" and kind == "CronJob":
            return _with_spec(obj, {**_spec(obj), "suspend": True})
        if group == _CNPG and kind == "Cluster":
            return _with_spec(obj, {key: value for key, value in _spec(obj).items() if key not in _ARCHIVES})
        if group == _HELM:
            return _without_resolvers(obj)
        return _without_arguments(obj) if kind in _WITH_PODS else obj

    def _stays_out(self, group: str, kind: Any, obj: Object) -> bool:
        match group:
            case "":
                return kind == "Secret" and _name(obj) in self.secrets
            case "cert-manager.io":
                return kind in _ISSUERS and "acme" in _spec(obj)
            case "postgresql.cnpg.io":
                return kind in {"ScheduledBackup", "Backup"}
            case _:
                return group == _ACME_GROUP


def backup_secrets(objects: Iterable[Object]) -> frozenset[Name]:
    """The Secrets that drkit's own jobs use, wherever they are mounted or read."""
    found = set()
    for obj in objects:
        labels = (obj.get("metadata") or {}).get("labels") or {}
        if obj.get("kind") in {"CronJob", "Job"} and APPLICATION.items() <= labels.items():
            found |= {(_name(obj)[0], name) for name in _secrets_in(_spec(obj))}
    return frozenset(found)


def _secrets_in(value: Any) -> Iterator[str]:
    """Names of Secrets anywhere in a pod's spec (Kubernetes, core/v1: volumes, ``projected``, ``env``, ``envFrom``)."""
    if isinstance(value, dict):
        if isinstance(value.get("secretName"), str):
            yield value["secretName"]
        for key in ("secret", "secretRef", "secretKeyRef"):
            below = value.get(key)
            if isinstance(below, dict) and isinstance(below.get("name"), str):
                yield below["name"]
        for below in value.values():
            yield from _secrets_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from _secrets_in(below)


def labels(restore: str, expires: datetime) -> dict[str, str]:
    """What a namespace of a rehearsal carries."""
    return {RESTORE: restore, EXPIRES: f"{expires.timestamp():.0f}"}


def outlived(namespaces: Iterable[Object], now: datetime) -> tuple[Object, ...]:
    """Of these namespaces those of rehearsals whose time is over, and that are not on their way out already."""
    return tuple(each for each in namespaces if _is_over(each, now))


def _is_over(namespace: Object, now: datetime) -> bool:
    metadata = namespace["metadata"]
    said = metadata.get("labels") or {}
    until = said.get(EXPIRES, "")
    known = bool(said.get(RESTORE)) and until.isascii() and until.isdigit()
    return known and int(until) <= now.timestamp() and "deletionTimestamp" not in metadata


def expiry(details: Mapping[str, Any]) -> datetime | None:
    """When what a step makes is over, as its details say; nothing where it is no rehearsal."""
    text = details.get("expires")
    return from_text(text) if text else None


def _name(obj: Object) -> Name:
    metadata = obj.get("metadata") or {}
    return metadata.get("namespace", ""), metadata.get("name", "")


def _spec(obj: Object) -> Object:
    found = obj.get("spec")
    return found if isinstance(found, dict) else {}


def _with_spec(obj: Object, spec: Object) -> Object:
    return {**obj, "spec": spec}


def _without_arguments(obj: Object) -> Object:
    """Pods whose containers name no certificate resolver."""
    changed = copy.deepcopy(obj)
    template = changed if obj["kind"] == "Pod" else _spec(changed).get("template") or {}
    spec = _spec(template)
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for key in ("args", "command"):
            if isinstance(container.get(key), list):
                container[key] = [each for each in container[key] if not _RESOLVER.match(str(each))]
    return changed


def _without_resolvers(obj: Object) -> Object | None:
    """A chart's values without certificate resolvers; nothing where they cannot be read: they might have some."""
    spec = dict(_spec(obj))
    text = spec.get("valuesContent")
    if isinstance(text, str):
        loader = YAML(typ="rt", pure=True)
        try:
            values = bounded_yaml.load(text, loader)
        except YAMLError:
            return None
        if _clean(values):
            out = io.StringIO()
            loader.dump(values, out)
            spec["valuesContent"] = out.getvalue()
    given = spec.get("set")
    if isinstance(given, dict):
        spec["set"] = {key: value for key, value in given.items() if not _names_resolver(key, value)}
    return _with_spec(obj, spec)


def _names_resolver(key: Any, value: Any) -> bool:
    head = re.split(r"[.\[]", str(key), maxsplit=1)[0].lower()
    return head in _RESOLVERS or _RESOLVER.match(str(value)) is not None


def _clean(values: Any) -> bool:
    """Take resolvers out of values, and say whether there were any."""
    if not isinstance(values, dict):
        return False
    there = [key for key in values if str(key).lower() in _RESOLVERS]
    for key in there:
        del values[key]
    for key in ("additionalArguments", "globalArguments"):
        listed = values.get(key)
        if isinstance(listed, list):
            kept = [each for each in listed if not _RESOLVER.match(str(each))]
            there += [key] if len(kept) < len(listed) else []
            values[key] = kept
    return bool(there)
