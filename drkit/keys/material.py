"""Gathers what an escrow keeps, from wherever this machine has it. It stays in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from drkit.cluster import k3s
from drkit.config import secrets
from drkit.config.model import Config, Secret
from drkit.datastore.look import look
from drkit.errors import ConfigurationError, DrkitError, NoRepository
from drkit.keys.bundle import CONFIG, KEYS, LARGEST_FILE_BYTES, Item, Material, Missing, VaultFacts
from drkit.keys.places import file_names, places, rewritten
from drkit.masking import register
from drkit.points import catalogue, signing
from drkit.points.signing import verifier
from drkit.process import DeadlineExceeded
from drkit.restore.etcd.values import read_files
from drkit.restore.stream import Whole
from drkit.sources import cluster as clusters
from drkit.vault import hostkeys
from drkit.vault.configured import vaults as configured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.config.edit import Where
    from drkit.config.model import VaultConfig
    from drkit.keys.places import Place
    from drkit.vault.borg import BorgVault
    from drkit.vault.port import Vault

SIGNING_KEY = "signing_key"
TOKEN = "k3s-token"  # noqa: S105 - a name
_SERVER_FILES = "server-files"


@dataclass(frozen=True)
class _Found:
    """One thing: its place in ``drkit.yaml`` (empty where it has none), and what an ``Item`` of it gets."""

    where: Where
    name: str
    what: str
    content: bytes
    essential: bool = True
    is_judged: bool = True


def gather(config: Config, text: str) -> Material:
    """Everything that a blank machine needs.

    Args:
        config: what ``drkit.yaml`` says.
        text: how it says it.

    Raises:
        ConfigurationError: a vault's passphrase is not where the configuration says.
        DrkitError: a vault cannot be reached, or its passphrase does not open it; an escrow of that would be none.
    """
    opened = configured(config)
    gathering = _Gathering(config)
    facts = [gathering.vault(str(name), vault, opened[str(name)]) for name, vault in config.vaults.items()]
    for place in places(config):
        gathering.place(place)
    public = gathering.signing_key()
    gathering.token(opened)
    return _material(config, text, facts, public, gathering)


def at_hand(config: Config, text: str) -> Material:
    """What of it can be had without asking a vault, a server or a command; what those have is missing.

    Args:
        config: what ``drkit.yaml`` says.
        text: how it says it.

    Raises:
        ConfigurationError: a key that is here is none.
    """
    gathering = _Gathering(config)
    for name, vault in config.vaults.items():
        if vault.is_remote and name not in config.shares:
            gathering.way(str(name), vault)
        gathering.missing.append(Missing(f"vaults.{name}.borg-key", _NOT_ASKED))
    for place in places(config):
        if place.where[-1] == "key_file" or (isinstance(place.value, Secret) and place.value.command is not None):
            gathering.missing.append(Missing(place.name, _NOT_ASKED))
        else:
            gathering.place(place)
    public: tuple[str, ...] = ()
    if config.signing_key.command is None:
        public = gathering.signing_key()
    gathering.missing += [Missing(each, _NOT_ASKED) for each in (SIGNING_KEY, f"{SIGNING_KEY}.pub", TOKEN)]
    return _material(config, text, [], public, gathering)


def _material(
    config: Config, text: str, facts: list[VaultFacts], public: tuple[str, ...], gathering: _Gathering
) -> Material:
    names = file_names(each.name for each in gathering.found)
    files = {each.where: names[each.name] for each in gathering.found if each.where}
    # Without the key too: the public ones are looked for beside its place.
    written = rewritten(text, config, {(SIGNING_KEY,): f"{KEYS}/{SIGNING_KEY}", **files})
    items = [
        Item(CONFIG, "the configuration, its secrets named as files", CONFIG, written.encode(), judged=_said(config))
    ]
    items += [
        Item(
            each.name,
            each.what,
            names[each.name],
            each.content,
            each.essential,
            each.content if each.is_judged else b"",
        )
        for each in gathering.found
    ]
    return Material(config.cluster.name, tuple(facts), public, tuple(items), tuple(gathering.missing))


def _said(config: Config) -> bytes:
    """What the configuration says, however it is written."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True).encode()


