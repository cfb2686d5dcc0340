"""Holds back what Borg says to the far side until drkit gives the word; run by Borg in place of ssh.

Starting ``borg create``, its ssh and the far side's ``borg serve`` takes most of a second, in which a repository is
only waited for. Started through this program the next one is ready while the one before still writes: ssh connects at
once, but Borg's first request, the one that takes the repository's lock, waits here.

``python -I -S hold.py FIFO ssh …``: the word is one byte in FIFO. Only the standard library, and only what starts
fast. If Borg ends before the word, so does this program, and ssh with it.
"""

import os
import select
import signal
import sys
from contextlib import suppress

BLOCK = 1024 * 1024


def wait_for_word(fifo: str) -> bool:
    """Whether the word came before Borg ended."""
    word = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(word, select.POLLIN)
    poll.register(sys.stdin.fileno(), 0)  # nothing but its other end's closing
    ready = dict(poll.poll())
    return bool(ready.get(word, 0) & select.POLLIN)


def relay(source: int, to: int) -> None:
    """Move all that comes from one pipe into another, inside the kernel (splice(2))."""
    with suppress(BrokenPipeError):
        while os.splice(source, to, BLOCK):
            pass


def main() -> int:
    """Start ssh, wait, relay; the exit status is that of ssh."""
    fifo, *command = sys.argv[1:]
    reading, writing = os.pipe()
    ssh = os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
        setsigdef=[signal.SIGPIPE],  # Python ignores it, and children would
    )
    os.close(reading)
    os.close(sys.stdout.fileno())  # ssh's alone: Borg must see it end with ssh
    if wait_for_word(fifo):
        relay(sys.stdin.fileno(), writing)
    os.close(writing)
    return os.waitstatus_to_exitcode(os.waitpid(ssh, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
