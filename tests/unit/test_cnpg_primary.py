"""A cluster's primary as a place to restore to: it is told from the one that takes its place."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from drkit import process
from drkit.errors import KubeUnreachable, PreflightFailed, RestoreFailed
from drkit.restore.cnpg import primary
from drkit.restore.cnpg.primary import InPrimary
from tests.lab.waiting import until
from tests.unit.test_cnpg import MAIN, cluster, pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Kube


class Running:
    """A program that runs until it is cut off."""

    def __init__(self) -> None:
        self.was_cut = threading.Event()

    def cut(self) -> None:
        """See ``Execution.cut``."""
        self.was_cut.set()


class Cluster:
    """An API that knows one cluster of PostgreSQL, and pods in which anything runs."""

    def __init__(self) -> None:
        self.primary = "main-db-1"
        self.answers = True
        self.asked = 0

    def get(self, path: str) -> dict[str, Any]:
        """The cluster, or its pods."""
        self.asked += 1
        if not self.answers:
            raise KubeUnreachable("nobody answers")
        pods = [pod("main-db-1"), pod("main-db-2")]
        return {"items": pods} if "/pods" in path else cluster(self.primary, self.primary)

    @contextmanager
    def execute(self, *_: object, **__: object) -> Iterator[Running]:
        """Start nothing."""
        yield Running()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Asked often."""
    monkeypatch.setattr(primary, "_LOOK_SECONDS", 0.001)
    return Cluster()


def server(api: Cluster) -> primary.OnInstance:
    """The primary of now."""
    return InPrimary(cast("Kube", api), MAIN, "shop", "drkit 1").server()


def test_the_primary_of_now_is_restored_into(api: Cluster) -> None:
    """Each step begins on whoever is primary, in the database that was asked for, and stays there."""
    first = server(api)
    assert first.shown == "postgres/main-db-1/shop"
    api.primary = "main-db-2"
    assert first.of("other").shown == "postgres/main-db-1/other"
    assert server(api).pod == "main-db-2"


def test_one_that_was_replaced_has_left(api: Cluster) -> None:
    """Its own last words say it, or the API does, and then it can be begun again; what it refused is refused."""
    here = server(api)
    assert here.left(RestoreFailed("server closed the connection unexpectedly"))
    assert here.left(
        RestoreFailed("pg_restore ended with status 1\ncannot execute CREATE SCHEMA in a read-only transaction")
    )
    assert here.left(
        PreflightFailed('connection to server on socket "/run/.s.PGSQL.5432" failed: No such file or directory')
    )
    assert here.left(RestoreFailed("psql ended before it had answered", passes=True))
    assert not here.left(RestoreFailed("duplicate key value"))
    api.answers = False
    assert not here.left(RestoreFailed("duplicate key value"))
    api.answers, api.primary = True, "main-db-2"
    assert here.left(RestoreFailed("it ended with status 137"))


def test_what_runs_on_one_that_was_replaced_is_cut_off(api: Cluster) -> None:
    """A node without power ends no connection: the API's word does, once it knows better; its silence does not."""
    with server(api).kube.execute("postgres", "main-db-1", "postgres", ["psql"]) as running:
        assert isinstance(running, Running)
        api.answers = False
        asked = api.asked
        until(lambda: api.asked > asked + 2)
        assert not running.was_cut.is_set()
        api.answers, api.primary = True, "main-db-2"
        assert running.was_cut.wait(10)


@pytest.mark.usefixtures("own_programs")
def test_what_runs_is_cut_off_when_drkit_is_ended(api: Cluster) -> None:
    """Who waits for a long answer from the pod does not outwait a signal."""
    with server(api).kube.execute("postgres", "main-db-1", "postgres", ["psql"]) as running:
        assert isinstance(running, Running)
        process.stop_all()
        assert running.was_cut.wait(10)
