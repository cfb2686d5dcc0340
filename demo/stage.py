"""The stage: a temporary directory, a PostgreSQL, a box for the vault, and drkit as a user would have set it up."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo import data, processes
from drkit import process
from drkit.lab.box import box
from drkit.lab.postgres import server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.lab.box import LabBox
    from drkit.lab.postgres import LabPostgres

_PATIENCE_SECONDS = 60.0
"""How long an interrupted drkit may take to undo what it had begun."""
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "COLUMNS", "LINES")
_OPEN_TO_OTHERS = 0o711
"""PostgreSQL, which refuses to be root, has to reach its directory below ours."""

_CONFIGURATION = """\
cluster: {{name: corner-shop}}

vaults:
  databases:
    url: "{url}"
    passphrase: {{file: secrets/passphrase}}
    ssh: {{key: box/client_key, known_hosts: box/known_hosts}}
    keep: {{daily: 7, weekly: 4}}

signing_key: {{file: secrets/signing.key}}      # made by the first backup
proofs: content                               # a checksum for each table, not its row count alone

databases:
  - {{name: shop, dsn: {{file: secrets/shop.dsn}}}}
  - {{name: shop_staging, dsn: {{file: secrets/shop_staging.dsn}}}}

clusters:
  spare:                                      # where a restore goes
    databases:
      - {{name: shop, dsn: {{file: secrets/spare.dsn}}}}
"""


@dataclass(frozen=True)
class Stage:
    """Everything that an act needs."""

    directory: Path
    postgres: LabPostgres
    box: LabBox

    @property
    def repository(self) -> Path:
        """Where the box has the vault's files; drkit itself knows only the box's address."""
        return self.box.storage / "vault"

    def configure(self, name: str, url: str) -> str:
        """Write a configuration for the vault at ``url``; returns its text."""
        text = _CONFIGURATION.format(url=url)
        (self.directory / name).write_text(text, encoding="utf-8")
        return text

    def drkit(self, *arguments: str) -> int:
        """Run the real command in the directory of its configuration, its output going where ours goes; its status."""
        return run(arguments, self.directory, environment(self.directory))


def run(arguments: Sequence[str], directory: Path, env: Mapping[str, str]) -> int:
    """Run the real command in this directory to its end; its status."""
    child = process.spawn(
        [str(Path(sys.executable).with_name("drkit")), *arguments],
        env=env,
        stdout=sys.stdout.fileno(),
        stderr=sys.stdout.fileno(),
        cwd=str(directory),
    )
    try:
        return child.wait()
    finally:
        process.stop(child, _PATIENCE_SECONDS)


def environment(directory: Path) -> dict[str, str]:
    """The user's own, without what would lead drkit to the user's own state, servers and agents."""
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(directory / "tmp"),
        "XDG_STATE_HOME": str(directory / "state"),
        "XDG_CACHE_HOME": str(directory / "cache"),
        "XDG_CONFIG_HOME": str(directory / "config"),
    }


@dataclass
class Left:
    """What was found when everything had been taken down; filled in at the end of ``stage``."""

    directory: Path
    pids: tuple[int, ...] = ()
    stubborn: tuple[str, ...] = ()
    """Processes that had to be killed, and containers that are still there."""
    said: str = ""
    """What to say instead of the usual where nothing remains."""

    @property
    def nothing(self) -> bool:
        """Whether nothing remains, and went by itself."""
        return not self.stubborn and not self.directory.exists() and not any(map(processes.is_alive, self.pids))


@contextmanager
def stage(left: Left) -> Iterator[Stage]:
    """Set everything up for the time of the body, and take it down again, however the body ends."""
    directory = left.directory
    try:
        with ExitStack() as running:
            postgres = running.enter_context(server(directory))
            vault = running.enter_context(box(directory))
            made = Stage(directory, postgres, vault)
            _write_secrets(made)
            left.pids = processes.descendants()
            yield made
            processes.shield()
    finally:
        processes.shield()
        left.stubborn = processes.end_descendants()
        shutil.rmtree(directory, ignore_errors=True)


def _write_secrets(made: Stage) -> None:
    folder = made.directory / "secrets"
    folder.mkdir(mode=0o700)
    (made.directory / "tmp").mkdir(mode=_OPEN_TO_OTHERS)
    contents = {
        "passphrase": secrets.token_urlsafe(24),
        "shop.dsn": made.postgres.address(data.SHOP),
        "shop_staging.dsn": made.postgres.address(data.STAGING),
        "spare.dsn": made.postgres.address(data.SHOP),
    }
    for name, content in contents.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(content + "\n", encoding="utf-8")


def new_directory() -> Path:
    """A directory of our own; as root, where an unprivileged PostgreSQL can come."""
    parent = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() == 0 and not all(path.stat().st_mode & 0o001 for path in (parent, *parent.parents)):
        parent = Path("/var/tmp")  # noqa: S108 - mkdtemp makes the directory below it, privately
    directory = Path(tempfile.mkdtemp(prefix="drkit-demo-", dir=parent))
    directory.chmod(_OPEN_TO_OTHERS)
    return directory
