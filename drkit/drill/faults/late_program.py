"""Holds packets back, on a machine whose kernel cannot. ``late.py`` brings it there; it stands by itself.

The kernel sends into a tap device what was to leave by another one; here it waits, and leaves by that one when its time
has come, past the rules that sent it here. Needs Python 3.8, and nothing beside.

Arguments: the delay and the jitter to either side in seconds, how many of a hundred packets are lost, and for each
device that packets leave by its name and the name of the tap device to make.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import math
import os
import random
import select
import socket
import struct
import sys
import time
from contextlib import suppress

# linux/if_tun.h, linux/if_packet.h
_TUNSETIFF = 0x400454CA
_TAP_OF_BARE_FRAMES = 0x0002 | 0x1000
_SOL_PACKET, _PACKET_QDISC_BYPASS = 263, 20
_LARGEST_FRAME = 1 << 16
_MOST_WAITING = 100_000
_MOST_AT_ONCE = 256


class Late:
    """The packets that wait.

    Args:
        delay: seconds that each waits.
        jitter: by how many that varies, to either side.
        lost: the part that is dropped, of 1.
    """

    def __init__(self, delay: float, jitter: float, lost: float) -> None:
        self._delay, self._jitter, self._lost = delay, jitter, lost
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, bytes, int]] = []

    def take(self, frame: bytes, by: int, now: float) -> None:
        """Let a frame wait that leaves by the device of that number; or lose it."""
        if random.random() < self._lost or len(self._waiting) >= _MOST_WAITING:  # noqa: S311 - packets, no secrets
            return
        due = now + self._delay + random.uniform(-self._jitter, self._jitter)  # noqa: S311 - likewise
        heapq.heappush(self._waiting, (due, next(self._numbers), frame, by))

    def due(self, now: float) -> list[tuple[bytes, int]]:
        """The frames whose time has come, in order, each with its device; they wait no longer."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            found.append(heapq.heappop(self._waiting)[2:])
        return found

    def next(self) -> float | None:
        """When the next one's time comes; None where none waits."""
        return self._waiting[0][0] if self._waiting else None


def _tap(name: str) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_OF_BARE_FRAMES))
    return handle


def _door(device: str) -> socket.socket:
    # Protocol 0: it is sent through, and receives nothing.
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
    opened.bind((device, 0))
    opened.settimeout(0)
    return opened


def _say_ready() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))


def _frames(tap: int) -> list[bytes]:
    found: list[bytes] = []
    with suppress(BlockingIOError):
        found.extend(os.read(tap, _LARGEST_FRAME) for _ in range(_MOST_AT_ONCE))
    return found


def _main(delay: str, jitter: str, loss_percent: str, *names: str) -> None:
    late = Late(float(delay), float(jitter), float(loss_percent) / 100)
    doors = [_door(each) for each in names[::2]]
    taps = {_tap(each): number for number, each in enumerate(names[1::2])}
    poll = select.poll()
    for each in taps:
        poll.register(each, select.POLLIN)
    _say_ready()
    while True:
        until = late.next()
        wait = None if until is None else max(0, math.ceil((until - time.monotonic()) * 1000))
        for tap, _ in poll.poll(wait):
            for frame in _frames(tap):
                late.take(frame, taps[tap], time.monotonic())
        for frame, by in late.due(time.monotonic()):
            # What a device does not take is lost, as on any bad line.
            with suppress(OSError):
                doors[by].send(frame)


if __name__ == "__main__":
    _main(*sys.argv[1:])
