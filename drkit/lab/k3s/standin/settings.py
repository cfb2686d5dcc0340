"""What k3s was asked for: its command line over config.yaml (docs.k3s.io/installation/configuration)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .problem import Fatal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LISTS = frozenset(
    {
        "node-label",
        "node-taint",
        "node-ip",
        "tls-san",
        "disable",
        "kubelet-arg",
        "kube-proxy-arg",
        "kube-apiserver-arg",
        "kube-controller-manager-arg",
        "kube-scheduler-arg",
        "etcd-arg",
    }
)
"""Options that may be given more than once; the command line's values are then used instead of the file's."""

SWITCHES = frozenset(
    {
        "cluster-init",
        "cluster-reset",
        "disable-agent",
        "disable-controller-manager",
        "disable-scheduler",
        "etcd-disable-snapshots",
        "etcd-snapshot-compress",
        "etcd-s3",
        "with-node-id",
    }
)

VALUES = frozenset(
    {
        "token",
        "server",
        "advertise-address",
        "node-name",
        "node-external-ip",
        "datastore-endpoint",
        "cluster-cidr",
        "service-cidr",
        "cluster-dns",
        "cluster-domain",
        "etcd-snapshot-name",
        "etcd-snapshot-dir",
        "etcd-snapshot-schedule-cron",
        "etcd-snapshot-retention",
        "cluster-reset-restore-path",
        "write-kubeconfig-mode",
        "resolv-conf",
    }
)

_SHORT = {"-t": "token", "-s": "server"}
_ENVIRONMENT = {"K3S_TOKEN": "token", "K3S_URL": "server", "K3S_NODE_NAME": "node-name"}


@dataclass(frozen=True)
class Settings:
    """The merged settings. Names and defaults are k3s's; addresses and ranges are text as in the file."""

    token: str = ""
    server: str = ""
    cluster_init: bool = False
    cluster_reset: bool = False
    cluster_reset_restore_path: str = ""
    datastore_endpoint: str = ""
    node_name: str = ""
    advertise_address: str = ""
    node_ip: tuple[str, ...] = ()
    node_external_ip: str = ""
    node_label: tuple[str, ...] = ()
    node_taint: tuple[str, ...] = ()
    tls_san: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    disable_agent: bool = False
    disable_controller_manager: bool = False
    disable_scheduler: bool = False
    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    cluster_dns: str = "10.43.0.10"
    cluster_domain: str = "cluster.local"
    etcd_disable_snapshots: bool = False
    etcd_s3: bool = False
    etcd_snapshot_compress: bool = False
    etcd_snapshot_name: str = "etcd-snapshot"
    etcd_snapshot_dir: str = ""
    etcd_snapshot_schedule_cron: str = "0 */12 * * *"
    etcd_snapshot_retention: str = "5"
    write_kubeconfig_mode: str = "0600"
    resolv_conf: str = ""
    with_node_id: bool = False
    kubelet_arg: tuple[str, ...] = ()
    kube_proxy_arg: tuple[str, ...] = ()
    kube_apiserver_arg: tuple[str, ...] = ()
    kube_controller_manager_arg: tuple[str, ...] = ()
    kube_scheduler_arg: tuple[str, ...] = ()
    etcd_arg: tuple[str, ...] = ()
    skipped: tuple[str, ...] = field(default=(), compare=False)
    """Keys of the file that the stand-in does not know; k3s warns of keys unknown to it in the same way."""


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """The options of a command line, by name, as a configuration file would hold them.

    Raises:
        Fatal: an option is unknown, or lacks its value.
    """
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, has_value, value = word.partition("=")
        name = _SHORT.get(option) or (option[2:] if option.startswith("--") else "")
        if name in SWITCHES:
            found[name] = _truth(value) if has_value else True
            continue
        if name not in LISTS and name not in VALUES:
            raise Fatal(
                f"flag provided but not defined: {word.split('=')[0]} (drkit's stand-in knows only part of k3s)"
            )
        if not has_value:
            if not rest:
                raise Fatal(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        if name in LISTS:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def merge_files(texts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The files in the order they are read: a later value replaces an earlier one, ``key+`` adds to a list."""
    merged: dict[str, Any] = {}
    for text in texts:
        for key, value in text.items():
            if key.endswith("+"):
                merged[key[:-1]] = [*_list(merged.get(key[:-1], [])), *_list(value)]
            else:
                merged[key] = value
    return merged


def merge(files: Mapping[str, Any], environment: Mapping[str, str], arguments: Mapping[str, Any]) -> Settings:
    """The settings that are in force: the command line before the files before the environment, as in k3s."""
    named = {name: environment[variable] for variable, name in _ENVIRONMENT.items() if environment.get(variable)}
    chosen: dict[str, Any] = {**named, **files, **arguments}
    values: dict[str, Any] = {}
    skipped: list[str] = []
    for key, value in chosen.items():
        name = key.replace("-", "_")
        if key in LISTS:
            values[name] = tuple(_list(value))
        elif key in SWITCHES:
            values[name] = _truth(value)
        elif key in VALUES:
            values[name] = str(value)
        else:
            skipped.append(key)
    return Settings(**values, skipped=tuple(skipped))


def _list(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return str(value).split(",")


def _truth(value: object) -> bool:
    return str(value).lower() in {"true", "1", "yes"}
