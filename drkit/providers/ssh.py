"""The provider ``ssh``: servers that exist, given by address. What stands around them is their owner's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.providers.port import Fenced, Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drkit.providers.port import Balancer, Change, Record, TargetHealth, Thing
    from drkit.providers.values import Wanted

_BY_HAND = "the provider ssh has servers alone: change it by hand, or where the name's DNS is"


class SshProvider:
    """See ``Provider`` for what each call does and raises. It makes nothing, and so removes nothing.

    A server's host key is the one in the user's known_hosts: there is no other channel by which it could be learned.

    Args:
        addresses: of each server, by its name in the target.
    """

    name = "ssh"

    def __init__(self, addresses: Mapping[str, str | None]) -> None:
        self._addresses = addresses

    def check(self, wanted: Wanted) -> tuple[str, ...]:
        """See ``Provider.check``."""
        missing = [each.was for each in wanted.servers if not self._addresses.get(each.was)]
        if missing:
            raise PreflightFailed(
                f"no address is known of {', '.join(missing)}",
                "give each server of the target one: servers: [{name: s1, address: 198.51.100.7}]",
            )
        addresses = [self._addresses[each.was] for each in wanted.servers]
        if len(set(addresses)) != len(addresses):
            raise PreflightFailed("two servers of the target have the same address", "give each its own")
        if wanted.balancer is not None:
            raise PreflightFailed(
                f"the provider ssh has no load balancer {wanted.balancer.name}",
                "leave load_balancer out of the target, and lead traffic there by hand",
            )
        return ()

    def foundation(self, wanted: Wanted) -> tuple[Thing, ...]:  # noqa: ARG002 - nothing is made
        """See ``Provider.foundation``."""
        return ()

    def server(self, wanted: Wanted, name: str) -> Server:
        """See ``Provider.server``."""
        asked = wanted.server(name)
        address = self._addresses.get(asked.was)
        if not address:
            raise PreflightFailed(f"no address is known of {asked.was}")
        return Server(name=name, was=asked.was, address=address, public=(address,))

    def pin(self, server: Server, host_keys: tuple[str, ...]) -> Server:  # noqa: ARG002 - known_hosts is the user's
        """See ``Provider.pin``."""
        return server

    def fence(self, wanted: Wanted, *, power_off: bool) -> tuple[Fenced, ...]:  # noqa: ARG002 - it has no switch
        """Nothing is known of the old servers, and nothing can be done to them."""
        return tuple(Fenced(each.name, off=False, detached=False) for each in wanted.old)

    def balancer(self, wanted: Wanted) -> Balancer | None:  # noqa: ARG002 - there is none
        """See ``Provider.balancer``."""
        return None

    def health(self, wanted: Wanted) -> tuple[TargetHealth, ...]:  # noqa: ARG002 - there is no load balancer
        """See ``Provider.health``."""
        return ()

    def record(self, name: str, kind: str) -> Record | None:
        """There is no zone."""
        raise PreflightFailed(f"{name} {kind} cannot be read from here", _BY_HAND)

    def point(self, restore_id: str, record: Record) -> Change:  # noqa: ARG002 - as above
        """There is no zone."""
        raise PreflightFailed(f"{record.name} {record.kind} cannot be changed from here", _BY_HAND)

    def destroy(self, restore_id: str) -> tuple[Thing, ...]:  # noqa: ARG002 - nothing was made
        """See ``Provider.destroy``."""
        return ()

    def outlived(self, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 - nothing was made
        """See ``Provider.outlived``."""
        return ()
