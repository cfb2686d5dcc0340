"""Every scenario that ships, on the sample workload in the lab (``make drills``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.drill.scenario.listing import shipped
from tests.lab.driller import EXCEEDED, INVALID, KEPT, Driller, Lab
from tests.lab.labs import COLD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.drill, pytest.mark.timeout(COLD_SECONDS)]

REFERENCE = ("--memory", "2", "--disk", "6")
"""As the reference cluster, of machines whose memory and whose disk can run out."""
THREE_SERVERS = ("--servers", "3", "--agents", "0")
OF_THREE_SERVERS = {"one-server-down"}

SCENARIOS = sorted((path.stem for path in shipped().glob("*.yaml")), key=lambda name: (name in OF_THREE_SERVERS, name))
"""Those of a lab one after the other."""


@pytest.fixture(scope="module")
def drilled(lab_user: LabUser) -> Iterator[Callable[[Sequence[str]], Lab]]:
    """Makes a lab of a shape, with the workload; there is one at a time."""
    name = f"{lab_user.prefix}-drills"
    shapes: list[Sequence[str]] = []

    def make(shape: Sequence[str]) -> Lab:
        if shapes[-1:] != [shape]:
            lab_user.run("down", name=name)
            shapes.append(shape)
        made: Lab = lab_user.run("up", "--workload", *shape, "--json", name=name).json()
        return made

    yield make
    lab_user.run("down", name=name)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_shipped_scenario_comes_to_a_verdict(
    drilled: Callable[[Sequence[str]], Lab], lab_user: LabUser, scenario: str
) -> None:
    """The fault was seen, nothing that was acknowledged is lost, and the cluster is whole afterwards."""
    lab = drilled(THREE_SERVERS if scenario in OF_THREE_SERVERS else REFERENCE)
    driller = Driller(lab, lab_user)
    driller.settle()
    done = driller.finish("run", scenario)
    if done.status == INVALID:
        # Where this machine itself was short of time for its probes there is no verdict: once more.
        driller.settle()
        done = driller.finish("run", scenario)
    assert done.status in {KEPT, EXCEEDED}, f"{done.out}\n{done.err}"
    driller.settle()
