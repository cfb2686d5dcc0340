"""The provider ``hetzner``: a Hetzner Cloud project, through its API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.providers.choices import choices
from drkit.providers.hcloud import balancer, destroy, dns, foundation, servers
from drkit.providers.hcloud.api import Api, understood

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from drkit.observe.progress import Reporter
    from drkit.providers.choices import Catalogue
    from drkit.providers.port import Balancer, Change, Fenced, Record, Server, TargetHealth, Thing
    from drkit.providers.values import Wanted, WantedServer


class HetznerProvider:
    """See ``Provider`` for what each call does and raises.

    Args:
        token: an API token that may read and write.
        endpoint: the API's address.
        reporter: told of what takes long, or is sold out.
        patience: seconds for which an action, a busy API or something sold out is waited for.
        pause: seconds between two questions to the API, which takes one a second in the long run.
    """

    name = "hetzner"

    def __init__(
        self, token: str, endpoint: str, reporter: Reporter, *, patience: float = 900.0, pause: float = 1.0
    ) -> None:
        self._api = Api(token, endpoint, reporter, patience=patience, pause=pause)

    def check(self, wanted: Wanted) -> tuple[str, ...]:
        """See ``Provider.check``. Limits of the project are not among it: the API does not tell them beforehand."""
        with understood():
            missing = list(self._missing(wanted))
            if missing:
                raise PreflightFailed(
                    "\n".join(["Hetzner: this cannot be made:", *missing]), "see clusters in drkit.yaml"
                )
            return tuple(self._notes(wanted))

    def foundation(self, wanted: Wanted) -> tuple[Thing, ...]:
        """See ``Provider.foundation``."""
        with understood():
            balancer.keep_out(self._api, wanted)
            return tuple(foundation.lay(self._api, wanted))

    def server(self, wanted: Wanted, name: str) -> Server:
        """See ``Provider.server``."""
        with understood():
            return servers.ensure(self._api, wanted, name)

    def pin(self, server: Server, host_keys: tuple[str, ...]) -> Server:
        """See ``Provider.pin``."""
        with understood():
            servers.pin(self._api, server.name, host_keys)
        return replace(server, host_keys=host_keys, first_key=len(host_keys) > 1)

    def fence(self, wanted: Wanted, *, power_off: bool) -> tuple[Fenced, ...]:
        """See ``Provider.fence``."""
        with understood():
            return tuple(balancer.fence(self._api, wanted, power_off=power_off))

    def balancer(self, wanted: Wanted) -> Balancer | None:
        """See ``Provider.balancer``."""
        with understood():
            return balancer.ensure(self._api, wanted)

    def health(self, wanted: Wanted) -> tuple[TargetHealth, ...]:
        """See ``Provider.health``."""
        with understood():
            return tuple(balancer.health(self._api, wanted))

    def record(self, name: str, kind: str) -> Record | None:
        """See ``Provider.record``."""
        with understood():
            return dns.read(self._api, name, kind)

    def point(self, restore_id: str, record: Record) -> Change:
        """See ``Provider.point``."""
        with understood():
            return dns.point(self._api, restore_id, record)

    def destroy(self, restore_id: str) -> tuple[Thing, ...]:
        """See ``Provider.destroy``."""
        with understood():
            return tuple(destroy.destroy(self._api, restore_id))

    def outlived(self, now: datetime) -> tuple[str, ...]:
        """See ``Provider.outlived``."""
        with understood():
            return destroy.outlived(self._api, now)

    def _missing(self, wanted: Wanted) -> Iterator[str]:
        """What stands in the way."""
        network, asked = wanted.network, wanted.balancer
        if network is not None and not network.ip_range and self._api.named("networks", network.name) is None:
            yield f"network {network.name}: it is not there, and the backup does not know what it was like"
        if asked is not None and not asked.kind and self._api.named("load_balancers", asked.name) is None:
            yield f"load balancer {asked.name}: it is not there, and the backup does not know what it was like"
        old = {each.id for each in wanted.old}
        there = {each["name"]: each for each in self._api.all("/servers", "servers")}
        catalogue = servers.catalogue(self._api)
        for server in wanted.servers:
            taken = there.get(server.name)
            if taken is not None and not servers.is_ours(taken, wanted.restore_id):
                if not wanted.replace:
                    yield f"server {server.name}: there is one of that name that this restore did not make"
                elif taken["id"] not in old:
                    yield f"server {server.name}: the one of that name is none of the old cluster's"
            yield from self._image(server, catalogue)

    def _image(self, server: WantedServer, catalogue: Catalogue) -> Iterator[str]:
        architecture = catalogue.architectures.get(server.server_type, "")
        if server.image.isdigit():
            found = self._api.get(f"/images/{server.image}", "image")
            images = [] if found is None else [found]
        else:
            images = self._api.all("/images", "images", name=server.image)
        if not any(each["architecture"] == architecture for each in images):
            yield f"server {server.name}: there is no image {server.image} for {architecture or server.server_type}"

    def _notes(self, wanted: Wanted) -> Iterator[str]:
        catalogue = servers.catalogue(self._api)
        zones = servers.network_zones(self._api, wanted)
        for server in wanted.servers:
            tried = choices(server, wanted.alternatives, catalogue, zones)
            if not any(choice.server_type in catalogue.available[choice.location] for choice in tried):
                yield f"server {server.name}: sold out now: {', '.join(map(str, tried))}"
        for collection, name in _adoptable(wanted):
            if self._api.named(collection, name) is not None:
                yield f"{foundation.KINDS[collection].replace('_', ' ')} {name}: is there, and is adopted"


def _adoptable(wanted: Wanted) -> Iterator[tuple[str, str]]:
    if wanted.network is not None:
        yield foundation.NETWORKS, wanted.network.name
    for firewall in wanted.firewalls:
        yield foundation.FIREWALLS, firewall.name
    for group in wanted.placement_groups:
        yield foundation.GROUPS, group
    if wanted.balancer is not None:
        yield balancer.BALANCERS, wanted.balancer.name
