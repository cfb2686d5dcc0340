"""What a cluster's rebuild is to bring back: told from what was sealed, the target and what the user asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.config.model import Server
from drkit.datastore.look import Kind
from drkit.errors import ConfigurationError, NoSuchPoint, PreflightFailed, UsageError
from drkit.restore import plan as databases
from drkit.restore.rebuild_choices import cluster_of, mode_of, old_nodes, take_over
from drkit.restore.wanted import (
    ETCD,
    HETZNER,
    LAB,
    PARTS,
    SSH,
    Archive,
    Database,
    Datastore,
    Machine,
    PostgresCluster,
    Volume,
    Wanted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.config.model import Config, Target
    from drkit.points.descriptor import SourceEntry
    from drkit.restore.rebuild_choices import Choices, Sealed


@dataclass(frozen=True)
class Derived:
    """What is wanted, the sources that it draws on by name, and what the user has to be told."""

    wanted: Wanted
    draws_on: tuple[str, ...]
    warnings: tuple[str, ...]


def derive(name: str, config: Config, sealed: Sealed, choices: Choices) -> Derived:
    """What the rebuild of a target is to bring back.

    Args:
        name: the target's, in the configuration.
        config: the configuration.
        sealed: what there is to draw on.
        choices: what the user asks for.

    Raises:
        UsageError: what is asked for contradicts itself.
        ConfigurationError: the target does not say what to make.
        NoSuchPoint: a source that the mode needs was not backed up.
        PreflightFailed: the target has no place for what was asked for.
    """
    return _Deriving(name, config, sealed, choices).all()


class _Deriving:
    def __init__(self, name: str, config: Config, sealed: Sealed, choices: Choices) -> None:
        self._name, self._config, self._sealed, self._choices = name, config, sealed, choices
        self._target: Target = config.clusters[name]
        self._mode = mode_of({sealed.sources[each].kind for each in choices.picked}, choices)
        self._warnings: list[str] = []
        self._used: list[str] = []

    def all(self) -> Derived:
        choices, target, whole = self._choices, self._target, self._mode != PARTS
        # Nothing leads to a rehearsal, and nothing of the living cluster's is changed for it.
        lives = whole and not choices.expires
        if choices.expires:
            self._see_apart()
        datastore = self._datastore() if self._mode == ETCD else None
        servers, agents = self._machines() if whole else ((), ())
        manifests = self._manifests()
        if whole and "topology" in self._sealed.sources:
            self._archive("topology")
        clusters = self._clusters()
        own, roles = self._by_dsn()
        wanted = Wanted(
            target=self._name,
            mode=self._mode,
            provider=_provider(self._name, target) if whole else SSH,
            servers=servers,
            agents=agents,
            version=self._version(),
            datastore=datastore,
            manifests=manifests,
            parts=choices.parts,
            namespaces=choices.namespaces,
            clusters=clusters,
            databases=own,
            dsn_roles=roles,
            all_roles=bool(choices.picked & set(roles)),
            replace=choices.replace,
            old_is_dead=choices.old_is_dead,
            volumes=self._volumes() if whole else (),
            empty_volumes=self._empty_volumes() if whole else (),
            expires=choices.expires,
            balancer=lives and self._has_balancer(),
            dns=tuple(each if isinstance(each, str) else each.name for each in target.dns) if lives else (),
            health=lives and bool(self._config.health),
            patches=whole and bool(self._config.patches),
        )
        return Derived(wanted, tuple(dict.fromkeys(self._used)), tuple(self._warnings))

    def _see_apart(self) -> None:
        """See that a rehearsal takes nothing from the living cluster."""
        choices, new = self._choices, dict(self._choices.namespaces)
        if choices.replace:
            raise UsageError("--rehearsal: --replace would take the names of the living cluster's servers")
        if self._mode != PARTS:
            if _provider(self._name, self._target) == HETZNER and self._target.network is None:
                self._warnings.append(
                    "the rehearsal is in the private network that the backup knows, beside the living cluster where"
                    f" that is there still; another one: clusters.{self._name}.network"
                )
            return
        used = {each.partition("/")[0] for each in choices.parts}
        there = self._sealed.sources
        of_clusters = (cluster_of(there[each]) for each in choices.picked if each in there)
        used |= {each.partition("/")[0] for each in of_clusters if each}
        kept = sorted(used - new.keys())
        if kept:
            raise UsageError(
                f"--rehearsal of parts goes beside what lives: give namespaces other names: --namespace {kept[0]}=NEW"
            )

    def _has_balancer(self) -> bool:
        """Whether one is named; or the old cluster had one, which the provider adopts or makes again."""
        provider, known = _provider(self._name, self._target), self._sealed.topology.get("hetzner") or {}
        there = provider == LAB or (provider == HETZNER and bool(known.get("load_balancers")))
        return bool(self._target.load_balancer) or there

    def _archive(self, source: str) -> Archive:
        self._used.append(source)
        return Archive(source, self._sealed.sources[source].size)

    def _datastore(self) -> Datastore:
        kind = Kind(self._sealed.sources["datastore"].details["datastore"])
        return Datastore(kind, self._archive("datastore"))

    def _manifests(self) -> Archive | None:
        there = "manifests" in self._sealed.sources
        if self._mode == ETCD:
            if not there:
                self._warnings.append("no manifests were backed up: the counts of objects are not compared")
            return self._archive("manifests") if there else None
        return self._archive("manifests") if "manifests" in self._choices.picked else None

    def _machines(self) -> tuple[tuple[Machine, ...], tuple[Machine, ...]]:
        old_servers, old_agents = old_nodes(self._sealed)
        named, agents = _named(self._target.servers), _named(self._target.agents)
        if not named and _provider(self._name, self._target) != SSH:
            named, agents = old_servers, agents or old_agents
        if not named:
            raise ConfigurationError(
                f"clusters.{self._name}.servers: expected the names of the machines that shall run k3s server",
                f"add it: clusters: {{{self._name}: {{servers: [k3s-1]}}}}",
            )
        twice = sorted({each for each in (*named, *agents) if (*named, *agents).count(each) > 1})
        if twice:
            raise ConfigurationError(f"clusters.{self._name}: {', '.join(twice)} is named twice")
        self._see_datastore(len(named))
        as_servers = [self._machine(each, node, old_servers) for each, node in take_over(named, old_servers)]
        as_agents = [self._machine(each, node, ()) for each, node in take_over(agents, old_agents)]
        self._see_token(as_servers[0])
        return tuple(as_servers), tuple(as_agents)

    def _see_datastore(self, servers: int) -> None:
        kept = self._sealed.sources.get("datastore") if self._mode == ETCD else None
        if kept is not None and kept.details["datastore"] == Kind.SQLITE and servers > 1:
            raise PreflightFailed(
                f"the datastore is SQLite, which one server alone can have, and target {self._name} has {servers}",
                "name one server, or restore with --mode manifests",
            )

    def _machine(self, name: str, node: str, like: Iterable[str]) -> Machine:
        """A machine with the files of the node that it stands for; or, a server, with another one's."""
        own = f"server-files/{node}"
        if own in self._sealed.sources:
            return Machine(name, node, self._archive(own))
        pattern = next((f"server-files/{each}" for each in like if f"server-files/{each}" in self._sealed.sources), "")
        if pattern:
            why = f"no files of {node} were backed up" if node else "it is one more server than there were"
            self._warnings.append(f"{name}: {why}; it is set up like {pattern.partition('/')[2]}")
            return Machine(name, node, self._archive(pattern))
        return Machine(name, node)

    def _see_token(self, first: Machine) -> None:
        """The snapshot is opened by the token that was in force when it was taken."""
        if self._mode != ETCD:
            return
        if first.files is None:
            raise NoSuchPoint(
                "mode etcd needs the cluster's token, and no server's files were backed up",
                "restore with --mode manifests, or choose another point: drkit points",
            )
        files, kept = self._sealed.points[first.files.source], self._sealed.points["datastore"]
        if files != kept:
            self._warnings.append(
                f"the datastore is from {kept} and its token from {files}: it fits if it was not changed between them"
            )

    def _clusters(self) -> tuple[PostgresCluster, ...]:
        renamed = dict(self._choices.namespaces)
        found: dict[str, list[Database]] = {}
        for source in self._sealed.of_kind("database"):
            cluster = cluster_of(source)
            if cluster is None:
                continue
            if source.name not in self._choices.picked:
                self._leave_out(source.name)
                continue
            its = found.setdefault(cluster, [])
            if self._choices.only or not _is_empty_maintenance(source):
                its.append(Database(source.name.split("/", 3)[3], self._archive(source.name)))
        made = []
        for cluster, its in found.items():
            namespace, _, name = cluster.partition("/")
            roles = f"globals/{cluster}"
            there = self._archive(roles) if roles in self._sealed.sources else None
            made.append(PostgresCluster(f"{renamed.get(namespace, namespace)}/{name}", tuple(its), there))
        return tuple(made)

    def _leave_out(self, source: str) -> None:
        if self._mode != PARTS:
            self._warnings.append(f"{source} is left out, and its cluster is not made anew for it")

    def _volumes(self) -> tuple[Volume, ...]:
        """The claims whose files were backed up."""
        renamed = dict(self._choices.namespaces)
        made = []
        for source in self._sealed.of_kind("volumes"):
            if source.name not in self._choices.picked:
                self._warnings.append(f"{source.name} is left out: its volume comes back empty")
                continue
            _, namespace, claim = source.name.split("/", 2)
            where = f"{renamed.get(namespace, namespace)}/{claim}"
            made.append(Volume(where, self._archive(source.name), str(source.details.get("node", ""))))
        return tuple(made)

    def _by_dsn(self) -> tuple[tuple[Database, ...], tuple[str, ...]]:
        """The databases that the target names itself, and the roles for them."""
        places = [each.name for each in self._target.databases]
        found: dict[str, Database] = {}
        for source in self._sealed.of_kind("database"):
            if cluster_of(source) is not None or source.name not in self._choices.picked:
                continue
            place = databases.bind(source.name, places)
            if place in found:
                raise PreflightFailed(f"more than one source would go to {place} of target {self._name}")
            if place is not None:
                found[place] = Database(place, self._archive(source.name))
            elif self._choices.only:
                raise PreflightFailed(
                    f"target {self._name} has no database for {source.name} (it has: {', '.join(places) or 'none'})",
                    f"add it to clusters.{self._name}.databases, or choose what to restore with --only",
                )
            else:
                self._warnings.append(f"{source.name} is left out: target {self._name} has no database for it")
        points = {self._sealed.points[each.archive.source] for each in found.values()}
        of_clusters = {f"globals/{cluster_of(each)}" for each in self._sealed.of_kind("database")}
        roles = [
            each.name
            for each in self._sealed.of_kind("globals")
            if each.name not in of_clusters and self._sealed.points[each.name] in points
        ]
        return tuple(found.values()), tuple(self._archive(each).source for each in roles)

    def _version(self) -> str:
        for source, keys in (("datastore", ("k3s",)), ("manifests", ("versions", "kubernetes"))):
            value: Any = self._sealed.sources[source].details if source in self._sealed.sources else {}
            for key in keys:
                value = value.get(key, {})
            if isinstance(value, str) and "k3s" in value:
                return value
        return ""

    def _empty_volumes(self) -> tuple[str, ...]:
        found = []
        for volume in self._sealed.volumes:
            name = f"{volume['namespace']}/{volume['claim']}"
            used = f", used by {', '.join(volume['used_by'])}" if volume["used_by"] else ""
            self._warnings.append(f"the volume {name} is in no source: it comes back empty{used}")
            if volume["used_by"]:
                found.append(name)
        return tuple(found)


def _provider(name: str, target: Target) -> str:
    if target.provider is not None:
        return target.provider
    if all(isinstance(each, Server) and each.address for each in (*target.servers, *target.agents)):
        return SSH
    raise ConfigurationError(
        f"clusters.{name}.provider: expected hetzner, lab or ssh; or the address of every server",
        f"add it: clusters: {{{name}: {{provider: hetzner}}}}",
    )


def _is_empty_maintenance(source: SourceEntry) -> bool:
    """A server's own database ``postgres`` comes with every cluster; it is restored where somebody used it."""
    proof = source.details["proof"]
    used = proof.get("tables") or proof.get("sequences") or proof.get("large_objects")
    return databases.is_maintenance(source.name) and not used


def _named(machines: Iterable[str | Server]) -> list[str]:
    return [each if isinstance(each, str) else each.name for each in machines]
