"""Health endpoints, guessed from the hosts of Ingresses and asked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import HTTPError

from drkit.cluster import fields
from drkit.setup.found import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Object

_MOST = 50
"""More are not asked: a page for each tenant says no more about the cluster than some do."""
_SIDE_BY_SIDE = 8
_SECONDS = 3.0
_HEALTHY = range(200, 400)


def urls(ingresses: Iterable[Object]) -> tuple[str, ...]:
    """An address for each host that an Ingress names, by name; wildcards and what is no host's name apart. Pure."""
    found = set()
    for each in ingresses:
        encrypted = {host for entry in fields.items(each, "spec", "tls") for host in fields.items(entry, "hosts")}
        for rule in fields.items(each, "spec", "rules"):
            host = fields.text(rule, "host")
            if host and all(part.replace("-", "").isalnum() and part.isascii() for part in host.split(".")):
                found.add(f"{'https' if host in encrypted else 'http'}://{host}/")
    return tuple(sorted(found))


def pages(ingresses: Iterable[Object]) -> tuple[Page, ...]:
    """Each of these addresses, and whether it answers now."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "pages") as pool:
        return tuple(pool.map(ask, urls(ingresses)[:_MOST]))


def ask(url: str) -> Page:
    """One address, asked once without being led elsewhere."""
    try:
        with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=_SECONDS)) as pool:
            status = pool.request("GET", url, redirect=False, preload_content=False).status
    except (HTTPError, OSError, ValueError) as error:
        return Page(url, answers=False, said=f"it does not answer ({type(error).__name__})")
    return Page(url, answers=status in _HEALTHY, said=f"it answered {status}")
