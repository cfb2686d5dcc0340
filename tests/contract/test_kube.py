"""What every implementation of the port to a cluster's API promises; and what only one that is told to fail shows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from drkit.cluster import in_cluster
from drkit.cluster.api import LARGEST_PAGE, PAGE, HttpApi, connect
from drkit.cluster.kubeconfig import read
from drkit.cluster.transport import ATTEMPTS, LONGEST_WAIT, PROMPT, Transport
from drkit.errors import KubeExpired, KubeRefused, KubeUnreachable
from tests.contract.api_server import CONFIG_MAPS, NAMESPACES, MemoryApi, memory_api, resource
from tests.lab.labs import kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Api, Object, Watching

NAME = f"contract-{uuid4().hex[:8]}"


def config_map(name: str, **data: str) -> Object:
    """A small object in the suite's namespace."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAME}, "data": data}


@dataclass
class StoppedClock:
    """Time that passes by waiting for it alone."""

    waited: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Wall-clock time."""
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Seconds."""
        return sum(self.waited)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.waited.append(seconds)


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A server on loopback."""
    with memory_api() as made:
        made.add(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
        yield made


@pytest.fixture
def clock() -> StoppedClock:
    """The time of the tests that wait."""
    return StoppedClock()


@pytest.fixture
def patient(memory: MemoryApi, clock: StoppedClock) -> HttpApi:
    """A client of that server for which waiting takes no time."""
    return HttpApi(Transport(memory.access, clock, clock.pause))


@pytest.fixture(scope="module")
def lab_api(lab: dict[str, Any]) -> Iterator[Watching]:
    """The lab's API, with a namespace of the suite's own in it."""
    kubectl(lab, "create", "namespace", NAME)
    yield connect(read(Path(lab["kubeconfig"])))
    kubectl(lab, "delete", "namespace", NAME, "--wait=false")


@pytest.fixture(params=["loopback", pytest.param("lab", marks=pytest.mark.lab)])
def api(request: pytest.FixtureRequest) -> Watching:
    """Each implementation, with a namespace of the suite's own."""
    if request.param == "loopback":
        memory: MemoryApi = request.getfixturevalue("memory")
        return connect(memory.access)
    found: Watching = request.getfixturevalue("lab_api")
    return found


def items(api: Api, path: str, **options: str) -> list[Object]:
    """All objects of a list."""
    return [item for page in api.pages(path, **options) for item in page["items"]]


def test_it_says_what_it_serves(api: Api) -> None:
    """Discovery has each kind once, with its scope and verbs, and nothing of subresources."""
    found = api.discover()
    by_name = {(each.group, each.plural): each for each in found.resources}
    assert len(by_name) == len(found.resources)
    assert by_name["", "configmaps"].kind == "ConfigMap"
    assert by_name["", "configmaps"].namespaced
    assert not by_name["", "namespaces"].namespaced
    assert by_name["apps", "deployments"].api_version == "apps/v1"
    assert {"get", "list", "patch"} <= by_name["apps", "deployments"].verbs
    assert not any("/" in each.plural for each in found.resources)
    assert not found.failed


def test_what_was_applied_is_there(api: Api) -> None:
    """An object that was applied is found by its path and in the list, as it was given."""
    path = CONFIG_MAPS.object_path(NAME, "applied")
    text = "ä\n😀 \x85\u2028\x7f\ufeff\t1e3"
    api.apply(path, config_map("applied", text=text), dry_run=False)
    assert api.get(path)["data"] == {"text": text}
    assert "applied" in [each["metadata"]["name"] for each in items(api, CONFIG_MAPS.path)]
    api.apply(path, config_map("applied", text="changed"), dry_run=False)
    assert api.get(path)["data"] == {"text": "changed"}


def test_a_dry_run_leaves_nothing(api: Api) -> None:
    """What was only tried is answered, and is not there."""
    path = CONFIG_MAPS.object_path(NAME, "tried")
    assert api.apply(path, config_map("tried"), dry_run=True)["metadata"]["name"] == "tried"
    with pytest.raises(KubeRefused) as caught:
        api.get(path)
    assert caught.value.status == 404


