"""Reports on this machine: text, JSON and the page, each replaced as a restore goes on in further attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drkit import state
from drkit.masking import mask
from drkit.points import names
from drkit.restore.engine import page, text
from drkit.restore.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.restore.engine.report import Report


def place(report: Report) -> Path:
    """Where the page of a restore's report is; the others are beside it, as ``.json`` and ``.txt``."""
    return state.state_dir() / "reports" / names.slug(report.plan.target) / f"{report.restore}.html"


def keep(report: Report) -> Path:
    """Write a report in its three forms, readable by their owner alone.

    Returns:
        Where the page is.
    """
    path = place(report)
    document = json.dumps(report.as_json(), indent=2, ensure_ascii=False)
    state.write_durably(path.with_suffix(".json"), mask(document) + "\n")
    state.write_durably(path.with_suffix(".txt"), mask("\n".join(text.of_report(report))) + "\n")
    state.write_durably(path, mask(page.html(report, KINDS)))
    return path
