"""Access to a running datastore (etcd, or kine's imitation of it) through etcdctl."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import bootstrap, paths
from .components import ETCD_CLIENT_PORT
from .problem import Fatal
from .processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 20.0


@dataclass(frozen=True)
class Member:
    """A member of an etcd cluster; ``name`` is empty until it has started for the first time."""

    number: str
    name: str
    peer: str
    learner: bool

    @property
    def node(self) -> str:
        """The node it runs on: its name is that of the node and a random part."""
        return self.name.rpartition("-")[0]


@dataclass(frozen=True)
class Store:
    """Where a datastore is reached, with the certificates where it wants them."""

    endpoint: str

    def _ctl(self, *arguments: str, stdin: str | None = None, seconds: float = _SECONDS, patience: str = "10s") -> str:
        tls = paths.TLS / "etcd"
        trust = (
            [f"--cacert={tls}/server-ca.crt", f"--cert={tls}/client.crt", f"--key={tls}/client.key"]
            if self.endpoint.startswith("https:")
            else []
        )
        argv = [
            paths.program("etcdctl"),
            f"--endpoints={self.endpoint}",
            *trust,
            f"--command-timeout={patience}",
            *arguments,
        ]
        return run(argv, stdin, seconds)

    def healthy(self) -> bool:
        """Whether it answers a read that needs the quorum."""
        try:
            # Asked again and again: a member that cannot answer yet would otherwise hold up each question for long.
            self._bundles(patience="2s")
        except Fatal:
            return False
        return True

    def _bundles(self, patience: str = "10s") -> list[tuple[str, str, int]]:
        found = json.loads(self._ctl("get", bootstrap.PREFIX, "--prefix", "--write-out=json", patience=patience))
        return [
            (_text(entry["key"]), _text(entry.get("value", "")), entry["mod_revision"])
            for entry in found.get("kvs", [])
        ]

    def load_bundle(self, password: str) -> bootstrap.Bundle | None:
        """The cluster's identity, opened with the token's password; None where the datastore is new.

        Raises:
            Fatal: it is another token's, or the datastore does not answer.
        """
        bundles = {key: value for key, value, _ in self._bundles()}
        key = bootstrap.choose(list(bundles), password)
        return None if key is None else bootstrap.load(bootstrap.decrypt(password, bundles[key]))

    def save_bundle(self, password: str, bundle: bootstrap.Bundle) -> None:
        """Store the cluster's identity, unless another server was quicker."""
        key = json.dumps(bootstrap.storage_key(password))
        value = json.dumps(bootstrap.encrypt(password, bootstrap.dump(bundle)))
        # The one form of a transaction that creates a key that kine knows too.
        self._ctl("txn", stdin=f'mod({key}) = "0"\n\nput {key} {value}\n\n\n')

    def members(self) -> list[Member]:
        """The members of the cluster."""
        found: dict[str, Any] = json.loads(self._ctl("member", "list", "--write-out=json"))
        return [
            Member(
                f"{entry['ID']:x}",
                entry.get("name", ""),
                entry["peerURLs"][0],
                entry.get("isLearner", False),
            )
            for entry in found["members"]
        ]

    def add_learner(self, name: str, peer: str) -> None:
        """Announce a new member that does not vote yet."""
        self._ctl("member", "add", name, "--learner", f"--peer-urls={peer}", patience="4s")

    def promote(self, number: str) -> None:
        """Let a learner vote; refused until it has caught up."""
        self._ctl("member", "promote", number)

    def remove(self, number: str) -> None:
        """Take a member out of the cluster."""
        self._ctl("member", "remove", number)

    def move(self, number: str, peer: str) -> None:
        """Give a member another address for its peers."""
        self._ctl("member", "update", number, f"--peer-urls={peer}")

    def save_snapshot(self, path: str) -> None:
        """Write a consistent copy to ``path``."""
        self._ctl("snapshot", "save", path, seconds=600.0)


def local_etcd() -> Store:
    """This server's own member."""
    return Store(f"https://127.0.0.1:{ETCD_CLIENT_PORT}")


def initial_cluster(members: Sequence[Member], name: str, peer: str) -> str:
    """How a joining member names the cluster: all known members, and itself."""
    known = {member.peer: member.name for member in members if member.name}
    return ",".join(f"{who}={where}" for where, who in {**known, peer: name}.items())


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