def test_a_patch_merges(api: Api) -> None:
    """What a patch names is changed or removed, all else stays; a second time changes nothing."""
    path = CONFIG_MAPS.object_path(NAME, "patched")
    api.apply(path, config_map("patched", kept="1", changed="1", removed="1"), dry_run=False)
    for _ in range(2):
        answer = api.patch(path, {"data": {"changed": "ä\x85", "removed": None}})
        assert answer["data"] == api.get(path)["data"] == {"kept": "1", "changed": "ä\x85"}


def test_only_what_is_there_can_be_patched(api: Api) -> None:
    """A patch makes no object."""
    with pytest.raises(KubeRefused) as caught:
        api.patch(CONFIG_MAPS.object_path(NAME, "never-there"), {"data": {"a": "b"}})
    assert caught.value.status == 404


def test_a_patch_of_another_version_is_refused(api: Api) -> None:
    """A patch that names a version that is not the object's own changes nothing."""
    path = CONFIG_MAPS.object_path(NAME, "versioned")
    api.apply(path, config_map("versioned", a="1"), dry_run=False)
    with pytest.raises(KubeRefused) as caught:
        api.patch(path, {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}})
    assert caught.value.status == 409
    assert api.get(path)["data"] == {"a": "1"}


@pytest.mark.parametrize(("orphan", "grace"), [(False, None), (True, None), (False, 0)])
def test_what_was_deleted_is_gone(api: Api, *, orphan: bool, grace: int | None) -> None:
    """Deleting says whether there was anything, so that it can be done twice."""
    path = CONFIG_MAPS.object_path(NAME, "deleted")
    api.apply(path, config_map("deleted"), dry_run=False)
    assert api.delete(path, orphan=orphan, grace=grace)
    while "deleted" in [each["metadata"]["name"] for each in items(api, CONFIG_MAPS.path)]:
        pass  # a finalizer of the server's own, while it lets what it owns go
    assert not api.delete(path, orphan=orphan, grace=grace)


def test_another_object_of_the_name_is_not_deleted(api: Api) -> None:
    """With a uid only that one object is deleted."""
    path = CONFIG_MAPS.object_path(NAME, "another")
    uid = api.apply(path, config_map("another"), dry_run=False)["metadata"]["uid"]
    assert not api.delete(path, uid=str(uuid4()))
    assert api.get(path)["metadata"]["uid"] == uid
    assert api.delete(path, uid=uid)


def test_what_is_there_is_not_made_again(api: Api) -> None:
    """An object is made where none of its name is, with a version of its own; a second one is refused."""
    path = f"/api/v1/namespaces/{NAME}/configmaps"
    made = api.create(path, config_map("created", a="1"))
    assert made["data"] == {"a": "1"}
    assert int(made["metadata"]["resourceVersion"]) > 0
    with pytest.raises(KubeRefused) as caught:
        api.create(path, config_map("created", a="2"))
    assert caught.value.status == 409
    assert api.get(CONFIG_MAPS.object_path(NAME, "created"))["data"] == {"a": "1"}


def test_changes_are_told_as_they_come(api: Watching) -> None:
    """A watch tells what was made, changed and deleted after the list that it begins with, and nothing twice."""
    path, listed = CONFIG_MAPS.object_path(NAME, "watched"), f"/api/v1/namespaces/{NAME}/configmaps"
    api.apply(CONFIG_MAPS.object_path(NAME, "before"), config_map("before"), dry_run=False)
    version = list(api.pages(listed))[-1]["metadata"]["resourceVersion"]
    with api.watch(listed, version) as watch:
        told = watch.changes()
        api.apply(path, config_map("watched", a="1"), dry_run=False)
        assert _told(next(told)) == ("ADDED", "watched", {"a": "1"})
        api.patch(path, {"data": {"a": "ä\x85"}})
        assert _told(next(told)) == ("MODIFIED", "watched", {"a": "ä\x85"})
        api.delete(path)
        assert _told(next(told)) == ("DELETED", "watched", {"a": "ä\x85"})


