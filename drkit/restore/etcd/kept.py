"""The files beside its configuration that a machine gets from the node whose place it takes, and the token. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drkit.cluster import k3s
from drkit.datastore.look import identity_key
from drkit.errors import WrongKey
from drkit.masking import register
from drkit.posture.owned import PREFIX
from drkit.restore.etcd.configuration import as_list
from drkit.restore.etcd.values import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drkit.restore.etcd.configuration import Configuration
    from drkit.restore.etcd.values import Machine, Old, Rebuild

PACKAGED = frozenset(
    {"ccm.yaml", "coredns.yaml", "local-storage.yaml", "rolebindings.yaml", "runtimes.yaml", "traefik.yaml"}
)
"""Files in ``server/manifests`` that k3s writes itself at every start (k3s: directory manifests)."""
_PACKAGED_DIRECTORIES = ("metrics-server/", "gateway-api-crd/")
_DEPLOYED = (".yaml", ".yml", ".json")
HELD = b"held by drkit's restore until the data is there\n"
"""In a ``.skip`` file of drkit's own, which keeps k3s from deploying the file beside it."""
_REGISTRIES = "/etc/rancher/k3s/registries.yaml"
_NAMES_A_FILE = re.compile(r"(?:file|config|private-registry)$")
_NOT_THE_USERS = ("/server/", "/agent/", "/etc/rancher/", "/systemd/system/")


def replacing(moved: Mapping[str, str]) -> Callable[[str], str]:
    """What puts new addresses in place of old ones, where they stand as whole addresses."""
    if not moved:
        return lambda text: text
    either = "|".join(
        rf"(?<![0-9A-Fa-f:]){re.escape(each)}(?![0-9A-Fa-f:])"
        if ":" in each
        else rf"(?<![0-9.]){re.escape(each)}(?![0-9]|\.[0-9])"
        for each in moved
    )
    pattern = re.compile(either)
    return lambda text: pattern.sub(lambda match: moved[match[0]], text)


def kept(
    old: Old, machine: Machine, rebuild: Rebuild, settings: k3s.Settings, told: Configuration
) -> tuple[dict[str, File], list[str]]:
    """The files beside the configuration that a machine of this role gets, and what was changed in them."""
    server, said = settings.server_directory, []
    agent = tuple(f"{settings.data_directory}/agent/{each}/" for each in ("pod-manifests", "etc/containerd"))
    found = {path: file for path, file in old.files.items() if path.startswith(agent)}
    if machine.role == "server" and not rebuild.fresh:
        found[f"{server}/token"] = File(f"{rebuild.token.strip()}\n".encode())
        if f"{server}/agent-token" in old.files:
            found[f"{server}/agent-token"] = old.files[f"{server}/agent-token"]
    if machine.role == "server":
        found |= _manifests(old.files, f"{server}/manifests/")
    found |= {path: old.files[path] for path in _named_files(told) if path in old.files}
    registries = told.text("private-registry") or _REGISTRIES
    if registries in old.files:
        before = old.files[registries].content.decode(errors="surrogateescape")
        now = replacing(rebuild.addresses)(before)
        found[registries] = File(now.encode(errors="surrogateescape"), old.files[registries].mode)
        said += [f"{registries} has the new addresses in place of the old ones"] if now != before else []
    return found, said


def _manifests(files: Mapping[str, File], directory: str) -> dict[str, File]:
    """The user's own, held from being deployed until ``.skip`` goes: what is in them may need the data first."""
    found = {}
    for path, file in files.items():
        name = path.removeprefix(directory)
        if not path.startswith(directory) or name in PACKAGED or name.startswith(_PACKAGED_DIRECTORIES):
            continue
        found[path] = file
        # One in place of a packaged one, such as CoreDNS's, is needed as soon as that would be.
        if name.endswith(_DEPLOYED) and f"{path}.skip" not in files and not name.startswith(PREFIX):
            found[f"{path}.skip"] = File(HELD)
    return found


def _named_files(told: Configuration) -> list[str]:
    """The files that settings name, those of components' arguments included."""
    found = []
    for key in told.keys:
        for value in as_list(told.value(key)):
            name, _, path = value.rpartition("=") if key.endswith("-arg") else (key, "", value)
            if path.startswith("/") and _NAMES_A_FILE.search(name):
                found.append(path)
    return sorted(set(found))


def open_questions(old: Old, found: Mapping[str, File], told: Configuration) -> list[str]:
    """Which files are named and not there, and which are there and not put back."""
    said = [
        f"the configuration names {path}, which is in no recovery point: put it there"
        for path in _named_files(told)
        if path not in found and path != _REGISTRIES
    ]
    left = [path for path in old.files if path not in found and not any(each in path for each in _NOT_THE_USERS)]
    if left:
        said.append(f"not put back: {', '.join(sorted(left))} (drkit restore --only server-files --into DIR)")
    return said


def cluster_token(servers: Iterable[Old], identities: Iterable[str]) -> str:
    """The token that opens a datastore's identity, as one of the old servers kept it or was told it.

    Args:
        servers: the old servers.
        identities: the keys under which the datastore keeps identities, as its descriptor says.

    Raises:
        WrongKey: none of the tokens does.
    """
    wanted, seen = set(identities), False
    for server in servers:
        settings = k3s.settings({path: file.content for path, file in server.files.items()})
        file = server.files.get(f"{settings.server_directory}/token")
        for token in (file.content.decode(errors="replace").strip() if file else "", settings.token):
            if token and identity_key(token) in wanted:
                register(k3s.token_password(token))
                return register(token)
            seen = seen or bool(token)
    raise WrongKey(
        "the server's token in this recovery point does not open the datastore's identity"
        if seen
        else "no server's token is in this recovery point, and nothing else opens the datastore's identity",
        "the token was changed between both backups: choose a point whose files and datastore are of the same time",
    )
