"""A cluster of two PostgreSQL instances of the tests' own in the lab, and statements that hold its sessions up."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.clusters import CLUSTERS, apply, ask, follows, get, is_healthy, psql, state
from tests.lab.labs import kubectl
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

Lab = dict[str, Any]

_HELD = "lock table pg_catalog.pg_largeobject_metadata in access exclusive mode"


@dataclass(frozen=True)
class Pair:
    """The cluster."""

    lab: Lab
    namespace: str
    image: str
    """Of PostgreSQL, in the cluster and in this machine's engine."""
    name: str = "pair"

    @property
    def primary(self) -> str:
        """The primary's pod."""
        return str(state(self.lab, self.name, self.namespace)["currentPrimary"])

    def sql(self, database: str, *statements: str) -> str:
        """What the last of these statements answers on the primary."""
        quoted = database.replace("\\", "\\\\").replace("'", "\\'")
        where = f"dbname='{quoted}'"
        answers = [psql(self.lab, self.primary, self.namespace, where, statement) for statement in statements]
        return answers[-1]

    def settled(self) -> None:
        """Wait until there are two instances, one following the other."""
        until(lambda: is_healthy(self.lab, self.name, self.namespace), 180, 0.5)
        until(lambda: follows(self.lab, self.name, self.namespace), 90, 0.5)

    def sessions(self, pod: str, application: str) -> int:
        """How many sessions of a program the pod's server has."""
        count = f"select count(*) from pg_stat_activity where application_name = '{application}'"
        asked = ask(self.lab, pod, self.namespace, "postgres", count)
        return int(asked.out) if asked.status == 0 else 0

    @contextmanager
    def held_up(self, database: str) -> Iterator[None]:
        """Every dump of a database stops where it would read the large objects."""
        container = next(node["container"] for node in self.lab["nodes"] if node["name"] == "server-1")
        script = f"set application_name = 'holder'; begin; {_HELD}; select pg_sleep(600);"
        inside = ["psql", "-Xq", "-h", "/controller/run", "-U", "postgres", "-d", database, "-c", script]
        there = ["exec", "-n", self.namespace, self.primary, "-c", "postgres", "--", *inside]
        argv = ["docker", "exec", container, "k3s", "kubectl", *there]
        holder = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        held = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted"
        held += " and relation = 'pg_largeobject_metadata'::regclass"
        try:
            until(lambda: self.sql(database, held) != "0", 30, 0.2)
            yield
        finally:
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holder'"
            ask(self.lab, self.primary, self.namespace, "postgres", ended)
            holder.wait(60)

    def is_being_dumped(self, pod: str) -> bool:
        """Whether drkit's session and its pg_dump are at work there."""
        return self.sessions(pod, "drkit") >= 2


@contextmanager
def pair(lab: Lab, namespace: str) -> Iterator[Pair]:
    """A healthy cluster in a namespace that is gone after the body."""
    main = get(lab, CLUSTERS, "main-db", "postgres")
    assert main is not None
    cluster = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "pair", "namespace": namespace},
        "spec": {
            "instances": 2,
            "imageName": main["spec"]["imageName"],
            "imagePullPolicy": "Never",
            "storage": {"size": "1Gi", "storageClass": "local-path"},
            "bootstrap": {"initdb": {"database": "shop", "owner": "keeper"}},
            "affinity": {"podAntiAffinityType": "required"},
        },
    }
    apply(lab, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, cluster)
    made = Pair(lab, namespace, main["spec"]["imageName"])
    try:
        until(lambda: is_healthy(lab, "pair", namespace), 240, 0.5)
        yield made
    finally:
        kubectl(lab, "delete", "namespace", namespace, "--wait=true")
