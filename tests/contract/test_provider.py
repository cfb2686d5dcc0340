"""The suite for the providers: Hetzner against the stand-in with machines in memory, and hosts that exist."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcloud
import pytest
from ruamel.yaml import YAML

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh, Target
from drkit.errors import ConfigurationError, PreflightFailed, ProviderFailed
from drkit.lab import box as boxes
from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from drkit.lab.hcloud.trouble import FailedAction, Fault
from drkit.providers import hostkeys, naming
from drkit.providers.hetzner import HetznerProvider
from drkit.providers.port import ADOPTED, MADE, Record
from drkit.providers.ssh import SshProvider
from drkit.providers.wanted import wanted as wanted_of
from tests import old_cluster
from tests.contract.provider_suite import ProviderSuite
from tests.old_cluster import RESTORE, Heard, asked, build, client, lose, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.box import LabBox
    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.port import Server
    from drkit.providers.values import Wanted

TOKEN = "a-token-for-tests"
APEX = "docfast.dev"


@pytest.fixture
def machines() -> MemoryMachines:
    """Where the stand-in's servers are."""
    return MemoryMachines()


@pytest.fixture
def api(machines: MemoryMachines) -> Iterator[StandIn]:
    """A stand-in with an empty project."""
    with serving(machines, TOKEN) as running:
        yield running


@pytest.fixture
def heard() -> Heard:
    """What a provider tells."""
    return Heard()


@pytest.fixture
def provider(api: StandIn, heard: Heard) -> HetznerProvider:
    """The provider under test."""
    return hetzner(api, heard)


def hetzner(api: StandIn, heard: Heard | None = None, **more: float) -> HetznerProvider:
    """A provider that asks often, because the stand-in's actions are short."""
    return HetznerProvider(api.token, api.endpoint, heard or Heard(), **{"patience": 20.0, "pause": 0.005, **more})


def all_of_it(provider: HetznerProvider, wanted: Wanted, *, power_off: bool = True) -> list[Server]:
    """Everything that a restore asks of a provider, in its order."""
    provider.check(wanted)
    provider.foundation(wanted)
    made = [provider.server(wanted, each.name) for each in wanted.servers]
    provider.fence(wanted, power_off=power_off)
    provider.balancer(wanted)
    provider.point(wanted.restore_id, Record(APEX, "A", ("198.51.100.9",)))
    provider.point(wanted.restore_id, Record(f"www.{APEX}", "A", ("198.51.100.9",)))
    return made


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


def test_what_is_there_is_adopted_and_kept(api: StandIn, provider: HetznerProvider, machines: MemoryMachines) -> None:
    """Network, firewall, group and load balancer stay the old ones; the load balancer keeps its address."""
    document = build(api)
    before = document["hetzner"]["load_balancers"][0]
    wanted = asked(document)
    became = {each.name: each.became for each in provider.foundation(wanted)}
    assert became == {
        "k3s-net": ADOPTED,
        "k3s-fw": ADOPTED,
        "k3s-spread": ADOPTED,
        f"drkit-{naming.short(RESTORE)}": MADE,
    }
    for each in wanted.servers:
        provider.server(wanted, each.name)
    found = provider.balancer(wanted)
    assert found is not None
    assert (found.addresses, found.became) == ((before["public_net"]["ipv4"]["ip"],), ADOPTED)
    assert len(api.project.things["load_balancers"]) == 1
    assert {spec.name for spec in machines.specs.values()} == {
        *old_cluster.NODES,
        "shop",
        *(s.name for s in wanted.servers),
    }


