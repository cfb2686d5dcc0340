"""Registries that misbehave: a server on loopback that stands in for one, and answers as each test tells it to."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit.errors import PreflightFailed
from drkit.lab.ports import free_port
from drkit.restore import needed_images
from drkit.restore.images import mirrors, reference
from drkit.restore.images.keyring import Login
from drkit.restore.images.registry import Answer, Registries, State
from drkit.restore.images.resolve import resolve
from drkit.restore.images.wanted import Wanted
from tests.contract.api_server import DEPLOYMENTS
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.kube import Object, Resource
    from drkit.restore.objects.gather import Gathered

DIGEST = f"sha256:{'0a' * 32}"
INDEX = {"manifests": [{"platform": {"os": "linux", "architecture": each}} for each in ("amd64", "arm64")]}
SINGLE = {"config": {"digest": DIGEST}}
SOMEBODY = Login("127.0.0.1", "somebody", "pass-word")
Reply = tuple[int, dict[str, str], Any]


@dataclass
class StandIn:
    """What stands in for a registry, and what it was asked."""

    port: int = 0
    answer: Callable[[str, dict[str, str]], Reply] = lambda _path, _headers: (404, {}, {})
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Paths, and what was said of who asks."""

    def image(self, name: str = "a/b:1") -> str:
        """One of its images."""
        return f"127.0.0.1:{self.port}/{name}"

    def ask(self, login: Login | None = None, architecture: str = "arm64") -> Answer:
        """What is found out about it."""
        image = reference.parse(self.image())
        assert image is not None
        return Registries([architecture]).ask(mirrors.Mirrors().endpoints(image)[0], image.version, login)


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_GET(self) -> None:
        stand_in = self.stand_in
        stand_in.asked.append((self.path, self.headers.get("Authorization", "")))
        status, headers, document = stand_in.answer(self.path, dict(self.headers))
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden parameter
        """Say nothing."""


@contextmanager
def served() -> Iterator[StandIn]:
    """One that is served for the body."""
    made = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": made}))
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def registry() -> Iterator[StandIn]:
    """A registry's stand-in."""
    with served() as made:
        yield made


def test_what_passes_is_asked_again(registry: StandIn) -> None:
    """A registry that has too much to do is asked again a little later."""
    registry.answer = lambda _path, _headers: (
        (200, {}, INDEX) if len(registry.asked) > 2 else (429, {"Retry-After": "0"}, {})
    )
    assert registry.ask().state is State.RESOLVED
    assert len(registry.asked) == 3


def test_what_leads_elsewhere_is_followed_without_saying_who_asks(registry: StandIn) -> None:
    """Blobs may lie with another host: it is asked for them, and told nothing of the user."""
    with served() as other:
        other.answer = lambda _path, _headers: (200, {}, {"os": "linux", "architecture": "arm64"})

        def answer(path: str, headers: dict[str, str]) -> Reply:
            if "Authorization" not in headers:
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, {}
            if "/blobs/" in path:
                return 307, {"Location": f"http://127.0.0.1:{other.port}/blob"}, {}
            return 200, {}, SINGLE

        registry.answer = answer
        assert registry.ask(SOMEBODY).state is State.RESOLVED
    assert other.asked == [("/blob", "")]
    assert registry.asked[-1][1].startswith("Basic ")


def test_a_token_is_had_from_where_the_registry_says(registry: StandIn) -> None:
    """A challenge for a token leads to the place that gives it, as the user, for this repository alone."""

    def answer(path: str, headers: dict[str, str]) -> Reply:
        if path.startswith("/token"):
            return 200, {}, {"access_token": "the-token"} if headers.get("Authorization") else {}
        if headers.get("Authorization") == "Bearer the-token":
            return 200, {}, INDEX
        realm = f'Bearer realm="http://127.0.0.1:{registry.port}/token",service="registry"'
        return 401, {"WWW-Authenticate": realm}, {}

    registry.answer = answer
    assert registry.ask(SOMEBODY).state is State.RESOLVED
    assert [path for path, _ in registry.asked][1] == "/token?scope=repository%3Aa%2Fb%3Apull&service=registry"
    found = registry.ask()
    assert (found.state, found.why) == (State.DENIED, f"127.0.0.1:{registry.port} refuses it without a pull secret")


