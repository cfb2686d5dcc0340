"""Applying objects to an API that misbehaves: what passes is waited for, what does not is named."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.api import HttpApi
from drkit.cluster.transport import ALONE, Transport
from drkit.errors import Cause, KubeRefused, KubeUnreachable, RestoreFailed, VerificationFailed
from drkit.restore.objects import refusal
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather
from tests.contract.api_server import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, MemoryApi, memory_api, resource
from tests.unit.builders import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from drkit.cluster.kube import Object, Resource
    from drkit.restore.objects.outcome import Applied

SERVICES = resource("services", "Service")


class _NoWaiting:
    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """A server with one namespace."""
    with memory_api() as made:
        made.resources = [CONFIG_MAPS, NAMESPACES, DEPLOYMENTS, SERVICES]
        made.add(NAMESPACES, {"metadata": {"name": "one"}})
        yield made


def config_map(name: str, **data: str) -> tuple[Resource, Object]:
    """A small object."""
    metadata = {"name": name, "namespace": "one"}
    return CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def put(api: MemoryApi, *found: tuple[Resource, Object], patience: float = 5.0) -> Applied:
    """Apply these."""
    client = HttpApi(Transport(api.access, _NoWaiting(), lambda _: None, ALONE))
    with gather(found) as objects:
        return apply(client, objects, patience=patience)


def test_many_objects_are_there_at_the_end(api: MemoryApi) -> None:
    """All objects are applied once each, side by side, and a second run asks for lists alone."""
    objects = [config_map(f"map-{number}", a=str(number)) for number in range(300)]
    assert put(api, *objects).applied == 300
    assert len(api.objects[CONFIG_MAPS.path]) == 300
    api.requests.clear()
    assert put(api, *objects).equal == 300
    assert [each for each in api.requests if not each.startswith("GET")] == []
    assert len(api.requests) < 20


@pytest.mark.parametrize(
    ("status", "said", "times"),
    [
        (500, "failed calling webhook a.b: connection refused", 3),
        (404, "namespaces one not found", 3),
        (409, "the object has been modified", 3),
        (403, "status unknown for quota: q", 3),
        (429, "slow down", 8),
        (503, "not ready", 8),
    ],
)
def test_what_passes_is_tried_again(api: MemoryApi, status: int, said: str, times: int) -> None:
    """An object that is refused for a reason that passes is applied when it has passed."""
    fault = api.fail("configmaps/late[?]", times=times, status=status, body=f'{{"message": "{said}"}}'.encode())
    assert put(api, config_map("early"), config_map("late")).applied == 2
    assert fault.seen == times


def test_a_kind_that_cannot_be_listed_is_asked_for_one_by_one(api: MemoryApi) -> None:
    """Where a list fails, as with a webhook that converts its objects and does not run yet, each object is tried."""
    objects = [config_map(f"map-{number}") for number in range(20)]
    put(api, *objects[:10])
    api.fail("v1/configmaps[?]", times=100, status=500, body=b'{"message": "conversion webhook failed"}')
    done = put(api, *objects)
    assert (done.applied, done.equal) == (10, 10)
    assert len(api.objects[CONFIG_MAPS.path]) == 20


def test_what_does_not_pass_has_an_end(api: MemoryApi) -> None:
    """After a time without progress what is refused is named, with the server's reason, and the rest is there."""
    api.fail("configmaps/late[?]", times=100_000, status=500, body=b'{"message": "failed calling webhook"}')
    with pytest.raises(RestoreFailed, match="ConfigMap one/late: failed calling webhook") as caught:
        put(api, config_map("early"), config_map("late"), patience=0.5)
    assert "--resume" in caught.value.hint
    assert [each["metadata"]["name"] for each in api.objects[CONFIG_MAPS.path]] == ["early"]


def test_what_is_refused_for_good_is_tried_once(api: MemoryApi) -> None:
    """A refusal that nothing will change ends with the first try."""
    fault = api.fail("configmaps/bad[?]", times=100, status=422, body=b'{"message": "invalid"}')
    with pytest.raises(RestoreFailed, match="ConfigMap one/bad: invalid"):
        put(api, config_map("bad"))
    assert fault.seen == 1


def test_a_server_that_stays_away_ends_the_run(api: MemoryApi) -> None:
    """Where nobody answers any more, the run ends with that, and not with every object's name."""
    gone = threading.Event()

    def cut(path: str) -> None:
        if "configmaps/map-50?" in path and not gone.is_set():
            gone.set()
            api.fail(".", times=100_000, cut_after=0)

    api.on_request = cut
    with pytest.raises(KubeUnreachable):
        put(api, *(config_map(f"map-{number}") for number in range(100)), patience=0.5)
    assert len(api.requests) < 1000


