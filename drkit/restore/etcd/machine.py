"""A machine that becomes a node of the cluster that is brought back: marked, given k3s and its files, started.

Everything here can be called again after drkit was killed in its middle, and ends the same. What a machine remembers of
that is in ``/etc/drkit``. k3s is started by systemd alone: what it does goes on when drkit is gone, and is found again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import archive, process
from drkit.cluster import k3s, kubeconfig
from drkit.errors import RestoreFailed, TargetNotEmpty
from drkit.masking import register
from drkit.process import DeadlineExceeded
from drkit.restore.etcd.values import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.kubeconfig import Access
    from drkit.cluster.node import Node
    from drkit.restore.etcd.rewrite import Rewritten
    from drkit.restore.etcd.values import Role

MARK = "/etc/drkit/restore.json"
"""Says which restore a machine is of: ``{"restore": "<id>"}``."""
OF_ITS_OWN = "/etc/drkit/restore-token"
"""The token of a cluster that begins anew."""
UNITS: Mapping[Role, str] = {"server": k3s.SERVER_UNIT, "agent": k3s.AGENT_UNIT}
_SECONDS = 60.0
_START_SECONDS = 600.0
_LINES = "40"

_RAN_BEFORE = """
    for path in "$3/server/db" "$3/server/tls" "$3/agent/client-ca.crt" /etc/rancher/node/password \\
        /etc/rancher/k3s/k3s.yaml; do
        if [ -e "$path" ]; then echo "$path" >&2; exit 3; fi
    done
"""
_SEE = f"""
if ! [ -e "$1" ]; then
    {_RAN_BEFORE}
    exit 0
fi
cat "$1"
"""
# Of a link only one can be made under a name: of two restores to one machine one comes first.
_MARK = f"""
umask 077
mkdir -p /etc/drkit || exit 1
if ! [ -e "$1" ]; then
    {_RAN_BEFORE}
    printf '%s' "$2" >"$1.$$" && sync "$1.$$" && ln "$1.$$" "$1" 2>/dev/null
    rm -f "$1.$$"
