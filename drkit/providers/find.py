"""Which provider a target has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.config import secrets
from drkit.config.model import Server
from drkit.errors import ConfigurationError
from drkit.providers.ssh import SshProvider
from drkit.topology import hetzner

if TYPE_CHECKING:
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.providers.port import Provider


def provider(config: Config, name: str, reporter: Reporter) -> Provider:
    """The provider of the target ``clusters.NAME``; nothing is asked of it yet.

    Raises:
        ConfigurationError: its token is nowhere.
        PreflightFailed: no Docker engine answers, which a lab needs.
    """
    target = config.clusters[name]
    match target.provider:
        case "hetzner":
            # What only one of the providers needs takes long to load.
            from drkit.providers.hetzner import HetznerProvider  # noqa: PLC0415 - see above

            token, section = target.token, f"clusters.{name}.token"
            if token is None:
                token, section = config.cluster.token, "cluster.token"
            if token is None:
                raise ConfigurationError(
                    f"clusters.{name}.token: expected the API token of a Hetzner project, for reading and writing",
                    f"add it: clusters: {{{name}: {{token: {{env: HCLOUD_TOKEN}}}}}}",
                )
            return HetznerProvider(secrets.fetch(token, section), hetzner.endpoint(), reporter)
        case "lab":
            from drkit.lab import engine  # noqa: PLC0415 - see above
            from drkit.providers.lab import LabProvider  # noqa: PLC0415 - see above

            return LabProvider(engine.connect(), config.cluster.name, reporter)
        case _:
            machines = [*target.servers, *target.agents]
            return SshProvider({each.name: each.address for each in machines if isinstance(each, Server)})
