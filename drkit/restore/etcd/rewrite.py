"""From an old node's files to those that make a new machine take its place. Pure.

Sources: docs.k3s.io (cli/server, cli/agent, installation/configuration, datastore/backup-restore, cli/token); what
``tls`` and ``cred`` hold comes out of the datastore, and files there that differ and are newer stop k3s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drkit.cluster import k3s
from drkit.restore.etcd import kept, labels
from drkit.restore.etcd.configuration import Configuration, as_list
from drkit.restore.etcd.values import family, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.restore.etcd.values import File, Machine, Old, Rebuild

_SECRETS = frozenset(
    {"token", "agent-token", "datastore-endpoint", "vpn-auth", "etcd-s3-access-key", "etcd-s3-secret-key"}
)
_TOKENS = ("token", "token-file", "agent-token", "agent-token-file")
_DATASTORE = ("datastore-endpoint", "datastore-cafile", "datastore-certfile", "datastore-keyfile")
_LEFT_ALONE = frozenset({"node-label", "node-taint", "node-ip", "node-external-ip", "node-name", "server"})
_ANY = frozenset({"0.0.0.0", "::", "127.0.0.1", "::1"})  # noqa: S104 - nothing is bound: they stay what they are


@dataclass(frozen=True)
class Rewritten:
    """What goes onto a machine.

    Attributes:
        files: by path.
        settings: what k3s makes of them.
        kubeconfig: where a server writes its administrator's kubeconfig.
        labels: what only the API can set on its node, once it has joined.
        flannel: whether k3s brings the pods' network; what is told to a server counts for all.
        said: what was changed, and what could not be understood.
    """

    files: Mapping[str, File] = field(repr=False)
    settings: k3s.Settings
    kubeconfig: str
    labels: Mapping[str, str]
    flannel: bool
    said: tuple[str, ...]


def rewrite(old: Old, machine: Machine, rebuild: Rebuild) -> Rewritten:
    """The files that let ``machine`` take the place of ``old``; the same for a reset as for every start.

    Raises:
        SourceFailed: the old node's files cannot be understood.
    """
    unit = k3s.SERVER_UNIT if machine.role == "server" else k3s.AGENT_UNIT
    told = Configuration(old.files, unit)
    said = _Said(old.name, machine.name, told)
    if not told.understood:
        said.note(f"how {unit}.service starts k3s is not understood and stays: see that its flags fit the new machine")
    _addresses(old, machine, rebuild, said)
    _cluster(machine, rebuild, said)
    if machine.role == "server":
        _server(machine, rebuild, said)
    through_api = _labels_and_taints(old, said)
    found = told.files()
    settings = k3s.settings({path: file.content for path, file in found.items()}, unit)
    beside, notes = kept.kept(old, machine, rebuild, settings, told)
    found |= beside
    for sentence in (*notes, *kept.open_questions(old, found, told)):
        said.note(sentence)
    kubeconfig = told.text("write-kubeconfig") or k3s.KUBECONFIG
    flannel = told.text("flannel-backend") != "none"
    return Rewritten(found, settings, kubeconfig, through_api, flannel, tuple(said.sentences))


class _Said:
    """Changes the settings and says so."""

    def __init__(self, old: str, new: str, told: Configuration) -> None:
        self._title = new if old == new else f"{new} (was {old})"
        self.told = told
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        self.sentences.append(f"{self._title}: {sentence}")

    def set(self, key: str, value: Any) -> None:
        """Set it where it is another, and say so."""
        before, now = self.told.text(key), ",".join(as_list(value))
        if before == now:
            return
        self.told.set(key, value)
        shown_now = "" if key in _SECRETS else f" to {now}"
        self.note(f"{key} is set{shown_now}" + (f"; it was {before}" if before and key not in _SECRETS else ""))

    def remove(self, key: str, why: str) -> None:
        if self.told.value(key) is None:
            return
        self.told.remove(key)
        self.note(f"{key} is not set any more: {why}")


def _addresses(old: Old, machine: Machine, rebuild: Rebuild, said: _Said) -> None:
    """Name, addresses and interface of the machine itself."""
    told = said.told
    said.remove("with-node-id", "the name is the one that the restore knows the node by")
    said.set("node-name", machine.name)
    inside = old.internal if told.value("node-ip") is None else told.text("node-ip").split(",")
    if _vpn(told):
        said.note("it reaches the others through a VPN: its program must be on the machine, and its key still be good")
    else:
        said.set("node-ip", shown(_of_families(machine.internal, inside)))
    if told.value("node-external-ip") is not None:
        outside = _of_families(machine.external, told.text("node-external-ip").split(","))
        if machine.external:
            said.set("node-external-ip", shown(outside))
        else:
            said.remove("node-external-ip", "the machine has no public address")
            if told.on("flannel-external-ip"):
                said.note("flannel-external-ip stays, and needs public addresses: give the machine one")
    if told.value("flannel-iface") is not None and machine.interface:
        said.set("flannel-iface", machine.interface)
    elif told.value("flannel-iface") is not None:
        said.note(f"flannel-iface stays {told.text('flannel-iface')}: the machine's own interface is not known")
    for key in ("advertise-address", "bind-address"):
        value = told.text(key)
        now = _own(value, old, machine)
        if now:
            said.set(key, now)
        elif value and value not in _ANY and value not in machine.addresses:
            said.note(f"{key} stays {value}, which was none of the old node's addresses")
    _replace_addresses(rebuild.addresses, said)


def _vpn(told: Configuration) -> bool:
    return any(told.value(key) is not None for key in ("vpn-auth", "vpn-auth-file"))


def _of_families(now: tuple[str, ...], before: Iterable[str]) -> tuple[str, ...]:
    """Those of the families that there were, in their order; all where that is none."""
    wanted = [family(address.strip()) for address in before]
    return tuple(each for kind in wanted for each in now if family(each) == kind) or now


def _own(value: str, old: Old, machine: Machine) -> str:
    """What takes the place of one of the node's own addresses."""
    if value in old.internal:
        return next((each for each in machine.internal if family(each) == family(value)), "")
    if value in old.external:
        return next((each for each in (*machine.external, *machine.internal) if family(each) == family(value)), "")
    return ""