def test_a_password_is_sent_nowhere_in_clear_but_where_it_is_already() -> None:
    """A registry asked in clear may not send the password to another host in clear; one that is encrypted, to none."""
    with served() as registry:
        registry.answer = lambda path, _headers: (
            (200, {}, {"token": "t"})
            if path.startswith("/token")
            else (401, {"WWW-Authenticate": f'Bearer realm="http://localhost:{registry.port}/token"'}, {})
        )
        assert registry.ask(SOMEBODY).state is State.DENIED
    assert [authorization for path, authorization in registry.asked if path.startswith("/token")] == [""]


@pytest.mark.parametrize(
    ("reply", "state", "said"),
    [
        ((404, {}, {}), State.NOT_FOUND, "does not have it"),
        ((403, {}, {}), State.DENIED, "refuses it as somebody"),
        ((401, {"WWW-Authenticate": "Negotiate"}, {}), State.DENIED, "refuses it"),
        ((418, {}, {}), State.CANNOT_ASK, "answers 418"),
        ((500, {}, {}), State.CANNOT_ASK, "answers 500"),
        ((200, {}, b"<html>"), State.CANNOT_ASK, "no registry"),
        ((200, {}, b"[" * 100_000), State.CANNOT_ASK, "no registry"),
        ((200, {}, {"schemaVersion": 1}), State.CANNOT_ASK, "of a kind"),
        ((200, {}, {"config": {"digest": "../../x"}}), State.CANNOT_ASK, "of a kind"),
        ((200, {}, b"{" + b" " * 9_000_000), State.CANNOT_ASK, "more than"),
        ((307, {"Location": "/v2/a/b/manifests/1"}, {}), State.CANNOT_ASK, "in circles"),
        ((307, {"Location": "file:///etc/passwd"}, {}), State.CANNOT_ASK, ""),
        ((200, {}, {"manifests": [None, 3, {"platform": []}]}), State.OTHER_ARCHITECTURE, "none that is named"),
        (
            (200, {}, {"manifests": [{"platform": {"os": "windows", "architecture": "arm64"}}]}),
            State.OTHER_ARCHITECTURE,
            "",
        ),
    ],
)
def test_every_answer_means_something(registry: StandIn, reply: Reply, state: State, said: str) -> None:
    """Whatever a registry answers, the image is resolved, or it is said why not; no password is in it."""
    registry.answer = lambda _path, _headers: reply
    found = registry.ask(SOMEBODY)
    assert found.state is state
    assert said in found.why
    assert "pass-word" not in found.why


def test_images_are_asked_for_once_and_each_names_who_needs_it(registry: StandIn) -> None:
    """Two workloads with one image are one question; what nodes do not ask for is not asked for here either."""
    registry.answer = lambda path, _headers: (200, {}, INDEX) if "/a/b/" in path else (404, {}, {})
    needed = [
        Wanted(registry.image(), "Deployment one/web"),
        Wanted(registry.image(), "CronJob one/nightly"),
        Wanted(registry.image("gone:1"), "Deployment one/gone"),
        Wanted("lab/docfast:1", "Deployment one/local", "Never"),
        Wanted("docker.io/library/there:1", "Deployment one/there"),
        Wanted("No Name", "Deployment one/odd"),
        Wanted(f"127.0.0.1:{free_port()}/a:1", "Deployment one/offline"),
    ]
    found = {each.used_by: each for each in resolve(needed, ["amd64", "arm64"], mirrors.Mirrors(), present=["there:1"])}
    states = {used_by[0]: each.state for used_by, each in found.items()}
    assert states == {
        "Deployment one/web": State.RESOLVED,
        "Deployment one/gone": State.NOT_FOUND,
        "Deployment one/local": State.NOT_ASKED,
        "Deployment one/there": State.NOT_ASKED,
        "Deployment one/odd": State.NOT_FOUND,
        "Deployment one/offline": State.CANNOT_ASK,
    }
    assert len(registry.asked) == 2
    web = found["Deployment one/web", "CronJob one/nightly"]
    assert web.digest.startswith("sha256:")
    assert web.as_json() == {
        "image": registry.image(),
        "state": "resolved",
        "used_by": ["Deployment one/web", "CronJob one/nightly"],
        "digest": web.digest,
    }
    assert [each.image for each in found.values() if each.is_problem] == [registry.image("gone:1"), "No Name"]


