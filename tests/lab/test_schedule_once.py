"""One job by a scheduler that is not drkit's: records, messages and dead man's switches are as those of drkit's own."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.http_sink import Sink, sink
from tests.lab.processes import alive, descendants, named
from tests.lab.site import PASSPHRASE, Site, finish
from tests.lab.test_vault_trouble import BULKY
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NIGHTLY = ', schedule: "0 3 * * *"'
BACKUP = "backup/databases"
TOLD = "notify: {urls: [{env: NOTIFY_URL}], ping: {backup: {env: PING_URL}}}\nschedule: {time_zone: Europe/Berlin}"


@pytest.fixture
def people() -> Iterator[Sink]:
    """Who takes messages and pings."""
    with sink() as server:
        yield server


def _told(people: Sink) -> list[str]:
    """What came since it was asked last: paths of pings, kinds of messages."""
    found = [json.loads(each.body)["type"] if each.path == "/" else each.path for each in people.sent]
    people.sent.clear()
    return found


def test_a_job_of_a_pod_is_told_of_like_a_scheduler_s(site: Site, small: str, people: Sink) -> None:
    """A run is pinged at its begin and end, its failure told once, and its recovery; the exit code is the job's."""
    site.environment |= {"NOTIFY_URL": f"json://{people.place}/", "PING_URL": f"http://{people.place}/switch"}
    site.write({"a": small}, vault=NIGHTLY, more=TOLD)
    done = site.run("schedule", "once", BACKUP)
    (point,) = site.points()
    said = [json.loads(line) for line in done.err.splitlines()]
    assert [line["event"]["change"] for line in said if "event" in line] == ["success"]
    assert point["id"] in said[-1]["message"]
    assert _told(people) == ["/switch/start", "/switch"]

    site.vault.rename(site.path / "elsewhere")
    site.run("schedule", "once", BACKUP, expect=10)
    assert _told(people) == ["/switch/start", "/switch/fail", "failure"]
    site.run("schedule", "once", BACKUP, expect=10)
    assert _told(people) == ["/switch/start", "/switch/fail"]
    (site.path / "elsewhere").rename(site.vault)
    done = site.run("schedule", "once", BACKUP)
    assert _told(people) == ["/switch/start", "/switch", "success"]
    assert PASSPHRASE not in done.out + done.err
    assert "no job drills is scheduled" in site.run("schedule", "once", "drills", expect=2).err


def test_a_pod_that_is_evicted_undoes_its_backup(
    site: Site, database: Callable[..., str], small: str, people: Sink
) -> None:
    """SIGTERM leaves nothing behind, is no failure of the job, and ends with 130; a pod that was killed is told of."""
    site.environment |= {"NOTIFY_URL": f"json://{people.place}/", "PING_URL": f"http://{people.place}/switch"}
    site.write({"first": small, "bulky": database(BULKY)}, vault=NIGHTLY, more=TOLD)
    site.run("schedule", "once", BACKUP)
    before = site.archives()
    child = site.start("schedule", "once", BACKUP)
    until(lambda: named(child.pid, "pg_dump") is not None)
    started = descendants(child.pid)
    child.send_signal(signal.SIGTERM)
    assert finish(child).status == 130
    assert not any(alive(pid) for pid in started)
    assert site.archives() == before
    _told(people)

    child = site.start("schedule", "once", BACKUP)
    until(lambda: named(child.pid, "pg_dump") is not None)
    child.kill()
    child.communicate()
    _told(people)
    done = site.run("schedule", "once", BACKUP)
    said = [json.loads(line) for line in done.err.splitlines()]
    assert [line["event"]["outcome"] for line in said if "event" in line] == ["cut-short", "done"]
    assert _told(people) == ["/switch/fail", "failure", "/switch/start", "/switch", "success"]
