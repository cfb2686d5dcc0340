"""A server's datastore: which kind it is, how its etcd member comes into being, and how the identity in it is kept.

As in k3s the identity is read before the real start, from a copy of the database that a member without peers serves on
loopback: so a start with another token, or with files that contradict the datastore, ends before it has done anything.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from . import bootstrap, components, identity, join, log, paths, token
from .problem import Fatal
from .processes import Children, wait_for
from .store import Member, Store, initial_cluster, local_etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import Settings

_SCRATCH_CLIENT = "http://127.0.0.1:2399"
_SCRATCH_PEER = "http://127.0.0.1:2400"
_PATIENCE = 300.0


class Kind(Enum):
    """What holds the cluster's state."""

    ETCD = "etcd"
    SQLITE = "sqlite"
    EXTERNAL = "external"


def kind_of(settings: Settings, *, has_etcd: bool) -> Kind:
    """The kind that k3s would choose (docs.k3s.io/datastore)."""
    if settings.datastore_endpoint:
        return Kind.EXTERNAL
    if settings.cluster_init or settings.server or settings.cluster_reset or has_etcd:
        return Kind.ETCD
    return Kind.SQLITE


def password_of(settings: Settings) -> str:
    """The cluster's secret: the configuration's, else the one of an earlier start, else a new one.

    Raises:
        Fatal: the token is malformed.
    """
    if settings.token:
        return token.parse(settings.token).password
    if paths.TOKEN.exists():
        return token.parse(paths.TOKEN.read_text()).password
    if identity.PASSWD.exists():
        for line in identity.PASSWD.read_text().splitlines():
            fields = line.split(",")
            if len(fields) > 1 and fields[1] == "server":
                return fields[0]
    return secrets.token_hex(16)


def write_token(password: str) -> None:
    """Write the full token where joining nodes' owners look for it."""
    text = token.full(password, "server", identity.SERVER_CA.certificate.read_bytes()) + "\n"
    paths.TOKEN.write_text(text)
    paths.TOKEN.chmod(0o600)
    paths.NODE_TOKEN.unlink(missing_ok=True)
    paths.NODE_TOKEN.symlink_to(paths.TOKEN)


def reconcile(stored: bootstrap.Bundle) -> None:
    """Bring the files on disk in line with the datastore's, or refuse to.

    Raises:
        Fatal: a file is newer than the datastore's copy.
    """
    log.info("Reconciling bootstrap data between datastore and disk")
    disk = bootstrap.read_from_disk(paths.SERVER)
    newer = bootstrap.newer_on_disk(disk, stored)
    if newer:
        names = ", ".join(str(paths.SERVER / bootstrap.FILES[name]) for name in newer)
        raise Fatal(
            f"{names} newer than datastore and could cause a cluster outage. "
            "Remove the file(s) from disk and restart to be recreated from datastore."
        )
    if bootstrap.differs(disk, stored):
        log.warning("Updating bootstrap data on disk from datastore")
        bootstrap.write_to_disk(stored, paths.SERVER)


@dataclass(frozen=True)
class Server:
    """This server as a member of a datastore."""

    settings: Settings
    node: str
    address: str
    password: str

    @property
    def peer(self) -> str:
        """Where other members reach it."""
        return f"https://{self.address}:{components.ETCD_PEER_PORT}"

    def certificates(self) -> None:
        """Make what is missing of the identity, and this server's own certificates."""
        identity.make_authorities()
        identity.write_passwords(self.password)
        names = (*self.settings.tls_san, *filter(None, [self.settings.node_external_ip]))
        identity.make_server_certificates(
            identity.Node(self.node, self.address, self.settings.service_cidr, self.settings.cluster_domain, names)
        )


@contextmanager
def scratch_member(data: Path, name: str) -> Iterator[Store]:
    """Serve ``data`` as a cluster of one on loopback, without TLS: its certificates may be what is being looked for.

    Raises:
        Fatal: it does not come up.
    """
    children = Children()
    children.start(
        "etcd",
        [
            f"--name={name}",
            f"--data-dir={data}",
            "--force-new-cluster",
            f"--listen-client-urls={_SCRATCH_CLIENT}",
            f"--advertise-client-urls={_SCRATCH_CLIENT}",
            f"--listen-peer-urls={_SCRATCH_PEER}",
            "--log-level=error",
        ],
    )
    try:
        store = Store(_SCRATCH_CLIENT)
        wait_for("the temporary etcd", store.healthy, children, 60.0)
        yield store
    finally:
        children.stop_all()


def read_offline(password: str) -> bootstrap.Bundle | None:
    """The identity in this server's etcd database, which is not running.

    Raises:
        Fatal: it is another token's.
    """
    with tempfile.TemporaryDirectory(dir=paths.DB, prefix="etcd-tmp-") as directory:
        copy = Path(directory) / "etcd"
        shutil.copytree(paths.ETCD, copy)
        with scratch_member(copy, paths.ETCD_NAME.read_text().strip()) as store:
            return store.load_bundle(password)


