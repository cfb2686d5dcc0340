"""The gate between a stream and ``borg create --content-from-command``; run by Borg, as a program of its own.

Borg keeps what the gate prints only if the gate exits with 0, so the decision to keep it is one exit status, and it
falls only after drkit has seen that the stream was whole. If drkit dies, at any instant, the gate's socket closes,
the gate exits with 1 and Borg stores nothing.

The gate's stdin is a socket to drkit. It receives the descriptor to read from, reports the bytes so far, then their
size and SHA-256, and waits for the verdict. Only the standard library, and only what starts fast: it is run with
``python -I -S`` for every archive.
"""

import fcntl
import hashlib
import os
import socket
import sys
import time

SEAL = b"seal"
REPORT_SECONDS = 0.2
BLOCK = 1024 * 1024
PIPE_BYTES = 1024 * 1024
"""The most that Linux gives an unprivileged pipe (pipe(7)); fewer switches between the programs at its ends."""


def widen(descriptor: int) -> None:
    """Give a pipe more room, where it is a pipe and the system allows it."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except (AttributeError, OSError):
        return


def write_all(descriptor: int, block: memoryview) -> None:
    """Write the whole block."""
    while block:
        block = block[os.write(descriptor, block) :]


def main() -> int:
    """Copy, report, wait for the verdict. 0 seals the archive, anything else leaves nothing."""
    control = socket.socket(fileno=0)
    _, descriptors, _, _ = socket.recv_fds(control, 16, 1)
    if not descriptors:
        return 1
    source = descriptors[0]
    widen(source)
    widen(1)
    digest = hashlib.sha256()
    size = 0
    reported = time.monotonic()
    control.send(b"0")
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    while count := os.readv(source, [buffer]):
        block = view[:count]
        write_all(1, block)
        digest.update(block)
        size += count
        if time.monotonic() - reported > REPORT_SECONDS:
            control.send(b"%d" % size)
            reported = time.monotonic()
    control.send(b"%d %s" % (size, digest.hexdigest().encode()))
    return 0 if control.recv(16) == SEAL else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, KeyboardInterrupt):
        sys.exit(1)
