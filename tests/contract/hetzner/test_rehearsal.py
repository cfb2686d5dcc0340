"""Rehearsals in a Hetzner project in which the cluster lives, and what removes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from drkit.clock import to_text
from drkit.config.model import Config
from drkit.providers.wanted import rehearsed
from drkit.restore.reap import reap, reap_restores
from tests.old_cluster import Heard, asked, build, state

if TYPE_CHECKING:
    import pytest

    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.hetzner import HetznerProvider
    from drkit.providers.values import Wanted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rehearsal(document: dict[str, Any], name: str, expires: datetime) -> Wanted:
    """The cluster once more, for so long, with a network of its own."""
    wanted = rehearsed(asked(document, restore_id=name), to_text(expires))
    assert wanted.network is not None
    return replace(wanted, network=replace(wanted.network, name=f"net-{name}"))


def make(provider: HetznerProvider, wanted: Wanted) -> None:
    """All that a rehearsal asks of the provider."""
    provider.check(wanted)
    provider.foundation(wanted)
    for each in wanted.servers:
        provider.server(wanted, each.name)
    assert provider.balancer(wanted) is None


def test_a_rehearsal_changes_nothing_of_the_living_cluster(api: StandIn, provider: HetznerProvider) -> None:
    """Load balancer, records and addresses stay as they are, and no selector means a server of the rehearsal."""
    document = build(api)
    before = state(api)
    make(provider, rehearsal(document, "first", NOW))
    after = state(api)
    assert {key: after[key] for key in ("balancers", "records")} == {
        key: before[key] for key in ("balancers", "records")
    }
    assert {name: after["servers"][name] for name in before["servers"]} == before["servers"]
    new = [each for name, each in after["servers"].items() if name not in before["servers"]]
    assert len(new) == 3
    assert all(key.startswith("drkit-") for each in new for key in each["labels"])


def test_the_reaper_removes_exactly_what_has_outlived_its_time(
    api: StandIn, provider: HetznerProvider, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of two rehearsals and a restore that is to live, the first goes when its time is over, the second after it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    document = build(api)
    lives = asked(document, restore_id="lives")
    provider.foundation(lives)
    provider.server(lives, lives.servers[0].name)
    before = state(api)
    make(provider, rehearsal(document, "second", NOW + timedelta(hours=1)))
    with_second = state(api)
    make(provider, rehearsal(document, "first", NOW))
    assert provider.outlived(NOW - timedelta(seconds=1)) == ()
    assert provider.outlived(NOW) == ("first",)
    removed = {(each.kind, each.name) for each in reap_restores(provider, NOW)}
    assert ("network", "net-first") in removed
    assert sum(kind == "server" for kind, _ in removed) == 3
    assert state(api) == with_second
    assert list(reap_restores(provider, NOW)) == []
    monkeypatch.setenv("HCLOUD_ENDPOINT", api.endpoint)
    monkeypatch.setenv("PROJECT", api.token)
    vault = {"url": "vault", "passphrase": {"env": "NOT_ASKED_FOR"}}
    clusters = {"new": {"provider": "hetzner", "token": {"env": "PROJECT"}}}
    config = Config.model_validate({"vaults": {"cluster": vault}, "clusters": clusters})
    assert reap(config, "new", NOW + timedelta(hours=1), Heard())
    assert state(api) == before
