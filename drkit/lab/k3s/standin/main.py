"""The ``k3s`` command of a lab's nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from . import KUBERNETES_VERSION, NOT_ENFORCED, VERSION, agent, log, paths, server, settings, snapshots
from .problem import Fatal

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE = """\
usage: k3s [--version] COMMAND (drkit's stand-in for k3s: the part of it that drkit uses)

commands:
  server           run the control plane and a node; --cluster-reset [--cluster-reset-restore-path=FILE]
  agent            run a node
  kubectl, ctr     the programs of these names, for this node
  etcd-snapshot    save [--name N] | ls [-o table|json] | delete NAME... | prune [--name N] [--snapshot-retention N]
  etcdctl          etcdctl with this server's certificates
"""


def main() -> int:
    """Run the command line and return the exit status: 0, or 1 after a fatal message."""
    arguments = sys.argv[1:]
    try:
        return _dispatch(arguments)
    except Fatal as problem:
        log.fatal(str(problem))
        return 1
    except KeyboardInterrupt:
        return 0


def version_text() -> str:
    """What ``k3s --version`` prints."""
    return (
        f"k3s version {VERSION} (drkit's stand-in for k3s, not k3s itself)\n"
        f"over upstream Kubernetes {KUBERNETES_VERSION}, etcd v3.6.4, CoreDNS 1.12.4, local-path-provisioner 0.0.30\n"
        f"{NOT_ENFORCED}: k3s's own controller for them is not part of it"
    )


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_USAGE)
        return 0
    command, *rest = arguments
    if command in {"-v", "--version", "version"}:
        sys.stdout.write(version_text() + "\n")
    elif command in {"server", "agent"}:
        chosen = _settings(rest)
        for key in chosen.skipped:
            log.warning(f"Unknown flag --{key} found in config.yaml, skipping")
        (server.run_server if command == "server" else server.run_agent)(chosen)
    elif command == "etcd-snapshot":
        _snapshot(rest)
    elif command == "ctr":
        return subprocess.call(["ctr", "--address", str(paths.CONTAINERD_SOCKET), "-n", "k8s.io", *rest])
    elif command == "etcdctl":
        tls = paths.TLS / "etcd"
        trust = [f"--cacert={tls}/server-ca.crt", f"--cert={tls}/client.crt", f"--key={tls}/client.key"]
        return subprocess.call([paths.program("etcdctl"), "--endpoints=https://127.0.0.1:2379", *trust, *rest])
    else:
        raise Fatal(f"no command {command!r} in drkit's stand-in for k3s")
    return 0


def _settings(arguments: Sequence[str]) -> settings.Settings:
    files = [path for path in [paths.CONFIG, *sorted(paths.CONFIG_PARTS.glob("*.yaml"))] if path.exists()]
    texts: list[dict[str, Any]] = []
    for path in files:
        try:
            texts.append(yaml.safe_load(path.read_text()) or {})
        except yaml.YAMLError as problem:
            raise Fatal(f"failed to read {path}: {problem}") from None
    return settings.merge(settings.merge_files(texts), os.environ, settings.parse_arguments(arguments))


def _snapshot(arguments: Sequence[str]) -> None:
    action, *rest = arguments or [""]
    names = [word for word in rest if not word.startswith("-")] if action == "delete" else []
    options, remaining = _own_options([word for word in rest if word not in names])
    chosen = _settings(remaining)
    node = agent.node_of(chosen).name
    if action == "save":
        snapshots.save(chosen, node, options.get("name", snapshots.ON_DEMAND))
    elif action in {"ls", "list", "l"}:
        found = snapshots.listed(chosen)
        text = snapshots.as_json(found) if options.get("output") == "json" else snapshots.table(found)
        sys.stdout.write(text + "\n")
    elif action == "delete":
        known = {each.name: each for each in snapshots.listed(chosen)}
        for name in names:
            if name not in known:
                raise Fatal(f"snapshot not found: {name}")
            snapshots.remove(known[name])
    elif action == "prune":
        retention = int(options.get("snapshot-retention", chosen.etcd_snapshot_retention))
        snapshots.prune(chosen, options.get("name", chosen.etcd_snapshot_name), retention)
    else:
        raise Fatal("usage: k3s etcd-snapshot save|ls|delete|prune")


_SNAPSHOT_OPTIONS = {
    "--name": "name",
    "--snapshot-name": "name",
    "-o": "output",
    "--output": "output",
    "--snapshot-retention": "snapshot-retention",
}


def _own_options(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The options of ``etcd-snapshot`` alone, and those it shares with ``server``."""
    own: dict[str, str] = {}
    remaining: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, has_value, value = word.partition("=")
        if option in _SNAPSHOT_OPTIONS:
            own[_SNAPSHOT_OPTIONS[option]] = value if has_value else (rest.pop(0) if rest else "")
        else:
            remaining.append(word)
    return own, remaining
