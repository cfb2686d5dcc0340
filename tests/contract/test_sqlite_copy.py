"""Copying kine's SQLite database on a node, by each of the programs that can: here on this machine."""

from __future__ import annotations

import io
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.k3s import Settings
from drkit.cluster.local import LocalNode
from drkit.datastore import sqlite, status
from drkit.datastore.look import Seen
from drkit.errors import SourceFailed, VerificationFailed

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "K10" + "a" * 64 + "::server:secret"
TABLE = """
create table kine (id integer primary key autoincrement, name integer, created integer, deleted integer,
                   create_revision integer, prev_revision integer, lease integer, value blob, old_value blob)
"""
"""As kine makes it (github.com/k3s-io/kine, pkg/drivers/sqlite/sqlite.go)."""


@pytest.fixture
def server(tmp_path: Path) -> Seen:
    """A server's directories with a database in them."""
    (tmp_path / "server/db").mkdir(parents=True)
    seen = Seen(Settings(data_directory=str(tmp_path)), etcd=False, sqlite=True, version="v1.34.4+k3s1", token=TOKEN)
    with closing(connect(seen)) as database:
        database.execute("pragma journal_mode = wal")
        database.execute(TABLE)
        put(database, seen.bootstrap_key)
        put(database, "/bootstrap/000000000000")
        put(database, "/bootstrap/000000000000", deleted=1)
        for number in range(500):
            put(database, f"/registry/{number}", value=os.urandom(900))
        database.commit()
    return seen


def connect(seen: Seen) -> sqlite3.Connection:
    """A connection to the server's database."""
    return sqlite3.connect(f"{seen.settings.database_directory}/state.db", timeout=30, check_same_thread=False)


def put(database: sqlite3.Connection, name: str, *, deleted: int = 0, value: bytes = b"v") -> None:
    """A revision."""
    database.execute("insert into kine (name, created, deleted, value) values (?, 1, ?, ?)", (name, deleted, value))


@pytest.fixture(params=["python3", "sqlite3"])
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which program copies; a Python without its module is as good as none."""
    if request.param == "sqlite3":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/python3").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin/python3").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return str(request.param)


def copy(seen: Seen) -> tuple[bytes, dict[str, Any]]:
    """What comes of it."""
    with sqlite.copied(LocalNode("server-1"), seen, "20260301T120000Z-ABC") as stream:
        content = b"".join(iter(lambda: os.read(stream.fileno(), 65536), b""))
        stream.finish()
        return content, stream.details()


def differences(content: bytes, sealed: dict[str, Any], tmp_path: Path) -> list[str]:
    """What a copy says of itself when it is read again, where that is not what was sealed."""
    found = sqlite.facts(io.BytesIO(content), tmp_path)
    return status.differences(sealed, {**asdict(found), "bootstrap": list(found.bootstrap)})


def left(seen: Seen) -> list[str]:
    """What is beside the database."""
    return [name for name in os.listdir(seen.settings.database_directory) if "drkit" in name]  # noqa: PTH208 - names


def test_the_copy_is_whole(server: Seen, program: str, tmp_path: Path) -> None:
    """It has all that was written, says how much, reads again as the same, and nothing is left beside the original."""
    content, details = copy(server)
    assert details == {"revision": 503, "rows": 503, "bootstrap": [server.bootstrap_key]}
    assert differences(content, details, tmp_path) == []
    assert left(server) == []


def test_a_database_in_use_is_copied(server: Seen, program: str, tmp_path: Path) -> None:
    """A writer that never pauses neither fails nor tears it."""
    done = threading.Event()

    def write() -> None:
        with closing(connect(server)) as database:
            while not done.is_set():
                put(database, "/registry/busy", value=os.urandom(3000))
                database.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        content, details = copy(server)
    finally:
        done.set()
        writer.join()
    assert details["rows"] == details["revision"] >= 503
    assert differences(content, details, tmp_path) == []


def test_what_a_dead_run_left_goes(server: Seen, program: str) -> None:
    """A copy whose maker is gone is removed by the next run; another's file is not."""
    directory = server.settings.database_directory
    for name in ("state.db.drkit-4194303-old", "state.db.drkit-note"):
        with open(f"{directory}/{name}", "wb"):  # noqa: PTH123 - a name
            pass
    copy(server)
    assert left(server) == ["state.db.drkit-note"]


def test_a_damaged_database_is_refused(server: Seen, program: str) -> None:
    """A copy of damage is no backup: the error says that the database itself is damaged."""
    with closing(connect(server)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    path = f"{server.settings.database_directory}/state.db"
    with open(path, "r+b") as file:  # noqa: PTH123 - a name
        file.seek(5 * 4096)
        file.write(b"\xff" * 4096 * 20)
    with pytest.raises(SourceFailed, match=r"damaged|malformed"):
        copy(server)
    assert left(server) == []


def test_another_clusters_database_is_refused(server: Seen) -> None:
    """Without the identity that the server's token opens nobody could restore it."""
    with closing(connect(server)) as database:
        put(database, server.bootstrap_key, deleted=1)
        database.commit()
    with pytest.raises(SourceFailed, match="identity"):
        copy(server)


def test_damage_in_the_vault_is_seen(server: Seen, tmp_path: Path) -> None:
    """A copy that is cut or changed is not what was sealed."""
    content, details = copy(server)
    with pytest.raises(VerificationFailed):
        differences(content[: len(content) // 2], details, tmp_path)
    with pytest.raises(VerificationFailed):
        differences(content[:8192] + b"\xff" * 8192 + content[16384:], details, tmp_path)
    assert differences(content, {**details, "rows": 504}, tmp_path) == ["rows is 503; sealed was 504"]
