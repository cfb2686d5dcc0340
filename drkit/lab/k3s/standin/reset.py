"""``k3s server --cluster-reset``: make this server the only member again, of its own database or of a snapshot.

As k3s does, it leaves ``db/reset-flag`` behind, keeps what it replaces aside, and does not raise the revision.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import bootstrap, components, datastore, log, paths
from .problem import Fatal
from .processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPAIRED = (
    "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. "
    "Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes"
)


def check(server: datastore.Server) -> None:
    """Refuse what k3s refuses before it has done anything.

    Raises:
        Fatal: it may not be reset now.
    """
    if server.settings.server:
        raise Fatal(
            "cannot perform cluster-reset while server URL is set - remove server from configuration before resetting"
        )
    if paths.RESET_FLAG.exists():
        raise Fatal(
            "Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s "
            "normally. If you need to perform another cluster reset, you must first manually delete the "
            f"{paths.RESET_FLAG} file"
        )
    restore = server.settings.cluster_reset_restore_path
    if restore and not Path(restore).is_file():
        raise Fatal(f"etcd: snapshot path does not exist: {restore}")
    if not restore and not (paths.ETCD / "member").exists():
        raise Fatal("cluster-reset is not possible: this server has no etcd database and no restore path is set")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", components.ETCD_CLIENT_PORT)) == 0:
            raise Fatal("cluster-reset is not possible: etcd is running; stop k3s first (address already in use)")


def perform(server: datastore.Server) -> None:
    """Reset, and say what comes next.

    Raises:
        Fatal: it failed; with another token than the snapshot's, in particular.
    """
    check(server)
    paths.DB.mkdir(mode=0o700, parents=True, exist_ok=True)
    if server.settings.cluster_reset_restore_path:
        _restore(server, Path(server.settings.cluster_reset_restore_path))
    paths.RESET_FLAG.touch(mode=0o600)
    with datastore.scratch_member(paths.ETCD, paths.ETCD_NAME.read_text().strip()) as store:
        stored = store.load_bundle(server.password)
        for member in store.members():
            if member.peer != server.peer:
                store.move(member.number, server.peer)
    if stored is not None:
        _replace_identity(stored)
    server.certificates()
    datastore.write_token(server.password)
    log.info(_REPAIRED)


def _restore(server: datastore.Server, snapshot: Path) -> None:
    if paths.ETCD.exists():
        aside = paths.DB / f"etcd-old-{int(time.time())}"
        log.info(f"Pre-restore etcd database moved to {aside}")
        paths.ETCD.rename(aside)
    name = f"{server.node}-{secrets.token_hex(4)}"
    with _unpacked(snapshot) as plain:
        run(
            [
                paths.program("etcdutl"),
                "snapshot",
                "restore",
                str(plain),
                f"--data-dir={paths.ETCD}",
                f"--name={name}",
                f"--initial-cluster={name}={server.peer}",
                f"--initial-advertise-peer-urls={server.peer}",
            ],
            seconds=900.0,
        )
    paths.ETCD_NAME.write_text(name)


@contextmanager
def _unpacked(snapshot: Path) -> Iterator[Path]:
    if snapshot.suffix != ".zip":
        yield snapshot
        return
    with tempfile.TemporaryDirectory(dir=paths.DB, prefix="unpacked-") as directory, zipfile.ZipFile(snapshot) as file:
        yield Path(file.extract(file.namelist()[0], directory))


def _replace_identity(stored: bootstrap.Bundle) -> None:
    if paths.TLS.exists():
        aside = paths.SERVER / f"tls-{int(time.time())}"
        log.info(f"Cluster reset: backing up certificates directory to {aside}")
        shutil.copytree(paths.TLS, aside)
    log.warning("Updating bootstrap data on disk from datastore")
    bootstrap.write_to_disk(stored, paths.SERVER)