class _Gathering:
    """What was found so far, and what was not."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.found: list[_Found] = []
        self.missing: list[Missing] = []

    def vault(self, name: str, config: VaultConfig, vault: BorgVault) -> VaultFacts:
        """A vault's own key, and its host's."""
        if config.is_remote and name not in self._config.shares:
            self.way(name, config)
        try:
            seen = vault.opened()
        except NoRepository:
            self.missing.append(Missing(f"vaults.{name}.borg-key", "there is no repository yet"))
            return VaultFacts(name, config.url)
        key = register(vault.export_key())
        where: Where = () if seen.holds_its_key or name in self._config.shares else ("vaults", name, "key_file")
        self._add(
            f"vaults.{name}.borg-key", f"Borg's key of the vault {name}, under its passphrase", key.encode(), where
        )
        return VaultFacts(name, config.url, seen.repository_id, seen.encryption)

    def way(self, name: str, config: VaultConfig) -> None:
        """The host keys of a box alone: what else this machine knows changes every day, and is of no use there."""
        where = ("vaults", name, "ssh", "known_hosts")
        lines = "".join(f"{key.line}\n" for key in hostkeys.pinned(config.url, config.ssh))
        if lines:
            self._add(".".join(where), f"the host keys of the vault {name}", lines.encode(), where)
        elif config.ssh.known_hosts is None:
            self.missing.append(Missing(".".join(where), "the box's host key is not in known_hosts"))
        if config.ssh.key is None:
            self.missing.append(Missing(f"vaults.{name}.ssh.key", _CHOSEN))

    def place(self, place: Place) -> None:
        """A secret or a file that ``drkit.yaml`` names."""
        if place.where[0] == SIGNING_KEY or any(each.where == place.where for each in self.found):
            return
        last = str(place.where[-1])
        if isinstance(place.value, Secret):
            read = partial(_secret, place.value, place.name)
        else:
            read = partial(_file, place.value, place.name)
        try:
            content = read()
        except ConfigurationError as error:
            self.missing.append(Missing(place.name, error.message))
            return
        self._add(
            place.name,
            _WHAT.get(last, "a secret"),
            content,
            place.where,
            essential=place.where[0] == "vaults" or last == "token",
            is_judged=last not in _CHANGING,
        )

    def signing_key(self) -> tuple[str, ...]:
        """The signing key, and all that is believed; the public keys."""
        public = tuple(sorted(verifier(self._config).keys))
        signer = signing.existing_signer(self._config)
        if signer is None:
            self.missing.append(
                Missing(SIGNING_KEY, "it is not on this machine; where there is none yet, backup makes it")
            )
        else:
            private = secrets.fetch(self._config.signing_key, SIGNING_KEY)
            self._add(SIGNING_KEY, "the key that signs recovery points", f"{private}\n".encode(), (SIGNING_KEY,))
        if public:
            lines = "".join(f"{key}\n" for key in public).encode()
            self._add(f"{SIGNING_KEY}.pub", "the public keys by which recovery points are believed", lines)
        return public

    def token(self, vaults: Mapping[str, BorgVault]) -> None:
        """K3s's token, of the newest recovery point that has it, else of a server."""
        cluster = self._config.cluster
        if cluster.kubeconfig is None and not cluster.servers:
            return
        if cluster.ssh.key is None:
            self.missing.append(Missing("cluster.ssh.key", _CHOSEN))
        try:
            token = sealed_token(self._config, vaults) or _living_token(self._config)
        except (DrkitError, DeadlineExceeded) as error:
            self.missing.append(Missing(TOKEN, str(error)))
            return
        if not token:
            self.missing.append(Missing(TOKEN, "no recovery point and no server has it"))
            return
        register(token)
        register(k3s.token_password(token))
        self._add(TOKEN, "k3s's token, without which its datastore is not opened", f"{token}\n".encode())

    def _add(
        self,
        name: str,
        what: str,
        content: bytes,
        where: Where = (),
        *,
        essential: bool = True,
        is_judged: bool = True,
    ) -> None:
        self.found.append(_Found(where, name, what, content, essential, is_judged))


_NOT_ASKED = "it was not asked for"
_CHOSEN = "OpenSSH chooses the key; name it in drkit.yaml, and it goes along"
_CHANGING = ("known_hosts", "kubeconfig")
"""What changes by itself, and is not missed when it is old."""
_WHAT = {
    "passphrase": "the passphrase of a vault",
    "key": "a private key of SSH",
    "key_file": "a key of Borg",
    "token": "a token of a provider",
    "dsn": "the address of a database, with its password",
    "known_hosts": "host keys",
    "kubeconfig": "the way to the cluster's API",
}


def _secret(secret: Secret, name: str) -> bytes:
    return f"{secrets.fetch(secret, name)}\n".encode()


def _file(file: Path, name: str) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{name}: {file} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise ConfigurationError(f"{name}: {file} is larger than {LARGEST_FILE_BYTES} bytes")
    return content


def sealed_token(config: Config, vaults: Mapping[str, Vault]) -> str:
    """The token in the newest point that has files of a server; empty where none has.

    Raises:
        VerificationFailed: these files are not what was sealed.
    """
    try:
        known = catalogue.read(config.cluster.name, vaults, verifier(config))
    except NoRepository:
        return ""
    for point in known.points:
        for source in point.whole_sources:
            if source.kind != _SERVER_FILES:
                continue
            with vaults[source.vault].open(source.archive) as reader:
                files = {path: file.content for path, file in read_files(Whole(reader, source)).items()}
            told = k3s.settings(files)
            token = files.get(f"{told.server_directory}/token", b"").decode(errors="replace").strip() or told.token
            if token:
                return token
    return ""


def _living_token(config: Config) -> str:
    """The token of the first server that says it."""
    connected = clusters.connect(config.cluster)
    for machine in clusters.machines_of(config.cluster, connected):
        if machine.is_server:
            seen = look(clusters.host(config.cluster, machine))
            if seen.token or seen.settings.token:
                return seen.token or seen.settings.token
    return ""
