"""Who asks and who watches during a drill, started together and stopped together."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.asking import askings
from drkit.drill.probes import prober
from drkit.drill.probes.ways import Ways
from drkit.drill.watch.watcher import Watcher
from drkit.errors import ProberFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drkit.cluster.kube import Watching
    from drkit.drill.asking import Known
    from drkit.drill.probes.prober import Prober
    from drkit.drill.record import Recorder
    from drkit.drill.values import Probe
    from drkit.providers.port import TargetHealth

_WATCH_SECONDS = 30.0


@dataclass(frozen=True)
class Measuring:
    """What is asked and watched.

    Attributes:
        probes: of the drill.
        known: how they ask.
        apis: the cluster's API, through each of its servers.
        targets: how the load balancer finds its targets, where it can be asked.
        every: seconds from one question to the load balancer to the next.
    """

    probes: Sequence[Probe]
    known: Known
    apis: Sequence[Watching]
    targets: Callable[[], Iterable[TargetHealth]] | None
    every: float

    @contextmanager
    def __call__(self, recorder: Recorder) -> Iterator[Prober]:
        """Ask and watch for the time of the body.

        Raises:
            ProberFailed: nobody can ask, or what is to be watched was never seen.
            PreflightFailed: nothing leads to a target.
        """
        with ExitStack() as stack:
            watcher = stack.enter_context(Watcher(recorder, self.apis, self.targets, self.every))
            ways = stack.enter_context(Ways())
            asked = askings(self.probes, self.known, ways)
            asking = stack.enter_context(prober.start(recorder.path, recorder.start, asked, ways))
            missing = watcher.missing(_WATCH_SECONDS)
            if missing:
                raise ProberFailed(f"not seen within {_WATCH_SECONDS:.0f} s, so not watched: {', '.join(missing)}")
            yield asking
