"""The acts with a drill, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo import cluster
from demo.play import ActFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from demo.cluster import ClusterPlay

_EXCEEDED = 20
_SCENARIO = "primary-pod-killed"


def plan(play: ClusterPlay) -> None:
    """What would be done, and nothing done."""
    with play.act("What a drill would do, and what speaks against it") as act:
        play.drkit("drill", "run", _SCENARIO, "--plan")
        act.proven = "whom it hits, what is asked, what the settings make one expect"


def run(play: ClusterPlay) -> None:
    """The drill, and its verdict."""
    with play.act("The PostgreSQL primary is killed: how long would users have noticed?") as act:
        play.drkit("drill", "run", _SCENARIO, also={_EXCEEDED})
        verdict = play.stage.ask("drill", "report", also={_EXCEEDED})
        promoted = [each for each in verdict["happened"] if each["what"] == "promoted"]
        (ledger,) = verdict["ledgers"]
        if not promoted or ledger["lost"] or not ledger["acknowledged"]:
            raise ActFailed(f"the drill did not show what it should: {promoted}, {ledger}")
        longest = max(each["longest"] for each in verdict["series"])
        written, first = ledger["acknowledged"], promoted[0]
        act.proven = (
            f"{first['who']} promoted after {first['after']:.1f} s, users noticed {longest:.1f} s at most, "
            f"none of {written} acknowledged writes lost"
        )
        play.terminal.line(f"the picture: {verdict['files']['page']}")


ALL: Sequence[Callable[[ClusterPlay], None]] = (cluster.set_up, plan, run)