fi
cat "$1"
"""
_BEGIN_ANEW = """
umask 077
if ! [ -e "$1" ]; then
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \\n' >"$1.$$" && sync "$1.$$" && mv "$1.$$" "$1" || exit 1
fi
cat "$1"
"""
_RAN = 3
PUT = "umask 022; cd / && tar -x -p -f - && sync && systemctl daemon-reload"
"""Takes what ``packed`` made."""
_UNHOLD = """
for each in "$1"/*.skip; do
    if [ -f "$each" ] && [ "$(cat "$each")" = "$2" ]; then rm -f -- "$each"; fi
done
"""


def shell(node: Node, script: str, *arguments: str, stdin: bytes = b"", deadline: float = _SECONDS) -> str:
    """What a shell script on the machine prints.

    Raises:
        RestoreFailed: it failed, or took too long; with its last words.
        NodeUnreachable: the machine does not answer; likewise everywhere below.
    """
    try:
        done = node.run(["sh", "-c", script, "sh", *arguments], stdin=stdin, deadline=deadline)
    except DeadlineExceeded as error:
        raise RestoreFailed(f"{node.name}: {error}") from None
    if done.status != 0:
        raise RestoreFailed(f"{node.name}: {process.tail(done.stderr)}")
    return done.stdout.decode(errors="replace")


def mark(node: Node, restore: str, data_directory: str = k3s.DATA_DIRECTORY) -> None:
    """Let a machine be of this restore.

    Raises:
        TargetNotEmpty: it is of another one, or k3s has run there before; nothing was touched.
    """
    text = json.dumps({"restore": restore})
    done = node.run(["sh", "-c", _MARK, "sh", MARK, text, data_directory], deadline=_SECONDS)
    _see_free(node, restore, done, "cannot be marked")


def see_free(node: Node, restore: str, data_directory: str = k3s.DATA_DIRECTORY) -> None:
    """See that ``mark`` would not refuse a machine; nothing is changed there.

    Raises:
        TargetNotEmpty: as ``mark``.
    """
    text = json.dumps({"restore": restore})
    done = node.run(["sh", "-c", _SEE, "sh", MARK, text, data_directory], deadline=_SECONDS)
    if done.status != 0 or done.stdout:
        _see_free(node, restore, done, "cannot be looked at")


def _see_free(node: Node, restore: str, done: process.Completed, failed: str) -> None:
    if done.status == _RAN:
        raise TargetNotEmpty(
            f"{node.name}: k3s has run there before ({process.tail(done.stderr)})",
            "give an empty machine, or remove k3s there: k3s-uninstall.sh",
        )
    if done.status != 0:
        raise RestoreFailed(f"{node.name}: it {failed}: {process.tail(done.stderr)}")
    if marked(done.stdout) != restore:
        raise TargetNotEmpty(
            f"{node.name}: it is of the restore {marked(done.stdout) or 'of somebody'} ({MARK}), not of {restore}",
            "go on with that one (--resume), or destroy what it made (--destroy)",
        )


def marked(content: bytes) -> str:
    """Of which restore a mark says that the machine is; empty where it says nothing. Pure."""
    try:
        found = json.loads(content)
    except ValueError:
        return ""
    return str(found.get("restore", "")) if isinstance(found, dict) else ""


def fresh_token(node: Node) -> str:
    """The token of a cluster that begins anew, made on its first server, which is marked; the same each time.

    Raises:
        RestoreFailed: it cannot be made.
    """
    return register(shell(node, _BEGIN_ANEW, OF_ITS_OWN).strip())


def see_mark(node: Node, restore: str) -> None:
    """See that a machine is of this restore.

    Raises:
        TargetNotEmpty: it is not.
    """
    found = marked(node.read(MARK) or b"")
    if found != restore:
        raise TargetNotEmpty(f"{node.name}: it is not of the restore {restore} ({MARK}: {found or 'nothing'})")


def put_files(node: Node, found: Rewritten) -> None:
    """Put a machine's files there.

    Raises:
        RestoreFailed: they cannot be written.
    """
    shell(node, PUT, stdin=packed(found.files, [found.settings.server_directory]))


def as_file(text: str) -> File:
    """A file for root alone."""
    return File(text.encode())


def packed(files: Mapping[str, File], private: Sequence[str] = ()) -> bytes:
    """Files by absolute path as one archive, below directories of which those in ``private`` are root's alone. Pure."""
    blocks: list[bytes] = []
    writer = archive.Writer(blocks.append)
    for directory in private if any(path.startswith(tuple(private)) for path in files) else ():
        writer.add(archive.Entry(directory.strip("/"), archive.Kind.DIRECTORY, mode=0o700))
    for path in sorted(files):
        writer.add(archive.Entry(path.strip("/"), mode=files[path].mode), files[path].content)
    writer.close()
    return b"".join(blocks)


def enable(node: Node, role: Role) -> None:
    """Let k3s run on a machine from now on, after each of its starts too; not waited for.

    Raises:
        RestoreFailed: systemd refuses.
    """
    unit = UNITS[role]
    shell(node, 'systemctl enable --quiet "$1" && systemctl start --no-block "$1"', unit)


def start(node: Node, unit: str, deadline: float = _START_SECONDS) -> None:
    """Start a unit, and wait until systemd calls it started.

    Raises:
        RestoreFailed: it does not come up; what k3s said is in the message.
    """
    try:
        done = node.run(["systemctl", "start", unit], deadline=deadline)
    except DeadlineExceeded:
        done = None
    if done is not None and done.status == 0:
        return
    said = log(node, unit)
    node.run(["systemctl", "stop", unit], deadline=_SECONDS)  # systemd would start it again and again
    what = "does not start" if done is not None else f"did not start in {deadline:.0f} s"
    raise RestoreFailed(f"{node.name}: {unit} {what}\n{said}")


def log(node: Node, unit: str) -> str:
    """The last words of a unit."""
    argv = ["journalctl", "--unit", unit, "--no-pager", "--output=cat", "--lines", _LINES]
    return process.tail(node.run(argv, deadline=_SECONDS).stdout.decode(errors="replace"))


def access(node: Node, path: str, server: str) -> Access:
    """How the cluster's API is reached as its administrator; nothing of it is on this machine's disk.

    Args:
        node: a server whose API answers.
        path: where its kubeconfig is.
        server: the API's URL, as seen from here.

    Raises:
        RestoreFailed: there is no kubeconfig.
        ConfigurationError: it is none.
    """
    content = node.read(path)
    if content is None:
        raise RestoreFailed(f"{node.name}: {path} is not there", "k3s server writes it when its API answers")
    return kubeconfig.parse(Path(path), content, server)


def unhold(node: Node, settings: k3s.Settings, text: bytes) -> None:
    """Let k3s deploy the user's own manifests: take away the ``.skip`` files with this content.

    Raises:
        RestoreFailed: that fails.
    """
    shell(node, _UNHOLD, f"{settings.server_directory}/manifests", text.decode().strip())
