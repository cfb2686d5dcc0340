"""Whether the workload is healthy, from what the cluster lists: it is there, and whole as a drill sees it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import fields
from drkit.drill import whole
from drkit.drill.whole import CLUSTER, DAEMON_SET, DEPLOYMENT
from drkit.lab.workload.manifests import SITES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from drkit.cluster.kube import Object

KINDS = "deployments.apps,daemonsets.apps,clusters.postgresql.cnpg.io"

DEPLOYMENTS = (*((site.name, site.name) for site in SITES), ("postgres", "main-db-pooler"), ("kube-system", "coredns"))
OPERATOR_NAMESPACE = "cnpg-system"
INGRESS = (DAEMON_SET, "kube-system", "ingress-stand-in")


def problems(listed: Iterable[Object], now: datetime) -> list[str]:
    """What is not as it should be; nothing where all is well.

    Args:
        listed: all objects of ``KINDS``.
        now: the time.
    """
    found = {(fields.text(each, "kind"), fields.namespace(each), fields.name(each)): each for each in listed}
    operators = [key for key in found if key[:2] == (DEPLOYMENT, OPERATOR_NAMESPACE)]
    wanted = [*((DEPLOYMENT, *names) for names in DEPLOYMENTS), *operators, INGRESS, (CLUSTER, "postgres", "main-db")]
    said = [] if operators else ["there is no operator for PostgreSQL"]
    said += [f"{key[0]} {key[1]}/{key[2]} is not there" for key in wanted if key not in found]
    if INGRESS in found and not fields.whole(found[INGRESS], "status", "desiredNumberScheduled"):
        said.append("the ingress was given to no node yet")
    there = {kind: [found[key] for key in wanted if key[0] == kind and key in found] for kind in whole.KINDS}
    return [*said, *map(str, whole.problems(there, now))]
