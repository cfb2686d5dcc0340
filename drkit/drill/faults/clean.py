"""What an earlier drill left, undone: on machines, at the provider, in the API. Safe again, and beside timers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit.drill.faults import armed, nft, notes
from drkit.drill.faults.drain import ANNOTATION, UNCORDONED
from drkit.drill.faults.fill_disk import SUFFIX
from drkit.drill.faults.netem import HANDLE
from drkit.drill.faults.upgrade_k3s import OLD, PUT_BACK
from drkit.errors import DrkitError
from drkit.process import tail
from drkit.providers.power import recall
from drkit.restore.etcd.scrub import NODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.drill.faults.watchdog import Watchdog
    from drkit.providers.power import Power

_CLEAN_SECONDS = 240.0
# Undo scripts first: they know best. What their machine has forgotten by a reboot is found by its name.
_CLEAN = f"""
failed=0
for each in {armed.ROOT}/*/undo; do
    [ -e "$each" ] || continue
    name=${{each%/undo}} name=${{name##*/}}
    if said=$(sh "$each"); then echo "$name: $said"; else echo "$name could not be undone" >&2; failed=1; fi
done
[ "$failed" = 0 ] || exit 1
systemctl list-units --all --plain --no-legend '{armed.PREFIX}*' 2>/dev/null | while read -r unit _; do
    case $unit in {armed.PREFIX}*) ;; *) continue ;; esac
    systemctl kill --signal=KILL "$unit" 2>/dev/null
    systemctl stop "$unit" 2>/dev/null
    systemctl reset-failed "$unit" 2>/dev/null
    case $unit in *{armed.HOLDER}.service) echo "$unit is stopped" ;; esac
done
nft list tables 2>/dev/null | while read -r _ family name; do
    case $name in {nft.TABLE}*) nft delete table "$family" "$name" && echo "table $name is gone" ;; esac
done
tc qdisc show 2>/dev/null | sed -n 's/^qdisc [a-z]* {HANDLE} dev \\([^ ]*\\) root.*/\\1/p' | while read -r device; do
    tc qdisc del dev "$device" root && echo "$device is as fast as before"
done
put_back() {{
{PUT_BACK}
}}
for stays in {armed.STAYS}/*; do
    [ -f "$stays" ] || continue
    old=$(cat "$stays")
    case ${{old##*/}} in
        {armed.PREFIX}*{SUFFIX}) rm -f "$old" && rm -f "$stays" && echo "$old is gone" ;;
        *.{armed.PREFIX}*{OLD}) put_back && echo "${{old%.{armed.PREFIX}*}} is the one of before" || exit 1 ;;
    esac
done
rmdir {armed.STAYS} {armed.ROOT} 2>/dev/null
exit 0
"""


@dataclass
class Cleaned:
    """What became of it.

    Attributes:
        done: what was found and undone, one sentence each.
        failed: what could not be, and why.
    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def clean(
    cluster: str,
    nodes: Iterable[Node],
    power: Power | None = None,
    kube: Api | None = None,
    watchdog: Watchdog | None = None,
) -> Cleaned:
    """Undo what earlier drills left of a cluster, and tell it. What cannot be reached does not stop the rest.

    Args:
        cluster: its name, as ``Means`` had it.
        nodes: its machines.
        power: its provider; None where nobody is known.
        kube: its API; likewise.
        watchdog: where undos of its machines may wait.
    """
    cleaned = Cleaned()
    # Power first: what has none cannot be logged in to.
    for note in notes.all_of(cluster):
        _put_right(note, power, watchdog, cleaned)
    for node in nodes:
        try:
            done = armed.run(node, _CLEAN, deadline=_CLEAN_SECONDS)
        except DrkitError as error:
            cleaned.failed.append(f"{node.name}: {error.message}")
            continue
        cleaned.done += [f"{node.name}: {line}" for line in done.stdout.decode(errors="replace").splitlines()]
        if done.status != 0:
            cleaned.failed.append(f"{node.name}: {tail(done.stderr)}")
    if kube is not None:
        try:
            cleaned.done += _uncordon(kube)
        except DrkitError as error:
            cleaned.failed.append(error.message)
    return cleaned


def _put_right(note: notes.Note, power: Power | None, watchdog: Watchdog | None, cleaned: Cleaned) -> None:
    if power is None:
        cleaned.failed.append(f"{note.fault} of {note.recall.server} ({note.name}): its provider is not known")
        return
    try:
        said = recall(power, note.recall)
        if watchdog is not None:
            watchdog.disarm(note.name)
    except DrkitError as error:
        cleaned.failed.append(f"{note.fault} of {note.recall.server} ({note.name}): {error.message}")
    else:
        notes.remove(note.name)
        cleaned.done.append(f"{note.name}: {said}")


def _uncordon(kube: Api) -> list[str]:
    """Let pods come again to the nodes that a drill has cordoned."""
    done = []
    for page in kube.pages(NODES.path):
        for node in page["items"]:
            name = node["metadata"]["name"]
            whose = (node["metadata"].get("annotations") or {}).get(ANNOTATION)
            if whose:
                kube.patch(NODES.object_path("", name), UNCORDONED)
                done.append(f"{name} takes pods again ({whose})")
    return done
