"""Which workloads use a database of CloudNativePG: by its secrets, or by the names of its services. Pure.

A service's name alone means one in the workload's own namespace; with its namespace behind it, it means that one from
everywhere (Kubernetes, "DNS for Services and Pods"). Names are looked for in a pod's environment, arguments, and the
config maps and secrets that it refers to.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.restore.holds import Identity, identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object

Name = tuple[str, str]
"""A namespace and a name in it."""
_SERVICES = ("-rw", "-ro", "-r")
_SECRETS = ("-app", "-superuser", "-replication", "-ca", "-server")


@dataclass(frozen=True)
class Databases:
    """What shows that somebody uses a database.

    Args:
        services: those that lead to one.
        secrets: those that hold its passwords and certificates.
        hosts: other names and addresses that lead to one.
    """

    services: frozenset[Name]
    secrets: frozenset[Name]
    hosts: frozenset[str] = frozenset()


def databases(
    clusters: Iterable[Object], poolers: Iterable[Object], secrets: Iterable[Object], hosts: Iterable[str] = ()
) -> Databases:
    """What shows the use of these clusters (``postgresql.cnpg.io/v1``: Cluster, Pooler).

    Args:
        clusters: the Cluster objects.
        poolers: the Pooler objects.
        secrets: all secrets: those that a cluster owns are its own, whatever their names.
        hosts: names and addresses of databases that are no clusters of CloudNativePG.
    """
    services, held = set[Name](), set[Name]()
    owners = set[Name]()
    for cluster in clusters:
        namespace, name = _name(cluster)
        owners.add((namespace, name))
        services |= {(namespace, name + suffix) for suffix in _SERVICES}
        services |= {(namespace, each) for each in _managed_services(cluster)}
        held |= {(namespace, name + suffix) for suffix in _SECRETS}
        held |= {(namespace, each) for each in _named_secrets(cluster.get("spec") or {})}
    for secret in secrets:
        namespace, name = _name(secret)
        references = secret["metadata"].get("ownerReferences") or []
        if any(each.get("kind") == "Cluster" and (namespace, each.get("name")) in owners for each in references):
            held.add((namespace, name))
    services |= {_name(pooler) for pooler in poolers}
    return Databases(frozenset(services), frozenset(held), frozenset(hosts))


def _name(obj: Object) -> Name:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _managed_services(cluster: Object) -> Iterator[str]:
    services = ((cluster.get("spec") or {}).get("managed") or {}).get("services") or {}
    for each in services.get("additional") or []:
        name = ((each.get("serviceTemplate") or {}).get("metadata") or {}).get("name")
        if name:
            yield name


def _named_secrets(spec: Mapping[str, Any]) -> Iterator[str]:
    """The secrets that a Cluster's spec names for its users."""
    bootstrap = spec.get("bootstrap") or {}
    places = [spec.get("superuserSecret"), *((bootstrap.get(each) or {}).get("secret") for each in bootstrap)]
    places += [each.get("passwordSecret") for each in (spec.get("managed") or {}).get("roles") or []]
    for place in places:
        if isinstance(place, dict) and place.get("name"):
            yield place["name"]


def users(
    workloads: Iterable[Object], found: Databases, config_maps: Iterable[Object], secrets: Iterable[Object]
) -> set[Identity]:
    """Which of these workloads use one of the databases.

    Args:
        workloads: objects with a pod template, or CronJobs.
        found: what shows it.
        config_maps: all of them.
        secrets: all of them.
    """
    texts = {("configMap", *_name(each)): "\n".join(_config_map_texts(each)) for each in config_maps}
    texts |= {("secret", *_name(each)): "\n".join(_secret_texts(each)) for each in secrets}
    return {identity(each) for each in workloads if _uses(each, found, texts)}


def _config_map_texts(config_map: Object) -> Iterator[str]:
    yield from (str(value) for value in (config_map.get("data") or {}).values())


def _secret_texts(secret: Object) -> Iterator[str]:
    yield from (str(value) for value in (secret.get("stringData") or {}).values())
    for value in (secret.get("data") or {}).values():
        try:
            yield base64.b64decode(value, validate=True).decode(errors="replace")
        except (binascii.Error, TypeError, ValueError):
            continue


def _uses(workload: Object, found: Databases, texts: Mapping[tuple[str, str, str], str]) -> bool:
    namespace = workload["metadata"].get("namespace", "")
    pod = pod_spec(workload)
    referred = set(_references(pod))
    if any(kind == "secret" and (namespace, name) in found.secrets for kind, name in referred):
        return True
    named = _pattern(found, namespace)
    said = [*_words(pod), *(texts.get((kind, namespace, name), "") for kind, name in referred)]
    return named is not None and any(named.search(each) for each in said)


def pod_spec(workload: Object) -> Mapping[str, Any]:
    """The spec of the pods that a workload makes; empty where it says nothing of them."""
    spec = workload.get("spec") or {}
    if workload.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    pod: Mapping[str, Any] = (spec.get("template") or {}).get("spec") or {}
    return pod


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers"):
        yield from pod.get(kind) or []


def _words(pod: Mapping[str, Any]) -> Iterator[str]:
    """What stands in the template itself: environment, programs and arguments."""
    for container in _containers(pod):
        yield from map(str, (*(container.get("command") or []), *(container.get("args") or [])))
        yield from (str(each["value"]) for each in container.get("env") or [] if each.get("value"))


def _references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The config maps and secrets that a pod reads, as kind and name."""
    for container in _containers(pod):
        sources = [each.get("valueFrom") or {} for each in container.get("env") or []]
        for source in (*sources, *(container.get("envFrom") or [])):
            for kind in ("configMap", "secret"):
                reference = source.get(f"{kind}KeyRef") or source.get(f"{kind}Ref") or {}
                if reference.get("name"):
                    yield kind, reference["name"]
    for volume in pod.get("volumes") or []:
        for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
            config_map, secret = source.get("configMap") or {}, source.get("secret") or {}
            if config_map.get("name"):
                yield "configMap", config_map["name"]
            if secret.get("secretName") or secret.get("name"):
                yield "secret", secret.get("secretName") or secret["name"]


def _pattern(found: Databases, namespace: str) -> re.Pattern[str] | None:
    """The names that lead to a database from a namespace, as whole names."""
    names = [
        rf"{re.escape(name)}\.{re.escape(where)}"
        if where != namespace
        else rf"{re.escape(name)}(?:\.{re.escape(where)})?"
        for where, name in sorted(found.services)
    ]
    names += [re.escape(host) for host in sorted(found.hosts)]
    if not names:
        return None
    return re.compile(rf"(?<![A-Za-z0-9_.-])(?:{'|'.join(names)})(?![A-Za-z0-9_-])(?!\.(?!svc\b)[A-Za-z0-9])")