def test_what_is_gone_is_made_as_it_was(api: StandIn, provider: HetznerProvider) -> None:
    """A rebuilt project differs from the lost one by names and marks of the servers alone."""
    document = build(api)
    before = state(api)
    lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
    wanted = asked(document)
    provider.foundation(wanted)
    for each in wanted.servers:
        provider.server(wanted, each.name)
    provider.balancer(wanted)
    for collection, keys in (
        ("networks", ("name", "ip_range", "subnets", "routes")),
        ("firewalls", ("name", "rules")),
        ("placement_groups", ("name", "type")),
        ("load_balancers", ("name", "services", "algorithm", "load_balancer_type", "location")),
    ):
        there = {each["name"]: each for each in api.project.things[collection].values()}
        for old in document["hetzner"][collection]:
            assert {key: there[old["name"]][key] for key in keys} == {key: old[key] for key in keys}
    # By the same selector: all that it means is this restore's own.
    assert state(api)["balancers"]["k3s-lb"][0] == before["balancers"]["k3s-lb"][0]
    now = state(api)["servers"]
    for server in wanted.servers:
        new, old = now[server.name], before["servers"][server.was]
        assert {**new, "labels": None} == {**old, "labels": None}
        assert new["labels"] == {**old["labels"], naming.MADE_BY: RESTORE, naming.STANDS_FOR: server.was}


def test_new_servers_get_no_traffic_before_they_are_asked_for(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """A label selector of the old load balancer would mean the new servers at once: it is gone before they come."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = [provider.server(wanted, each.name) for each in wanted.servers]
    api.project.close()
    targets = next(iter(machines.balanced.values()))[1]
    assert len(targets) == 2
    assert not set(targets.values()) & {address for each in made for address in (*each.public, *each.private)}


def test_an_old_server_that_comes_back_gets_no_traffic(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """Old servers carry the labels too: while they are there the new targets are named one by one."""
    wanted = asked(build(api))
    made = {each.private[0] for each in all_of_it(provider, wanted, power_off=False) if "-w" in each.name}
    api.project.close()
    assert set(next(iter(machines.balanced.values()))[1].values()) == made


def test_fencing_takes_the_power_and_the_traffic_of_the_old_servers_alone(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """Old servers are off and no targets any more; a stranger's server runs on."""
    wanted = asked(build(api))
    fenced = provider.fence(wanted, power_off=True)
    assert all(each.off and each.detached for each in fenced)
    assert len(fenced) == 3
    assert [machines.specs[number].name for number in machines.running] == ["shop"]
    assert state(api)["balancers"]["k3s-lb"][0] == []


def test_taking_over_the_names_deletes_nothing(api: StandIn, provider: HetznerProvider) -> None:
    """With ``replace`` the old servers are off and called otherwise; destroy gives them their names back."""
    document = build(api)
    before = state(api)
    wanted = asked(document, replace=True)
    all_of_it(provider, wanted)
    servers = state(api)["servers"]
    for name in old_cluster.NODES:
        assert servers[name]["status"] == "running"
        assert servers[naming.put_aside(name, RESTORE)]["status"] == "off"
    provider.destroy(RESTORE)
    after = state(api)
    for name in old_cluster.NODES:
        assert after["servers"][name].pop("status") == "off"
        before["servers"][name].pop("status")
    assert after == before


def test_a_strangers_name_is_not_taken_over(api: StandIn, provider: HetznerProvider) -> None:
    """A server of the wanted name that is none of the old cluster's is neither touched nor adopted."""
    document = build(api)
    lose(api, "servers")
    client(api).request("POST", "/servers", json={"name": "k3s-w1", "server_type": "cax11", "image": "debian-13"})
    wanted = asked(document, replace=True)
    with pytest.raises(PreflightFailed, match="k3s-w1"):
        provider.check(wanted)
    before = state(api)["servers"]["k3s-w1"]
    provider.foundation(wanted)
    with pytest.raises(ProviderFailed, match="none of the old cluster's"):
        provider.server(wanted, "k3s-w1")
    assert state(api)["servers"]["k3s-w1"] == before


def test_an_address_that_outlives_its_server_is_taken_over(api: StandIn, provider: HetznerProvider) -> None:
    """With ``replace`` a primary address that is kept goes to the new server, and back again with destroy."""
    build(api)
    project = api.project
    with project.lock:
        old = next(each for each in project.things["servers"].values() if each["name"] == "k3s-w1")
        number = old["public_net"]["ipv4"]["id"]
        address = project.things["primary_ips"][number]
        address.update(auto_delete=False, name="kept")
    wanted = asked(old_cluster.topology(api), replace=True)
    provider.foundation(wanted)
    assert provider.server(wanted, "k3s-w1").address == address["ip"]
    provider.destroy(RESTORE)
    assert address["assignee_id"] == old["id"]
    assert address["labels"] == {}


def test_a_floating_address_is_led_to_the_new_server(api: StandIn, provider: HetznerProvider) -> None:
    """It goes to the server that stands for the one that had it, and back again with destroy."""
    build(api)
    own = client(api)
    holder = own.servers.get_by_name("k3s-mgr")
    assert holder is not None
    own.floating_ips.create("ipv4", name="entry", server=holder)
    wanted = asked(old_cluster.topology(api))
    provider.foundation(wanted)
    made = {each.name: provider.server(wanted, each.name) for each in wanted.servers}
    provider.balancer(wanted)
    entry = own.floating_ips.get_by_name("entry")
    assert entry is not None
    assert entry.server is not None
    assert entry.server.name == next(name for name in made if "mgr" in name)
    provider.destroy(RESTORE)
    entry.reload()
    assert entry.server.id == holder.id
    assert entry.labels == {}


class Killed(BaseException):
    """drkit is gone."""


@contextmanager
def killed_after(calls: int) -> Iterator[list[str]]:
    """For the body drkit dies after so many calls that change something: the answer of the last is never seen."""
    made: list[str] = []
    real = hcloud.Client.request

    def request(self: hcloud.Client, method: str, url: str, **more: Any) -> dict[str, Any]:
        answer = real(self, method, url, **more)
        if method != "GET":
            made.append(f"{method} {url}")
            if len(made) == calls:
                raise Killed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hcloud.Client, "request", request)
        yield made


