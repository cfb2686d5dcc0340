"""The provider ``lab``: containers of a lab that runs, beside those that it was asked for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException

from drkit.errors import PreflightFailed, ProviderFailed
from drkit.lab import containers, machines, traffic
from drkit.lab.engine import LABEL
from drkit.lab.join import RUNNING
from drkit.lab.limits import check_inotify
from drkit.lab.spec import LabSpec
from drkit.lab.topology import MEMBER_LABEL, Role, full_name
from drkit.providers import naming
from drkit.providers.port import (
    ADOPTED,
    HEALTHY,
    PUT_BACK,
    REMOVED,
    UNHEALTHY,
    UNKNOWN,
    Balancer,
    Change,
    Fenced,
    Record,
    Server,
    TargetHealth,
    Thing,
)
from drkit.providers.values import AGENT, SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.names import Answers
    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter
    from drkit.providers.values import Wanted

    Machine = docker.models.containers.Container

RESTORE_LABEL = f"{LABEL}.restore"
"""On each container that a restore made: the lab's name and the restore's id."""


class LabProvider:
    """See ``Provider`` for what each call does and raises.

    A machine's host key is read out of its container, through the engine: no network is between.

    Args:
        engine: where the lab is.
        lab: its name.
        reporter: told of what takes long.
    """

    name = "lab"

    def __init__(self, engine: DockerClient, lab: str, reporter: Reporter) -> None:
        self._engine, self._name, self._reporter = engine, lab, reporter

    def check(self, wanted: Wanted) -> tuple[str, ...]:
        """See ``Provider.check``."""
        with self._lab() as lab:
            missing = []
            for each in wanted.servers:
                taken = machines.find(self._engine, lab, each.name)
                if taken is not None and not self._is_ours(taken, wanted.restore_id) and not wanted.replace:
                    missing.append(f"{each.name}: there is a container of that name that this restore did not make")
            if wanted.balancer is not None and wanted.balancer.name != lab.the(Role.BALANCER).member:
                missing.append(f"load balancer {wanted.balancer.name}: the lab's is {lab.the(Role.BALANCER).member}")
            if missing:
                raise PreflightFailed("\n".join([f"lab {self._name}:", *missing]), "see clusters in drkit.yaml")
            counted = {role: sum(each.role == role for each in wanted.servers) for role in (SERVER, AGENT)}
            check_inotify(LabSpec(self._name, max(1, counted[SERVER]), counted[AGENT]))
            return ()

    def foundation(self, wanted: Wanted) -> tuple[Thing, ...]:
        """The lab's network is there, and has no firewall."""
        with self._lab() as lab:
            return tuple(Thing("network", lab.network, ADOPTED) for _ in wanted.servers[:1])

    def server(self, wanted: Wanted, name: str) -> Server:
        """See ``Provider.server``."""
        asked = wanted.server(name)
        with self._lab() as lab:
            found = machines.find(self._engine, lab, name)
            if found is not None and not self._is_ours(found, wanted.restore_id):
                self._put_aside(lab, found, wanted)
                found = None
            fresh = machines.Fresh(
                member=name,
                key=naming.short(wanted.restore_id),
                authorized_keys=tuple(each.public_key for each in wanted.keys),
                labels={
                    **naming.made(wanted.restore_id, expires=wanted.expires),
                    RESTORE_LABEL: self._mark(wanted.restore_id),
                    naming.STANDS_FOR: asked.was,
                },
            )
            if found is None:
                found = machines.make(self._engine, lab, fresh, self._reporter)
            elif found.status != RUNNING:
                machines.place(found, lab, fresh)  # who made it may have come no further
            machines.power_on(found)
            found.reload()
            address = machines.address_of(found, lab)
            key = machines.booted(found, address)
        return Server(name, asked.was, address, (address,), (address,), (key,), asked.server_type, asked.location)

    def pin(self, server: Server, host_keys: tuple[str, ...]) -> Server:
        """A machine's container says its key each time."""
        return replace(server, host_keys=host_keys, first_key=False)

    def fence(self, wanted: Wanted, *, power_off: bool) -> tuple[Fenced, ...]:
        """See ``Provider.fence``."""
        with self._lab() as lab:
            names = {each.name for each in wanted.old}
            found = {
                str(each.labels[MEMBER_LABEL]): each
                for each in self._members(lab)
                if not self._is_ours(each, wanted.restore_id)
            }
            theirs = {name: each for name, each in found.items() if name in names}
            addresses = {machines.address_of(each, lab) for each in theirs.values()}
            if wanted.balancer is not None:
                self._lead(
                    lab,
                    wanted.restore_id,
                    lambda targets: {name: each for name, each in targets.items() if each not in addresses},
                )
            for each in theirs.values() if power_off else ():
                machines.cut_power(each)
            for each in theirs.values():
                each.reload()
            return tuple(
                Fenced(
                    each.name,
                    each.name not in theirs or theirs[each.name].status != RUNNING,
                    detached=wanted.balancer is not None,
                    there=each.name in theirs,
                )
                for each in wanted.old
            )

    def balancer(self, wanted: Wanted) -> Balancer | None:
        """See ``Provider.balancer``."""
        if wanted.balancer is None:
            return None
        with self._lab() as lab:
            targets = {name: self._address(lab, wanted, name) for name in wanted.balancer.targets}
            self._lead(lab, wanted.restore_id, lambda _: targets)
            address = lab.the(Role.BALANCER).address
        return Balancer(wanted.balancer.name, (address,), ADOPTED, wanted.balancer.targets)

    def health(self, wanted: Wanted) -> tuple[TargetHealth, ...]:
        """See ``Provider.health``."""
        if wanted.balancer is None:
            return ()
        with self._lab() as lab:
            container = self._container(lab, Role.BALANCER)
            setting, found = traffic.setting(container), traffic.health(container)
        words = {True: HEALTHY, False: UNHEALTHY, None: UNKNOWN}
        return tuple(
            TargetHealth(name, service.listen, words[found.get((name, service.listen))])
            for name in setting.targets
            if name in wanted.balancer.targets
            for service in setting.services
        )

    def record(self, name: str, kind: str) -> Record | None:
        """See ``Provider.record``."""
        _see_kind(name, kind)
        with self._lab() as lab:
            return _record(traffic.answers(self._container(lab, Role.DNS)), name, kind)

    def point(self, restore_id: str, record: Record) -> Change:
        """See ``Provider.point``."""
        _see_kind(record.name, record.kind)
        with self._lab() as lab, traffic.alone(self._name):
            container = self._container(lab, Role.DNS)
            now = traffic.answers(container)
            mine = dict(now.before.get(restore_id, {}))
            if record.name not in mine:
                there = _record(now, record.name, record.kind)
                mine[record.name] = None if there is None else [list(there.values), there.ttl]
            traffic.answer(
                container,
                replace(
                    now,
                    records={**now.records, record.name: list(record.values)},
                    ttls={**now.ttls, record.name: record.ttl},
                    before={**now.before, restore_id: mine},
                ),
            )
        had = mine[record.name]
        return Change(None if had is None else Record(record.name, record.kind, tuple(had[0]), had[1]), record)

    def destroy(self, restore_id: str) -> tuple[Thing, ...]:
        """See ``Provider.destroy``. Nodes that were powered off stay off: which cluster lives is the user's to say."""
        with self._lab() as lab:
            done = [*self._records_back(lab, restore_id), *self._targets_back(lab, restore_id)]
            mine: dict[str, Any] = {"label": f"{RESTORE_LABEL}={self._mark(restore_id)}"}
            found = self._engine.containers.list(all=True, filters=mine, ignore_removed=True)
            done += [Thing("server", str(each.labels[MEMBER_LABEL]), REMOVED) for each in found]
            containers.remove(self._engine, self._mark(restore_id), RESTORE_LABEL)
            return (*done, *self._names_back(lab, restore_id))

    def outlived(self, now: datetime) -> tuple[str, ...]:
        """See ``Provider.outlived``."""
        with self._lab() as lab:
            return naming.outlived((each.labels for each in self._members(lab)), now)

    @contextmanager
    def _lab(self) -> Iterator[Topology]:
        try:
            yield machines.lab_of(self._engine, self._name)
        except DockerException as error:
            raise ProviderFailed(f"the Docker engine refused: {error}", "its own log says more") from error

    def _mark(self, restore_id: str) -> str:
        return f"{self._name}/{restore_id}"

    def _is_ours(self, container: Machine, restore_id: str) -> bool:
        return bool(container.labels.get(RESTORE_LABEL) == self._mark(restore_id))

    def _container(self, lab: Topology, role: Role) -> Machine:
        return self._engine.containers.get(lab.the(role).name)

    def _put_aside(self, lab: Topology, container: Machine, wanted: Wanted) -> None:
        member = str(container.labels[MEMBER_LABEL])
        if not wanted.replace or member not in {each.name for each in wanted.old}:
            raise ProviderFailed(
                f"there is a container {container.name} that this restore did not make",
                "rename it, or say --replace",
                code="taken",
            )
        machines.cut_power(container)
        container.rename(full_name(lab.spec.name, naming.put_aside(member, wanted.restore_id)))

    def _members(self, lab: Topology) -> list[Machine]:
        mine: dict[str, Any] = {"label": f"{LABEL}={lab.spec.name}"}
        return list(self._engine.containers.list(all=True, filters=mine, ignore_removed=True))

    def _names_back(self, lab: Topology, restore_id: str) -> Iterator[Thing]:
        for each in self._members(lab):
            member = str(each.labels[MEMBER_LABEL])
            if each.name == full_name(lab.spec.name, naming.put_aside(member, restore_id)):
                each.rename(full_name(lab.spec.name, member))
                yield Thing("server", member, PUT_BACK)

    def _address(self, lab: Topology, wanted: Wanted, name: str) -> str:
        found = machines.find(self._engine, lab, name)
        if found is None or not self._is_ours(found, wanted.restore_id):
            raise ProviderFailed(f"{name} is not there", "--resume makes it")
        return machines.address_of(found, lab)

    def _lead(self, lab: Topology, restore_id: str, changed: Any) -> None:
        """Give the load balancer other targets; what it had stays in its configuration."""
        with traffic.alone(self._name):
            container = self._container(lab, Role.BALANCER)
            now = traffic.setting(container)
            before = {**now.before, restore_id: now.before.get(restore_id, now.targets)}
            wanted = replace(now, targets=changed(now.targets), before=before)
            if wanted != now:
                traffic.change(container, wanted)

    def _targets_back(self, lab: Topology, restore_id: str) -> Iterator[Thing]:
        with traffic.alone(self._name):
            container = self._container(lab, Role.BALANCER)
            now = traffic.setting(container)
            if restore_id in now.before:
                left = {name: each for name, each in now.before.items() if name != restore_id}
                traffic.change(container, replace(now, targets=now.before[restore_id], before=left))
                yield Thing("load balancer", lab.the(Role.BALANCER).member, PUT_BACK)

    def _records_back(self, lab: Topology, restore_id: str) -> Iterator[Thing]:
        with traffic.alone(self._name):
            container = self._container(lab, Role.DNS)
            now = traffic.answers(container)
            mine = now.before.get(restore_id)
            if mine is None:
                return
            records, ttls = dict(now.records), dict(now.ttls)
            for name, had in mine.items():
                records.pop(name, None)
                ttls.pop(name, None)
                if had is not None:
                    records[name], ttls[name] = had
            left = {name: each for name, each in now.before.items() if name != restore_id}
            traffic.answer(container, replace(now, records=records, ttls=ttls, before=left))
            for name, had in mine.items():
                yield Thing("record", name, REMOVED if had is None else PUT_BACK)


def _see_kind(name: str, kind: str) -> None:
    if kind != "A":
        raise PreflightFailed(f"{name} {kind}: the lab's DNS has IPv4 addresses alone", "change another record")


def _record(answers: Answers, name: str, kind: str) -> Record | None:
    values = answers.records.get(name)
    return None if values is None else Record(name, kind, tuple(values), answers.ttls.get(name))