def test_objects_whose_namespace_or_kind_is_not_there_are_not_tried(api: MemoryApi) -> None:
    """What cannot be taken for lack of a kind or a namespace is named at once, without a request each."""
    odd = resource("things", "Thing", "example.com")
    lost = [(odd, {"metadata": {"name": f"t{number}", "namespace": "one"}}) for number in range(50)]
    homeless = [(CONFIG_MAPS, {"metadata": {"name": f"c{number}", "namespace": "two"}}) for number in range(50)]
    with pytest.raises(RestoreFailed, match="100 of 101 objects") as caught:
        put(api, config_map("a"), *lost, *homeless)
    assert "there is no namespace two" in caught.value.message
    assert len(caught.value.message.splitlines()) == 3
    assert not [each for each in api.requests if "example.com/v1/namespaces" in each or "namespaces/two/" in each]


def test_a_backend_that_is_down_is_named(api: MemoryApi) -> None:
    """Kinds of an aggregated API that cannot answer now are told from those that nobody knows."""
    api.stale["metrics.example.com/v1"] = "no endpoints available"
    kind = resource("things", "Thing", "metrics.example.com")
    with pytest.raises(RestoreFailed, match=r"cannot serve metrics.example.com/v1 now: .*no endpoints available"):
        put(api, (kind, {"metadata": {"name": "a", "namespace": "one"}}))


def test_asked_for_ports_go_first(api: MemoryApi) -> None:
    """A service that asks for a port of the nodes is made before those that are given any."""
    ports = {"any": [{"port": 80}], "asked": [{"port": 80, "nodePort": 31000}]}
    services = [
        (
            SERVICES,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "one"},
                "spec": {"ports": each},
            },
        )
        for name, each in ports.items()
    ]
    put(api, *services)
    patches = [each for each in api.requests if each.startswith("PATCH")]
    assert "services/asked" in patches[0]


def test_nothing_is_applied_of_what_was_not_sealed(api: MemoryApi) -> None:
    """The archive is read to its end, and compared, before the first object is applied."""

    def damaged() -> Iterator[tuple[Resource, Object]]:
        yield config_map("a")
        raise VerificationFailed("not what was sealed")

    with pytest.raises(VerificationFailed):
        put(api, *damaged())
    with pytest.raises(VerificationFailed), gather(damaged()):
        pass
    assert not [each for each in api.requests if each.startswith("PATCH")]


@pytest.mark.parametrize(
    "obj", [{}, {"metadata": None}, {"metadata": {"name": 3}}, {"metadata": {"name": "a", "namespace": 7}}]
)
def test_objects_without_a_name_are_none(obj: Object) -> None:
    """What has no name cannot come from an export."""
    with pytest.raises(VerificationFailed), gather([(CONFIG_MAPS, obj)]):
        pass


def refused(field: str, message: str, status: int = 422) -> KubeRefused:
    """A refusal that names one cause."""
    return KubeRefused(status, "the API answered", "", "said", (Cause("FieldValueInvalid", field, message),))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('Invalid value: "secret: text": field is immutable', "spec: field is immutable"),
        ("Forbidden: spec is immutable\n- secret\n+ secret", "spec: Forbidden: spec is immutable"),
        ("Required value: name it", "spec: Required value: name it"),
        ("Too long: may not be more than 3 bytes", "spec: Too long: may not be more than 3 bytes"),
    ],
)
def test_values_are_not_taken_over_from_the_servers_words(message: str, told: str) -> None:
    """A server quotes what it refuses; only the field and what is wrong with it are told."""
    assert refusal.text(refused("spec", message)) == told


def test_the_field_below_the_one_that_the_server_names_is_found() -> None:
    """Where the server names no more than the specification, the parts that differ are named."""
    live = {"spec": {"a": 1, "b": {"c": "x"}, "extra": 1}, "metadata": {"name": "a"}}
    wish = {"spec": {"a": 1, "b": {"c": "y"}}, "metadata": {"name": "a", "labels": {"x": "y"}}}
    error = refused("spec", "Forbidden: updates to a set for fields other than 'x' are forbidden")
    assert refusal.unchangeable(error, DEPLOYMENTS, live, wish) == ("spec.b.c",)
    elsewhere = refused("spec.attachedRequired", "Invalid value: true: field is immutable")
    assert refusal.unchangeable(elsewhere, DEPLOYMENTS, live, wish) == ("spec.attachedRequired",)
    assert not refusal.is_unchangeable(refused("spec", "Invalid value: 1: provided port is already allocated"))
