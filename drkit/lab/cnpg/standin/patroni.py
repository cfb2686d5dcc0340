"""Patroni's configuration for the instances of a cluster (https://patroni.readthedocs.io, version 4.0). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .spec import CLUSTER_LABEL, INSTANCE_ROLE_LABEL, OLD_ROLE_LABEL, POD_ROLE_LABEL, PRIMARY, REPLICA

if TYPE_CHECKING:
    from .spec import ClusterSpec

REPLICATION_USER = "streaming_replica"
SOCKET_DIRECTORY = "/controller/run"
"""CloudNativePG's; who executes ``psql`` in the container finds the server there."""

DATA = "/var/lib/postgresql/data/pgdata"
PORT = 5432
REST_PORT = 8008

LEASE_SECONDS = 20
"""The shortest that Patroni takes. A primary whose node is lost is replaced within this time and a loop or two, about
as fast as the real operator was measured (19 to 29 s)."""

LOOP_SECONDS = 5
RETRY_SECONDS = 5

PARAMETERS = {
    # CloudNativePG's own defaults.
    "max_connections": "100",
    "wal_level": "logical",
    "wal_log_hints": "on",
    "wal_keep_size": "512MB",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "hot_standby": "on",
    "max_replication_slots": "32",
    "max_worker_processes": "32",
    "password_encryption": "scram-sha-256",
}


def configuration(spec: ClusterSpec) -> dict[str, Any]:
    """The file that all instances of the cluster share; what differs comes in through the environment."""
    synchronous = spec.synchronous or {}
    strict = synchronous.get("dataDurability", "required") == "required"
    return {
        "scope": spec.name,
        "kubernetes": {
            "namespace": spec.namespace,
            "labels": {CLUSTER_LABEL: spec.name, POD_ROLE_LABEL: "instance"},
            "scope_label": CLUSTER_LABEL,
            "role_label": INSTANCE_ROLE_LABEL,
            "tmp_role_label": OLD_ROLE_LABEL,
            "leader_label_value": PRIMARY,
            "follower_label_value": REPLICA,
            "use_endpoints": False,
        },
        "restapi": {"listen": f"0.0.0.0:{REST_PORT}"},
        "bootstrap": {
            "dcs": {
                "ttl": LEASE_SECONDS,
                "loop_wait": LOOP_SECONDS,
                "retry_timeout": RETRY_SECONDS,
                # As with CloudNativePG the primary goes on while the API server is away, if its replicas agree.
                "failsafe_mode": True,
                "synchronous_mode": bool(synchronous),
                "synchronous_mode_strict": bool(synchronous) and strict,
                "synchronous_node_count": int(synchronous.get("number", 1)),
                "postgresql": {
                    "use_pg_rewind": True,
                    "use_slots": True,
                    "parameters": {**PARAMETERS, **spec.parameters},
                },
            },
            "initdb": [
                {"encoding": spec.bootstrap.encoding},
                {"locale": "C"},
                {"lc-collate": spec.bootstrap.collate},
                {"lc-ctype": spec.bootstrap.ctype},
            ],
            "post_init": "python3 /controller/instance.py bootstrap",
        },
        "postgresql": {
            "listen": f"0.0.0.0:{PORT}",
            "data_dir": DATA,
            "pgpass": f"{SOCKET_DIRECTORY}/pgpass",
            "use_unix_socket": True,
            # A replica is copied at once, and not after a checkpoint that takes its time.
            "basebackup": [{"checkpoint": "fast"}],
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "parameters": {"unix_socket_directories": SOCKET_DIRECTORY},
            "pg_hba": [
                "local all postgres peer",
                f"host replication {REPLICATION_USER} all scram-sha-256",
                "host all all all scram-sha-256",
            ],
            "authentication": {
                # No password: over the socket, as the container's own user.
                "superuser": {"username": "postgres"},
                "replication": {"username": REPLICATION_USER},
                "rewind": {"username": REPLICATION_USER},
            },
        },
    }
