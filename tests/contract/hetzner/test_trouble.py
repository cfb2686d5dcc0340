"""What goes wrong at the provider: what passes is waited for, what does not is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.errors import ConfigurationError, PreflightFailed, ProviderFailed
from drkit.lab.hcloud.trouble import FailedAction, Fault
from drkit.providers.hetzner import HetznerProvider
from tests.contract.hetzner.steps import APEX, all_of_it, hetzner
from tests.old_cluster import RESTORE, Heard, asked, build, lose, state

if TYPE_CHECKING:
    from drkit.lab.hcloud.serve import StandIn


def test_a_lost_answer_makes_nothing_twice(api: StandIn, provider: HetznerProvider) -> None:
    """A server, a network and a record whose answers were lost on the way are adopted, not made again."""
    document = build(api)
    lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
    wanted = asked(document)
    paths = ("/networks", "/servers", "/load_balancers", "/zones/[0-9]+/rrsets")
    api.project.trouble.faults = [Fault(path, "POST", cut=True, after=True) for path in paths]
    all_of_it(provider, wanted)
    assert not [fault for fault in api.project.trouble.faults if fault.times]
    assert len(state(api)["servers"]) == 4


def test_what_passes_is_waited_for(api: StandIn, provider: HetznerProvider, heard: Heard) -> None:
    """A busy API, a locked thing and a broken line are asked again, and said."""
    wanted = asked(build(api))
    api.project.trouble.faults = [
        Fault("/servers", "POST", status=423, code="locked"),
        Fault("/ssh_keys", "POST", status=503, code="unavailable"),
        Fault("/ssh_keys", "POST", status=500, code=""),
        Fault("/server_types", "GET", cut=True),
        Fault("/servers", "POST", status=429, code="rate_limit_exceeded"),
    ]
    all_of_it(provider, wanted)
    assert not [fault for fault in api.project.trouble.faults if fault.times]
    assert any("locked" in note for note in heard.notes)


def test_what_does_not_pass_is_named_within_the_bound(api: StandIn) -> None:
    """A thing that stays locked is given up after the bound, with the API's word."""
    wanted = asked(build(api))
    api.project.trouble.faults = [Fault("/ssh_keys", "POST", times=10**6, status=423, code="locked")]
    with pytest.raises(ProviderFailed, match="locked") as caught:
        hetzner(api, patience=0.3).foundation(wanted)
    assert caught.value.code == "locked"


def test_slow_actions_are_waited_for(api: StandIn, provider: HetznerProvider) -> None:
    """A server is there when it runs, not when the API took the order."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    api.project.trouble.seconds = 0.3
    made = provider.server(wanted, wanted.servers[0].name)
    assert state(api)["servers"][made.name]["status"] == "running"


def test_a_full_project_is_named(api: StandIn, provider: HetznerProvider) -> None:
    """A limit is no matter of waiting: it is said, with its name and what helps."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    api.project.trouble.limits = {"servers": 4}
    with pytest.raises(ProviderFailed, match="server_limit") as caught:
        provider.server(wanted, wanted.servers[0].name)
    assert "higher limit" in caught.value.hint


def test_where_there_is_no_room_the_alternatives_are_tried_in_order(api: StandIn, provider: HetznerProvider) -> None:
    """Sold out, the server is made of the first alternative that there is room for."""
    wanted = asked(build(api), alternatives=[{"location": "fsn1"}, {"server_type": "cax21", "location": "hel1"}])
    provider.foundation(wanted)
    api.project.trouble.sold_out = {("cax11", "nbg1"), ("cax11", "fsn1")}
    made = provider.server(wanted, wanted.servers[0].name)
    assert (made.server_type, made.location) == ("cax21", "hel1")
    assert provider.server(wanted, wanted.servers[0].name) == made


def test_room_that_comes_is_taken(api: StandIn, provider: HetznerProvider, heard: Heard) -> None:
    """Sold out everywhere, it is asked again within the bound."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    api.project.trouble.faults = [Fault("/servers", "POST", times=2, status=412, code="resource_unavailable")]
    made = hetzner(api, heard, patience=5.0).server(wanted, wanted.servers[0].name)
    assert made.location == "nbg1"
    assert any("sold out: cax11 in nbg1" in note for note in heard.notes)


def test_no_room_anywhere_names_what_was_tried(api: StandIn) -> None:
    """After the bound it is said what was tried, and where alternatives are written."""
    wanted = asked(build(api), alternatives=[{"location": "fsn1"}])
    patient = hetzner(api, patience=0.3)
    patient.foundation(wanted)
    api.project.trouble.sold_out = {("cax11", "nbg1"), ("cax11", "fsn1")}
    with pytest.raises(ProviderFailed, match="cax11 in nbg1, cax11 in fsn1") as caught:
        patient.server(wanted, wanted.servers[0].name)
    assert "alternatives" in caught.value.hint
    assert any("sold out now" in note for note in patient.check(wanted))


@pytest.mark.parametrize("code", ["placement_error", "internal_error"])
def test_a_server_whose_making_failed_is_made_again(api: StandIn, provider: HetznerProvider, code: str) -> None:
    """An action that fails leaves a server that is none: it is deleted, and made anew."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    api.project.trouble.failing = [FailedAction("create_server", code)]
    made = provider.server(wanted, wanted.servers[0].name)
    servers = state(api)["servers"]
    assert servers[made.name]["status"] == "running"
    assert len(servers) == 5


def test_a_server_that_never_starts_is_named(api: StandIn) -> None:
    """What does not come up is given up within the bound, and keeps its label for destroy."""
    wanted = asked(build(api))
    patient = hetzner(api, patience=0.5)
    patient.foundation(wanted)
    api.project.trouble.failing = [FailedAction("start_server", "internal_error", 10**6)]
    with pytest.raises(ProviderFailed):
        patient.server(wanted, wanted.servers[0].name)
    api.project.trouble.failing = []
    patient.destroy(RESTORE)
    assert len(state(api)["servers"]) == 4


def test_an_alternative_never_changes_the_architecture(api: StandIn, provider: HetznerProvider) -> None:
    """Another architecture among the alternatives is refused before anything is made, with those that would do."""
    wanted = asked(build(api), alternatives=[{"server_type": "cx22"}])
    with pytest.raises(ConfigurationError, match="cx22 is x86") as caught:
        provider.check(wanted)
    assert "cax11, cax21" in caught.value.hint


def test_a_wrong_token_says_what_to_do(api: StandIn) -> None:
    """The refusal names the token's place, and the token is not in it."""
    wanted = asked(build(api))
    with pytest.raises(ProviderFailed, match="unauthorized") as caught:
        HetznerProvider("wrong-token", api.endpoint, Heard()).check(wanted)
    assert "API tokens" in caught.value.hint
    assert "wrong-token" not in caught.value.message


def test_an_api_that_is_none_is_said(api: StandIn) -> None:
    """Answers that are not the API's are one error with a hint, not a traceback."""
    wanted = asked(build(api))
    strange = HetznerProvider(api.token, api.endpoint.replace("/v1", "/stand-in"), Heard(), patience=0.1)
    with pytest.raises(ProviderFailed) as caught:
        strange.check(wanted)
    assert caught.value.message


def test_a_name_without_a_zone_is_named(api: StandIn, provider: HetznerProvider) -> None:
    """A record that the project has no zone for is said, with the zones that there are."""
    build(api)
    with pytest.raises(PreflightFailed, match=r"example\.org.*docfast\.dev"):
        provider.record("www.example.org", "A")
    assert provider.record(f"www.{APEX}", "A") is None