def undisturbed(wanting: Callable[[StandIn], Wanted]) -> tuple[dict[str, Any], dict[str, Any], int, int]:
    """How a restore and its destruction end, and how many calls each takes that change something."""
    with serving(MemoryMachines(), TOKEN) as api:
        wanted = wanting(api)
        with killed_after(0) as made:
            all_of_it(hetzner(api), wanted)
        whole = state(api)
        with killed_after(0) as removed:
            hetzner(api).destroy(RESTORE)
        return whole, state(api), len(made), len(removed)


def of_old(api: StandIn) -> Wanted:
    """Beside the old cluster."""
    return asked(build(api))


def of_nothing(api: StandIn) -> Wanted:
    """With nothing left."""
    document = build(api)
    lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
    return asked(document)


def of_names(api: StandIn) -> Wanted:
    """With the old names."""
    return asked(build(api), replace=True)


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_killed_after_any_call_it_ends_the_same(wanting: Callable[[StandIn], Wanted]) -> None:
    """A restore that dies after any of its calls, and is run again, ends as one that was not disturbed."""
    whole, _, calls, _ = undisturbed(wanting)
    assert calls > 10
    for number in range(1, calls + 1):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            with killed_after(number), pytest.raises(Killed):
                all_of_it(hetzner(api), wanted)
            all_of_it(hetzner(api), wanted)
            assert state(api) == whole, f"after call {number}"


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_destroy_that_is_killed_is_finished_by_the_next(wanting: Callable[[StandIn], Wanted]) -> None:
    """Destruction that dies after any of its calls, and is run again, leaves what an undisturbed one leaves."""
    _, left, _, calls = undisturbed(wanting)
    for number in range(1, calls + 1):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            all_of_it(hetzner(api), wanted)
            with killed_after(number), pytest.raises(Killed):
                hetzner(api).destroy(RESTORE)
            hetzner(api).destroy(RESTORE)
            assert state(api) == left, f"after call {number}"


@pytest.mark.parametrize("wanting", [of_old, of_nothing, of_names])
def test_destroy_after_any_call_leaves_no_trace(wanting: Callable[[StandIn], Wanted]) -> None:
    """What a restore made before it died goes, whatever that was, and no more."""
    _, _, calls, _ = undisturbed(wanting)
    for number in range(1, calls + 1, 3):
        with serving(MemoryMachines(), TOKEN) as api:
            wanted = wanting(api)
            before = _without_power(state(api))
            with killed_after(number), pytest.raises(Killed):
                all_of_it(hetzner(api), wanted)
            hetzner(api).destroy(RESTORE)
            assert _without_power(state(api)) == before, f"after call {number}"


