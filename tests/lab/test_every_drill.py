"""Every scenario that ships, on the sample workload in the lab (``make drills``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.drill.scenario.listing import shipped
from tests.lab.driller import EXCEEDED, KEPT, Driller, Lab
from tests.lab.labs import COLD_SECONDS

if TYPE_CHECKING:
    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.drill, pytest.mark.timeout(COLD_SECONDS)]

SCENARIOS = sorted(path.stem for path in shipped().glob("*.yaml"))
NOT_HERE = {
    "one-server-down": "at least",
    "database-disk-full": "tmpfs",
    "memory-pressure": "bound",
    "slow-network": "netem",
}
"""What a lab of one server, of containers, cannot do, and a word of how it says so beforehand."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_shipped_scenario_comes_to_a_verdict(workload: Lab, lab_user: LabUser, scenario: str) -> None:
    """The fault was seen, nothing that was acknowledged is lost, and the cluster is whole afterwards."""
    driller = Driller(workload, lab_user)
    driller.settle()
    done = driller.finish("run", scenario)
    if scenario in NOT_HERE:
        assert done.status == 16, done.err
        assert NOT_HERE[scenario] in done.json()["error"]["message"]
        return
    assert done.status in {KEPT, EXCEEDED}, f"{done.out}\n{done.err}"
    driller.settle()
