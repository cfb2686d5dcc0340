"""Looks for what a configuration names, with short patience: what is not there, or does not answer, is said."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import api, cnpg, kubeconfig, members
from drkit.cluster.k3s import KUBECONFIG
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.cluster.transport import Limits
from drkit.config.model import Ssh
from drkit.errors import DrkitError
from drkit.masking import register
from drkit.setup import project
from drkit.setup.found import TOKEN_VARIABLE, Found, Login, Machine, Missing, Postgres
from drkit.setup.pages import pages
from drkit.sources import cnpg as databases
from drkit.topology import hetzner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeVar

    from drkit.cluster.api import HttpApi
    from drkit.cluster.cnpg import PostgresCluster
    from drkit.cluster.kube import Object
    from drkit.cluster.members import Member
    from drkit.setup.found import Page, Project

    T = TypeVar("T")

_HASTY = Limits(connections=4, rate=50.0, connect_seconds=3.0, read_seconds=10.0, attempts=1)
_LOGIN_SECONDS = 20.0
_SIDE_BY_SIDE = 8
_KUBECONFIG = "KUBECONFIG"
_INGRESSES = "/apis/networking.k8s.io/v1/ingresses"


@dataclass(frozen=True)
class Asked:
    """What the user said.

    Attributes:
        kubeconfig: the file to use; None to look for one.
        environment: where $KUBECONFIG, $HOME and $HCLOUD_TOKEN are read.
    """

    name: str = "k3s"
    kubeconfig: Path | None = None
    login: Login = field(default_factory=Login)
    vault: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


class _Search:
    """Keeps what was not found, in the order in which it was looked for."""

    def __init__(self) -> None:
        self.missing: list[Missing] = []

    def try_(self, what: str, look: Callable[[], T], otherwise: T) -> T:
        """What ``look`` finds; ``otherwise`` where it fails, which is noted."""
        try:
            return look()
        except DrkitError as error:
            self.missing.append(Missing(what, error.message, error.hint))
        except process.DeadlineExceeded as error:
            self.missing.append(Missing(what, str(error)))
        return otherwise


def look(asked: Asked) -> Found:
    """Look for everything. Nothing is changed anywhere, and nothing that is missing is an error."""
    search = _Search()
    file, connected = _api(asked, search)
    listed: list[Object] = search.try_("nodes", lambda: members.nodes(connected), []) if connected else []
    machines = _logged_in(members.members((), listed), asked.login, search)
    project_found = _project(asked, machines, search)
    postgres: tuple[Postgres, ...] = ()
    hosts: tuple[Page, ...] = ()
    if connected:
        postgres = _postgres(connected, search)
        hosts = _pages(connected, search)
    return Found(
        asked.name,
        file,
        asked.login,
        machines,
        postgres,
        hosts,
        project_found,
        asked.vault,
        tuple(search.missing),
    )


def places(asked: Asked) -> tuple[Path, ...]:
    """Where a kubeconfig is looked for, in this order. Pure."""
    if asked.kubeconfig is not None:
        return (asked.kubeconfig,)
    named = asked.environment.get(_KUBECONFIG, "")
    if named:
        return tuple(Path(each) for each in named.split(os.pathsep) if each)
    home = asked.environment.get("HOME", "")
    return (*((Path(home) / ".kube/config",) if home else ()), Path(KUBECONFIG))


def _api(asked: Asked, search: _Search) -> tuple[Path | None, HttpApi | None]:
    """The first kubeconfig that is there, and its API where that answers."""
    there = [each for each in places(asked) if each.exists()]
    if not there:
        looked = ", ".join(map(str, places(asked)))
        hint = "copy /etc/rancher/k3s/k3s.yaml from a server, mode 0600, and put the server's address into it"
        search.missing.append(Missing("kubeconfig", f"looked for {looked}", hint))
        return None, None
    first: Path | None = None
    for file in there:
        connected = search.try_(f"kubeconfig {file}", lambda file=file: _connected(file), None)  # type: ignore[misc]
        if connected is not None:
            return file.absolute(), connected
        first = first or file.absolute()
    return first, None


def _connected(file: Path) -> HttpApi:
    connected = api.connect(kubeconfig.read(file), _HASTY)
    connected.get("/version")
    return connected


def _logged_in(found: Sequence[Member], login: Login, search: _Search) -> tuple[Machine, ...]:
    """Each machine, and whether SSH lets us in as root; all at the same time."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "look") as pool:
        troubles = list(pool.map(lambda each: _trouble(each, login), found))
    made = []
    for each, trouble in zip(found, troubles, strict=True):
        made.append(Machine(each.name, each.address, each.is_server, trouble.why if trouble else ""))
        if trouble is not None:
            search.missing.append(trouble)
    return tuple(made)


def _trouble(member: Member, login: Login) -> Missing | None:
    what = f"SSH to {member.name}"
    ssh = Ssh(user=login.user or None, key=login.key, known_hosts=login.known_hosts, port=login.port)
    node = reach(member.name, member.address, ssh)
    try:
        done = node.run(["id", "-u"], deadline=_LOGIN_SECONDS)
    except DrkitError as error:
        return Missing(what, error.message, error.hint)
    except process.DeadlineExceeded as error:
        return Missing(what, str(error))
    finally:
        if isinstance(node, SshNode):
            node.close()
    if done.stdout.strip() != b"0":
        return Missing(what, "its user is not root there", "log in as root: --ssh-user root")
    return None


def _postgres(connected: HttpApi, search: _Search) -> tuple[Postgres, ...]:
    clusters: list[PostgresCluster] = search.try_("CloudNativePG", lambda: cnpg.clusters(connected), [])
    with ThreadPoolExecutor(_SIDE_BY_SIDE, "look") as pool:
        return tuple(pool.map(lambda each: _databases(connected, each, search), clusters))


def _databases(connected: HttpApi, cluster: PostgresCluster, search: _Search) -> Postgres:
    """Its databases, if its primary can be asked now: nobody waits for a failover here."""

    def ask() -> tuple[str, ...]:
        primary = cnpg.primary_now(connected, cluster)
        return () if isinstance(primary, str) else tuple(databases.databases(connected, cluster))

    return Postgres(str(cluster), search.try_(f"databases of {cluster}", ask, ()))


def _pages(connected: HttpApi, search: _Search) -> tuple[Page, ...]:
    def listed() -> Iterator[Object]:
        for page in connected.pages(_INGRESSES):
            yield from page["items"]

    return pages(search.try_("Ingresses", lambda: list(listed()), []))


def _project(asked: Asked, machines: Sequence[Machine], search: _Search) -> Project | None:
    token = asked.environment.get(TOKEN_VARIABLE, "")
    if not token:
        hint = f"if the servers are at Hetzner: export {TOKEN_VARIABLE}=…, and run it again"
        search.missing.append(Missing("Hetzner Cloud project", f"${TOKEN_VARIABLE} is not set", hint))
        return None
    register(token)
    read = search.try_("Hetzner Cloud project", lambda: hetzner.read(token, hetzner.endpoint()), None)
    found = None if read is None else project.of_cluster(read, machines)
    if read is not None and found is None:
        search.missing.append(
            Missing("Hetzner Cloud project", "none of its servers is one of the cluster's", "is it the right token?")
        )
    return found
