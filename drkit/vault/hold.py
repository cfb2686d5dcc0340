"""Holds back Borg's connection, and then what Borg says, until drkit gives the word; run by Borg in place of ssh.

Starting ``borg create``, its ssh and the far side's ``borg serve`` takes most of a second, in which a repository is
only waited for. Started through this program the next one is ready while the one before still writes: Borg's first
request, the one that takes the repository's lock, waits here.

``python -I -S hold.py FIFO ssh …``. The words are bytes in FIFO: the first starts ssh, once the connection that it
shares is there; the second lets Borg speak. Only the standard library, and only what starts fast. If Borg ends before
a word, so does this program, and ssh with it.
"""

import os
import select
import signal
import sys
from contextlib import suppress

BLOCK = 1024 * 1024


def word(fifo: int) -> bool:
    """Wait for a word; whether it came before Borg ended."""
    poll = select.poll()
    poll.register(fifo, select.POLLIN)
    poll.register(sys.stdin.fileno(), 0)  # nothing but its other end's closing
    ready = dict(poll.poll())
    return bool(ready.get(fifo, 0) & select.POLLIN and os.read(fifo, 1))


def relay(source: int, to: int) -> None:
    """Move all that comes from one pipe into another, inside the kernel (splice(2))."""
    with suppress(BrokenPipeError):
        while os.splice(source, to, BLOCK):
            pass


def main() -> int:
    """Start ssh, wait, relay; the exit status is that of ssh."""
    fifo = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
    if not word(fifo):
        return 1
    reading, writing = os.pipe()
    ssh = os.posix_spawnp(
        sys.argv[2],
        sys.argv[2:],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)],
        setsigdef=[signal.SIGPIPE],  # Python ignores it, and children would
    )
    os.close(reading)
    os.close(sys.stdout.fileno())  # ssh's alone: Borg must see it end with ssh
    if word(fifo):
        relay(sys.stdin.fileno(), writing)
    os.close(writing)
    return os.waitstatus_to_exitcode(os.waitpid(ssh, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
