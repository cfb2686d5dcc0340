"""The export as a whole, from a real server on loopback that can be told to fail; and what is read back of it."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from drkit.archive import Entry, Kind, Writer
from drkit.cluster.api import HttpApi
from drkit.cluster.transport import Transport
from drkit.errors import SourceFailed, TargetNotEmpty, VerificationFailed
from drkit.manifests import listing, read, spool
from drkit.manifests.write import write_out
from drkit.sources.manifests import ManifestsSource
from tests import exported as exports
from tests.contract.api_server import CONFIG_MAPS, LIST_VERBS, NAMESPACES, MemoryApi, memory_api, resource
from tests.unit.builders import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from drkit.cluster.kube import Object
    from tests.exported import Exported

SECRETS = resource("secrets", "Secret")
ROLES = resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io", namespaced=False)


class _NoWaiting:
    """A clock beside which waiting takes no time."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


def export(api: MemoryApi) -> Exported:
    """Export all of it, without waiting."""
    return exports.export(HttpApi(Transport(api.access, _NoWaiting(), lambda _: None)))


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """A server with a few kinds."""
    with memory_api() as made:
        made.resources = [CONFIG_MAPS, NAMESPACES, SECRETS, ROLES, resource("deployments", "Deployment", "apps")]
        yield made


def config_map(name: str, namespace: str = "one", **data: str) -> Object:
    """As lists have it: without kind and version."""
    return {"metadata": {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": "9"}, "data": data}


def _fill(api: MemoryApi, count: int) -> list[Object]:
    made = [config_map(f"map-{number:05}", data=f"text {number}") for number in range(count)]
    api.add(CONFIG_MAPS, *made)
    return made


def test_everything_is_there_twice(api: MemoryApi) -> None:
    """Each object is there stripped, as a file of its own, and as the server gave it; the details count both."""
    api.add(CONFIG_MAPS, config_map("a", text="ä\nb\n"), config_map("kube-root-ca.crt"))
    api.add(ROLES, {"metadata": {"name": "system:Node"}, "rules": [{"verbs": ["get"]}]})
    made = export(api)
    assert list(made.files) == [
        "objects/namespaces/one/core/configmaps/a.yaml",
        "objects/cluster/rbac.authorization.k8s.io/clusterroles/system%3a%4eode.yaml",
        "raw/core/configmaps.jsonl",
        "raw/rbac.authorization.k8s.io/clusterroles.jsonl",
        "index.json",
    ]
    assert yaml.safe_load(made.files["objects/namespaces/one/core/configmaps/a.yaml"]) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "one"},
        "data": {"text": "ä\nb\n"},
    }
    lines = made.files["raw/core/configmaps.jsonl"].splitlines()
    assert [json.loads(line) for line in lines] == [
        {"apiVersion": "v1", "kind": "ConfigMap", **each} for each in api.objects[CONFIG_MAPS.path]
    ]
    kind = made.details["kinds"]["core/configmaps"]
    assert (kind["listed"], kind["objects"], kind["resource_version"]) == (2, 1, "1000")
    assert made.details["versions"] == {"kubernetes": "v1.34.4+memory"}
    assert made.details["lacking"] == {}
    assert json.loads(made.files["index.json"]) == made.details


def test_the_files_are_what_the_raw_form_makes(api: MemoryApi) -> None:
    """What a restore applies is the same whether it is read from the files or made of the raw form."""
    _fill(api, 3)
    made = export(api)
    files = [yaml.safe_load(content) for path, content in made.files.items() if path.startswith("objects/")]
    assert [obj for _, obj in made.wished] == files


def test_the_same_cluster_gives_the_same_bytes(api: MemoryApi) -> None:
    """Two exports of the same state are equal to the last byte, in whatever order its parts came."""
    _fill(api, 1200)
    first = export(api)
    api.resources.reverse()
    second = export(api)
    assert first.archive == second.archive
    assert first.details == second.details


def test_a_list_that_expired_is_begun_again(api: MemoryApi) -> None:
    """After a 410 in mid-list nothing of the first attempt is in the export: the list is of one version."""
    _fill(api, 1200)
    fault = api.fail("continue=1000", status=410)

    def change(path: str) -> None:
        if "continue=1000" in path and fault.seen == 0:
            api.objects[CONFIG_MAPS.path][0]["data"] = {"data": "changed"}
            api.resource_version = 2000

    api.on_request = change
    made = export(api)
    assert len(made.raw) == 1200
    assert made.raw[0]["data"] == {"data": "changed"}
    assert made.details["kinds"]["core/configmaps"]["resource_version"] == "2000"


def test_pages_of_two_versions_are_no_list(api: MemoryApi) -> None:
    """A server that goes on from another version is not believed either."""
    _fill(api, 1200)

    def change(path: str) -> None:
        if "continue=" in path:
            api.resource_version += 1

    api.on_request = change
    made = export(api)
    assert "several versions" in made.details["lacking"]["v1/configmaps"]
    assert "core/configmaps" not in made.details["kinds"]


