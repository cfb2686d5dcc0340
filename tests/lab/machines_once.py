"""``python -m tests.lab.machines_once CONFIG [SECONDS]``: machines and traffic of a restore, to be killed.

The engine carries out the steps ``network``, ``server``, ``mark``, ``fence``, ``balancer``, ``health`` and ``dns`` of
the plan for the target ``new-cluster``; in place of the cluster each machine serves a page. It goes on with what was
begun. A machine may take so many seconds to boot.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.clock import SystemClock
from drkit.config.load import load
from drkit.observe.progress import PlainReporter
from drkit.restore import making, rebuild_plan
from drkit.restore.engine import journal
from drkit.restore.engine.action import Action, Call
from drkit.restore.engine.plan import Plan, Step, from_json
from drkit.restore.engine.run import execute
from drkit.restore.machines import Machines
from drkit.restore.rebuild import Means, Rebuild
from drkit.restore.reports import keep
from drkit.restore.wanted import HETZNER, MANIFESTS, Machine, Wanted
from tests.lab.machines import shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.config.model import Config

TARGET = "new-cluster"
OURS = ("network", "server", "mark", "fence", "balancer", "health", "dns")
PAGE = "here it is"
_SERVE = """
mkdir -p /srv/page && echo "$1" >/srv/page/health
for port in 80 443; do
    systemctl is-active --quiet "page-$port" ||
        systemd-run --quiet --unit="page-$port" python3 -m http.server "$port" --directory /srv/page
done
"""


class Work:
    """The actions of a rebuild, and the page."""

    def __init__(self, means: Means) -> None:
        self._means, self._own = means, Rebuild(means)

    @contextmanager
    def prepared(self, restore: str, history: journal.History) -> Iterator[Mapping[str, Action]]:
        """See ``drkit.restore.engine.action.Work``."""
        means = self._means
        with self._own.prepared(restore, history) as actions, Machines(means.plan, means.config) as machines:

            def serve(call: Call) -> None:
                shell(machines.node(call.step.details["name"], call), _SERVE, PAGE)

            yield {**actions, "serve": Action(serve)}


def plan(config: Config) -> Plan:
    """The steps that this is about."""
    target = config.clusters[TARGET]
    wanted = Wanted(
        target=TARGET,
        mode=MANIFESTS,
        provider=HETZNER,
        servers=(Machine("server-1", "server-1"),),
        agents=(Machine("agent-1", "agent-1"),),
        balancer=True,
        health=True,
        dns=tuple(str(each) for each in target.dns),
    )
    steps = [step for step in rebuild_plan.steps(wanted) if step.action in OURS]
    marks = [step for step in steps if step.action == rebuild_plan.MARK]
    served = [Step(f"serve {mark.details['name']}", "serve", "", (mark.id,), mark.details) for mark in marks]
    at = steps.index(marks[-1]) + 1
    steps[at:at] = served
    last: tuple[str, ...] = tuple(step.id for step in served)
    found = []
    for step in steps:
        if step.action in {"fence", "balancer", "health", "dns"}:
            found.append(replace(step, needs=last))
            last = (step.id,)
        else:
            found.append(step)
    return Plan(TARGET, tuple(found), (), mode=MANIFESTS)


def main() -> None:
    """Begin, or go on."""
    config = load(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        making.BOOT_SECONDS = float(sys.argv[2])
    newest = journal.newest(TARGET)
    history = None if newest is None else journal.read(newest)
    made = plan(config) if history is None else from_json(history.plan)
    reporter = PlainReporter()
    means = Means(made, config, {}, {}, {}, old_is_dead=False, clock=SystemClock(), reporter=reporter)
    execute(made, Work(means), newest, SystemClock(), reporter, keep)


if __name__ == "__main__":
    main()