def _replace_addresses(moved: Mapping[str, str], said: _Said) -> None:
    """Old addresses that stand in other settings, such as arguments for components, become the new ones."""
    changed: dict[str, set[str]] = {}
    replace = kept.replacing(moved)

    def change(key: str, value: str) -> str:
        now = value if key in _LEFT_ALONE else replace(value)
        if now != value:
            changed.setdefault(key, set()).add(now)
        return now

    said.told.replace(change)
    for key, values in changed.items():
        what = "" if key in _SECRETS else f": {', '.join(sorted(values))}"
        said.note(f"{key} has the new addresses in place of the old ones{what}")


def _cluster(machine: Machine, rebuild: Rebuild, said: _Said) -> None:
    """Which server it joins, and with what."""
    told = said.told
    before = told.text("server")
    if rebuild.fresh:
        for key in _TOKENS[1:]:
            said.remove(key, "the new cluster has a token of its own")
        said.set("token", rebuild.token)
    if not machine.join:
        said.remove("server", "it is the first server")
        return
    # Servers that share an external datastore find each other there.
    if before or machine.role == "agent" or rebuild.etcd:
        join = _way_in(_host(before), machine, rebuild)
        host = f"[{join}]" if family(join) == 6 else join  # noqa: PLR2004 - IPv6
        said.set("server", f"https://{host}:{_port(before)}")
    if before and _host(before) not in rebuild.addresses:
        said.note(f"it joined through {before}: put that back when that name or address leads to the new servers")
    if not any(told.value(key) for key in (_TOKENS if machine.role == "agent" else _TOKENS[:2])):
        said.set("token", rebuild.token)


def _way_in(before: str, machine: Machine, rebuild: Rebuild) -> str:
    """The first server's address: a public one for who joined through a public one, since it may have no other way."""
    was_public = any(before in old.external and before not in old.internal for old, _ in rebuild.pairs)
    first = next((each for _, each in rebuild.pairs if machine.join in each.internal), None)
    public = first.external if first is not None and was_public else ()
    return next((each for each in public if family(each) == family(before)), machine.join)


def _host(server: str) -> str:
    try:
        return urlsplit(server).hostname or ""
    except ValueError:
        return ""


def _port(server: str) -> int:
    try:
        return urlsplit(server).port or k3s.API_PORT
    except ValueError:
        return k3s.API_PORT


def _server(machine: Machine, rebuild: Rebuild, said: _Said) -> None:
    """What only a server is told."""
    told = said.told
    for key in ("cluster-reset", "cluster-reset-restore-path"):
        said.remove(key, "it is for a single start")
    for key in _DATASTORE if rebuild.fresh else ():
        said.remove(key, "the old cluster's objects are there, and this one begins anew")
    if machine.join or not rebuild.etcd:
        said.remove("cluster-init", "it joins" if machine.join else "the datastore is not k3s's own etcd")
    elif not told.on("cluster-init"):
        said.set("cluster-init", True)  # noqa: FBT003 - the setting's value
    if told.on("etcd-s3"):
        said.set("etcd-s3", False)  # noqa: FBT003 - the setting's value
        said.note("snapshots to S3 are off, so that they do not mix with the old cluster's: switch etcd-s3 on again")
    if rebuild.endpoint and told.value("datastore-endpoint") is not None:
        said.set("datastore-endpoint", rebuild.endpoint)
    names = told.value("tls-san")
    said.told.replace(lambda key, value: rebuild.names.get(value, value) if key == "tls-san" else value)
    added = told.extend("tls-san", [machine.name, *machine.addresses])
    if added:
        said.note(f"tls-san has also {', '.join(added)}")
    if names != told.value("tls-san") and not added:
        said.note("tls-san has the new names in place of the old ones")


def _labels_and_taints(old: Old, said: _Said) -> dict[str, str]:
    """Tell k3s what is missing there, and return what only the API can set."""
    configured, through_api = labels.divided(old.labels)
    for key, values in (
        ("node-label", labels.label_settings(configured)),
        ("node-taint", labels.taint_settings(old.taints)),
    ):
        added = said.told.extend(key, _missing(values, said.told.value(key)))
        if added:
            said.note(f"{key} has also {', '.join(added)}, as the old node had")
    if through_api:
        said.note(f"labels for the API to set: {', '.join(labels.label_settings(through_api))}")
    return through_api


def _missing(values: Iterable[str], there: Iterable[str]) -> list[str]:
    """Those whose name (and effect) is not there: what the configuration says of one counts as it always did."""
    known = {_identity(each) for each in there}
    return [each for each in values if _identity(each) not in known]


def _identity(setting: str) -> tuple[str, str]:
    name, _, value = setting.partition("=")
    return name.partition(":")[0], (value or name).rpartition(":")[2] if ":" in setting else ""