def start_etcd(server: Server, children: Children) -> Store:
    """Start this server's member: as it was, as a new cluster, or joining one.

    Raises:
        Fatal: it cannot, or may not.
    """
    paths.DB.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (paths.ETCD / "member").exists():
        member = _known_member(server)
    elif server.settings.server:
        member = _joining_member(server, children)
    else:
        log.info("Managed etcd cluster initializing")
        server.certificates()
        name = _new_name(server.node)
        member = components.Etcd(name, server.address, f"{name}={server.peer}", new_cluster=True)
    paths.RESET_FLAG.unlink(missing_ok=True)
    children.start("etcd", components.etcd(member, server.settings.etcd_arg))
    store = local_etcd()
    wait_for("etcd", store.healthy, children)
    _keep_identity(store, server.password)
    return store


def _known_member(server: Server) -> components.Etcd:
    name = paths.ETCD_NAME.read_text().strip()
    stored = read_offline(server.password)
    if stored is not None:
        reconcile(stored)
    server.certificates()
    if server.settings.server:
        _check_membership(server, name)
    return components.Etcd(name, server.address, f"{name}={server.peer}", new_cluster=False)


def _check_membership(server: Server, name: str) -> None:
    # A cluster that was reset meanwhile knows this member no more; where nobody answers, all may be starting at once.
    try:
        client = join.connect(server.settings.server, server.settings.token, "server")
        members = _members(client)
    except (join.Unreachable, join.Rejected):
        return
    if name not in {member.name for member in members}:
        found = ", ".join(f"{member.name}={member.peer}" for member in members)
        raise Fatal(
            f"this server is not a member of the etcd cluster. Found [{found}], expect: {name}={server.peer}. "
            f"Remove {paths.DB} and start again to join it."
        )


def _members(client: join.Client) -> list[Member]:
    return [Member(**entry) for entry in client.get("/db/info")]


def _joining_member(server: Server, children: Children) -> components.Etcd:
    if not server.settings.token:
        raise Fatal("K3S_TOKEN is required to join a cluster")
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            client = join.connect(server.settings.server, server.settings.token, "server")
            reconcile(bootstrap.load(client.ask("GET", "/v1-k3s/server-bootstrap")))
            server.certificates()
            return _add_member(server, client)
        except (join.Unreachable, TooEarly) as problem:
            if time.monotonic() > until:
                raise Fatal(f"failed to join the cluster: {problem}") from None
            log.info(f"Waiting for the server to join: {problem}")
            children.check()
            time.sleep(2.0)
        except join.Rejected as problem:
            raise Fatal(f"failed to validate the token with the server: {problem}") from None


class TooEarly(Exception):
    """The cluster cannot take another member just now."""


def _add_member(server: Server, client: join.Client) -> components.Etcd:
    members = _members(client)
    # Announced by an earlier try that did not get as far as to start.
    unstarted = [member for member in members if not member.name and member.peer == server.peer]
    for member in members:
        if member.node == server.node:
            raise Fatal(
                f"duplicate node name found, please use a unique name for this node (etcd member {member.name}); "
                "a server that lost its database is deleted first: kubectl delete node"
            )
    name = _new_name(server.node)
    if not unstarted:
        log.info(f"Adding member {name}={server.peer} to the etcd cluster")
        peer = members[0].peer
        try:
            Store(peer.replace(f":{components.ETCD_PEER_PORT}", f":{components.ETCD_CLIENT_PORT}")).add_learner(
                name, server.peer
            )
        except Fatal as problem:
            # Only one learner at a time, and none while the others are not all healthy: etcd's own rules.
            raise TooEarly(str(problem)) from None
    return components.Etcd(name, server.address, initial_cluster(members, name, server.peer), new_cluster=False)


def _new_name(node: str) -> str:
    name = f"{node}-{secrets.token_hex(4)}"
    paths.ETCD.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.ETCD_NAME.write_text(name)
    return name


def _keep_identity(store: Store, password: str) -> None:
    if store.load_bundle(password) is None:
        store.save_bundle(password, bootstrap.read_from_disk(paths.SERVER))


def start_kine(server: Server, kind: Kind, children: Children) -> Store:
    """Start kine over SQLite or an external database, which then looks like etcd.

    Raises:
        Fatal: it does not come up, or holds another cluster's identity.
    """
    paths.DB.mkdir(mode=0o700, parents=True, exist_ok=True)
    endpoint = server.settings.datastore_endpoint
    if kind is Kind.SQLITE:
        endpoint = f"sqlite://{paths.SQLITE}?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate"
    listen = f"unix://{paths.KINE_SOCKET}"
    paths.KINE_SOCKET.unlink(missing_ok=True)
    # The endpoint holds the database's password: it goes through the environment, where other users cannot see it.
    children.start("kine", [f"--listen-address={listen}", "--metrics-bind-address=0"], {"KINE_ENDPOINT": endpoint})
    store = Store(listen)
    wait_for("the datastore", store.healthy, children)
    stored = store.load_bundle(server.password)
    if stored is not None:
        reconcile(stored)
    server.certificates()
    _keep_identity(store, server.password)
    return store