def _without_power(found: dict[str, Any]) -> dict[str, Any]:
    """Without what destroy leaves on purpose: old servers that are off."""
    return {**found, "servers": {name: {**each, "status": ""} for name, each in found["servers"].items()}}


def test_destroy_leaves_another_restores_things(api: StandIn, provider: HetznerProvider) -> None:
    """Two restores beside each other: what one made stays when the other is destroyed."""
    document = build(api)
    first, second = asked(document), asked(document, restore_id="restore-2")
    all_of_it(provider, first)
    kept = set(state(api)["servers"])
    provider.foundation(second)
    for each in second.servers:
        provider.server(second, each.name)
    provider.destroy("restore-2")
    assert set(state(api)["servers"]) == kept


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


def test_the_first_key_is_known_before_the_server_is(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """What the server is told to prove to be is what its label says; no key is on this machine's disk or in a repr."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = provider.server(wanted, wanted.servers[0].name)
    told = next(spec.user_data for spec in machines.specs.values() if spec.name == made.name)
    document = YAML(typ="safe").load(told)
    assert told.startswith("#cloud-config\n")
    assert made.host_keys == (document["ssh_keys"]["ed25519_public"],)
    assert made.first_key
    assert made.known_hosts() == f"{made.address} {made.host_keys[0]}\n"
    both = provider.pin(made, (OWN_KEY, *made.host_keys))
    assert provider.server(wanted, made.name) == both
    own = provider.pin(both, (OWN_KEY,))
    assert own == replace(made, host_keys=(OWN_KEY,), first_key=False)
    assert provider.server(wanted, made.name) == own


OWN_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()


@pytest.fixture
def fresh_host() -> Iterator[LabBox]:
    """An sshd on loopback, as a server's image has one."""
    directory = Path(tempfile.mkdtemp(prefix="drkit-fresh-"))
    directory.chmod(0o755)
    try:
        with boxes.box(directory) as running:
            (running.directory / "authorized_keys").write_text(running.key.with_suffix(".pub").read_text())
            yield running
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_a_server_with_the_handed_over_key_is_believed(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines, fresh_host: LabBox, tmp_path: Path
) -> None:
    """A real sshd takes the key that stood in ``user_data``, and a client with the label's pin logs in to it."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = provider.server(wanted, wanted.servers[0].name)
    told = next(spec.user_data for spec in machines.specs.values() if spec.name == made.name)
    key = fresh_host.directory / "host_key"
    key.write_text(YAML(typ="safe").load(told)["ssh_keys"]["ed25519_private"])
    fresh_host.restart()
    pins = tmp_path / "known_hosts"
    pins.write_text(replace(made, address="127.0.0.1").known_hosts(fresh_host.port))
    user = pwd.getpwuid(os.geteuid()).pw_name
    ssh = Ssh(user=user, key=fresh_host.key, known_hosts=pins, port=fresh_host.port)
    node = SshNode(made.name, "127.0.0.1", ssh)
    try:
        assert node.run(["echo", "here"], deadline=30).stdout == b"here\n"
    finally:
        node.close()


def test_keys_of_labels_come_back() -> None:
    """A public key goes into a label's 63 characters and comes back; what is none is refused."""
    key = hostkeys.generate()
    value = hostkeys.to_label(key.public)
    assert len(value) <= naming.LONGEST_NAME
    assert hostkeys.from_label(value) == key.public
    assert "PRIVATE" not in repr(key)
    with pytest.raises(ValueError, match="no host key"):
        hostkeys.from_label("k" + "a" * 10)
    with pytest.raises(ValueError, match="no ssh-ed25519 key"):
        hostkeys.to_label("ssh-rsa AAAA")


def test_hosts_that_exist_need_an_address_each() -> None:
    """A target of the provider ssh without an address, or with one twice, is refused before anything is done."""
    target = Target.model_validate({"provider": "ssh", "servers": [{"name": "s1"}, {"name": "s2"}]})
    wanted = wanted_of({}, target, RESTORE, [], section="clusters.spare")
    with pytest.raises(PreflightFailed, match="s1, s2"):
        SshProvider({"s1": None}).check(wanted)
    with pytest.raises(PreflightFailed, match="same address"):
        SshProvider({"s1": "192.0.2.1", "s2": "192.0.2.1"}).check(wanted)
