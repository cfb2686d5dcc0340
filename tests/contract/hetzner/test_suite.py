"""The suite for providers, with an old cluster in three states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.hetzner.steps import APEX
from tests.contract.provider_suite import ProviderSuite
from tests.old_cluster import asked, build, lose

if TYPE_CHECKING:
    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.values import Wanted


class TestHetznerBesideTheOldCluster(ProviderSuite):
    """The old cluster's servers are still there."""

    @pytest.fixture
    def wanted(self, api: StandIn) -> Wanted:
        """The cluster again."""
        return asked(build(api))

    @pytest.fixture
    def name(self) -> str:
        """In the project's zone."""
        return APEX


class TestHetznerWithNothingLeft(ProviderSuite):
    """All of the cluster is gone."""

    @pytest.fixture
    def wanted(self, api: StandIn) -> Wanted:
        """The cluster again."""
        document = build(api, by_label=False)
        lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
        return asked(document)

    @pytest.fixture
    def name(self) -> str:
        """In the project's zone."""
        return APEX


class TestHetznerReplacing(ProviderSuite):
    """The new servers take over the names."""

    @pytest.fixture
    def wanted(self, api: StandIn) -> Wanted:
        """The cluster again."""
        return asked(build(api), replace=True)
