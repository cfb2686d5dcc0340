"""CloudNativePG's clusters: which instance is read, what psql is told and answers, which volumes nobody covers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.cnpg import Instance, PostgresCluster, choose, ready
from drkit.cluster.volumes import shown, uncovered
from drkit.errors import SourceFailed
from drkit.points.changes import compared
from drkit.points.descriptor import SourceEntry
from drkit.postgres.psql import PsqlSession, row, script
from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = PostgresCluster("postgres", "main-db")


def pod(name: str, *, ready: bool = True, deleted: bool = False, namespace: str = "postgres") -> dict[str, Any]:
    """An instance's pod."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if deleted:
        metadata["deletionTimestamp"] = "2026-03-01T00:00:00Z"
    container = {"name": "postgres", "ready": ready, "containerID": f"containerd://{name}"}
    other = {"name": "sidecar", "ready": True, "containerID": "containerd://other"}
    return {"metadata": metadata, "status": {"containerStatuses": [other, container]}}


def cluster(primary: str = "main-db-1", target: str = "main-db-1") -> dict[str, Any]:
    """A cluster's object."""
    names = ["main-db-1", "main-db-2", "main-db-3"]
    return {"status": {"currentPrimary": primary, "targetPrimary": target, "instanceNames": names}}


def test_the_primary_is_read_unless_a_replica_is_wanted() -> None:
    """The status says who is primary; a replica is the first that is ready; without one the primary serves."""
    pods = [pod("main-db-1"), pod("main-db-2", ready=False), pod("main-db-3"), pod("main-db-1-initdb-x")]
    assert choose(MAIN, cluster(), pods, "primary") == Instance(MAIN, "main-db-1", "primary", "containerd://main-db-1")
    assert choose(MAIN, cluster(), pods, "replica") == Instance(MAIN, "main-db-3", "replica", "containerd://main-db-3")
    alone = choose(MAIN, cluster(), pods[:2], "replica")
    assert isinstance(alone, Instance)
    assert alone.role == "primary"


def test_an_instance_is_still_there_whatever_others_became() -> None:
    """A replica that was read stays one of those that can be read when another becomes ready before it by name."""
    read = Instance(MAIN, "main-db-3", "replica", "containerd://main-db-3")
    pods = [pod("main-db-1"), pod("main-db-2"), pod("main-db-3")]
    assert read in ready(MAIN, cluster(), pods)
    assert read not in ready(MAIN, cluster("main-db-3", "main-db-3"), pods)
    assert read not in ready(MAIN, cluster(), pods[:2])
    changing = ready(MAIN, cluster(target="main-db-2"), pods)
    assert [each.pod for each in changing] == ["main-db-2", "main-db-3"]


@pytest.mark.parametrize(
    ("found", "pods", "said"),
    [
        ({}, [pod("main-db-1")], "no primary yet"),
        (cluster(target="main-db-2"), [pod("main-db-1")], "changing from main-db-1 to main-db-2"),
        (cluster(), [pod("main-db-1", ready=False)], "main-db-1 is not ready"),
        (cluster(), [pod("main-db-1", deleted=True)], "main-db-1 is not ready"),
        (cluster(), [{"metadata": {"name": "main-db-1"}, "status": {}}], "main-db-1 is not ready"),
    ],
)
def test_a_cluster_that_fails_over_has_nobody_to_read(
    found: dict[str, Any], pods: list[dict[str, Any]], said: str
) -> None:
    """Whoever is being replaced, deleted or not ready is not read; why is said."""
    assert said in str(choose(MAIN, found, pods, "primary"))


def test_queries_are_answered_in_json_and_commands_are_left_alone() -> None:
    """What has rows is wrapped, however it is written; what has none is sent as it is."""
    assert "row_to_json(drkit_row) from (\nselect 1 -- one\n) as drkit_row" in script("\nselect 1 -- one", "m")
    assert script("begin", "m").startswith("begin\n;\n")


def test_rows_are_what_they_are_in_python() -> None:
    """Columns of equal names, nulls, arrays, documents, large numbers and control characters survive."""
    line = '{"a":1,"a":2,"b":null,"c":[true,null,["x"]],"d":{"k":{"a":1,"b":[]}},"e":"\\n\\"é","f":9223372036854775807}'
    assert row(line) == (1, 2, None, [True, None, ["x"]], {"k": {"a": 1, "b": []}}, '\n"é', 9223372036854775807)


class Answering:
    """A psql that answers as it is told: an ``Execution`` over a pipe."""

    def __init__(self, answer: Callable[[str], str], *, ends: bool = False, ending: SourceFailed | None = None) -> None:
        self._answer, self._ends, self._ending = answer, ends, ending
        self._reading, self._writing = os.pipe()

    def fileno(self) -> int:
        """Its output."""
        return self._reading

    def write(self, data: bytes) -> None:
        """Answer what it is asked."""
        marker = re.findall(r"drkit-[0-9a-f]+", data.decode())[0]
        os.write(self._writing, self._answer(marker).encode())
        if self._ends:
            self.cut()

    def end_input(self) -> None:
        """Nothing more."""

    def cut(self) -> None:
        """Come to an end."""
        os.close(self._writing)

    def finish(self) -> None:
        """End as it is told."""
        if self._ending is not None:
            raise self._ending


def test_an_error_is_the_servers_with_its_state() -> None:
    """A refused statement has the server's words, of several lines too, and its SQLSTATE."""
    running = Answering(lambda marker: f'{marker} true 42P01\nrelation "a\nb" is not there\n{marker}\n')
    with pytest.raises(StatementFailed, match="is not there") as failed:
        PsqlSession(running, running.cut, running.cut).execute("select 1")
    assert failed.value.sqlstate == "42P01"


