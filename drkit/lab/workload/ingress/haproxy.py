"""HAProxy's configuration from a cluster's Ingress objects (networking.k8s.io/v1). Pure.

What it knows: hosts, ``Prefix`` and ``Exact`` paths, services by port number or name, and ``tls`` secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Object = dict[str, Any]

CLASS = "ingress-stand-in"
CERTIFICATES = "/run/ingress-stand-in/certificates"
HEAD = """\
# drkit lab: a stand-in for an ingress controller; not Traefik
global
    log stdout format raw local0 notice
    maxconn 2048
defaults
    mode http
    log global
    option dontlognull
    option forwardfor
    timeout connect 3s
    timeout client 60s
    timeout server 30s
    timeout http-request 10s
"""


@dataclass(frozen=True)
class Route:
    """Where requests for a host and a path go."""

    host: str
    path: str
    exact: bool
    address: str


def routes(ingresses: Iterable[Object], services: Mapping[tuple[str, str], Object]) -> list[Route]:
    """All routes, the longest path first; backends that are not there are left out.

    Args:
        ingresses: of the stand-in's class, or of none.
        services: by namespace and name.
    """
    found = []
    for ingress in ingresses:
        namespace = ingress["metadata"]["namespace"]
        for rule in ingress["spec"].get("rules", []):
            for path in rule.get("http", {}).get("paths", []):
                wanted = path["backend"]["service"]
                service = services.get((namespace, wanted["name"]))
                address = None if service is None else _address(service, wanted["port"])
                if address is not None:
                    exact = path.get("pathType") == "Exact"
                    found.append(Route(rule.get("host", ""), path.get("path", "/"), exact, address))
    return sorted(found, key=lambda route: (-len(route.path), route.host, route.address))


def _address(service: Object, wanted: Object) -> str | None:
    spec = service["spec"]
    for port in spec["ports"]:
        if wanted.get("number") == port["port"] or wanted.get("name", "") == port.get("name"):
            return f"{spec['clusterIP']}:{port['port']}"
    return None


def certificates(ingresses: Iterable[Object]) -> list[tuple[str, str]]:
    """Namespace and name of each secret with a certificate."""
    return sorted(
        {
            (ingress["metadata"]["namespace"], each["secretName"])
            for ingress in ingresses
            for each in ingress["spec"].get("tls", [])
            if "secretName" in each
        }
    )


def configuration(found: Iterable[Route], *, tls: bool) -> str:
    """The configuration file.

    Args:
        found: the routes, in the order in which they are tried.
        tls: whether there is a certificate.
    """
    front = ["frontend web", "    bind :80"]
    if tls:
        front.append(f"    bind :443 ssl crt {CERTIFICATES}/")
    back = []
    for number, route in enumerate(found):
        matches = []
        if route.host:
            matches.append(f"{{ req.hdr(host),field(1,:),lower -m str {route.host.lower()} }}")
        if route.exact:
            matches.append(f"{{ path {route.path} }}")
        elif route.path != "/":
            matches.append(f"{{ path_beg {route.path} }}")
        condition = f" if {' '.join(matches)}" if matches else ""
        front.append(f"    use_backend route-{number}{condition}")
        back += [f"backend route-{number}", f"    server service {route.address}"]
    answer = ["    default_backend nobody"]
    nobody = ["backend nobody", "    http-request return status 404 content-type text/plain string not-found"]
    return HEAD + "\n".join([*front, *answer, *back, *nobody, ""])
