"""A PostgreSQL server of these tests' own, which they may kill, with TLS."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from drkit.drill.probes.ledger import DATABASE, SETUP, TABLE
from drkit.lab import postgres as servers
from drkit.lab.workload.certificate import self_signed
from drkit.postgres.starting import unprivileged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.postgres import LabPostgres

TLS_NAME = "primary.test"


@pytest.fixture(scope="session")
def tls(lab_directory: Path) -> tuple[Path, Path]:
    """A certificate for ``TLS_NAME`` and its key, as PostgreSQL wants them."""
    files = lab_directory / "probed.crt", lab_directory / "probed.key"
    for file, content in zip(files, self_signed([TLS_NAME]), strict=True):
        file.write_text(content)
        file.chmod(0o600)
        if (user := unprivileged()) is not None:
            shutil.chown(file, user)
    return files


@pytest.fixture(scope="session")
def server(lab_directory: Path, tls: tuple[Path, Path]) -> Iterator[LabPostgres]:
    """The server, with a database for probes."""
    directory = lab_directory / "probed"
    directory.mkdir()
    settings = {"ssl": "on", "ssl_cert_file": str(tls[0]), "ssl_key_file": str(tls[1]), "max_connections": "300"}
    with servers.server(directory, settings=settings) as running:
        with running.dsn("postgres").connect() as connection:
            connection.execute(f"create database {DATABASE}")
        with running.dsn(DATABASE).connect() as connection:
            for statement in SETUP:
                connection.execute(statement)
        yield running


@pytest.fixture
def probed(server: LabPostgres) -> LabPostgres:
    """The same, without a row."""
    with server.dsn(DATABASE).connect() as connection:
        connection.execute(f"truncate {TABLE}")
    return server
