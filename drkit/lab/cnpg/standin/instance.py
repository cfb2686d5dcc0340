"""The program of an instance's pod: runs Patroni, sets a new cluster up, keeps passwords equal to their secrets.

It is copied into the pod alone, so it imports nothing of the stand-in's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SETTINGS = Path("/etc/cnpg-stand-in")
SECRETS = Path("/etc/cnpg-stand-in-secrets")
SOCKETS = Path("/controller/run")
CHECK_SECONDS = 3.0
_PSQL_SECONDS = 600.0

SEARCH = """
create function public.user_search(uname text) returns table (usename name, passwd text)
language sql security definer as 'select usename, passwd from pg_catalog.pg_shadow where usename = $1';
revoke all on function public.user_search(text) from public;
"""
"""How CloudNativePG lets PgBouncer look up its clients' passwords."""


def say(text: str) -> None:
    """A line in the pod's log."""
    print(f"cnpg-stand-in: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a pod's log is its standard error


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def matches(verifier: str, password: str) -> bool:
    """Whether PostgreSQL's stored verifier is one of ``password`` (RFC 5803, RFC 7677)."""
    if not verifier.startswith("SCRAM-SHA-256$"):
        return False
    _, parameters, keys = verifier.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return hmac.compare_digest(stored, base64.b64decode(keys.split(":")[0]))


def psql(script: str, database: str = "postgres") -> str | None:
    """What psql prints for a script; None where it failed, which is in the log."""
    argv = ["psql", "-XqtA", "-v", "ON_ERROR_STOP=1", "-h", str(SOCKETS), "-U", "postgres", "-d", database]
    try:
        done = subprocess.run(argv, input=script, text=True, stdout=subprocess.PIPE, timeout=_PSQL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def credentials(purpose: str) -> tuple[str, str] | None:
    """User and password of a mounted secret."""
    place = SECRETS / purpose
    try:
        return (place / "username").read_text(), (place / "password").read_text()
    except OSError:
        return None


def keep_passwords(known: dict[str, str]) -> None:
    """Where this is the primary, set the passwords that differ from the secrets; ``known`` is what has been set."""
    found = [pair for purpose in ("app", "pooler", "superuser") if (pair := credentials(purpose))]
    if all(known.get(user) == password for user, password in found):
        return
    if not any(SOCKETS.glob(".s.PGSQL.*")) or psql("select pg_is_in_recovery()") != "f":
        return
    for user, password in found:
        ask = f"select rolpassword from pg_authid where rolname = {literal(user)}"  # noqa: S608 - quoted
        verifier = psql(ask)
        if verifier is None:
            return
        # Unchanged passwords keep their salt: PgBouncer's clients then need not log in again.
        if not matches(verifier, password):
            psql(f"alter role {identifier(user)} password {literal(password)};")
        known[user] = password


def keep() -> int:
    """Keep the passwords until this process is ended."""
    known: dict[str, str] = {}
    while True:
        keep_passwords(known)
        time.sleep(CHECK_SECONDS)


def run() -> int:
    """Run Patroni to its end, as the first process of a container: what loses its parent becomes this one's child.

    A postmaster among them: Patroni believes that it runs for as long as nobody has waited for it.
    """
    say("an instance of drkit's stand-in for CloudNativePG; Patroni runs it")
    SOCKETS.mkdir(exist_ok=True)
    for old in SOCKETS.glob(".s.PGSQL.*"):
        old.unlink()  # left by a container that was killed: its number may be another process's in this one
    data = Path(os.environ["PGDATA"])
    if data.exists():
        # The kubelet gives a volume's files to the pod's group, at each start; PostgreSQL then refuses them.
        data.chmod(0o700)
    patroni = subprocess.Popen(["patroni", str(SETTINGS / "patroni.yml")])
    subprocess.Popen([sys.executable, __file__, "keep"])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(patroni.pid, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == patroni.pid:
            return os.waitstatus_to_exitcode(status)


def bootstrap() -> int:
    """Make what ``bootstrap.initdb`` asks for, in CloudNativePG's order. Patroni starts again where this fails."""
    asked = json.loads((SETTINGS / "bootstrap.json").read_text())
    app, pooler = credentials("app"), credentials("pooler")
    if app is None or pooler is None:
        say("the cluster's secrets are not mounted")
        return 1
    owner, database = identifier(asked["owner"]), identifier(asked["database"])
    search = f"{SEARCH}grant execute on function public.user_search(text) to {identifier(pooler[0])};"
    steps = [
        (f"create role {owner} login password {literal(app[1])};", "postgres"),
        *((statement, "postgres") for statement in asked["post_init"]),
        (f"create database {database} owner {owner};", "postgres"),
        *((statement, asked["database"]) for statement in asked["post_init_application"]),
        (f"create role {identifier(pooler[0])} login password {literal(pooler[1])};", "postgres"),
        (search, "postgres"),
    ]
    return 0 if all(psql(statement, where) is not None for statement, where in steps) else 1


if __name__ == "__main__":
    sys.exit({"run": run, "keep": keep, "bootstrap": bootstrap}[sys.argv[1]]())
