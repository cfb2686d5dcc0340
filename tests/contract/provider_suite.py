"""What every provider does: the suite of the port ``Provider``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from drkit.clock import to_text
from drkit.errors import PreflightFailed
from drkit.providers.port import Record
from drkit.providers.wanted import rehearsed

if TYPE_CHECKING:
    from drkit.providers.port import Provider
    from drkit.providers.values import Wanted


class ProviderSuite:
    """The suite; a subclass gives the fixtures ``provider`` and ``wanted``, and ``name`` where it has a DNS zone."""

    @pytest.fixture
    def name(self) -> str:
        """A name that the provider has a zone for; empty where it has none."""
        return ""

    def test_what_can_be_had_passes_the_check(self, provider: Provider, wanted: Wanted) -> None:
        """A check of what can be had raises nothing, and can be made again."""
        assert provider.check(wanted) == provider.check(wanted)

    def test_a_second_run_adopts_what_the_first_made(self, provider: Provider, wanted: Wanted) -> None:
        """The same call again gives the same things and the same servers."""
        first = provider.foundation(wanted), [provider.server(wanted, each.name) for each in wanted.servers]
        second = provider.foundation(wanted), [provider.server(wanted, each.name) for each in wanted.servers]
        assert first == second

    def test_each_server_stands_for_its_node(self, provider: Provider, wanted: Wanted) -> None:
        """Servers have the names that were asked for, say which node they stand for, and have an address each."""
        provider.foundation(wanted)
        found = [provider.server(wanted, each.name) for each in wanted.servers]
        assert [(each.name, each.was) for each in found] == [(each.name, each.was) for each in wanted.servers]
        assert len({each.address for each in found}) == len(found)

    def test_each_old_server_is_spoken_of(self, provider: Provider, wanted: Wanted) -> None:
        """Fencing says of every old server what is known, and claims nothing that it did not do."""
        fenced = provider.fence(wanted, power_off=False)
        assert sorted(each.name for each in fenced) == sorted(each.name for each in wanted.old)

    def test_traffic_is_led_to_the_new_servers_alone(self, provider: Provider, wanted: Wanted) -> None:
        """The load balancer has the asked targets, also when asked twice, and health is told of them alone."""
        provider.foundation(wanted)
        for each in wanted.servers:
            provider.server(wanted, each.name)
        found = provider.balancer(wanted)
        assert found == provider.balancer(wanted)
        if found is None:
            assert wanted.balancer is None
            assert provider.health(wanted) == ()
        else:
            assert wanted.balancer is not None
            assert set(found.targets) == set(wanted.balancer.targets)
            assert {each.target for each in provider.health(wanted)} <= set(found.targets)

    def test_a_record_keeps_what_it_was(self, provider: Provider, wanted: Wanted, name: str) -> None:
        """A changed record is returned with what it was like, again when it is asked again; destroy puts that back."""
        after = Record(name or "example.com", "A", ("198.51.100.9",), 60)
        if not name:
            with pytest.raises(PreflightFailed):
                provider.point(wanted.restore_id, after)
            return
        before = provider.record(name, "A")
        assert before is not None
        change = provider.point(wanted.restore_id, after)
        assert change.before == before
        assert provider.record(name, "A") == after
        assert provider.point(wanted.restore_id, after) == change
        provider.destroy(wanted.restore_id)
        assert provider.record(name, "A") == before

    def test_what_is_to_live_is_never_over(self, provider: Provider, wanted: Wanted) -> None:
        """Only what says when it is over is ever taken for a rehearsal."""
        provider.foundation(wanted)
        provider.server(wanted, wanted.servers[0].name)
        assert provider.outlived(datetime.max.replace(tzinfo=UTC)) == ()

    def test_a_rehearsal_is_over_at_its_time(self, provider: Provider, wanted: Wanted) -> None:
        """Whoever asks is told of it from then on, until it is destroyed; what cannot be made is never over."""
        over = datetime(2026, 3, 1, 12, tzinfo=UTC)
        rehearsal = rehearsed(wanted, to_text(over))
        provider.foundation(rehearsal)
        provider.server(rehearsal, rehearsal.servers[0].name)
        assert provider.outlived(over - timedelta(seconds=1)) == ()
        assert provider.outlived(over) == (() if provider.name == "ssh" else (rehearsal.restore_id,))
        provider.destroy(rehearsal.restore_id)
        assert provider.outlived(over) == ()

    def test_destroy_is_done_once(self, provider: Provider, wanted: Wanted) -> None:
        """What was made goes, once; another restore's id removes nothing."""
        provider.foundation(wanted)
        for each in wanted.servers:
            provider.server(wanted, each.name)
        provider.balancer(wanted)
        assert provider.destroy("another-restore") == ()
        made = provider.destroy(wanted.restore_id)
        assert provider.destroy(wanted.restore_id) == ()
        if provider.name != "ssh":
            assert {each.name for each in wanted.servers} <= {each.name for each in made}