def test_beginning_again_has_an_end(api: MemoryApi) -> None:
    """A list that always expires is named, and the others are there."""
    _fill(api, 1200)
    api.add(SECRETS, {"metadata": {"name": "s", "namespace": "one"}})
    fault = api.fail("continue=500", status=410, times=1000)
    made = export(api)
    assert fault.seen == listing.ATTEMPTS
    assert list(made.details["lacking"]) == ["v1/configmaps"]
    assert [obj["metadata"]["name"] for obj in made.raw] == ["s"]


@pytest.mark.parametrize(("status", "said"), [(403, "told to fail"), (500, "500"), (429, "429")])
def test_kinds_that_fail_are_named(api: MemoryApi, status: int, said: str) -> None:
    """A kind that cannot be listed is named with the reason; what can be read is."""
    _fill(api, 3)
    api.fail("/secrets", status=status, times=1000)
    made = export(api)
    assert said in made.details["lacking"]["v1/secrets"]
    assert len(made.raw) == 3


def test_backends_that_are_down_are_named(api: MemoryApi) -> None:
    """An aggregated API whose backend is down is lacking, and nothing else is."""
    api.stale["metrics.example.com/v1"] = "no endpoints available"
    assert "no endpoints" in export(api).details["lacking"]["metrics.example.com/v1"]


def test_a_server_that_goes_away_is_not_asked_again_and_again(api: MemoryApi) -> None:
    """Once nothing answers, all other kinds are given up together."""
    for number in range(50):
        api.resources.append(resource(f"kinds{number}", f"Kind{number}", f"g{number}.example.com"))
    _fill(api, 3)
    api.fail("/apis/(g|apps)|/secrets|/namespaces", cut_after=0, times=10_000)
    seen = len(api.requests)
    versions = api.fail("/version", cut_after=0, times=0)
    api.on_request = lambda path: setattr(versions, "times", 10_000) if "/apis/g" in path else None
    made = export(api)
    assert len(made.raw) == 3
    assert len(made.details["lacking"]) == 54
    assert len(api.requests) - seen < 120


def test_nothing_at_all_is_a_failure(api: MemoryApi) -> None:
    """Where no kind could be read there is nothing to store."""
    api.fail("/api/v1/|/apis/.+/", status=403, times=1000)
    with pytest.raises(SourceFailed, match="no kind of object could be read"):
        export(api)


def test_objects_of_a_megabyte(api: MemoryApi) -> None:
    """Large objects come whole."""
    api.add(CONFIG_MAPS, *(config_map(f"map-{number}", data=f"{number}\n" * 500_000) for number in range(12)))
    assert [len(obj["data"]["data"]) for obj in export(api).raw] == [1_000_000] * 10 + [1_500_000] * 2


@pytest.mark.parametrize(
    "name",
    ["system:a:B", "a.b-c", "x" * 253, "../../etc/passwd", "a\nb", "/", ".", "..", "%2e", "\ud800", "a b", "ä😀", "A"],
)
def test_every_name_comes_back(api: MemoryApi, name: str) -> None:
    """Names with any character, also from a hostile server, are kept as they are and lead nowhere else."""
    for each in (name, "a"):
        api.add(ROLES, {"metadata": {"name": each}})
    made = export(api)
    assert sorted(obj["metadata"]["name"] for obj in made.raw) == sorted([name, "a"])
    files = [content for path, content in made.files.items() if path.startswith("objects/")]
    assert sorted(yaml.safe_load(content)["metadata"]["name"] for content in files) == sorted([name, "a"])


@pytest.mark.parametrize(
    "item",
    [{}, {"metadata": {}}, {"metadata": None}, {"metadata": {"name": 3}}, {"metadata": {"name": "a", "namespace": 3}}],
)
def test_objects_without_a_name_are_none(api: MemoryApi, item: Object) -> None:
    """A list that holds what is no object is not read, and named."""
    _fill(api, 1)
    api.add(ROLES, item)
    made = export(api)
    assert list(made.details["lacking"]) == ["rbac.authorization.k8s.io/v1/clusterroles"]


def test_an_object_that_comes_twice_is_no_list(api: MemoryApi) -> None:
    """Two objects of one name cannot both be the object."""
    _fill(api, 1)
    api.add(ROLES, {"metadata": {"name": "a"}}, {"metadata": {"name": "a"}})
    assert "twice" in export(api).details["lacking"]["rbac.authorization.k8s.io/v1/clusterroles"]


def test_the_same_objects_under_another_group_are_read_once(api: MemoryApi) -> None:
    """Events are served by two groups."""
    api.resources = [resource("events", "Event"), resource("events", "Event", "events.k8s.io")]
    api.add(api.resources[0], {"metadata": {"name": "e", "namespace": "one"}})
    assert list(export(api).details["kinds"]) == ["core/events"]


def test_what_cannot_be_listed_is_not_asked_for(api: MemoryApi) -> None:
    """Kinds without the verb list are no objects."""
    api.resources.append(replace(resource("reviews", "Review"), verbs=LIST_VERBS - {"list"}))
    assert "core/reviews" not in export(api).details["kinds"]


