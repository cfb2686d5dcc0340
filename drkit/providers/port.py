"""The port: who makes servers and what stands around them, or finds them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.providers.values import Wanted

MADE, ADOPTED, REMOVED, PUT_BACK = "made", "adopted", "removed", "put back"
HEALTHY, UNHEALTHY, UNKNOWN = "healthy", "unhealthy", "unknown"
SSH_PORT = 22


@dataclass(frozen=True)
class Thing:
    """Something of the provider's, and what became of it: ``made``, ``adopted``, ``removed`` or ``put back``."""

    kind: str
    name: str
    became: str


@dataclass(frozen=True)
class Server:
    """A server that is there.

    Attributes:
        name: the provider's name for it.
        address: where it is logged in to.
        public: its public addresses.
        private: its private addresses.
        host_keys: what it must prove to be, as ``ssh-ed25519 AAAA…``; empty where the user's own known_hosts says it.
        first_key: whether the last of ``host_keys`` is the one that it was handed when it was made.
    """

    name: str
    was: str
    address: str
    public: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    host_keys: tuple[str, ...] = ()
    server_type: str = ""
    location: str = ""
    first_key: bool = False

    def known_hosts(self, port: int = SSH_PORT) -> str:
        """Its lines for a known_hosts file."""
        host = self.address if port == SSH_PORT else f"[{self.address}]:{port}"
        return "".join(f"{host} {key}\n" for key in self.host_keys)


@dataclass(frozen=True)
class Balancer:
    """A load balancer that is there, and its public addresses (private ones where it has no others)."""

    name: str
    addresses: tuple[str, ...]
    became: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class TargetHealth:
    """What a load balancer finds of one target's port: ``healthy``, ``unhealthy`` or ``unknown`` (not asked yet)."""

    target: str
    port: int
    status: str


@dataclass(frozen=True)
class Fenced:
    """What is known of a server of the old cluster: off or gone, and no longer a target of the load balancer.

    Attributes:
        there: whether the provider has it. One that it does not have may be gone, or be somebody else's to switch off.
    """

    name: str
    off: bool
    detached: bool
    there: bool = False


@dataclass(frozen=True)
class Record:
    """A set of DNS records of one name and type; ``ttl`` in seconds, None for the zone's own."""

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int | None = None


@dataclass(frozen=True)
class Change:
    """A record that was changed; ``before`` is None where there was none."""

    before: Record | None
    after: Record


class Provider(Protocol):
    """Makes what a restore wants, or adopts what is there.

    Each call can be cut off at any point and made again, and ends the same: what it made carries the restore's id, and
    is adopted by the next call. What it changes of others carries what was there before, for ``destroy``. Calls for
    different servers may run side by side.

    All calls raise:
        ProviderFailed: the provider refuses, or does not answer within the bound; the text names which and what helps.
        ConfigurationError: what is wanted cannot be there, such as an alternative of another architecture.
    """

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        ...

    def check(self, wanted: Wanted) -> tuple[str, ...]:
        """See whether all of it can be had, and return what a user should know. Changes nothing.

        Raises:
            PreflightFailed: it cannot; all that is missing is named.
        """
        ...

    def foundation(self, wanted: Wanted) -> tuple[Thing, ...]:
        """Make or adopt what servers stand on: network, firewalls, SSH keys, placement groups."""
        ...

    def server(self, wanted: Wanted, name: str) -> Server:
        """Make or adopt one server, and wait until the provider says that it runs. ``foundation`` comes before."""
        ...

    def pin(self, server: Server, host_keys: tuple[str, ...]) -> Server:
        """Keep what a server must prove to be, in place of what was kept before; see ``hostkeys.settle``."""
        ...

    def fence(self, wanted: Wanted, *, power_off: bool) -> tuple[Fenced, ...]:
        """Take the old cluster's servers away from the load balancer, and power them off where that is wanted.

        Returns:
            For each of them what holds now. A provider that can do neither says so.
        """
        ...

    def balancer(self, wanted: Wanted) -> Balancer | None:
        """Make or adopt the load balancer with the new servers as its targets; give floating addresses to them."""
        ...

    def health(self, wanted: Wanted) -> tuple[TargetHealth, ...]:
        """How the load balancer finds the new servers."""
        ...

    def record(self, name: str, kind: str) -> Record | None:
        """A DNS record as it is.

        Args:
            name: in full, without a dot at its end.
            kind: ``A``, ``AAAA`` and so on.

        Raises:
            PreflightFailed: this provider has no zone for it.
        """
        ...

    def point(self, restore_id: str, record: Record) -> Change:
        """Change a DNS record, or make it; said again it returns the same. Raises what ``record`` does.

        Returns:
            With what was there before the first time.
        """
        ...

    def destroy(self, restore_id: str) -> tuple[Thing, ...]:
        """Remove exactly what carries the id, and put back what was changed of other things."""
        ...

    def outlived(self, now: datetime) -> tuple[str, ...]:
        """The ids of the rehearsals whose time is over by ``now``, of whichever machine; ``destroy`` removes each."""
        ...
