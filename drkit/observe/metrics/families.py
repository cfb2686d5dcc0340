"""The metrics that there are: names by Prometheus's conventions (base units, ``_seconds``, ``_bytes``), help, labels.

What has an age is exported as the time at which it was, since the age of a text file would stand still: ``time() -`` is
written where it is asked (https://prometheus.io/docs/practices/instrumentation/#timestamps-not-time-since). All are
gauges: they tell how it stands, and nothing is counted here from one run to the next. Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """One metric; every sample has the label ``cluster`` before those named here."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


_JOB = ("job_name", "kind")
"""Not ``job``: that is Prometheus's own label, and a Pushgateway puts its own value there."""
_SOURCE = ("source", "kind", "vault")
_PROBE = ("scenario", "probe")

FAMILIES: dict[str, Family] = {
    each.name: each
    for each in (
        Family("drkit_build_info", "The version of drkit that measured; always 1.", ("version",)),
        Family("drkit_collected_timestamp_seconds", "When all of this was asked, Unix time."),
        Family(
            "drkit_standing",
            "1 for the verdict that holds: safe, at risk, or would be lost.",
            ("verdict",),
        ),
        Family("drkit_findings", "What speaks against safe, by how much it weighs.", ("weight",)),
        Family("drkit_points", "Recovery points that the vaults hold."),
        Family("drkit_points_incomplete", "Recovery points that lack a source."),
        Family("drkit_point_newest_timestamp_seconds", "When the newest recovery point was begun, Unix time."),
        Family("drkit_point_newest_complete", "Whether the newest recovery point has every source whole (1 or 0)."),
        Family(
            "drkit_point_verified_timestamp_seconds",
            "When the newest recovery point that was verified so deeply was begun, Unix time.",
            ("level",),
        ),
        Family(
            "drkit_verification_timestamp_seconds",
            "When a recovery point was last verified so deeply (any, or restored: contents compared), Unix time.",
            ("level",),
        ),
        Family("drkit_vault_up", "Whether the vault answered (1 or 0).", ("vault",)),
        Family("drkit_vault_points", "Recovery points whose descriptor is in the vault.", ("vault",)),
        Family("drkit_vault_unsealed_archives", "Archives of runs that never sealed a point.", ("vault",)),
        Family(
            "drkit_source_last_success_timestamp_seconds",
            "When the recovery point with the newest whole backup was begun, Unix time; 0 where there is none.",
            _SOURCE,
        ),
        Family(
            "drkit_source_age_limit_seconds",
            "How old the newest whole backup may be, by its vault's schedule.",
            _SOURCE,
        ),
        Family("drkit_source_size_bytes", "The newest whole backup as read from the source.", _SOURCE),
        Family("drkit_source_added_bytes", "What of it was new to the vault.", _SOURCE),
        Family("drkit_source_duration_seconds", "How long the newest whole backup took.", _SOURCE),
        Family("drkit_source_copies", "Recovery points in which the source is whole.", _SOURCE),
        Family(
            "drkit_source_result",
            "1 for the result of the newest run that tried the source: ok, partial or failed.",
            (*_SOURCE, "result"),
        ),
        Family(
            "drkit_source_proven_timestamp_seconds",
            "When a restore of the source was last proven, Unix time; 0 where it never was.",
            _SOURCE,
        ),
        Family("drkit_uncovered_volumes", "Volumes whose data no source has."),
        Family("drkit_restore_timestamp_seconds", "When the last restore was begun, Unix time.", ("target",)),
        Family("drkit_restore_success", "Whether it ended with every proof equal (1 or 0).", ("target",)),
        Family(
            "drkit_restore_rto_seconds",
            "The RTO, measured: from the command to the last proof of the last restore that came to its end.",
            ("target",),
        ),
        Family(
            "drkit_restore_rpo_seconds",
            "The RPO, measured: how old the oldest backup was that this restore drew on, when it was begun.",
            ("target",),
        ),
        Family("drkit_drill_timestamp_seconds", "When the last drill of a scenario began, Unix time.", ("scenario",)),
        Family(
            "drkit_drill_outcome",
            "1 for its verdict: kept, exceeded, lost or invalid.",
            ("scenario", "outcome"),
        ),
        Family("drkit_drill_window_seconds", "How long the probe was allowed to fail.", _PROBE),
        Family("drkit_drill_outage_seconds", "The longest time that the probe failed.", _PROBE),
        Family("drkit_drill_lost_writes", "Writes that were acknowledged and are missing.", ("scenario",)),
        Family("drkit_job_failing", "Whether the job's last run failed (1 or 0).", _JOB),
        Family("drkit_job_last_exit_code", "The exit code of its last run.", _JOB),
        Family("drkit_job_last_start_timestamp_seconds", "When its last run began, Unix time.", _JOB),
        Family("drkit_job_last_end_timestamp_seconds", "When its last run ended, Unix time.", _JOB),
        Family(
            "drkit_job_last_success_timestamp_seconds",
            "When its last good run ended, Unix time; 0 where there was none.",
            _JOB,
        ),
        Family("drkit_job_next_due_timestamp_seconds", "When its next run is due, Unix time.", _JOB),
        Family("drkit_escrow_timestamp_seconds", "When the escrow bundle was made, Unix time; 0 where there is none."),
        Family("drkit_escrow_outdated", "Whether keys are newer than the escrow bundle (1 or 0)."),
        Family("drkit_left_out", "Things of this kind that have no samples, for there are too many.", ("what",)),
    )
}
