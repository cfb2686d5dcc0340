"""Metrics: samples from values, Prometheus's text of them, and the three ways to it, over real servers on loopback."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from drkit.errors import NotDelivered, UsageError
from drkit.observe.metrics import exposition
from drkit.observe.metrics.families import FAMILIES
from drkit.observe.metrics.samples import MOST, samples
from drkit.observe.standing.judge import Standing, judge
from drkit.observe.standing.known import EscrowSeen, JobSeen, RestoreSeen, VaultSeen
from tests.http_sink import Sink, sink
from tests.promtool import promtool
from tests.unit.builders import NOON, failed, point, source
from tests.unit.drill.report.example import kept
from tests.unit.test_standing import EVIL, HOUR, known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGAN = "2026-03-01T12:00:00Z"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def standing(**changed: Any) -> Standing:
    """A cluster of which something of every kind is known; a database failed in its newest point."""
    sizes: dict[str, Any] = {
        "size": 5000,
        "added": 70,
        "started": "2026-03-01T12:00:00Z",
        "ended": "2026-03-01T12:00:09Z",
    }
    points = (
        point(NOON, [source(**sizes), failed("database/other")]),
        point(NOON - 7 * HOUR, [source(), source("database/other")], verified="restored"),
    )
    jobs = (
        JobSeen("backup/databases", "backup", failing=True, exit_code=3, began=BEGAN, ended="2026-03-01T12:01:00Z"),
    )
    restores = (RestoreSeen("spare", "r", "2026-03-01T02:00:00Z", "etcd", 96.2, 19800.0, finished=True),)
    fields = {"jobs": jobs, "restores": restores, "drills": (kept(),), "escrow": EscrowSeen(None)}
    return judge(known(*points, **{**fields, **changed}))


def values(text: str) -> Values:
    """What a reader of Prometheus's own makes of a text, by name and labels but ``cluster``."""
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("cluster") == "docfast"
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


