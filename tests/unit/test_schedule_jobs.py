"""From ``drkit.yaml`` to jobs: which there are, and the command that each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.config.load import load
from drkit.errors import ConfigurationError
from drkit.schedule.jobs import Job, jobs

if TYPE_CHECKING:
    from pathlib import Path

VAULTS = """\
vaults:
  cluster: {url: one, passphrase: {env: A}, schedule: "0 3 * * *"}
  databases: {url: two, passphrase: {env: A}, schedule: "0 */6 * * *"}
"""
BOTH = frozenset({"cluster", "databases"})


def _jobs(directory: Path, text: str) -> dict[str, Job]:
    file = directory / "drkit.yaml"
    file.write_text(text)
    return {job.name: job for job in jobs(load(file), file)}


def test_without_the_key_there_are_backups_retention_and_proofs(tmp_path: Path) -> None:
    """A vault's schedule is enough: old points go, and what is kept is verified daily, and deeply on Sundays."""
    found = _jobs(tmp_path, VAULTS)
    assert {name: job.times.cron for name, job in found.items()} == {
        "backup/cluster": "0 3 * * *",
        "backup/databases": "0 */6 * * *",
        "prune": "30 4 * * *",
        "verify": "0 5 * * 1-6",
        "verify-deep": "0 5 * * 0",
    }
    assert {job.times.zone for job in found.values()} == {"UTC"}
    assert {job.limit for job in found.values()} == {12 * 3600.0}
    common = ("--config", str(tmp_path / "drkit.yaml"), "--json")
    assert found["backup/cluster"].arguments == ("backup", "cluster", *common)
    assert found["verify-deep"].arguments == ("verify", "--deep", *common)
    assert found["backup/cluster"].vaults == {"cluster"}
    assert found["prune"].vaults == BOTH


def test_a_backup_uses_all_vaults_that_its_sources_go_to(tmp_path: Path) -> None:
    """What is backed up into a second vault keeps other jobs from that one as long as it runs."""
    offsite = "  offsite: {url: three, passphrase: {env: A}}\ncluster: {vaults: [cluster, offsite]}\n"
    found = _jobs(tmp_path, VAULTS + offsite)
    assert found["backup/cluster"].vaults == {"cluster", "offsite"}
    assert found["backup/databases"].vaults == {"databases"}


def test_everything_can_be_set(tmp_path: Path) -> None:
    """Times as a text or with a limit, one time zone for all, null for never, drills and rehearsals on demand."""
    more = """\
schedule:
  time_zone: Europe/Berlin
  limit: 6h
  prune: null
  verify: "15 5 * * *"
  verify_deep: {cron: "0 6 * * 0", limit: 90m}
  drills: {cron: "0 2 * * 6", suite: weekly}
  rehearsal: {cron: "0 1 1 * *", mode: manifests, limit: 2h}
"""
    found = _jobs(tmp_path, VAULTS + more)
    assert set(found) == {"backup/cluster", "backup/databases", "verify", "verify-deep", "drills", "rehearsal"}
    assert {job.times.zone for job in found.values()} == {"Europe/Berlin"}
    limits = {name: job.limit / 60 for name, job in found.items()}
    assert limits == {
        "backup/cluster": 360,
        "backup/databases": 360,
        "verify": 360,
        "verify-deep": 90,
        "drills": 360,
        "rehearsal": 120,
    }
    assert found["drills"].arguments[:4] == ("drill", "run", "--suite", "weekly")
    assert found["drills"].vaults == BOTH
    assert found["rehearsal"].arguments == ("lab", "rehearse", "--mode", "manifests", "--json")
    assert not found["rehearsal"].vaults


PATCHES = """\
patches:
- {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: kube-system, name: coredns}, spec: {replicas: 3}}
"""


def test_declared_patches_are_kept_several_times_an_hour(tmp_path: Path) -> None:
    """Where patches are declared they are applied again by themselves, or only told of; never beside a drill."""
    found = _jobs(tmp_path, VAULTS + PATCHES)["harden"]
    assert found.arguments == ("harden", "--config", str(tmp_path / "drkit.yaml"), "--json")
    assert found.times.cron == "*/15 * * * *"
    assert found.vaults == BOTH
    told = _jobs(tmp_path, f'{VAULTS}{PATCHES}schedule: {{harden: {{cron: "0 4 * * *", plan: true}}}}\n')["harden"]
    assert told.arguments[:2] == ("harden", "--plan")
    assert "harden" not in _jobs(tmp_path, f"{VAULTS}{PATCHES}schedule: {{harden: null}}\n")


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("schedule: {verify: 1}\n", "4:12: schedule.verify", "expected"),
        ("schedule: {verify: '0 5 * *'}\n", "4:12: schedule.verify", "found 4 fields"),
        ("schedule: {verify: {cron: '0 25 * * *'}}\n", "4:21: schedule.verify.cron", "bad hour"),
        ("schedule: {time_zone: Europe/Berlinn}\n", "4:12: schedule.time_zone", "Europe/Berlinn is not known"),
        ("schedule: {limit: 0}\n", "4:12: schedule.limit", "greater than 0"),
        ("schedule: {limit: soon}\n", "4:12: schedule.limit", "such as 90m"),
        ("schedule: {drills: {suite: nightly}}\n", "4:12: schedule.drills", "missing"),
        ("schedule: {drills: {cron: '0 2 * * 6', suite: --all}}\n", "4:40: schedule.drills.suite", "expected"),
        ("schedule: {backups: '0 2 * * 6'}\n", "4:12: schedule.backups", "unknown key"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """A schedule that is none is found when the file is read, not when it should have come."""
    with pytest.raises(ConfigurationError) as error:
        _jobs(tmp_path, VAULTS + text)
    assert f"drkit.yaml:{place}" in error.value.message
    assert says in error.value.message


def test_a_vault_whose_schedule_is_none_is_named_with_its_place(tmp_path: Path) -> None:
    """The schedule of a vault is checked as the others are."""
    with pytest.raises(ConfigurationError, match=r"drkit.yaml:3:47: vaults.databases.schedule: expected minute"):
        _jobs(tmp_path, VAULTS.replace("0 */6 * * *", "@daily"))


def test_a_scheduler_without_anything_to_do_says_so(tmp_path: Path) -> None:
    """Where all is switched off it does not wait forever for nothing."""
    file = tmp_path / "drkit.yaml"
    never = "vaults: {cluster: {url: one, passphrase: {env: A}}}\n"
    file.write_text(never + "schedule: {prune: null, verify: null, verify_deep: null}\n")
    ended = CliRunner().invoke(app, ["schedule", "run", "--config", str(file)])
    assert ended.exit_code == 4
    assert "nothing is scheduled" in ended.output