UNKNOWN = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}


class Sealed:
    """The objects of a cluster: Deployments, each with an image and so many replicas."""

    def __init__(self, *needed: tuple[str, str, int]) -> None:
        self._needed = needed

    def objects(self) -> Iterator[tuple[Resource, Object]]:
        """They."""
        for name, image, replicas in self._needed:
            template = {"spec": {"containers": [{"image": image}]}}
            metadata = {"name": name, "namespace": "one"}
            yield DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": replicas, "template": template}}


def see(*needed: tuple[str, str, int], nodes: tuple[str, ...] = ("arm64",), accepted: bool = False) -> list[str]:
    """What a restore is told of the images, where it goes on."""
    topology = {"nodes": [{"labels": {"kubernetes.io/arch": each}} for each in nodes]}
    heard = Heard()
    needed_images.see(cast("Gathered", Sealed(*needed)), topology, {}, heard, accepted=accepted)
    return heard.notes


def test_what_a_registry_does_not_have_refuses_the_restore(registry: StandIn) -> None:
    """Before anything is made, with the image and who needs it; whoever does without goes on, and is told."""
    registry.answer = lambda path, _headers: (200, {}, INDEX) if "/a/b/" in path else (404, {}, UNKNOWN)
    gone = ("web", registry.image("gone:1"), 2)
    with pytest.raises(PreflightFailed, match=r"gone:1 of Deployment one/web: 127.0.0.1.* does not have it") as refused:
        see(gone, ("other", registry.image(), 1))
    assert "--accept-incomplete" in refused.value.hint
    (told,) = see(gone, accepted=True)
    assert "gone:1 of Deployment one/web" in told


@pytest.mark.parametrize(
    ("reply", "nodes", "stops"),
    [
        ((404, {}, UNKNOWN), ("arm64",), True),
        ((404, {}, {"errors": [{"code": "NAME_UNKNOWN"}]}), ("arm64",), True),
        ((404, {}, b"<html>not here</html>"), ("arm64",), False),
        ((404, {}, {"errors": 7}), ("arm64",), False),
        ((401, {}, {}), ("arm64",), False),
        ((500, {}, {}), ("arm64",), False),
        ((200, {}, {"manifests": INDEX["manifests"][:1]}), ("arm64",), True),
        ((200, {}, {"manifests": INDEX["manifests"][:1]}), ("arm64", "amd64"), False),
        ((200, {}, {"manifests": [{}]}), ("arm64",), False),
    ],
)
def test_only_a_registrys_own_word_refuses(
    registry: StandIn, reply: Reply, nodes: tuple[str, ...], stops: bool
) -> None:
    """What stands on the way, who may not ask, and nodes of several kinds leave it open: that is said and no more."""
    registry.answer = lambda _path, _headers: reply
    (found,) = resolve([Wanted(registry.image(), "Deployment one/web", runs=True)], nodes, mirrors.Mirrors())
    assert found.stops is stops
    see(("idle", registry.image(), 0), nodes=nodes)
    if not stops:
        see(("web", registry.image(), 1), nodes=nodes)


def test_a_mirror_that_cannot_be_asked_may_have_what_the_registry_does_not(registry: StandIn) -> None:
    """Where one place cannot be asked from here, an image that another lacks is not called missing."""
    file = f'mirrors: {{"127.0.0.1:{registry.port}": {{endpoint: ["http://127.0.0.1:{free_port()}"]}}}}'
    found = resolve([Wanted(registry.image(), "Deployment one/web")], ["arm64"], mirrors.parse(file.encode()))
    assert found[0].state is State.CANNOT_ASK
    assert "does not have it" in found[0].why
    registry.answer = lambda _path, _headers: (200, {}, INDEX)
    found = resolve([Wanted(registry.image(), "Deployment one/web")], ["arm64"], mirrors.parse(file.encode()))
    assert found[0].state is State.RESOLVED
