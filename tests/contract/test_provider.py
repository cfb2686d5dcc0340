"""The suite for providers, with hosts that exist; those for Hetzner are in ``hetzner``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.config.model import Target
from drkit.errors import PreflightFailed
from drkit.providers.ssh import SshProvider
from drkit.providers.wanted import wanted as wanted_of
from tests.contract.provider_suite import ProviderSuite
from tests.old_cluster import RESTORE

if TYPE_CHECKING:
    from drkit.providers.values import Wanted


class TestSsh(ProviderSuite):
    """Hosts that exist."""

    @pytest.fixture
    def provider(self) -> SshProvider:
        """It."""
        return SshProvider({"s1": "192.0.2.1", "s2": "192.0.2.2"})

    @pytest.fixture
    def wanted(self) -> Wanted:
        """A server and an agent."""
        servers = [{"name": "s1", "address": "192.0.2.1"}]
        target = Target.model_validate({"provider": "ssh", "servers": servers, "agents": ["s2"]})
        old = {"nodes": [{"name": "k3s-mgr", "labels": {}, "addresses": []}]}
        return wanted_of(old, target, RESTORE, [], section="clusters.spare")


def test_hosts_that_exist_need_an_address_each() -> None:
    """A target of the provider ssh without an address, or with one twice, is refused before anything is done."""
    target = Target.model_validate({"provider": "ssh", "servers": [{"name": "s1"}, {"name": "s2"}]})
    wanted = wanted_of({}, target, RESTORE, [], section="clusters.spare")
    with pytest.raises(PreflightFailed, match="s1, s2"):
        SshProvider({"s1": None}).check(wanted)
    with pytest.raises(PreflightFailed, match="same address"):
        SshProvider({"s1": "192.0.2.1", "s2": "192.0.2.1"}).check(wanted)