def _told(change: tuple[str, Object]) -> tuple[str, str, Any]:
    return change[0], change[1]["metadata"]["name"], change[1].get("data")


def test_a_watch_is_ended_from_another_thread(api: Watching) -> None:
    """Whoever waits for a change is freed when the watch is cut."""
    listed = f"/api/v1/namespaces/{NAME}/configmaps"
    version = list(api.pages(listed))[-1]["metadata"]["resourceVersion"]
    with api.watch(listed, version) as watch, ThreadPoolExecutor() as pool:
        waiting = pool.submit(list, watch.changes())
        watch.cut()
        with pytest.raises(KubeUnreachable):
            waiting.result(timeout=20)


def test_a_watch_that_is_refused_says_so(api: Watching) -> None:
    """A kind that is not served is a refusal with its status, before the body is entered."""
    with pytest.raises(KubeRefused) as caught, api.watch("/apis/never.example.com/v1/things", "1"):
        raise AssertionError
    assert caught.value.status == 404


def test_odd_names_reach_the_server_as_they_are(api: Api) -> None:
    """A name with every character that Kubernetes allows in one is found under its own path."""
    name = "a.b-c." + "x" * 247
    path = CONFIG_MAPS.object_path(NAME, name)
    api.apply(path, config_map(name), dry_run=False)
    assert api.get(path)["metadata"]["name"] == name


def test_a_refusal_carries_its_status_and_words(api: Api) -> None:
    """What the server says of a request that it does not take is in the error."""
    with pytest.raises(KubeRefused) as caught:
        api.apply(CONFIG_MAPS.object_path(NAME, "one"), config_map("another"), dry_run=False)
    assert caught.value.status == 400
    assert "name" in caught.value.message


def test_a_list_says_from_which_version_it_is(api: Api) -> None:
    """Each page has items and the list's resource version, an empty list too."""
    pages = list(api.pages(f"/apis/apps/v1/namespaces/{NAME}/deployments"))
    assert [page["items"] for page in pages] == [[]]
    assert int(pages[0]["metadata"]["resourceVersion"]) > 0


def test_older_servers_are_asked_group_by_group(memory: MemoryApi) -> None:
    """Without an aggregated document, and with the older one, the same kinds are found."""
    newest = connect(memory.access).discover()
    for formats in (("v2beta1",), ()):
        memory.formats = formats
        assert connect(memory.access).discover() == newest


@pytest.mark.parametrize("formats", [("v2",), ()])
def test_a_backend_that_is_down_is_named(memory: MemoryApi, formats: tuple[str, ...]) -> None:
    """A group version that cannot be served is in ``failed`` with what was said of it; the others are there."""
    memory.formats = formats
    memory.stale["metrics.example.com/v1"] = "service unavailable: no endpoints"
    found = connect(memory.access).discover()
    assert list(found.failed) == ["metrics.example.com/v1"]
    assert "no endpoints" in found.failed["metrics.example.com/v1"]
    assert "ConfigMap" in {each.kind for each in found.resources}


def test_of_several_versions_the_preferred_one_is_taken(memory: MemoryApi) -> None:
    """A kind that is served in two versions is found once, in the one that comes first."""
    memory.resources = [
        CONFIG_MAPS,
        *(resource("gadgets", "Gadget", "example.com", version) for version in ("v2", "v1")),
        resource("widgets", "Widget", "example.com", "v1"),
    ]
    found = {each.plural: each.version for each in connect(memory.access).discover().resources}
    assert found == {"configmaps": "v1", "gadgets": "v2", "widgets": "v1"}


