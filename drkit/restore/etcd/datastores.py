"""The cluster's datastore onto its first server, whichever kind it is, and the first start over it.

How is it known that this was done? k3s's own ``reset-flag`` stands there before a reset is at its end, so it says
nothing. systemd runs the reset as a unit that ends, and only when it ended well copies a note to the machine's mark:
which restore, which archive. A resumed run that finds the note does nothing; one that does not, stops what may still
run, removes what a reset makes (all of it comes out of the snapshot again) and resets anew.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.cluster import k3s
from drkit.datastore import postgresql
from drkit.errors import RestoreFailed, TargetNotEmpty, WrongKey
from drkit.postgres import load, programs
from drkit.postgres.access import ByDsn
from drkit.postgres.quoting import identifier
from drkit.restore import aside, target
from drkit.restore.etcd import machine
from drkit.restore.stream import Whole, feed
from drkit.restore.target import connected, maintenance
from drkit.sink import Sink

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.cluster.k3s import Settings
    from drkit.cluster.node import Node
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault

NOTE = "/etc/drkit/restore-datastore"
"""What was put there, once it is whole: ``<restore id> <SHA-256>``."""
BEGUN = "/etc/drkit/restore-datastore-begun"
"""The same, before an external datastore is loaded."""
_NOTED = "/run/drkit-datastore"
_RUN_DROP_IN = "/run/systemd/system/k3s.service.d/zz-drkit-reset.conf"
_DUE = "/etc/drkit/restore-start-due"
_BLOCK = 256 * 1024
_RESET_SECONDS = 1800.0
_START_SECONDS = 900.0
_DIFFERENT_TOKEN = ("encrypted with different token", "message authentication failed")

_RESET_DROP_IN = f"""[Service]
Type=oneshot
RemainAfterExit=no
Restart=no
TimeoutStartSec={_RESET_SECONDS:.0f}
ExecStartPost=/bin/cp {_NOTED} {NOTE}
"""
_CLEAN = """
systemctl stop k3s
rm -rf -- "$1"/db/etcd "$1"/db/etcd-old-* "$1"/db/etcd-tmp-* "$1"/db/reset-flag "$1"/tls "$1"/tls-* "$1"/cred
rm -f -- "$1"/db/state.db "$1"/db/state.db-* "$1"/*.drkit-?????? "$1"/db/*.drkit-??????
mkdir -p "$1/db" && chmod 700 "$1" "$1/db"
"""
_UNDO_RESET = f'rm -f -- {_RUN_DROP_IN} {_NOTED} "$@" && systemctl daemon-reload'
_IS_THERE = '[ -f "$1" ] && sha256sum "$1" | cut -d " " -f 1 || true'
_WHOLE_START = f"""
if [ -e "$1" ]; then mv -f "$1" {_DUE} && sync; fi
systemctl daemon-reload
if [ -e {_DUE} ] || ! systemctl is-active --quiet k3s; then systemctl enable --quiet k3s && systemctl restart k3s; fi
rm -f {_DUE}
"""


@dataclass(frozen=True)
class Archive:
    """What the vault holds of the datastore."""

    vault: Vault
    source: SourceEntry

    def note(self, restore: str) -> bytes:
        """What stands on the server when all of it is there."""
        return f"{restore} {self.source.sha256}\n".encode()


def once(settings: Settings, what: str) -> str:
    """The configuration file of a start that comes only once, ``reset`` or ``wake``; it counts before all others."""
    return f"{settings.config}.d/zzzzzzzz-drkit-{what}.yaml"


def snapshot_path(settings: Settings) -> str:
    """Where the snapshot lies on the server while it is restored."""
    return f"{settings.server_directory}/drkit-snapshot"


def restore_etcd(node: Node, settings: Settings, archive: Archive, restore: str) -> None:
    """Let a server's own etcd be the snapshot's, with it as the only member.

    Args:
        node: the first server, with its files, where k3s never ran.
        settings: what k3s is told there.
        archive: the snapshot.
        restore: the restore's id.

    Raises:
        WrongKey: the token is not the one that was in force at the snapshot.
        RestoreFailed: k3s does not restore it.
        VerificationFailed: the archive is not what was sealed.
    """
    machine.see_mark(node, restore)
    note = archive.note(restore)
    path, drop_in = snapshot_path(settings), once(settings, "reset")
    if node.read(NOTE) == note:
        machine.shell(node, _UNDO_RESET, drop_in, path)
        return
    machine.shell(node, _CLEAN, settings.server_directory)
    if machine.shell(node, _IS_THERE, path).strip() != archive.source.sha256:
        _send(node, path, archive)
    node.write(_NOTED, note, mode=0o600)
    reset = f"cluster-reset: true\ncluster-reset-restore-path: {path}\netcd-s3: false\n"
    files = {drop_in: machine.as_file(reset), _RUN_DROP_IN: machine.as_file(_RESET_DROP_IN)}
    machine.shell(node, machine.PUT, stdin=machine.packed(files))
    try:
        machine.start(node, k3s.SERVER_UNIT, deadline=_RESET_SECONDS)
    except RestoreFailed as error:
        if any(words in error.message for words in _DIFFERENT_TOKEN):
            raise WrongKey(
                f"{node.name}: the token does not open the snapshot's identity: it was another one then",
                "choose a recovery point whose server-files and datastore are of the same time",
            ) from None
        raise
    finally:
        machine.shell(node, _UNDO_RESET, drop_in)
    if node.read(NOTE) != note:
        raise RestoreFailed(f"{node.name}: k3s did not say that it restored the snapshot\n{machine.log(node, 'k3s')}")
    machine.shell(node, _UNDO_RESET, drop_in, path)


def restore_sqlite(node: Node, settings: Settings, archive: Archive, restore: str) -> None:
    """Put a server's SQLite database in place; see ``restore_etcd``."""
    machine.see_mark(node, restore)
    if node.read(NOTE) == archive.note(restore):
        return
    machine.shell(node, _CLEAN, settings.server_directory)
    _send(node, f"{settings.database_directory}/state.db", archive)
    node.write(NOTE, archive.note(restore), mode=0o600)


def _send(node: Node, path: str, archive: Archive) -> None:
    source = archive.source
    with archive.vault.open(source.archive) as reader:
        whole = Whole(reader, source)
        node.send(path, iter(lambda: whole.read(_BLOCK), b""), size=source.size, sha256=source.sha256, mode=0o600)


def restore_postgresql(
    node: Node, settings: Settings, archive: Archive, restore: str, bin_dirs: tuple[Path, ...] = ()
) -> None:
    """Load an external PostgreSQL that the configuration names, reached through the server; see ``restore_etcd``.

    Raises:
        TargetNotEmpty: k3s's table is there, and is not of this restore.
        PreflightFailed: the database does not answer.
    """
    machine.see_mark(node, restore)
    note = archive.note(restore)
    if node.read(NOTE) == note:
        return
    with ExitStack() as stack:
        server = ByDsn(postgresql.reached(stack, node, settings), None, bin_dirs)
        begun = node.read(BEGUN) == note
        if not _has_objects(server):
            node.write(BEGUN, note, mode=0o600)
            _load(server, archive)
        elif not begun:
            raise TargetNotEmpty(
                f"{server.shown} holds a cluster's objects (the table kine) already; nothing was touched",
                "give an empty database: datastore-endpoint of the target",
            )
        # It was loaded in one transaction by the run that noted that it began: what is there is whole.
    node.write(NOTE, note, mode=0o600)


def _has_objects(server: ByDsn) -> bool:
    """Whether k3s's table is there; the database is made where it is not."""
    with maintenance(server) as session:
        if not aside.exists(session, server.database):
            session.execute(f"create database {identifier(server.database)}")
    with connected(server) as session:
        return bool(target.one(session, "select pg_catalog.to_regclass('kine') is not null")[0])


def _load(server: ByDsn, archive: Archive) -> None:
    major = int(str(archive.source.details["versions"]["postgresql"]).partition(".")[0])
    with connected(server) as session:
        major = max(major, target.major_of(session))
    # Whoever owned the table before, k3s's user of this server owns it now.
    options = ["--single-transaction", "--no-owner", "--no-privileges"]
    with load.session(server.dsn) as (env, descriptors):
        program = programs.client("pg_restore", major, server.bin_dirs)
        sink = Sink(load.arguments([program], server.database, options), env, descriptors)
    try:
        feed(archive.vault, archive.source, sink.write)
        sink.finish()
    finally:
        sink.stop()


def by_hand(settings: Settings, snapshot: str) -> str:
    """What drkit does not do: an etcd of its own, with its members' machines, is brought back by whoever runs it. Pure.

    Args:
        settings: what k3s is told; its endpoints and certificates.
        snapshot: where the snapshot was written to (``drkit restore --only datastore --into DIR``).
    """
    endpoints = [each.strip() for each in settings.endpoint.split(",") if each.strip()]
    hosts = [each.partition("//")[2].rpartition(":")[0] for each in endpoints]
    members = ",".join(f"etcd{number}=https://{host}:2380" for number, host in enumerate(hosts, 1))
    lines = [
        "k3s's datastore is an etcd with machines of its own. Stop all its members; then on each of them, as root:"
    ]
    for number, host in enumerate(hosts, 1):
        lines.append(f"  # on {host}, with a copy of {snapshot}")
        lines.append("  mv /var/lib/etcd /var/lib/etcd-old")
        lines.append(
            f"  etcdutl snapshot restore {shlex.quote(snapshot)} --data-dir=/var/lib/etcd --name=etcd{number}"
            f" --initial-cluster={members} --initial-advertise-peer-urls=https://{host}:2380"
            " --bump-revision=1000000000 --mark-compacted"
        )
    lines.append("Start all of them, and see that they are healthy:")
    trust = {"cacert": settings.cafile, "cert": settings.certfile, "key": settings.keyfile}
    options = [f"--{option}={path}" for option, path in trust.items() if path]
    lines.append("  " + " ".join(["etcdctl", *options, f"--endpoints={','.join(endpoints)}", "endpoint health"]))
    lines.append("Then: drkit restore … --resume")
    return "\n".join(lines)


def wake(node: Node, settings: Settings) -> None:
    """Start the first server with its API alone: nothing is scheduled, controlled or run, and no webhook is asked.

    Raises:
        RestoreFailed: it does not come up.
        WrongKey: its token does not open the datastore.
    """
    text = (
        "disable-scheduler: true\ndisable-controller-manager: true\ndisable-agent: true\n"
        # Those that answer them are pods, of which none runs: what they must agree to could not be changed.
        "kube-apiserver-arg+:\n"
        "- disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook\n"
    )
    path = once(settings, "wake")
    if node.read(path) != text.encode():
        machine.shell(node, machine.PUT, stdin=machine.packed({path: machine.as_file(text)}))
        machine.shell(node, "systemctl stop k3s")
    try:
        machine.start(node, k3s.SERVER_UNIT, deadline=_START_SECONDS)
    except RestoreFailed as error:
        if any(words in error.message for words in _DIFFERENT_TOKEN):
            raise WrongKey(f"{node.name}: its token does not open the datastore") from None
        raise


def start_whole(node: Node, settings: Settings) -> None:
    """Start the first server with all it has, now and after each start of the machine.

    It is a new process: no watch of the first start, from before the datastore was scrubbed, lives on.

    Raises:
        RestoreFailed: it does not come up.
    """
    try:
        machine.shell(node, _WHOLE_START, once(settings, "wake"), deadline=_START_SECONDS)
    except RestoreFailed as error:
        raise RestoreFailed(f"{error.message}\n{machine.log(node, 'k3s')}") from None
