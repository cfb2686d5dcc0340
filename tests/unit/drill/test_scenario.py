"""A scenario's file: what is understood, what is wrong by file, line and column, and the schema for editors."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.scenario import schema
from drkit.drill.scenario.kinds import KINDS, KillProcess, SlowNetwork
from drkit.drill.scenario.listing import listed, loaded, named, shipped, suite
from drkit.drill.scenario.load import load
from drkit.drill.scenario.model import FAULTS, Scenario, SqlWriteProbe
from drkit.drill.scenario.quantities import seconds, whole_bytes
from drkit.drill.values import EXPECTATIONS, HOLDS, PROBE_KINDS
from drkit.errors import ConfigurationError, UsageError

PROBES = "title: t\nprobes:\n  - {kind: sql-write, window: 15s}\n"
FAULT = "faults: [{fault: reset, on: {node: worker}}]\n"
MINIMAL = PROBES + FAULT


def _write(directory: Path, text: str, name: str = "mine.yaml") -> Path:
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file


def _complaint(directory: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(_write(directory, text))
    assert refused.value.exit_code == 4
    return refused.value.message.replace(f"{directory}/", "")


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    """A scenario of three lines is one, with the times that fit most."""
    scenario = load(_write(tmp_path, MINIMAL))
    (probe,), (fault,) = scenario.probes, scenario.faults
    assert isinstance(probe, SqlWriteProbe)
    assert (probe.every, probe.timeout, probe.window, probe.session) == (0.2, 2.0, 15.0, True)
    assert (probe.database, probe.through) == ("drkit_drill", None)
    assert (fault.after, fault.lasts) == (0.0, 60.0)
    assert (scenario.steady.seconds, scenario.needed, scenario.settle) == (15.0, 5, 300.0)
    assert (scenario.during, scenario.lab_only, scenario.suite) == (None, False, ())


def test_the_options_of_a_fault_are_those_of_its_kind(tmp_path: Path) -> None:
    """Times and sizes come out in seconds and bytes, whatever they were written in."""
    text = PROBES + (
        "faults:\n"
        "  - {fault: slow-network, on: {node: worker}, options: {delay: 200ms, jitter: 0.05}}\n"
        "  - {fault: fill-disk, on: {node: with-primary}, after: 1m, options: {leave_bytes: 1Mi}}\n"
        "  - {fault: kill-process, on: {node: etcd}, options: {process: etcd}}\n"
    )
    slow, full, killed = load(_write(tmp_path, text)).faults
    assert slow.options == SlowNetwork(delay=0.2, jitter=0.05)
    assert full.after == 60.0
    assert full.options.model_dump() == {"path": "/var/lib/rancher", "leave_bytes": 1024 * 1024}
    assert killed.options == KillProcess(process="etcd", signal="KILL")


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (MINIMAL + "tittle: x\n", "5:1: tittle", "unknown key"),
        (FAULT + "title: t\n", "1:1: probes", "missing"),
        (FAULT + "title: t\nprobes: []\n", "3:1: probes", "at least 1"),
        (FAULT + "title: t\nprobes: [{kind: htp}]\n", "3:11: probes.0.kind", "one of http, tcp, sql-read"),
        (FAULT + "title: t\nprobes: [{window: 1}]\n", "3:10: probes.0.kind", "missing"),
        (FAULT + "title: t\nprobes: [{kind: http, address: x}]\n", "3:23: probes.0.address", "HOST:PORT"),
        (FAULT + "title: t\nprobes: [{kind: http, url: 'ftp://x'}]\n", "3:23: probes.0.url", "a URL such as"),
        (FAULT + "title: t\nprobes: [{kind: http, url: 'https://u:p@x/'}]\n", "3:23: probes.0.url", "no password"),
        (FAULT + "title: t\nprobes: [{kind: http, database: x}]\n", "3:23: probes.0.database", "unknown key"),
        (FAULT + "title: t\nprobes: [{kind: dns, dns: 1, http: 2}]\n", "3:22: probes.0.dns", "unknown key"),
        (FAULT + "title: t\nprobes: [{kind: http, every: 1ms}]\n", "3:23: probes.0.every", "0.02"),
        (FAULT + "title: t\nprobes: [{kind: http, window: 2 weeks}]\n", "3:23: probes.0.window", "15s, 200ms, 2m"),
        (FAULT + "title: t\nprobes: [{kind: http, window: .nan}]\n", "3:23: probes.0.window", "15s, 200ms, 2m"),
        (FAULT + "title: t\nprobes: [{kind: http, window: true}]\n", "3:23: probes.0.window", "15s, 200ms, 2m"),
        (FAULT + "title: t\nprobes: [{kind: sql-write, database: docfast}]\n", "3:28: probes.0.database", "drkit_"),
        (FAULT + "title: t\nprobes: [{kind: http, name: a}, {kind: dns, name: a}]\n", "3:1: probes", "a stands there"),
        (FAULT + "title: t\nprobes: [{kind: http}]\nhold: [one primary]\n", "4:1: hold", "sql-write"),
        (MINIMAL + "hold: [no write lost]\n", "5:8: hold.0", "no acknowledged write lost"),
        (MINIMAL + "expect: promoted\n", "5:1: expect", "expected"),
        (MINIMAL + "during: restore\n", "5:1: during", "'backup'"),
        (MINIMAL + "steady: {for: 0}\n", "5:10: steady.for", "more than 0"),
        (MINIMAL + "suite: [Nightly]\n", "5:9: suite.0", "pattern"),
        (PROBES + "faults: [{fault: explode, on: {node: worker}}]\n", "4:11: faults.0.fault", "one of power-off"),
        (PROBES + "faults: [{fault: reset, on: {pod: primary}}]\n", "4:30: faults.0.on.pod", "unknown key"),
        (PROBES + "faults: [{fault: delete-pod, on: {pod: any}}]\n", "4:30: faults.0.on.labels", "too many"),
        (PROBES + "faults: [{fault: drain, on: {node: wrker}}]\n", "4:30: faults.0.on.node", "'worker'"),
        (PROBES + "faults: [{fault: slow-network, on: {node: any}}]\n", "4:10: faults.0.options", "missing"),
        (
            PROBES + "faults: [{fault: slow-network, on: {node: any}, options: {jitter: 1}}]\n",
            "4:49: faults.0.options",
            "a delay, a loss_percent, or both",
        ),
        (
            PROBES + "faults: [{fault: fill-disk, on: {node: any}, options: {path: ../x}}]\n",
            "4:56: faults.0.options.path",
            "pattern",
        ),
        ("- a\n", "1:1", "expected keys such as title, probes and faults"),
        (MINIMAL + "title: u\n", "5:1: title", "duplicated key"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """Whoever writes a scenario is told the line, the column, and what was expected there."""
    complaint = _complaint(tmp_path, text)
    assert complaint.startswith(f"mine.yaml:{place}")
    assert says in complaint


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Four mistakes in four parts of the file are four lines, not four attempts."""
    text = (
        "titel: t\nprobes: [{kind: http, windw: 3}]\nhold: [one primary]\n"
        "faults: [{fault: delete-pod, on: {pod: primary}, options: {grace: -1}}]\n"
    )
    places = [line.split(" ")[0] for line in _complaint(tmp_path, text).splitlines()]
    assert places == [f"mine.yaml:{place}:" for place in ("2:23", "1:1", "1:1", "4:60")]


