"""The database that a drill's probes write to: its own, in the cluster of PostgreSQL that is drilled, with a role.

Its password is made for each drill and known to this process and its prober alone: the server is told what proves it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import cnpg
from drkit.cluster.server import InPod
from drkit.drill.probes.ledger import SETUP
from drkit.errors import SourceFailed
from drkit.masking import register
from drkit.postgres.quoting import identifier
from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.cnpg import PostgresCluster
    from drkit.cluster.kube import Kube
    from drkit.postgres.session import OwnSession

ROLE = "drkit_drill"
"""Who owns it. Backups leave out what is called so."""
_ITERATIONS = 4096
_SALT_BYTES = 16
_MAINTENANCE = "postgres"
_LOOK_SECONDS = 1.0


def make(kube: Kube, cluster: PostgresCluster, name: str) -> str:
    """Make database, role and table, in place of those that an earlier drill left. Returns the role's password.

    Raises:
        SourceFailed: the cluster has no primary, or it refuses.
    """
    password = secrets.token_urlsafe(24)
    register(password)
    with _session(kube, cluster, _MAINTENANCE) as session:
        _drop(session, name)
        session.execute(f"create role {ROLE} login password '{verifier(password, os.urandom(_SALT_BYTES))}'")
        session.execute(f"create database {identifier(name)} owner {ROLE}")
    with _session(kube, cluster, name) as session:
        session.execute(f"set role {ROLE}")
        for statement in SETUP:
            session.execute(statement)
    return password


def drop(kube: Kube, cluster: PostgresCluster, name: str) -> None:
    """Remove what ``make`` made, if it is there.

    Raises:
        SourceFailed: the cluster has no primary, or it refuses.
    """
    with _session(kube, cluster, _MAINTENANCE) as session:
        _drop(session, name)


def verifier(password: str, salt: bytes) -> str:
    """What a server keeps of a password (RFC 5803, as PostgreSQL's ``rolpassword`` has it): nobody logs in with it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *parts)


def _drop(session: OwnSession, name: str) -> None:
    session.execute(f"drop database if exists {identifier(name)} with (force)")
    session.execute(f"drop role if exists {ROLE}")


@contextmanager
def _session(kube: Kube, cluster: PostgresCluster, database: str) -> Iterator[OwnSession]:
    """The primary, as its superuser, once it takes writes: right after a failover it may not yet."""
    session = _primary(kube, cluster, database)
    try:
        yield session
    except StatementFailed as error:
        raise SourceFailed(f"{cluster}: the drill's database: {error}") from None
    finally:
        session.close()


def _primary(kube: Kube, cluster: PostgresCluster, database: str) -> OwnSession:
    until = time.monotonic() + cnpg.WAIT_SECONDS
    while True:
        instance = cnpg.instance(kube, cluster, "primary")
        session = InPod(kube, cluster.namespace, instance.pod, database).connect()
        try:
            row = session.execute("select pg_catalog.pg_is_in_recovery()").fetchone()
        except StatementFailed as error:
            session.close()
            raise SourceFailed(f"{cluster}: {error}") from None
        if row is not None and not row[0]:
            return session
        session.close()
        if time.monotonic() > until:
            raise SourceFailed(f"{cluster}: its primary {instance.pod} takes no writes", "kubectl get pods shows more")
        process.pause(_LOOK_SECONDS)
