"""What leads to a lab's machines, changed while it runs: its load balancers and its DNS server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drkit.errors import DrkitError
from drkit.lab import balancer, containers, inside, names
from drkit.lab.placed import Placed
from drkit.process import tail
from drkit.state import exclusive

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import docker.models.containers

    from drkit.lab.balancer import Check, Setting
    from drkit.lab.names import Answers

_LOCK_SECONDS = 120.0
_NEXT = f"{balancer.FILE}.next"
_RELOAD = "SIGUSR2"
"""HAProxy's master then reads its configuration again; connections that stand go on (management guide, chapter 4)."""
_READ_AGAIN = "SIGHUP"
"""dnsmasq(8), notes on signals."""


def alone(lab: str) -> AbstractContextManager[None]:
    """For whoever changes what leads to a lab by what is there now: nobody else does meanwhile.

    Raises:
        DrkitError: somebody else does, for too long.
    """
    return exclusive(
        f"lab-{lab}-traffic",
        "changing what leads to the lab",
        _LOCK_SECONDS,
        lambda holder: DrkitError(f"the lab {lab} is still held by {holder}"),
        lambda _: None,
    )


def setting(container: docker.models.containers.Container) -> Setting:
    """What a load balancer does now."""
    return balancer.setting(containers.fetch(container, balancer.FILE))


def change(container: docker.models.containers.Container, wanted: Setting) -> None:
    """Have a load balancer do something else.

    Raises:
        DrkitError: HAProxy does not take it; it goes on as before.
    """
    text = balancer.configuration(wanted.services, wanted.targets, wanted.before)
    containers.place(container, [Placed(_NEXT, text)])
    status, said = inside.run_in(container, "haproxy", "-c", "-f", _NEXT)
    if status != 0:
        raise DrkitError(f"{container.name}: HAProxy does not take its configuration\n{tail(said)}")
    containers.place(container, [Placed(balancer.FILE, text)])
    container.kill(signal=_RELOAD)


def check_targets(container: docker.models.containers.Container, check: Check) -> None:
    """Have a load balancer find out otherwise which targets of its services are well. Raises what ``change`` does."""
    now = setting(container)
    change(container, replace(now, services=tuple(replace(each, check=check) for each in now.services)))


def health(container: docker.models.containers.Container) -> dict[tuple[str, int], bool]:
    """For each target and port: whether its checks succeed. Those not checked yet lack."""
    ask = f"echo 'show stat' | socat -t 5 stdio {balancer.SOCKET}"
    status, said = inside.run_in(container, "sh", "-c", ask)
    # It is being started, or reads its configuration.
    return balancer.health(said) if status == 0 else {}


def answers(container: docker.models.containers.Container) -> Answers:
    """What the DNS server answers beside its members' names."""
    status, said = inside.run_in(container, "cat", names.RECORDS)
    return names.answers(said if status == 0 else "")


def answer(container: docker.models.containers.Container, wanted: Answers) -> None:
    """Have the DNS server answer something else, from now on.

    Raises:
        DrkitError: it cannot answer that.
    """
    try:
        text = names.hosts_file(wanted)
    except ValueError as error:
        raise DrkitError(f"the lab's DNS has addresses alone: {error}") from None
    containers.place(container, [Placed(names.RECORDS, text)])
    # It watches its files too, but a change that follows another closely may pass it by.
    container.kill(signal=_READ_AGAIN)
