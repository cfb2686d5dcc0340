"""etcd snapshots: their names, how many are kept, and the schedule (docs.k3s.io/cli/etcd-snapshot)."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import cron, log, paths, pki, token
from .problem import Fatal
from .store import local_etcd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .settings import Settings

ON_DEMAND = "on-demand"
_COMPRESSED = ".zip"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot file: its name, its size in bytes, and when it was taken in seconds since 1970."""

    name: str
    location: Path
    size: int
    created: int


def file_name(prefix: str, node: str, now: int, *, compressed: bool) -> str:
    """``<prefix>-<node>-<unix time>``, and ``.zip`` where it is compressed."""
    return f"{prefix}-{node}-{now}{_COMPRESSED if compressed else ''}"


def taken_at(name: str) -> int | None:
    """The time in a snapshot's name; None where it is no snapshot's."""
    stamp = name.removesuffix(_COMPRESSED).rpartition("-")[2]
    return int(stamp) if stamp.isdigit() else None


def superfluous(found: Sequence[Snapshot], prefix: str, retention: int) -> list[Snapshot]:
    """What goes when ``retention`` of those whose name begins with ``prefix`` are kept: the oldest."""
    ours = sorted((each for each in found if each.name.startswith(prefix)), key=lambda each: each.created)
    return ours[: max(0, len(ours) - retention)] if retention > 0 else []


def directory(settings: Settings) -> Path:
    """Where this server keeps its snapshots."""
    return Path(settings.etcd_snapshot_dir) if settings.etcd_snapshot_dir else paths.SNAPSHOTS


def listed(settings: Settings) -> list[Snapshot]:
    """This server's snapshots, the oldest first."""
    found = []
    for path in directory(settings).glob("*"):
        created = taken_at(path.name)
        if created is not None and path.is_file():
            found.append(Snapshot(path.name, path, path.stat().st_size, created))
    return sorted(found, key=lambda each: (each.created, each.name))


def save(settings: Settings, node: str, prefix: str) -> Snapshot:
    """Take a snapshot of this server's etcd.

    Raises:
        Fatal: this server has no etcd, or it does not answer.
    """
    if not paths.ETCD.exists():
        raise Fatal("etcd datastore disabled: snapshots need embedded etcd (cluster-init)")
    where = directory(settings)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = int(time.time())
    path = where / file_name(prefix, node, now, compressed=False)
    log.info(f"Saving etcd snapshot to {path}")
    local_etcd().save_snapshot(str(path))
    path.chmod(0o600)
    if settings.etcd_snapshot_compress:
        path = _compress(path)
    _remember(path, node, now)
    log.info(f"Snapshot {path.name} saved.")
    return Snapshot(path.name, path, path.stat().st_size, now)


def _compress(path: Path) -> Path:
    archive = path.with_name(path.name + _COMPRESSED)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(path, path.name)
    archive.chmod(0o600)
    path.unlink()
    return archive


def _remember(path: Path, node: str, now: int) -> None:
    password = token.parse(paths.TOKEN.read_text()).password
    text = {
        "name": path.name,
        "location": f"file://{path}",
        "nodeName": node,
        "createdAt": datetime.fromtimestamp(now).astimezone().isoformat(),
        "size": path.stat().st_size,
        # Tells which token opens the identity inside, without telling the token.
        "tokenHash": token.ca_hash(password.encode())[:12],
    }
    pki.write_private(paths.SNAPSHOT_METADATA / path.name, json.dumps(text, indent=1).encode())


def remove(snapshot: Snapshot) -> None:
    """Delete a snapshot and what is known of it."""
    snapshot.location.unlink(missing_ok=True)
    (paths.SNAPSHOT_METADATA / snapshot.name).unlink(missing_ok=True)
    log.info(f"Snapshot {snapshot.name} deleted.")


def prune(settings: Settings, prefix: str, retention: int) -> None:
    """Delete the oldest of those whose name begins with ``prefix``."""
    for snapshot in superfluous(listed(settings), prefix, retention):
        remove(snapshot)


def run_schedule(settings: Settings, node: str) -> None:
    """Take and prune snapshots when they are due, for ever."""
    schedule = cron.parse(settings.etcd_snapshot_schedule_cron)
    while True:
        due = cron.next_after(schedule, datetime.now().astimezone())
        time.sleep(max(0.0, due.timestamp() - time.time()))
        try:
            save(settings, node, settings.etcd_snapshot_name)
            prune(settings, f"{settings.etcd_snapshot_name}-{node}", int(settings.etcd_snapshot_retention))
        except (Fatal, OSError) as problem:
            log.error(f"failed to take the scheduled etcd snapshot: {problem}")
        time.sleep(1.0)  # the minute that was due may not be over: without this it would be found again


def table(found: Sequence[Snapshot]) -> str:
    """The list as ``k3s etcd-snapshot ls`` prints it."""
    rows = [("Name", "Location", "Size", "Created")]
    for each in found:
        created = datetime.fromtimestamp(each.created).astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
        rows.append((each.name, f"file://{each.location}", str(each.size), f"{created[:-2]}:{created[-2:]}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        " ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    )


def as_json(found: Sequence[Snapshot]) -> str:
    """The list as the API's objects, as ``ls -o json`` prints it."""
    items = [
        {
            "metadata": {"name": each.name},
            "spec": {"snapshotName": each.name, "location": f"file://{each.location}"},
            "status": {
                "size": str(each.size),
                "creationTime": datetime.fromtimestamp(each.created).astimezone().isoformat(),
                "readyToUse": True,
            },
        }
        for each in found
    ]
    return json.dumps({"apiVersion": "k3s.cattle.io/v1", "kind": "ETCDSnapshotFileList", "items": items}, indent=2)
