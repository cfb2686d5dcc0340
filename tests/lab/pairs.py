"""A cluster of two PostgreSQL instances of the tests' own in the lab."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.clusters import CLUSTERS, apply, follows, get, is_healthy, psql, state
from tests.lab.labs import kubectl
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

Lab = dict[str, Any]


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

    @property
    def replica(self) -> str:
        """The other one."""
        return f"{self.name}-{'2' if self.primary.endswith('1') else '1'}"

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

    def processes(self, pod: str) -> list[str]:
        """The command lines of a pod's processes."""
        script = "for each in /proc/[0-9]*; do tr '\\0' ' ' <$each/cmdline; echo; done 2>/dev/null; true"
        inside = ["exec", "-n", self.namespace, pod, "-c", "postgres", "--", "sh", "-c", script]
        return kubectl(self.lab, *inside).out.splitlines()

    def is_being_dumped(self, pod: str) -> bool:
        """Whether pg_dump is at work there."""
        return any(line.lstrip().startswith("pg_dump ") for line in self.processes(pod))

    def evict(self, pod: str) -> None:
        """Have the API evict a pod, as draining its node does."""
        named = {"name": pod, "namespace": self.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        done = kubectl(self.lab, "create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
        assert done.status == 0, done.err


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
