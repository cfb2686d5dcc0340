"""How k3s on a node was told what to be, and where it keeps its files: pure functions over the texts of its files.

Rules are k3s's own: docs.k3s.io/installation/configuration, and pkg/configfilearg/parser.go, which puts what stands in
its configuration files before the words of the command line. So those count most, then the files, then the environment.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.errors import SourceFailed
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA_DIRECTORY = "/var/lib/rancher/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
"""Of its administrator; a server writes it."""
API_PORT = 6443
"""Kubernetes's own, where k3s is told of no other."""
SERVER_UNIT, AGENT_UNIT = "k3s", "k3s-agent"


def units(name: str) -> tuple[str, ...]:
    """A service's units, and what changes them, in the order in which later ones count more."""
    return (
        f"/usr/lib/systemd/system/{name}.service",
        f"/usr/local/lib/systemd/system/{name}.service",
        f"/etc/systemd/system/{name}.service",
        f"/etc/systemd/system/{name}.service.d/*.conf",
    )


def environments(name: str) -> tuple[str, ...]:
    """Where a service's environment can stand."""
    return (
        f"/etc/default/{name}",
        f"/etc/sysconfig/{name}",
        f"/etc/systemd/system/{name}.service.env",
        f"/etc/rancher/k3s/{name}.env",
    )


SHORT = {"-d": "data-dir", "-s": "server", "-t": "token", "-c": "config"}
"""Flags of one letter, and the settings that they are."""
_SWITCHES = frozenset({"cluster-init"})
VARIABLES = {
    "K3S_DATA_DIR": "data-dir",
    "K3S_URL": "server",
    "K3S_TOKEN": "token",
    "K3S_TOKEN_FILE": "token-file",
    "K3S_CLUSTER_INIT": "cluster-init",
    "K3S_CONFIG_FILE": "config",
    "K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
    "K3S_DATASTORE_CAFILE": "datastore-cafile",
    "K3S_DATASTORE_CERTFILE": "datastore-certfile",
    "K3S_DATASTORE_KEYFILE": "datastore-keyfile",
    "K3S_NODE_NAME": "node-name",
}
"""Variables of k3s's own, and the settings that they are."""
_NAMES = frozenset({*VARIABLES.values(), "etcd-snapshot-dir"} - {"node-name"})
ENVIRONMENT_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


@dataclass(frozen=True)
class Settings:
    """What of k3s's settings concerns its datastore; paths are absolute, and empty where nothing was said."""

    data_directory: str = DATA_DIRECTORY
    config: str = CONFIG
    endpoint: str = field(default="", repr=False)
    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""
    cluster_init: bool = False
    server: str = ""
    token: str = field(default="", repr=False)
    snapshot_directory: str = ""

    @property
    def moved(self) -> bool:
        """Whether k3s keeps its data elsewhere than usual."""
        return self.data_directory != DATA_DIRECTORY

    @property
    def server_directory(self) -> str:
        """Where a server keeps what is its own."""
        return f"{self.data_directory}/server"

    @property
    def database_directory(self) -> str:
        """Where a server keeps its datastore."""
        return f"{self.server_directory}/db"


def settings(files: Mapping[str, bytes], unit: str = SERVER_UNIT) -> Settings:
    """The settings that these files come to.

    Args:
        files: texts by absolute path; units, environment files and configuration files.
        unit: the service whose settings they are.

    Raises:
        SourceFailed: one of them cannot be understood.
    """
    told = service(files, unit)
    named = {VARIABLES[key]: value for key, value in told.environment.items() if key in VARIABLES and value}
    line = _options(told.words)
    config = line.get("config") or named.get("config") or CONFIG
    for path in (config, *parts(files, config)):
        named |= _configuration(path, files.get(path, b""))
    return _settings({**named, **line}, config)


def parts_of(config: str) -> str:
    """The pattern of the files that add to the configuration file ``config``."""
    return f"{config}.d/*.yaml"


def parts(files: Mapping[str, bytes], config: str) -> list[str]:
    """Those of them that are there, in the order in which later ones count more."""
    return [path for path, _ in _matching(files, (parts_of(config),))]


@dataclass(frozen=True)
class Service:
    """How systemd starts k3s: the command line's words, and what it finds in its environment, which may be secret."""

    environment: dict[str, str] = field(repr=False)
    words: list[str] = field(repr=False)


def service(files: Mapping[str, bytes], unit: str) -> Service:
    """What the units and environment files of a service come to.

    Raises:
        SourceFailed: one of them cannot be understood.
    """
    environment: dict[str, str] = {}
    words: list[str] = []
    for path, text in _matching(files, units(unit)):
        told = _unit(path, text)
        environment |= told.environment
        words = told.words or words
    for _, text in _matching(files, environments(unit)):
        environment |= _environment(text.decode(errors="replace"))
    return Service(environment, words)


