"""Traffic to the new cluster through Hetzner's API, whose stand-in has machines in memory: fence, balancer, dns."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from drkit.clock import SystemClock
from drkit.config.load import load
from drkit.errors import PreflightFailed, RestoreFailed
from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from drkit.lab.workload.certificate import self_signed
from drkit.providers.hetzner import HetznerProvider
from drkit.restore import endpoints, rebuild, rebuild_plan
from drkit.restore.engine import journal
from drkit.restore.engine.action import Call
from drkit.restore.engine.plan import Plan
from drkit.restore.etcd.values import Machine as Placed
from drkit.restore.ground import Ground, ground
from drkit.restore.leading import Leading
from drkit.restore.machines import Machines, to_result
from drkit.restore.rebuild import Means
from drkit.restore.wanted import HETZNER, MANIFESTS, Machine, Wanted
from tests import old_cluster
from tests.old_cluster import Heard, build, client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.hcloud.serve import StandIn

TOKEN = "a-token-for-tests"
CONFIG = """
cluster: {name: docfast, servers: [{name: NAME, address: 127.0.0.1}], ssh: {port: PORT}}
vaults: {databases: {url: vault, passphrase: {env: HCLOUD_TOKEN}}}
clusters:
  new: {provider: hetzner, token: {env: HCLOUD_TOKEN}, load_balancer: k3s-lb, ssh: {key: id},
        server_type: cax11, image: debian-13, location: nbg1,
        dns: [docfast.dev, shop.example.org, {name: www.example.org, command: [sh, -c, 'echo "$@" >>told', sh]}]}
"""


@dataclass
class Restore:
    """A restore whose machines are made, and whose databases are proven."""

    shared: Ground
    results: dict[str, dict[str, Any]]
    attempt: journal.Attempt

    def call(self, action: str) -> Call:
        """What its step is given."""
        step = next(each for each in self.shared.means.plan.steps if each.action == action)
        return Call(step, self.attempt, begun_before=False, results=self.results, task=Heard())

    def leading(self) -> Leading:
        """The actions; a short patience, because the machines are healthy at once or never."""
        return Leading(self.shared, patience=0.2)

    @property
    def told(self) -> list[tuple[str, Any]]:
        """What its steps told so far."""
        lines = [json.loads(line) for line in self.attempt.journal.path.read_text().splitlines()]
        return [(each["told"], each["value"]) for each in lines if "told" in each]


@pytest.fixture
def machines() -> MemoryMachines:
    """Where the stand-in's servers are."""
    return MemoryMachines()


