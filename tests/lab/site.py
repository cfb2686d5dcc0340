"""A user's site: a directory with ``drkit.yaml``, its secrets, and its own state, from which the real command runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from drkit.lab.postgres import LabPostgres

DRKIT = str(Path(sys.executable).parent / "drkit")
BORG = str(Path(sys.executable).parent / "borg")
PASSPHRASE = "correct horse battery staple"
_DEADLINE = 120.0


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return json.loads(self.out)


@dataclass
class Site:
    """One user's site."""

    path: Path
    postgres: LabPostgres
    environment: dict[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    """What starts the command, where it does not start by itself."""

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.path / "drkit.yaml"

    @property
    def vault(self) -> Path:
        """The directory of its vault, where that is a local one."""
        return self.path / "vault"

    def write(
        self,
        databases: Mapping[str, str],
        *,
        targets: Mapping[str, str] | None = None,
        url: str = "vault",
        vault: str = "",
        copies: Mapping[str, str] | None = None,
        more: str = "",
    ) -> None:
        """Write ``drkit.yaml``.

        Args:
            databases: the name of each source and of its database on the site's server.
            targets: the same for the databases of the target ``spare``.
            url: the vault's address.
            vault: more keys of the vault, in YAML's flow style, with a leading comma.
            copies: further vaults that each source goes to, and their addresses.
            more: more top-level keys, in YAML.
        """
        (self.path / "passphrase").write_text(PASSPHRASE + "\n")
        lines = ["cluster: {name: shop}", "vaults:"]
        lines += [f"  databases: {{url: {json.dumps(url)}, passphrase: {{file: passphrase}}, lock_wait: 2{vault}}}"]
        for name, address in (copies or {}).items():
            lines += [f"  {name}: {{url: {json.dumps(address)}, passphrase: {{file: passphrase}}, lock_wait: 2}}"]
        places = f", vaults: [{', '.join(['databases', *copies])}]" if copies else ""
        lines += ["databases:", *self._databases("  ", "from", databases, places)]
        if targets is not None:
            lines += ["clusters:", "  spare:", "    databases:", *self._databases("      ", "to", targets)]
        self.config.write_text("\n".join([*lines, more, ""]), encoding="utf-8")

    def _databases(self, indent: str, prefix: str, databases: Mapping[str, str], more: str = "") -> list[str]:
        lines = []
        for number, (name, database) in enumerate(databases.items()):
            secret = self.path / f"{prefix}-{number}.dsn"
            secret.write_text(self.postgres.address(database))
            lines.append(f"{indent}- {{name: {json.dumps(name)}, dsn: {{file: {secret.name}}}{more}}}")
        return lines

    def env(self) -> dict[str, str]:
        """The command's environment: nothing of the user's who runs the tests but what programs need."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        here = str(self.path)
        return {
            **kept,
            "HOME": here,
            "XDG_STATE_HOME": f"{here}/state",
            "XDG_CACHE_HOME": f"{here}/cache",
            **self.environment,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command and do not wait for it."""
        return subprocess.Popen(
            # A shell's background jobs ignore SIGINT, and their children inherit that: tests may run in one.
            ["env", "--default-signal=INT", *self.wrapper, DRKIT, *arguments],
            cwd=self.path,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, expect: int | None = 0) -> Ran:
        """Run the command to its end and see that it ends with the expected status."""
        done = finish(self.start(*arguments))
        if expect is not None:
            assert done.status == expect, f"drkit {' '.join(arguments)}: {done.status}\n{done.out}\n{done.err}"
        return done

    def borg(self, *arguments: str, expect: int | None = 0) -> Ran:
        """Run Borg itself on the site's vault, as somebody would behind drkit's back."""
        env = {**self.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_EXIT_CODES": "modern", "BORG_REPO": str(self.vault)}
        env |= {"BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": str(self.path / "other-borg")}
        done = subprocess.run(
            [BORG, *arguments], env=env, cwd=self.path, capture_output=True, text=True, timeout=_DEADLINE, check=False
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert expect is None or ran.status == expect, f"borg {' '.join(arguments)}: {ran}"
        return ran

    def points(self) -> list[dict[str, Any]]:
        """What ``drkit points`` lists."""
        found: list[dict[str, Any]] = self.run("points", "--json").json()["points"]
        return found

    def archives(self) -> list[str]:
        """The names of all archives in the vault, drkit's or not."""
        return [archive["name"] for archive in json.loads(self.borg("list", "--json").out)["archives"]]

    def connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection to a database of the site's server."""
        return self.postgres.dsn(database).connect()


def finish(child: subprocess.Popen[str], seconds: float = _DEADLINE) -> Ran:
    """Wait for a started command, so long."""
    try:
        out, err = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise AssertionError(f"did not end within {seconds} s\n{out}\n{err}") from None
    return Ran(child.returncode, out, err)