@pytest.mark.parametrize("name", ["Mine.yaml", "my_own.yaml", "-x.yaml", f"{'a' * 64}.yaml", "a b.yaml"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """A scenario's name stands in commands, file names and Kubernetes: it is of letters, digits and hyphens."""
    with pytest.raises(ConfigurationError, match="small letters"):
        load(_write(tmp_path, MINIMAL, name))


@pytest.mark.parametrize(
    ("written", "meant"), [(15, 15.0), (0.2, 0.2), ("15s", 15.0), ("200ms", 0.2), ("1.5 m", 90.0), ("24h", 86400.0)]
)
def test_times_are_seconds_or_text(written: Any, meant: float) -> None:
    """A time is a number of seconds, or a number with its unit."""
    assert seconds(written) == meant


@pytest.mark.parametrize(
    "written", ["", "s", "-1s", "2d", "25h", -1, math.inf, math.nan, True, None, [1], "1e3s", "\u0661s"]
)
def test_what_is_no_time_is_refused(written: Any) -> None:
    """Nonsense, and more than a day, is no time."""
    with pytest.raises(ValueError, match="expected a time"):
        seconds(written)


@pytest.mark.parametrize(("written", "meant"), [(5, 5), ("5", 5), ("64Mi", 64 * 2**20), ("1 Gi", 2**30)])
def test_sizes_are_bytes_or_text(written: Any, meant: int) -> None:
    """A size is a number of bytes, or a number with its unit."""
    assert whole_bytes(written) == meant


@pytest.mark.parametrize("written", ["", "Mi", "-1", "1MB", 1.5, True, None, 2**51])
def test_what_is_no_size_is_refused(written: Any) -> None:
    """Nonsense, and what no disk has, is no size."""
    with pytest.raises(ValueError, match="expected a number of bytes"):
        whole_bytes(written)


_KEYS = ["title", "probes", "faults", "kind", "http", "fault", "reset", "on", "node", "worker", "options", "hold"]
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, 1.5, "15s", *_KEYS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=5))
def test_no_file_is_a_surprise(written: dict[str, Any]) -> None:
    """Whatever stands in the file ends in a configuration error with a place; JSON is YAML."""
    with (
        tempfile.TemporaryDirectory() as directory,
        pytest.raises(ConfigurationError, match=r"mine\.yaml:\d+:\d+: "),
    ):
        load(_write(Path(directory), json.dumps(written)))