def test_rows_come_before_the_marker() -> None:
    """Rows and the end of the statement are told apart."""
    running = Answering(lambda marker: f'{{"a":1}}\n{{"a":2}}\n{marker} false 00000\n\n{marker}\n')
    session = PsqlSession(running, running.cut, running.cut)
    assert session.execute("select a").fetchall() == [(1,), (2,)]
    assert session.execute("select a").fetchone() == (1,)


def test_a_psql_that_ended_fails_the_statement() -> None:
    """Its own last words are the error's."""
    running = Answering(lambda _: '{"a":1}\n', ends=True, ending=SourceFailed("psql in a/b: it ended with status 2"))
    with pytest.raises(StatementFailed, match="status 2") as failed:
        PsqlSession(running, running.cut, running.cut).execute("select 1")
    assert not failed.value.lost


@pytest.mark.parametrize("ending", [None, SourceFailed("the connection was cut", passes=True)])
def test_a_psql_that_nobody_heard_the_end_of_was_lost(ending: SourceFailed | None) -> None:
    """The way to it was cut; or its node has lost its power, which the API calls a good end."""
    running = Answering(lambda _: "", ends=True, ending=ending)
    with pytest.raises(StatementFailed) as failed:
        PsqlSession(running, running.cut, running.cut).execute("select 1")
    assert failed.value.lost


def claim(name: str, *, namespace: str = "app", volume: str = "pv", **labels: str) -> dict[str, Any]:
    """A claim of 1Gi that got 2Gi."""
    spec = {"volumeName": volume, "storageClassName": "local-path", "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": spec, "status": {"capacity": {"storage": "2Gi"}}}


def test_claims_of_covered_clusters_are_not_named() -> None:
    """A claim is covered by its cluster's label, if that cluster's databases are sources; others are named."""
    claims = [
        claim("main-db-1", namespace="postgres", **{"cnpg.io/cluster": "main-db"}),
        claim("main-db-1", namespace="elsewhere", **{"cnpg.io/cluster": "main-db"}),
        claim("unbound", volume=""),
    ]
    found = uncovered([], claims, [], [], {MAIN})
    assert [(each.namespace, each.size, each.storage_class) for each in found] == [("elsewhere", "2Gi", "local-path")]
    assert uncovered([], claims, [], [], None) == []
    assert uncovered([], claims, [], [], {MAIN}, {("elsewhere", "main-db-1")}) == []


def test_who_uses_a_volume_is_named() -> None:
    """The controller of the pod that mounts it, the pod itself, or the StatefulSet that was scaled down."""
    owner = {"kind": "ReplicaSet", "name": "web-1", "controller": True}
    mounting = {"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "files"}}, {"name": "e"}]}}
    alone = {"spec": {"volumes": [{"name": "d", "ephemeral": {}}]}}
    pods = [
        {"metadata": {"name": "web-1-x", "namespace": "app", "ownerReferences": [owner]}, **mounting},
        {"metadata": {"name": "alone", "namespace": "app"}, **alone},
    ]
    templates = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    sets = [{"metadata": {"name": "queue", "namespace": "app"}, "spec": templates}]
    claims = [claim("files"), claim("alone-d"), claim("data-queue-0"), claim("data-queue-other"), claim("loose")]
    found = {each.claim: each.used_by for each in uncovered([], claims, pods, sets, ())}
    assert found == {
        "files": ("ReplicaSet/web-1",),
        "alone-d": ("Pod/alone",),
        "data-queue-0": ("StatefulSet/queue",),
        "data-queue-other": (),
        "loose": (),
    }


def test_a_volume_that_outlived_its_claim_is_named() -> None:
    """A released volume holds data still; one that is bound is spoken of by its claim."""
    spec = {"capacity": {"storage": "5Gi"}, "storageClassName": "fast", "claimRef": {"namespace": "a", "name": "gone"}}
    volumes = [
        {"metadata": {"name": "pv-1"}, "spec": spec, "status": {"phase": "Released"}},
        {"metadata": {"name": "pv-2"}, "spec": {**spec, "claimRef": None}, "status": {"phase": "Available"}},
    ]
    found = uncovered(volumes, [], [], [], ())
    assert [shown({**vars(each)}) for each in found] == ["a/gone (5Gi, fast)"]


def entry(name: str, *, ok: bool = True) -> SourceEntry:
    """A source of a point."""
    return SourceEntry(name, name.partition("/")[0], "databases", "ok" if ok else "failed")


def test_what_came_and_went_is_said() -> None:
    """Against what was known; the first point has nothing to compare with."""
    now = [entry("database/a/b/x"), entry("globals/a/b")]
    known = frozenset({"database/a/b/x", "globals/a/b"})
    assert compared(None, now) == ([], known)
    assert compared(known, now) == ([], known)
    warnings, after = compared({"database/a/b/x", "database/c/d/y"}, now)
    assert warnings == [
        "new since the last recovery point: globals/a/b",
        "gone since the last recovery point: database/c/d/y",
    ]
    assert after == known


def test_what_could_not_be_asked_has_not_gone() -> None:
    """A cluster that failed keeps what was known of it; it is neither new nor gone, now and the next time."""
    before = {"database/a/b/x", "globals/a/b", "database/a/bc/z"}
    warnings, known = compared(before, [entry("database/a/b", ok=False), entry("database/a/bc/z")])
    assert warnings == []
    assert known == before
    assert compared(before, [entry("database", ok=False)]) == ([], frozenset(before))


def test_runs_without_databases_say_nothing_of_them() -> None:
    """Backing up the manifests alone leaves what is known of the databases as it is."""
    assert compared({"database/a/b/x"}, [entry("manifests")]) == ([], frozenset({"database/a/b/x"}))
