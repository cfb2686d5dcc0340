"""The sealed objects of a cluster, read out of the vault once, and what a restore has to know of them as a whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.manifests import read
from drkit.restore import database_users, holds, volume_users
from drkit.restore.etcd import scrub
from drkit.restore.objects import parts, rename
from drkit.restore.objects.gather import gather
from drkit.restore.quarantine import Quarantine, backup_secrets
from drkit.restore.stream import Whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from typing import Any

    from drkit.cluster.cnpg import PostgresCluster
    from drkit.cluster.kube import Object, Resource
    from drkit.cluster.volumes import Claim
    from drkit.manifests.order import Found
    from drkit.points.descriptor import SourceEntry
    from drkit.restore.holds import Identity
    from drkit.restore.objects.gather import Gathered
    from drkit.vault.port import Vault

MANIFESTS = "manifests"
_GROUP = "postgresql.cnpg.io"
_BLOCK = 256 * 1024


class SealedObjects:
    """Made once for an attempt. Safe to use from several threads.

    Args:
        vaults: by name.
        sources: those that the plan draws on, with their details, by name.
        details: of the step that applies or compares them: ``parts`` and ``namespaces``.
        stack: lets go of them.
    """

    def __init__(
        self,
        vaults: Mapping[str, Vault],
        sources: Mapping[str, SourceEntry],
        details: Mapping[str, Any],
        stack: ExitStack,
    ) -> None:
        self._vaults, self._sources, self._stack = vaults, sources, stack
        self._parts = tuple(parts.parse(f"{parts.SOURCE}/{each}") for each in details.get("parts", ()))
        self.namespaces: Mapping[str, str] = details.get("namespaces", {})
        """New names by the old ones."""
        self._lock = threading.Lock()
        self._gathered: Gathered | None = None
        self._quarantine: Quarantine | None = None

    @property
    def source(self) -> SourceEntry:
        """Where they are."""
        return self._sources[MANIFESTS]

    def gathered(self) -> Gathered:
        """All that are wished, with their namespaces' new names.

        Raises:
            VerificationFailed: they are not what was sealed.
            NoSuchPoint: a part that is wished is not among them.
            RestoreFailed: there is no room for them.
        """
        with self._lock:
            if self._gathered is None:
                source = self.source
                with self._vaults[source.vault].open(source.archive) as reader:
                    whole = Whole(reader, source)
                    self._gathered = self._stack.enter_context(gather(self._wished(whole)))
                    while whole.read(_BLOCK):
                        pass
            return self._gathered

    def _wished(self, whole: Whole) -> Iterator[Found]:
        found = read.wished(read.objects(whole.read, self.source.details))
        chosen = parts.select(found, self._parts) if self._parts else found
        return rename.renamed(chosen, self.namespaces) if self.namespaces else chosen

    def of(self, *kinds: Resource) -> list[Object]:
        """All objects of some kinds."""
        gathered, wanted = self.gathered(), {(each.group, each.plural) for each in kinds}
        return [gathered.load(each) for each in gathered.entries if (each.kind.group, each.kind.plural) in wanted]

    def postgres(self, cluster: PostgresCluster) -> Object:
        """A cluster of CloudNativePG as it was sealed.

        Raises:
            PreflightFailed: it is not among them.
        """
        for each in self.of(scrub.CLUSTERS):
            if (each["metadata"].get("namespace"), each["metadata"]["name"]) == (cluster.namespace, cluster.name):
                return each
        raise PreflightFailed(
            f"the manifests have no Cluster {cluster}, so nothing says how it is made",
            "choose a recovery point whose manifests have it, or leave its databases out",
        )

    def held(self, hosts: Sequence[str], claims: Collection[Claim]) -> frozenset[Identity]:
        """The objects that must not wake before their data is there: CronJobs, what uses a database, or such a volume.

        Args:
            hosts: names of databases that are no clusters of CloudNativePG.
            claims: those whose volumes are filled.
        """
        clusters, poolers, secrets = self.of(scrub.CLUSTERS), self.of(scrub.POOLERS), self.of(scrub.SECRETS)
        workloads = self.of(*scrub.WORKLOADS)
        found = database_users.databases(clusters, poolers, secrets, hosts)
        using = database_users.users(workloads, found, self.of(scrub.CONFIG_MAPS), secrets)
        chosen = holds.choose(workloads, using | volume_users.users(workloads, claims))
        return frozenset(holds.identity(each) for each in (*chosen.held, *chosen.followers))

    def quarantine(self) -> Quarantine:
        """What is let into a rehearsal; also where Secrets alone are wished, and not the jobs that use them.

        Raises:
            VerificationFailed: the objects are not what was sealed.
        """
        with self._lock:
            if self._quarantine is None:
                source = self.source
                with self._vaults[source.vault].open(source.archive) as reader:
                    whole = Whole(reader, source)
                    found = read.wished(read.objects(whole.read, source.details))
                    jobs = (each for each in found if each[1].get("kind") in {"CronJob", "Job"})
                    renamed = rename.renamed(jobs, self.namespaces) if self.namespaces else jobs
                    self._quarantine = Quarantine(backup_secrets(obj for _, obj in renamed))
                    while whole.read(_BLOCK):
                        pass
            return self._quarantine

    def mentions(self) -> list[str]:
        """Where text seems to mean a namespace by its old name."""
        gathered = self.gathered()
        found = []
        for each in gathered.entries if self.namespaces else ():
            places = rename.mentions(gathered.load(each), self.namespaces)
            found += [f"{each} seems to mean a namespace by its old name: {', '.join(places)}"] if places else []
        return found


def is_of_postgres(obj: Object) -> bool:
    """Whether it is a cluster of CloudNativePG or a pooler before one: both are made when their time comes."""
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return group == _GROUP and obj.get("kind") in {scrub.CLUSTERS.kind, scrub.POOLERS.kind}