@pytest.mark.parametrize("count", [0, 1, PAGE, PAGE + 1, 3 * PAGE + 7])
def test_every_page_comes_once(memory: MemoryApi, count: int) -> None:
    """A list of any length is whole, in the server's order."""
    memory.add(CONFIG_MAPS, *(config_map(f"map-{number:05}") for number in range(count)))
    found = [each["metadata"]["name"] for each in items(connect(memory.access), CONFIG_MAPS.path)]
    assert found == [f"map-{number:05}" for number in range(count)]
    assert len(memory.requests) == max(1, -(-count // PAGE))


@pytest.mark.parametrize("ignores_limit", [False, True])
def test_huge_pages_are_asked_for_in_smaller_ones(memory: MemoryApi, *, ignores_limit: bool) -> None:
    """Objects of 1 MB come whole, a few at a time where the server can do that."""
    memory.ignores_limit = ignores_limit
    memory.add(CONFIG_MAPS, *(config_map(f"map-{number:05}", data=f"{number}" * 1_000_000) for number in range(10)))
    pages = list(connect(memory.access).pages(CONFIG_MAPS.path))
    assert [len(each["data"]["data"]) for page in pages for each in page["items"]] == [1_000_000] * 10
    if not ignores_limit:
        assert max(len(str(page)) for page in pages) <= LARGEST_PAGE


def test_a_page_that_expired_is_no_end(memory: MemoryApi) -> None:
    """A 410 in mid-list is an error of its own: what came before is not the whole."""
    memory.add(CONFIG_MAPS, *(config_map(f"map-{number:05}") for number in range(2 * PAGE)))
    memory.fail(r"continue=", status=410)
    with pytest.raises(KubeExpired):
        items(connect(memory.access), CONFIG_MAPS.path)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_again(memory: MemoryApi, patient: HttpApi, clock: StoppedClock, status: int) -> None:
    """A server that is busy or starting is asked again, later each time."""
    memory.fail("/version", status=status, times=3)
    assert patient.get("/version")
    assert clock.waited == [0.2, 0.4, 0.8]


def test_the_servers_own_wish_is_kept(memory: MemoryApi, patient: HttpApi, clock: StoppedClock) -> None:
    """``Retry-After`` says how long to wait, within a bound."""
    memory.fail("/version", status=429, headers={"Retry-After": "7"})
    memory.fail("/version", status=429, headers={"Retry-After": "86400"})
    memory.fail("/version", status=429, headers={"Retry-After": "soon"})
    assert patient.get("/version")
    assert clock.waited == [7, LONGEST_WAIT, 0.8]


@pytest.mark.parametrize("status", [429, 500])
def test_trying_again_has_an_end(memory: MemoryApi, patient: HttpApi, status: int) -> None:
    """A server that goes on refusing is given up, with its status and words."""
    fault = memory.fail("/version", status=status, times=1000)
    with pytest.raises(KubeRefused, match="told to fail") as caught:
        patient.get("/version")
    assert caught.value.status == status
    assert fault.seen == ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_does_not_pass_is_not_tried_again(memory: MemoryApi, patient: HttpApi, status: int) -> None:
    """A refusal that is meant is believed at once."""
    fault = memory.fail("/version", status=status, times=1000)
    with pytest.raises(KubeRefused) as caught:
        patient.get("/version")
    assert (caught.value.status, fault.seen) == (status, 1)


@pytest.mark.parametrize("cut_after", [0, 1, 30])
def test_a_cut_connection_is_no_end(memory: MemoryApi, patient: HttpApi, cut_after: int) -> None:
    """An answer that broke off is never taken for the whole: it is asked for again."""
    memory.add(CONFIG_MAPS, *(config_map(f"map-{number:05}") for number in range(100)))
    memory.fail("configmaps", cut_after=cut_after, times=2)
    assert len(items(patient, CONFIG_MAPS.path)) == 100


def test_cuts_have_an_end_too(memory: MemoryApi, patient: HttpApi) -> None:
    """A server that never answers whole is called unreachable."""
    memory.fail("configmaps", cut_after=20, times=1000)
    with pytest.raises(KubeUnreachable):
        items(patient, CONFIG_MAPS.path)


def test_changes_that_are_forgotten_are_no_end(memory: MemoryApi) -> None:
    """A watch from a version that the server does not remember fails as expired: the list is to be read again."""
    memory.forgotten = 10_000
    with connect(memory.access).watch(CONFIG_MAPS.path, "1") as watch, pytest.raises(KubeExpired):
        list(watch.changes())


def test_a_watch_that_was_cut_off_is_no_end(memory: MemoryApi) -> None:
    """A connection that breaks is an error; a watch that the server ends in order is none."""
    with connect(memory.access).watch(CONFIG_MAPS.path, "1000") as watch:
        memory.put(CONFIG_MAPS, config_map("one"))
        told = watch.changes()
        assert _told(next(told)) == ("ADDED", "one", {})
        memory.cut_watches()
        with pytest.raises(KubeUnreachable):
            next(told)
    with connect(memory.access).watch(CONFIG_MAPS.path, "1000") as watch:
        memory.closed = True
        assert [_told(each)[0] for each in watch.changes()] in ([], ["ADDED"])


def test_who_has_to_know_soon_is_told_soon(memory: MemoryApi) -> None:
    """With prompt limits one try is made, and a server that is silent is given up after them."""
    fault = memory.fail("/version", status=503, times=1000)
    with pytest.raises(KubeRefused):
        connect(memory.access, PROMPT).get("/version")
    assert fault.seen == 1
    memory.present.clear()
    with pytest.raises(KubeUnreachable):
        connect(memory.access, replace(PROMPT, read_seconds=0.1)).get("/version")


def test_a_webhooks_refusal_is_not_repeated(memory: MemoryApi, patient: HttpApi) -> None:
    """A 500 to an object that is applied may be an admission webhook's: it is believed."""
    fault = memory.fail("configmaps", status=500, times=1000)
    with pytest.raises(KubeRefused):
        patient.apply(CONFIG_MAPS.object_path(NAME, "one"), config_map("one"), dry_run=True)
    assert fault.seen == 1


def test_the_rate_is_bounded(memory: MemoryApi, patient: HttpApi, clock: StoppedClock) -> None:
    """Many requests take the time that a polite client takes."""
    for _ in range(300):
        patient.get("/version")
    assert clock.monotonic() == pytest.approx((300 - 100) / 50, abs=0.1)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"items": 3, "metadata": {}}',
        b'{"items": []}',
        b'{"items": [1], "metadata": {}}',
        b'{"metadata": {}, "items": [{"a": NaN}]}',
        b"[" * 100_000,
        b'{"metadata": {"continue": "again"}, "items": []}',
    ],
)
def test_an_answer_that_is_no_list_is_an_error(memory: MemoryApi, patient: HttpApi, body: bytes) -> None:
    """What is no Kubernetes API, or a hostile one, is never an empty list, and never one without end."""
    memory.fail("configmaps", status=200, body=body, times=1000)
    with pytest.raises(KubeUnreachable, match="no Kubernetes API"):
        items(patient, CONFIG_MAPS.path)


def test_nobody_there() -> None:
    """A server that is not there is named, with what to do."""
    with memory_api() as gone:
        access = gone.access
    clock = StoppedClock()
    with pytest.raises(KubeUnreachable, match="does not answer") as caught:
        HttpApi(Transport(access, clock, clock.pause)).get("/version")
    assert access.server in caught.value.message
    assert caught.value.hint


def test_a_pod_s_renewed_token_is_used(memory: MemoryApi, tmp_path: Path) -> None:
    """A service account's token that the API no longer takes is read again from its file, and the request is made."""
    (tmp_path / "token").write_text("first")
    (tmp_path / "ca.crt").write_text("of no use here: the server speaks plain HTTP on loopback")
    pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    api = connect(replace(in_cluster.access(pod, tmp_path), server=memory.url, authority=b""))
    api.get(NAMESPACES.path)
    (tmp_path / "token").write_text("second")
    memory.fail(NAMESPACES.path, status=401)
    api.get(NAMESPACES.path)
    assert [each["Authorization"] for each in memory.headers] == ["Bearer first", "Bearer first", "Bearer second"]
