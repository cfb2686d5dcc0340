"""Which rows every instance has: a primary, and a replica that streams from it."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from drkit import process
from drkit.cluster.server import InPod
from drkit.drill.probes.ledger import DATABASE, TABLE, Instance, read_everywhere
from drkit.drill.record import Recorder
from drkit.lab.ports import free_port
from drkit.postgres.access import ByDsn
from drkit.postgres.connection import Dsn, libpq_environment
from drkit.postgres.starting import unprivileged, wait_until_ready
from tests.lab.pod_here import PodHere

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.drill.probes.ledger import Reached
    from drkit.lab.postgres import LabPostgres

ROW = f"insert into {TABLE} (run, probe, number) values ('run', 'w', %s)"


def reached(dsn: Dsn) -> ByDsn:
    """An instance by its address."""
    return ByDsn(dsn, None, ())


@pytest.fixture(scope="module")
def replica(server: LabPostgres, lab_directory: Path) -> Iterator[Dsn]:
    """A standby of the server, streaming."""
    home = lab_directory / "standby"
    home.mkdir()
    user = unprivileged()
    if user is not None:
        shutil.chown(home, user)
    data, port = home / "data", free_port()
    with libpq_environment(server.dsn("postgres")) as (_, descriptors):
        argv = [str(server.bin_dir / "pg_basebackup"), "-D", str(data), "-R", "--no-sync", "-c", "fast"]
        env = {
            **process.clean_environment(),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": server.password,
        }
        done = process.run(argv, deadline=60, env=env, user=user)
        assert done.status == 0, (done.stderr, descriptors)
    log = home / "log"
    with log.open("wb") as output:
        child = process.spawn(
            [str(server.bin_dir / "postgres"), "-D", str(data), "-k", str(home)]
            + [
                word
                for name, value in (("port", port), ("listen_addresses", "127.0.0.1"), ("max_connections", 300))
                for word in ("-c", f"{name}={value}")
            ],
            env=process.clean_environment(),
            stdout=output,
            stderr=output,
            user=user,
        )
    dsn = Dsn({"host": "127.0.0.1", "port": str(port), "user": "postgres", "dbname": DATABASE}, server.password)
    try:
        wait_until_ready(dsn, child, log)
        yield dsn
    finally:
        process.stop(child)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A record."""
    with Recorder(tmp_path / "record", time.monotonic()) as made:
        yield made


@pytest.fixture(params=["by address", "in its pod"])
def either(request: pytest.FixtureRequest, probed: LabPostgres, lab_directory: Path) -> Reached:
    """The server by its address, or as it is reached in its own pod."""
    if request.param == "by address":
        return reached(probed.dsn(DATABASE))
    return InPod(PodHere(probed, lab_directory / "probed" / "postgres"), "postgres", "main-db-1", DATABASE)


def test_ranges_and_repetitions_are_told(probed: LabPostgres, either: Reached, recorder: Recorder) -> None:
    """Rows of this drill and this probe alone; a number that is there twice is one that is found."""
    with probed.dsn(DATABASE).connect() as connection:
        for number in (0, 1, 2, 2, 7):
            connection.execute(ROW, (number,))
        connection.execute(f"insert into {TABLE} (run, probe, number) values ('other', 'w', 4), ('run', 'v', 5)")
    found = read_everywhere(recorder, "run", ["w", "v"], [Instance("main-db-1", either)], patience=0)
    assert [(each.probe, each.instance, each.role) for each in found] == [
        ("w", "main-db-1", "primary"),
        ("v", "main-db-1", "primary"),
    ]
    assert found[0].ranges == ((0, 2), (7, 7))
    assert found[0].twice == {"2": 2}
    assert found[1].ranges == ((5, 5),)


def test_an_instance_that_cannot_be_asked_says_why(probed: LabPostgres, recorder: Recorder) -> None:
    """One that is gone, or has no such table, is recorded with the reason, and the others are read."""
    gone = Dsn({"host": "127.0.0.1", "port": "1", "user": "postgres", "dbname": DATABASE}, "x")
    instances = [
        Instance("gone", reached(gone)),
        Instance("empty", reached(probed.dsn("postgres"))),
        Instance("there", reached(probed.dsn(DATABASE))),
    ]
    found = {each.instance: each for each in read_everywhere(recorder, "run", ["w"], instances, patience=0)}
    assert "refused" in found["gone"].said
    assert "does not exist" in found["empty"].said
    assert found["there"].said == ""


def test_a_replica_is_read_when_it_has_caught_up(probed: LabPostgres, replica: Dsn, recorder: Recorder) -> None:
    """A replica that lags is waited for; what it has then is what it has. Past the patience it is read as it is."""
    instances = [Instance("one", reached(probed.dsn(DATABASE))), Instance("two", reached(replica))]
    with replica.connect() as standby, probed.dsn(DATABASE).connect() as primary:
        primary.execute(ROW, (0,))
        caught = read_everywhere(recorder, "run", ["w"], instances, patience=30)
        assert [(each.role, each.ranges) for each in caught] == [("primary", ((0, 0),)), ("replica", ((0, 0),))]
        standby.execute("select pg_wal_replay_pause()")
        primary.execute(ROW, (1,))
        lagging = read_everywhere(recorder, "run", ["w"], instances, patience=0)
        assert [each.ranges for each in lagging] == [((0, 1),), ((0, 0),)]
        resuming = threading.Timer(0.5, standby.execute, ["select pg_wal_replay_resume()"])
        resuming.start()
        whole = read_everywhere(recorder, "run", ["w"], instances, patience=30)
        resuming.join()
        assert [each.ranges for each in whole] == [((0, 1),), ((0, 1),)]