@pytest.fixture
def api(machines: MemoryMachines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """A stand-in with the old cluster, as the configuration finds it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serving(machines, TOKEN) as running:
        monkeypatch.setenv("HCLOUD_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
        yield running


@pytest.fixture
def port() -> Iterator[int]:
    """Where somebody listens, as an old machine would."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def restore(api: StandIn, tmp_path: Path, port: int, name: str = "k3s-mgr") -> Restore:
    """With all machines made."""
    document = build(api)
    (tmp_path / "id.pub").write_text(f"{old_cluster.KEY}\n")
    (tmp_path / "drkit.yaml").write_text(CONFIG.replace("NAME", name).replace("PORT", str(port)))
    config = load(tmp_path / "drkit.yaml")
    wanted = Wanted(
        "new",
        MANIFESTS,
        HETZNER,
        servers=(Machine("k3s-mgr", "k3s-mgr"),),
        agents=(Machine("k3s-w1", "k3s-w1"), Machine("k3s-w2", "k3s-w2")),
        balancer=True,
        health=True,
        dns=("docfast.dev", "shop.example.org", "www.example.org"),
    )
    plan = Plan("new", rebuild_plan.steps(wanted), (), mode=MANIFESTS)
    means = Means(plan, config, {}, {}, {}, old_is_dead=False, clock=SystemClock(), reporter=Heard())
    begun = journal.begin("new", "restore-1", plan.as_json())
    found = ground(means, Machines(plan, config), begun.restore)
    # As if it stood in the backup.
    shared = Ground(means, found.machines, quick(api), old_cluster.asked(document, restore_id=begun.restore), document)
    shared.provider.foundation(shared.wanted)
    results = {}
    for each in shared.wanted.servers:
        made = shared.provider.server(shared.wanted, each.name)
        results[f"server {each.was}"] = to_result(made, Placed(made.name, "server", made.private, made.public))
    clock = SystemClock()
    return Restore(shared, results, journal.Attempt(begun, clock, 1, clock.now(), clock.monotonic()))


def quick(api: StandIn) -> HetznerProvider:
    """A provider that asks often."""
    return HetznerProvider(api.token, api.endpoint, Heard(), patience=20.0, pause=0.005)


def test_a_living_cluster_that_the_provider_does_not_have_stops_the_restore(
    api: StandIn, tmp_path: Path, port: int
) -> None:
    """Somebody who answers, and is neither off nor away from the load balancer, is named; nothing goes on."""
    here = restore(api, tmp_path, port, name="elsewhere")
    with pytest.raises(PreflightFailed, match="elsewhere at 127") as refused:
        here.leading().fence(here.call("fence"))
    assert "--old-is-dead" in refused.value.hint


def test_a_living_cluster_is_taken_from_the_load_balancer(api: StandIn, tmp_path: Path, port: int) -> None:
    """Old servers that the provider has are no targets any more; that one still answers is told."""
    here = restore(api, tmp_path, port)
    found = here.leading().fence(here.call("fence"))
    assert found["held"] == ["k3s-mgr", "k3s-w1", "k3s-w2"]
    assert any(kind == "warning" and "still answers" in value for kind, value in here.told)
    assert old_cluster.state(api)["balancers"]["k3s-lb"][0] == []


def test_who_vouches_is_believed(api: StandIn, tmp_path: Path, port: int) -> None:
    """With ``--old-is-dead`` nothing is looked at or changed."""
    here = restore(api, tmp_path, port, name="elsewhere")
    vouching = Means(**{**vars(here.shared.means), "old_is_dead": True})
    shared = Ground(vouching, here.shared.machines, here.shared.provider, here.shared.wanted, {})
    before = old_cluster.state(api)
    assert Leading(shared).fence(here.call("fence")) == {"vouched": True}
    assert old_cluster.state(api) == before


def test_the_load_balancer_waits_for_health(api: StandIn, machines: MemoryMachines, tmp_path: Path, port: int) -> None:
    """With no healthy target it fails and names them; with one of two it goes on, and says which is not."""
    here = restore(api, tmp_path, port)
    machines.well = False
    with pytest.raises(RestoreFailed, match=r"no healthy target .*k3s-w1-r\w+ port 80 unhealthy"):
        here.leading().balancer(here.call("balancer"))
    machines.well = True
    second = here.results["server k3s-w2"]["provider_name"]
    server = client(api).servers.get_by_name(second)
    assert server is not None
    machines.running.discard(server.id)
    found = here.leading().balancer(here.call("balancer"))
    assert found["became"] == "adopted"
    assert any(kind == "warning" and f"{second} port 80 unhealthy" in value for kind, value in here.told)


def test_names_are_changed_and_what_they_were_is_told_first(
    api: StandIn, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone's record is changed, a command is run, the rest is told for doing by hand; called again it is the same."""
    monkeypatch.chdir(tmp_path)
    here = restore(api, tmp_path, port)
    old = old_cluster.state(api)["records"]["@.docfast.dev A"]
    here.results["balancer"] = {"addresses": ["203.0.113.9"]}
    first = here.leading().dns(here.call("dns"))
    assert first["records"] == {
        "docfast.dev A": "changed",
        "shop.example.org A": "by hand",
        "www.example.org A": "by command",
    }
    assert here.told[0] == ("old-record", {"name": "docfast.dev", "type": "A", "values": old})
    assert ("note", "change by hand: shop.example.org A 203.0.113.9") in here.told
    assert (tmp_path / "told").read_text() == "www.example.org A 203.0.113.9\n"
    assert old_cluster.state(api)["records"]["@.docfast.dev A"] == ["203.0.113.9"]
    assert here.leading().dns(here.call("dns")) == first


def test_a_destroyed_restore_is_not_gone_on_with(api: StandIn, tmp_path: Path, port: int) -> None:
    """Destroy removes what was made, can be said again, and ends the journal."""
    here = restore(api, tmp_path, port)
    begun = here.attempt.journal
    config = here.shared.means.config
    names = {each.name for each in rebuild.destroy(config, begun, "new", Heard())}
    assert {result["provider_name"] for result in here.results.values()} <= names
    assert rebuild.destroy(config, begun, "new", Heard()) == ()
    history = journal.read(begun)
    assert history is not None
    assert history.finished


@contextmanager
def site(status: int, pem: Path | None = None) -> Iterator[int]:
    """A site on loopback, with a certificate where one is given, and the port it listens on."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == "/health?deep=1" and self.headers["Host"].startswith("shop.example.org")
            self.send_response(status if good else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "well"), [(200, True), (302, True), (503, False)])
def test_health_is_asked_at_the_address_that_names_will_lead_to(status: int, well: bool) -> None:
    """The URL's host is asked for at another address than its own; 2xx and 3xx are well."""
    with site(status) as port:
        said = endpoints.problem(f"http://shop.example.org:{port}/health?deep=1", "127.0.0.1")
    assert (said == "") is well
    assert well or "answers 503" in said


def test_a_certificate_that_nobody_vouches_for_is_not_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is verified for the URL's host; with its authority believed it is well."""
    pem = tmp_path / "site.pem"
    pem.write_text("".join(self_signed(["shop.example.org"])))
    with site(200, pem) as port:
        url = f"https://shop.example.org:{port}/health?deep=1"
        assert "certificate verify failed" in endpoints.problem(url, "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert endpoints.problem(url, "127.0.0.1") == ""
        assert "certificate verify failed" in endpoints.problem(url.replace("shop.", "www."), "127.0.0.1")


def test_nobody_there_is_not_well() -> None:
    """A closed port is named with the URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert f"127.0.0.1: {'ConnectionRefused'}" in endpoints.problem(f"http://a.example:{port}/", "127.0.0.1")
