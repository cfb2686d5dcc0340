"""Whether a drill left the declared patches where they were."""

from __future__ import annotations

import pytest

from drkit.drill.record import PATCHES_SEEN
from drkit.drill.report import demands
from drkit.drill.values import PATCHES_KEPT
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT
from tests.unit.drill.judge.edits import judge, noted, story, told

LOST = "Deployment kube-system/coredns (spec.replicas)"


@pytest.mark.parametrize(
    ("more", "outcome", "said"),
    [
        ({"declared": "2", "before": "2"}, KEPT, ""),
        ({"declared": "2", "before": "2", "lost": LOST}, EXCEEDED, f"patches were lost: {LOST}"),
        ({"declared": "2", "before": "2", "said": "the API is away"}, INVALID, "the API is away"),
        ({"declared": "two"}, KEPT, ""),
    ],
)
def test_a_patch_that_is_lost_was_not_kept(more: dict[str, str], outcome: str, said: str) -> None:
    """What was there before and is not any more exceeds; what nobody could see makes the run worth nothing."""
    drill = story().holding(PATCHES_KEPT).event(30.0, PATCHES_SEEN, "patches", **more)
    verdict = judge(drill.entries())
    assert verdict.outcome == outcome
    assert not said or told(verdict, said)
    (demand,) = (each for each in demands.of(verdict) if each.name == PATCHES_KEPT)
    assert demand.met is (outcome == KEPT)


def test_a_record_that_says_nothing_of_patches_proves_nothing() -> None:
    """Where they had to be kept and nobody looked, that they were is not known."""
    verdict = judge(story().holding(PATCHES_KEPT).entries())
    assert verdict.outcome == INVALID
    assert told(verdict, "nothing says whether the patches were kept")
    assert judge(story().entries()).patches is None


def test_what_was_lost_before_is_not_the_drills_doing() -> None:
    """It is noted, as is that nothing is declared at all."""
    some = story().holding(PATCHES_KEPT).event(30.0, PATCHES_SEEN, "patches", declared="3", before="1")
    assert noted(judge(some.entries()), "of 3 declared patches 2 were not seen before the drill")
    none = story().holding(PATCHES_KEPT).event(30.0, PATCHES_SEEN, "patches", declared="0", before="0")
    assert noted(judge(none.entries()), "no patches are declared")