def _matching(files: Mapping[str, bytes], patterns: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """The files of these patterns, whose "*" stands in the last part, in the order of patterns and names."""
    for pattern in patterns:
        begin, star, end = pattern.partition("*")
        for path in sorted(files):
            if path == pattern or (star and path.startswith(begin) and path.endswith(end)):
                yield path, files[path]


def _unit(path: str, text: bytes) -> Service:
    """What a systemd unit sets and starts (systemd.service(5), systemd.exec(5))."""
    environment: dict[str, str] = {}
    words: list[str] = []
    joined = re.sub(r"\\\n", " ", text.decode(errors="replace"))
    for line in joined.splitlines():
        key, _, value = line.strip().partition("=")
        try:
            if key == "Environment":
                environment |= dict(word.split("=", 1) for word in shlex.split(value) if "=" in word)
            elif key == "ExecStart":
                words = shlex.split(value)
        except ValueError as error:
            raise SourceFailed(f"{path}: {key} cannot be split into words: {error}") from None
    return Service(environment, words)


def _environment(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        match = ENVIRONMENT_LINE.fullmatch(line)
        if match:
            value = match[2].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[match[1]] = value
    return found


def _options(words: list[str]) -> dict[str, str]:
    """The options of ``k3s server``; those that do not matter here are passed over."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, has_value, value = word.partition("=")
        name = SHORT.get(name) or (name[2:] if name.startswith("--") else "")
        if name in _SWITCHES:
            found[name] = value if has_value else "true"
        elif name in _NAMES:
            found[name] = value if has_value else next(rest, "")
    return found


def document(path: str, text: bytes, loader: YAML) -> dict[str, Any]:
    """What a configuration file holds.

    Raises:
        SourceFailed: it is none.
    """
    loader.allow_duplicate_keys = True
    try:
        found = bounded_yaml.load(text, loader)
    except YAMLError as error:
        raise SourceFailed(f"{path}: not the YAML of a configuration: {type(error).__name__}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SourceFailed(f"{path}: expected keys and values")
    return found


def _configuration(path: str, text: bytes) -> dict[str, str]:
    """A configuration file's keys, those that matter here."""
    return {
        str(key): str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in document(path, text, YAML(typ="rt", pure=True)).items()
        if key in _NAMES and value is not None
    }


def _settings(chosen: Mapping[str, str], config: str) -> Settings:
    for secret in ("token", "datastore-endpoint"):
        if secret in chosen:
            register(chosen[secret])
    return Settings(
        data_directory=chosen.get("data-dir", DATA_DIRECTORY).rstrip("/") or "/",
        config=config,
        endpoint=chosen.get("datastore-endpoint", ""),
        cafile=chosen.get("datastore-cafile", ""),
        certfile=chosen.get("datastore-certfile", ""),
        keyfile=chosen.get("datastore-keyfile", ""),
        cluster_init=chosen.get("cluster-init", "").lower() in {"true", "1", "t"},
        server=chosen.get("server", ""),
        token=chosen.get("token", ""),
        snapshot_directory=chosen.get("etcd-snapshot-dir", ""),
    )


def kept(found: Settings) -> tuple[str, ...]:
    """What of k3s's own on a node a rebuild needs, servers' and agents'; patterns whose "*" stands for any characters.

    Not the datastore, and not what an agent's containers left.
    """
    data, server = found.data_directory, found.server_directory
    services = [
        path
        for name in (SERVER_UNIT, AGENT_UNIT)
        for path in (
            *units(name)[:-1],
            f"/etc/systemd/system/{name}.service.d",
            *environments(name),
            f"/etc/init.d/{name}",
        )
    ]
    return (
        *(f"{server}/{name}" for name in ("token", "node-token", "agent-token", "cred", "tls", "manifests")),
        f"{data}/agent/etc/containerd/*.tmpl",
        f"{data}/agent/pod-manifests",
        "/etc/rancher/k3s/config.yaml*",
        "/etc/rancher/k3s/registries.yaml",
        "/etc/rancher/node",
        found.config,
        parts_of(found.config),
        *services,
    )


def token_password(token: str) -> str:
    """The secret part of a token: ``K10<hash>::<user>:<password>``, or the password alone (docs.k3s.io/cli/token)."""
    token = token.strip()
    if token.startswith("K10") and "::" in token:
        return token.partition("::")[2].partition(":")[2]
    return token