def test_who_stops_reading_ends_it(api: MemoryApi) -> None:
    """An export that nobody reads to its end leaves no thread waiting."""
    _fill(api, 3000)
    client = HttpApi(Transport(api.access, _NoWaiting(), lambda _: None))
    with ManifestsSource(client).open() as stream:
        assert os.read(stream.fileno(), 10)


def test_little_of_what_waits_is_in_memory_and_none_of_it_in_clear() -> None:
    """What is kept until its turn is compressed and encrypted, wherever it is."""
    with spool.Spool() as waiting:
        noise = [os.urandom(1024 * 1024) for _ in range(20)]
        records = [waiting.put(each + b"secret text") for each in noise]
        assert [waiting.get(each) for each in records] == [each + b"secret text" for each in noise]
        assert waiting._file._rolled  # type: ignore[attr-defined]  # whether it is on disk is nobody else's business
        waiting._file.seek(0)
        assert b"secret text" not in waiting._file.read()


def test_it_is_written_out_as_files(api: MemoryApi, tmp_path: Path) -> None:
    """An export is a directory of files that only their owner reads, made at once and never over another."""
    _fill(api, 3)
    made = export(api)
    count = write_out(io.BytesIO(made.archive).read, made.details, tmp_path / "out")
    found = {str(each.relative_to(tmp_path / "out")): each for each in (tmp_path / "out").rglob("*") if each.is_file()}
    assert {path: each.read_bytes() for path, each in found.items()} == made.files
    assert count == len(made.files)
    assert {each.stat().st_mode & 0o777 for each in found.values()} == {0o600}
    with pytest.raises(TargetNotEmpty):
        write_out(io.BytesIO(made.archive).read, made.details, tmp_path / "out")


@pytest.mark.parametrize("use", [write_out, lambda archive, details, _: list(read.objects(archive, details))])
def test_what_differs_from_the_details_is_refused(api: MemoryApi, tmp_path: Path, use: Callable[..., object]) -> None:
    """A changed, missing or added object, or another's details, are seen; nothing is left of them on disk."""
    _fill(api, 3)
    made = export(api)
    api.objects[CONFIG_MAPS.path][1]["data"] = {"data": "text X"}
    other = export(api)
    del api.objects[CONFIG_MAPS.path][1]
    fewer = export(api)
    whole = made.files
    added = dict(
        sorted(
            {**whole, "objects/cluster/apps/deployments/x.yaml": b""}.items(), key=lambda each: each[0] == "index.json"
        )
    )
    stray = {"objects/x": b"", **whole}
    for archive in (
        other.archive,
        fewer.archive,
        _packed(added),
        _packed(stray),
        _packed({**whole, "raw/a.jsonl": b""}),
    ):
        with pytest.raises(VerificationFailed):
            use(io.BytesIO(archive).read, made.details, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def _packed(files: dict[str, bytes]) -> bytes:
    out: list[bytes] = []
    archive = Writer(out.append)
    for path, content in files.items():
        archive.add(Entry(path), content)
    archive.close()
    return b"".join(out)


@pytest.mark.parametrize("details", [{}, {"format": 2}, {"format": 1}, {"format": 1, "kinds": {"a": {}}}])
def test_details_of_another_format_are_refused(details: dict[str, Any]) -> None:
    """What this version does not read is said."""
    with pytest.raises(VerificationFailed):
        list(read.objects(io.BytesIO(_packed({})).read, details))


@pytest.mark.parametrize(
    "entry",
    [
        Entry("objects/cluster/core/namespaces/x.yaml", Kind.SYMLINK, target="/etc/passwd"),
        Entry("objects", Kind.DIRECTORY),
        Entry(f"objects/cluster/core/namespaces/{'x' * 300}.yaml"),
        Entry("objects/cluster/core/namespaces/ä.yaml"),
        Entry("objects/namespaces/core/namespaces/x.yaml"),
        Entry("raw/core/secrets"),
        Entry("x"),
    ],
)
def test_what_no_export_holds_is_refused(api: MemoryApi, entry: Entry) -> None:
    """Links, directories, and names that belong to none of the kinds end the reading."""
    made = export(api)
    out: list[bytes] = []
    archive = Writer(out.append)
    archive.add(entry)
    archive.close()
    with pytest.raises(VerificationFailed, match="none of its kinds"):
        list(read.objects(io.BytesIO(b"".join(out)).read, made.details))


def test_a_line_without_end_is_refused(api: MemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of a line is kept in memory than an object can have."""
    monkeypatch.setattr(read, "LARGEST_OBJECT", 1_000_000)
    _fill(api, 1)
    made = export(api)
    packed = _packed({"raw/core/configmaps.jsonl": b"x" * 3_000_000})
    with pytest.raises(VerificationFailed, match="a line of more than"):
        list(read.objects(io.BytesIO(packed).read, made.details))