def test_the_words_are_those_of_a_drill() -> None:
    """A scenario can ask for every probe, expectation and promise that a drill knows, and for nothing else."""
    fields = Scenario.model_fields
    assert get_args(get_args(fields["expect"].annotation)[0]) == EXPECTATIONS
    assert get_args(get_args(fields["hold"].annotation)[0]) == HOLDS
    shape = schema.schema()
    assert set(shape["properties"]["probes"]["items"]["discriminator"]["mapping"]) == set(PROBE_KINDS)
    assert set(shape["properties"]["faults"]["items"]["discriminator"]["mapping"]) == set(KINDS) == set(FAULTS)


def test_the_schema_that_is_kept_is_the_models() -> None:
    """Editors complete and check what drkit understands now."""
    assert (shipped() / schema.FILE_NAME).read_text(encoding="utf-8") == schema.text()


@pytest.mark.parametrize("name", [each.name for each in listed(None)])
def test_each_shipped_scenario_loads(name: str) -> None:
    """What ships is right, says what claim it tests, judges something, belongs to a suite, and names its schema."""
    found = named(name, None)
    scenario = load(found.file)
    assert scenario.why
    assert scenario.suite
    assert any(probe.window is not None for probe in scenario.probes)
    first = found.file.read_text(encoding="utf-8").partition("\n")[0]
    assert first == f"# yaml-language-server: $schema={schema.FILE_NAME}"


def test_every_kind_of_fault_and_probe_has_a_scenario() -> None:
    """What drkit can do is shown by a scenario that ships: all but two, which need a user's own reason."""
    scenarios = [scenario for _, scenario in loaded(listed(None))]
    assert {fault.fault for each in scenarios for fault in each.faults} == set(KINDS) - {"reset"}
    assert {probe.kind for each in scenarios for probe in each.probes} == set(PROBE_KINDS) - {"tcp"}


def test_own_scenarios_come_on_top(tmp_path: Path) -> None:
    """One beside drkit.yaml is found, and takes the place of a shipped one of its name; a hidden file is none."""
    own = tmp_path / "chaos"
    own.mkdir()
    for name in ("worker-down", "mine", ".hidden"):
        _write(own, MINIMAL + "suite: [own]\n", f"{name}.yaml")
    found = {each.name: each for each in listed(tmp_path / "drkit.yaml")}
    assert (found["worker-down"].file, found["worker-down"].replaces) == (own / "worker-down.yaml", True)
    assert (found["mine"].file, found["mine"].replaces) == (own / "mine.yaml", False)
    assert found["control-plane-down"].file == shipped() / "control-plane-down.yaml"
    assert ".hidden" not in found
    assert [each.name for each, _ in suite("own", tmp_path / "drkit.yaml")] == ["mine", "worker-down"]


def test_drkits_own_directory_replaces_nothing() -> None:
    """Beside a drkit.yaml in drkit's repository are the shipped scenarios themselves."""
    assert not any(each.replaces for each in listed(shipped().parent / "drkit.yaml"))


def test_what_there_is_not_is_told_with_what_there_is() -> None:
    """A mistyped scenario or suite ends with those to choose from."""
    with pytest.raises(UsageError) as refused:
        named("worker-dwn", None)
    assert "worker-down" in refused.value.hint
    with pytest.raises(UsageError) as refused:
        suite("nihgtly", None)
    assert "nightly" in refused.value.hint


def test_all_broken_files_are_told(tmp_path: Path) -> None:
    """Two broken scenarios are mended in one go."""
    own = tmp_path / "chaos"
    own.mkdir()
    for name in ("a", "b"):
        _write(own, MINIMAL + "x: 1\n", f"{name}.yaml")
    with pytest.raises(ConfigurationError) as refused:
        loaded(listed(tmp_path / "drkit.yaml"))
    assert [Path(line.split(":")[0]).name for line in refused.value.message.splitlines()] == ["a.yaml", "b.yaml"]