def labelled(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A key of ``values``."""
    return name, tuple(sorted(labels.items()))


def test_what_is_known_is_measured() -> None:
    """Age, size, duration and result of each source; the last proof; RTO and RPO; a drill's windows; jobs."""
    seen = values(exposition.text(standing()))
    billing = {"source": "database/billing", "kind": "database", "vault": "databases"}
    other = {**billing, "source": "database/other"}
    expected = {
        labelled("drkit_source_last_success_timestamp_seconds", **billing): NOON.timestamp(),
        labelled("drkit_source_last_success_timestamp_seconds", **other): (NOON - 7 * HOUR).timestamp(),
        labelled("drkit_source_age_limit_seconds", **billing): 7 * 3600.0,
        labelled("drkit_source_size_bytes", **billing): 5000.0,
        labelled("drkit_source_added_bytes", **billing): 70.0,
        labelled("drkit_source_duration_seconds", **billing): 9.0,
        labelled("drkit_source_result", **billing, result="ok"): 1.0,
        labelled("drkit_source_result", **other, result="ok"): 0.0,
        labelled("drkit_source_result", **other, result="failed"): 1.0,
        labelled("drkit_verification_timestamp_seconds", level="restored"): (NOON - 7 * HOUR).timestamp(),
        labelled("drkit_point_verified_timestamp_seconds", level="restored"): (NOON - 7 * HOUR).timestamp(),
        labelled("drkit_restore_rto_seconds", target="spare"): 96.2,
        labelled("drkit_restore_rpo_seconds", target="spare"): 19800.0,
        labelled("drkit_drill_outcome", scenario=kept().scenario, outcome=kept().outcome): 1.0,
        labelled("drkit_job_failing", job_name="backup/databases", kind="backup"): 1.0,
        labelled("drkit_job_last_exit_code", job_name="backup/databases", kind="backup"): 3.0,
        labelled("drkit_standing", verdict="at risk"): 1.0,
        labelled("drkit_standing", verdict="safe"): 0.0,
        labelled("drkit_escrow_timestamp_seconds"): 0.0,
    }
    assert {key: seen.get(key) for key in expected} == expected
    windows = {name for name, _ in seen if name.startswith("drkit_drill_")}
    assert {"drkit_drill_window_seconds", "drkit_drill_outage_seconds", "drkit_drill_lost_writes"} <= windows


def test_every_family_can_come_and_has_a_help() -> None:
    """None is only promised; names end with their unit, and nothing is called a total that is none."""
    come = {each.name for each in samples(standing())} | {
        each.name
        for each in samples(standing(jobs=(JobSeen("b", "backup", failing=False, due="2026-03-01T18:00:00Z"),)))
    }
    assert come == FAMILIES.keys()
    for family in FAMILIES.values():
        assert family.help.endswith((".", "; always 1."))
        assert not family.name.endswith("_total")


def test_vaults_that_do_not_answer_make_no_false_zeros() -> None:
    """Nothing is known of points then: their metrics are absent, and the vault is down."""
    seen = values(exposition.text(judge(known(vaults=(VaultSeen("databases", answers=False, error="down"),)))))
    assert seen[labelled("drkit_vault_up", vault="databases")] == 0.0
    assert labelled("drkit_points") not in seen
    assert not [name for name, _ in seen if name.startswith("drkit_source_")]
    assert seen[labelled("drkit_standing", verdict="would be lost")] == 1.0


def test_a_clusters_names_cannot_fill_prometheus() -> None:
    """Sources beyond the bound are counted, not exported; names are cut, and meet without spoiling the rest."""
    count = MOST["sources"] + 7
    many = [source(f"database/{number:05}") for number in range(count)]
    long = ["database/" + "x" * 500 + str(number) for number in range(2)]
    seen = values(exposition.text(judge(known(point(NOON, [*many, *(source(name) for name in long)])))))
    exported = [key for key in seen if key[0] == "drkit_source_copies"]
    assert len(exported) == MOST["sources"]
    assert seen[labelled("drkit_left_out", what="sources")] == 7 + 2 + 1  # the configured one, which has no backup
    values(exposition.text(judge(known(point(NOON, [source(name) for name in long])))))


@given(st.text(min_size=1, max_size=30))
def test_any_name_survives_as_a_label(name: str) -> None:
    """Quotes, backslashes, newlines and markup from a cluster are a label's value, and nothing else of the text."""
    for each in (name, EVIL):
        text = exposition.text(judge(known(point(NOON, [source(f"database/{each}")]), names=())))
        assert len([key for key in values(text) if key[0] == "drkit_source_copies"]) == 1
        assert all(line.startswith(("drkit_", "# HELP drkit_", "# TYPE drkit_")) for line in text.split("\n") if line)


def test_promtool_finds_nothing_to_say() -> None:
    """Prometheus's linter has no objection to names, help and units."""
    argv = [promtool(), "check", "metrics"]
    text = exposition.text(standing())
    linted = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_the_text_file_is_replaced_whole_and_read_by_everybody(tmp_path: Path) -> None:
    """node_exporter runs as another user, and never sees a half of it."""
    file = tmp_path / "drkit.prom"
    for _ in range(2):
        exposition.write(standing(), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert values(file.read_text()) == values(exposition.text(standing()))
    assert list(tmp_path.iterdir()) == [file]
    for wrong in (tmp_path / "drkit.txt", tmp_path / "nowhere" / "drkit.prom"):
        with pytest.raises(UsageError):
            exposition.write(standing(), wrong)


@pytest.fixture
def gateway() -> Iterator[Sink]:
    """Takes what is pushed, as a Pushgateway does."""
    with sink() as server:
        yield server


def test_a_pushgateway_gets_one_group_for_the_cluster(gateway: Sink) -> None:
    """It is replaced as a whole, so that a source that is gone does not stay there for ever."""
    exposition.push(standing(), f"http://{gateway.place}")
    [pushed] = gateway.sent
    assert (pushed.method, pushed.path) == ("PUT", "/metrics/job/drkit/cluster/docfast")
    assert values(pushed.body) == values(exposition.text(standing()))


def test_a_gateway_that_refuses_or_is_not_there_is_an_error(gateway: Sink) -> None:
    """Whoever pushes hears of it; an address with a password is refused, since everybody here could read it."""
    gateway.status = 400
    with pytest.raises(NotDelivered, match="400"):
        exposition.push(standing(), f"http://{gateway.place}")
    with pytest.raises(NotDelivered):
        exposition.push(standing(), "http://127.0.0.1:1")
    for wrong in ("http://user:secret@127.0.0.1", "file:///etc", "127.0.0.1:9091"):
        with pytest.raises(UsageError) as refused:
            exposition.push(standing(), wrong)
        assert "secret" not in refused.value.message


def test_prometheus_is_answered_with_what_stands_now() -> None:
    """Each question gets what is known then, as text or as OpenMetrics, whichever was asked for."""
    now = standing()
    with exposition.served(lambda: now, "127.0.0.1", 0) as port:
        address = f"http://127.0.0.1:{port}/metrics"
        first = urllib3.request("GET", address, retries=False)
        now = replace(now, verdict="would be lost")
        second = urllib3.request("GET", address, retries=False)
        open_metrics = urllib3.request(
            "GET", address, headers={"Accept": "application/openmetrics-text; version=1.0.0"}, retries=False
        )
    key = labelled("drkit_standing", verdict="would be lost")
    assert [values(each.data.decode())[key] for each in (first, second)] == [0.0, 1.0]
    assert open_metrics.data.decode().endswith("# EOF\n")
    with pytest.raises(UsageError), exposition.served(lambda: now, "192.0.2.1", 0):
        pass
