"""The sample workload: healthy, and what is left of it after nodes have lost their power."""

from __future__ import annotations

import http.client
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.clusters import follows, get, is_healthy, items, psql, state
from tests.lab.labs import COLD_SECONDS
from tests.lab.ledger import Ledger
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docker import DockerClient

    from tests.lab.labs import LabUser

    Record = Callable[[str, object], None]

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]

ENOUGH = 20


def site(lab: Lab) -> str:
    """The name that the application is asked for under."""
    return f"docfast.{lab['dns']['zone']}"


def health(lab: Lab, lab_user: LabUser) -> dict[str, Any] | None:
    """What ``drkit lab status`` says of the workload."""
    found: dict[str, Any] | None = lab_user.run("status", "--json", name=lab["name"]).json()["workload"]
    return found


def container_of(lab: Lab, node: str) -> str:
    """The container that is this node."""
    return str(next(each["container"] for each in lab["nodes"] if each["name"] == node))


def missing(lab: Lab, ledger: Ledger) -> dict[str, set[str]]:
    """What was acknowledged and is not there, on each instance."""
    found = {}
    for instance in state(lab, "main-db", "postgres")["instanceNames"]:
        stored = psql(lab, instance, "postgres", "docfast", "select key from web_document").split()
        found[instance] = ledger.acknowledged() - set(stored)
    return found


def test_the_workload_is_healthy(workload: Lab) -> None:
    """After ``lab up --workload`` its status says healthy, and the site answers through the load balancer."""
    assert workload["workload"]["problems"] == []
    assert workload["workload"]["healthy"] is True


def test_the_site_keeps_documents(workload: Lab) -> None:
    """What is written through the load balancer, the application and PgBouncer is read back the same way."""
    with_host = {"Host": site(workload), "Key": uuid.uuid4().hex}
    connection = http.client.HTTPConnection(workload["load_balancer"]["address"], 80, timeout=10)
    connection.request("POST", "/documents", "ein Dokument", with_host)
    answer = connection.getresponse()
    assert (answer.status, answer.read().decode().strip()) == (201, with_host["Key"])
    connection.request("GET", f"/documents/{with_host['Key']}", headers={"Host": site(workload)})
    assert connection.getresponse().read().decode() == "ein Dokument\n"


def test_the_databases_hold_what_makes_dumps_difficult(workload: Lab) -> None:
    """There are an extension, large objects, a partitioned table, an odd name, and another encoding to back up."""
    primary = state(workload, "main-db", "postgres")["currentPrimary"]

    def ask(statement: str, database: str = "docfast") -> str:
        return psql(workload, primary, "postgres", database, statement)

    assert int(ask("select count(*) from pg_extension where extname in ('citext', 'pg_trgm')")) == 2
    assert int(ask("select count(*) from pg_largeobject_metadata")) == 20
    assert int(ask("select count(*) from pg_inherits where inhparent = 'document'::regclass")) == 3
    assert int(ask('select count(*) from "Archiv & Ablage"."Rechnung ""2025"""')) == 500
    assert int(ask("select pg_database_size('docfast')")) > 10_000_000
    assert ask("show server_encoding", "docfast_staging") == "LATIN1"


def test_a_primary_whose_node_loses_its_power_is_replaced(
    workload: Lab, docker_engine: DockerClient, tmp_path: Path, record_testsuite_property: Record
) -> None:
    """The replica is promoted, the node's pods move, and no write that was acknowledged is missing anywhere."""
    until(lambda: is_healthy(workload, "main-db", "postgres"), 120, 1)
    before = state(workload, "main-db", "postgres")["currentPrimary"]
    pod = get(workload, "pod", before, "postgres")
    assert pod is not None
    node = pod["spec"]["nodeName"]
    cut = docker_engine.containers.get(container_of(workload, node))

    def promoted() -> bool:
        return state(workload, "main-db", "postgres").get("currentPrimary") not in {None, before}

    def moved() -> bool:
        pods = items(workload, "pods", "docfast", "app=docfast")
        running = [each for each in pods if "deletionTimestamp" not in each["metadata"] and is_ready(each)]
        return [each["spec"]["nodeName"] == node for each in running] == [False, False]

    with Ledger(tmp_path / "ledger", workload["load_balancer"]["address"], site(workload)) as ledger:
        until(lambda: len(ledger.acknowledged()) > ENOUGH)
        cut.kill()
        try:
            record_testsuite_property("seconds until the promotion", until(promoted, 180, 0.5))
            known = len(ledger.acknowledged())
            record_testsuite_property(
                "then until writes", until(lambda: len(ledger.acknowledged()) > known + ENOUGH, 180, 0.2)
            )
            record_testsuite_property("then until the pods have moved", until(moved, 240, 1))
        finally:
            cut.start()
        healthy = until(lambda: is_healthy(workload, "main-db", "postgres"), 240, 1)
        record_testsuite_property("seconds from the node's return to health", healthy)
    until(lambda: follows(workload, "main-db", "postgres"), 90, 0.5)
    record_testsuite_property("acknowledged and sent", f"{len(ledger.acknowledged())} {ledger.sent}")
    assert not any(missing(workload, ledger).values())
    primaries = items(workload, "pods", "postgres", "cnpg.io/cluster=main-db,cnpg.io/instanceRole=primary")
    assert [each["metadata"]["name"] for each in primaries] == [
        state(workload, "main-db", "postgres")["currentPrimary"]
    ]


def test_the_power_cut_of_all_nodes_is_survived(
    workload: Lab, lab_user: LabUser, docker_engine: DockerClient, tmp_path: Path, record_testsuite_property: Record
) -> None:
    """When all nodes lose their power at once and get it back, all is healthy again and nothing is missing."""
    nodes = [docker_engine.containers.get(node["container"]) for node in workload["nodes"]]
    with Ledger(tmp_path / "ledger", workload["load_balancer"]["address"], site(workload)) as ledger:
        until(lambda: len(ledger.acknowledged()) > ENOUGH)
        for node in nodes:
            node.kill()
    for node in nodes:
        node.start()

    def healthy() -> bool:
        found = health(workload, lab_user)
        return found is not None and found["healthy"] is True

    record_testsuite_property("seconds until health", until(healthy, 300, 2))
    until(lambda: follows(workload, "main-db", "postgres"), 90, 0.5)
    assert not any(missing(workload, ledger).values())


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod serves."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
