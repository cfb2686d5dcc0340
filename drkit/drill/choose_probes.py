"""Where the probes of a scenario ask on this cluster. Pure.

``Probe.options`` holds what its kind needs to ask:

``http``: ``url``; ``address`` (host:port to connect to), where it is not the one that the URL's name leads to.
``tcp``: ``address``.
``sql-read``, ``sql-write``: ``cluster`` (namespace/name), ``service`` (namespace/name), ``address`` (the service's
host:port inside of the cluster), ``database``, ``via`` (``spared`` or ``hit``: the node that it goes through).
``kube-api``: ``server``, such as ``https://10.0.0.2:6443``.
``dns``: ``service``, ``address`` (likewise), ``host`` (the name to look up).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit.drill.find_postgres import postgres
from drkit.drill.scenario.model import (
    DnsProbe,
    HttpProbe,
    KubeApiProbe,
    SqlProbe,
    SqlReadProbe,
    SqlWriteProbe,
    TcpProbe,
    web_address,
)
from drkit.drill.snapshot import at
from drkit.drill.values import Probe
from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from drkit.drill.scenario import model
    from drkit.drill.snapshot import Service, Snapshot

_DNS_PORT = 53


def probes(wanted: model.Probe, snapshot: Snapshot, hit: Collection[str]) -> list[Probe]:
    """One probe of a scenario: one for each place where it asks.

    Args:
        wanted: as the scenario has it.
        snapshot: the cluster.
        hit: names of the nodes that faults hit.

    Raises:
        PreflightFailed: there is nothing to ask.
    """
    match wanted:
        case HttpProbe():
            return _http(wanted, snapshot)
        case TcpProbe():
            return [_made(wanted, wanted.address, wanted.address, {"address": wanted.address})]
        case SqlReadProbe() | SqlWriteProbe():
            return [_sql(wanted, wanted.database, wanted.through, snapshot)]
        case KubeApiProbe():
            return _kube_api(wanted, snapshot, hit)
        case DnsProbe():
            return [_dns(wanted, snapshot)]
        case _:
            raise TypeError(f"no probe of kind {wanted.kind}")


def with_names(found: Iterable[Probe]) -> tuple[Probe, ...]:
    """The same probes; those that would share a name are numbered."""
    kept = tuple(found)
    often = Counter(each.name for each in kept)
    seen: Counter[str] = Counter()
    named = []
    for each in kept:
        seen[each.name] += 1
        named.append(each if often[each.name] == 1 else replace(each, name=f"{each.name} #{seen[each.name]}"))
    return tuple(named)


def _made(wanted: model.Probe, short: str, where: str, options: Mapping[str, str], *, several: bool = False) -> Probe:
    prefix = {"http": "page"}.get(wanted.kind, wanted.kind)
    name = f"{wanted.name or prefix}/{short}" if several or not wanted.name else wanted.name
    return Probe(
        name, wanted.kind, where, wanted.every, wanted.timeout, wanted.window, wanted.session, options=dict(options)
    )


def _http(wanted: HttpProbe, snapshot: Snapshot) -> list[Probe]:
    urls = [wanted.url] if wanted.url else list(snapshot.health)
    if not urls:
        raise PreflightFailed(
            "probe http: there is no address to ask",
            'name them in drkit.yaml, as `health: [{url: "https://docfast.example/health"}]`, or the probe\'s `url:`',
        )
    hosts = Counter(urlsplit(url).netloc for url in urls)
    found = []
    for url in urls:
        try:
            web_address(url)
        except ValueError as error:
            raise PreflightFailed(f"probe http: an address under health: {error}", "mend it in drkit.yaml") from None
        parts = urlsplit(url)
        short = parts.netloc if hosts[parts.netloc] == 1 else f"{parts.netloc}{parts.path}"
        options = {"url": url, **({"address": wanted.address} if wanted.address else {})}
        where = f"{url} at {wanted.address}" if wanted.address else url
        found.append(_made(wanted, short, where, options, several=len(urls) > 1))
    return found


def _sql(wanted: SqlProbe, database: str, through: str | None, snapshot: Snapshot) -> Probe:
    what = f"probe {wanted.kind}"
    cluster = postgres(what, wanted.cluster, snapshot)
    poolers = [each for each in snapshot.poolers_of(cluster) if each.kind == "rw"]
    if through == "pooler" and not poolers:
        raise PreflightFailed(f"{what}: {cluster} has no pooler of type rw", "leave `through: pooler` out")
    if poolers and through in {None, "pooler"}:
        name = poolers[0].name
    else:
        name = f"{cluster.name}-{'ro' if through == 'replicas' else 'rw'}"
    service = next(
        (each for each in snapshot.services if (each.namespace, each.name) == (cluster.namespace, name)), None
    )
    if service is None or not service.ports:
        raise PreflightFailed(
            f"{what}: there is no service {cluster.namespace}/{name}", f"kubectl get services -n {cluster.namespace}"
        )
    options = {
        "cluster": str(cluster),
        "service": str(service),
        "address": at(service.address, service.ports[0]),
        "database": database,
        "via": wanted.via,
    }
    return _made(wanted, name, f"{service}:{service.ports[0]}/{database}", options)


def _kube_api(wanted: KubeApiProbe, snapshot: Snapshot, hit: Collection[str]) -> list[Probe]:
    if wanted.at == "kubeconfig":
        servers = list(snapshot.servers)
    else:
        lost = {address for each in snapshot.nodes if each.name in hit for address in each.addresses}
        kept = snapshot.api if wanted.at == "each" else [each for each in snapshot.api if _host(each) not in lost]
        servers = [f"https://{each}" for each in kept]
    if not servers:
        raise PreflightFailed(
            f"probe kube-api: there is no server to ask ({wanted.at})",
            "`at: spared` needs a server that no fault of the scenario hits" if wanted.at == "spared" else "",
        )
    return [
        _made(wanted, urlsplit(each).netloc, f"{each}/readyz", {"server": each}, several=len(servers) > 1)
        for each in servers
    ]


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _dns(wanted: DnsProbe, snapshot: Snapshot) -> Probe:
    service = next(filter(_is_dns, snapshot.services), None)
    if service is None:
        raise PreflightFailed(
            "probe dns: there is no DNS service: kube-system, label k8s-app=kube-dns, port 53",
            "`kubectl get services -n kube-system --show-labels` shows what there is",
        )
    options = {"service": str(service), "address": at(service.address, _DNS_PORT), "host": wanted.host}
    return _made(wanted, wanted.host.rstrip("."), f"{wanted.host} at {options['address']}", options)


def _is_dns(service: Service) -> bool:
    labelled = service.labels.get("k8s-app") == "kube-dns"
    return service.namespace == "kube-system" and labelled and _DNS_PORT in service.ports
