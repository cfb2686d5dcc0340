"""A scratch server in a container, for machines without PostgreSQL's server programs of the version that is needed.

No password exists: the server has no network at all and trusts whoever reaches its Unix socket, which is in a directory
that nobody but drkit's user and root can enter. A password would have to be given to the container, where
``docker inspect`` shows it, and would protect a published port no better.

The container ends with its standard input, which drkit holds: the kernel closes it however drkit ends. What the engine
was kept from removing all the same is found by its label, and removed by the next run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import DrkitError, PreflightFailed
from drkit.postgres import programs
from drkit.postgres.scratch.server import Scratch, initdb, postgres
from drkit.postgres.starting import wait_until_ready
from drkit.workspace import alive, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.observe.progress import Reporter

LABEL = "dev.drkit.scratch"
"""The label of drkit's scratch containers; its value tells the process that they belong to."""

_ANSWER_SECONDS = 30.0
_PULL_SECONDS = 3600.0
_END_SECONDS = 15.0
_LONGEST_PLACE = 107 - len("/drkit-1234567-abcdefgh/server/.s.PGSQL.5432")

# A volume of its own, gone with the container. In every image this directory is there and open to all its users, and a
# new volume takes that over.
_VOLUME = "/var/tmp"  # noqa: S108 - see above
_DATA = f"{_VOLUME}/data"

# PostgreSQL is process 1. Beside it something reads standard input, and its end is PostgreSQL's; a signal that comes
# before PostgreSQL handles it is lost, hence the loop.
_SCRIPT = """set -e
{initdb}
exec 3<&0 </dev/null
(cat <&3 >/dev/null; while kill -QUIT 1; do sleep 1; done) &
exec {postgres} 3<&-
"""

# What libpq_environment sets. `docker exec --env NAME` takes the value from drkit's child, not from its arguments.
_PASSED_ON = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGTZ", "PGCONNECT_TIMEOUT", "LANG", "LC_ALL")


@dataclass(frozen=True)
class Engine:
    """The Docker engine that the user's environment names, through its command."""

    command: tuple[str, ...]

    def run(self, *arguments: str, deadline: float = _ANSWER_SECONDS) -> process.Completed:
        """Run a command of the engine to its end.

        Raises:
            FileNotFoundError: there is no such command.
            PreflightFailed: the engine did not answer within ``deadline`` seconds.
        """
        try:
            return process.run([*self.command, *arguments], deadline=deadline, env=process.clean_environment())
        except process.DeadlineExceeded as error:
            raise PreflightFailed(f"the Docker engine does not answer: {error}", "restart it") from None


def engine(environment: Mapping[str, str]) -> Engine:
    """The engine that these variables name; as arguments, since other programs get a clean environment."""
    options = {"DOCKER_CONFIG": "--config", "DOCKER_CONTEXT": "--context", "DOCKER_HOST": "--host"}
    named = [(option, environment[name]) for name, option in options.items() if environment.get(name)]
    return Engine(("docker", *(part for pair in named for part in pair)))


@contextmanager
def server(
    major: int, image: str, bin_dirs: tuple[Path, ...], parent: Path | None, reporter: Reporter
) -> Iterator[Scratch]:
    """A fresh server in a container of ``image``; gone, with its data, after the body.

    Args:
        major: the version that the image must have.
        image: has ``sh``, a user ``postgres``, and PostgreSQL's programs on its PATH; pulled where it is not here.
        bin_dirs: where client programs may be on this machine; without any, those of the image are used.
        parent: where the socket's directory is made, and dumps are unpacked; else the temporary directory.
        reporter: told that a container is used, and of a pull.

    Raises:
        PreflightFailed: there is no engine, no image, or no server of this version in it.
    """
    docker = engine(os.environ)
    _see_engine(docker, major)
    _remove_orphans(docker)
    _see_image(docker, major, image, reporter)
    with workspace(_place(parent)) as own:
        # Only we can enter the workspace. What is inside is open, because the engine may map the server's user to any.
        directory = own / "server"
        directory.mkdir()
        directory.chmod(0o777)
        log = own / "log"
        with log.open("wb") as output:
            running = process.spawn(
                [*docker.command, *run_arguments(own.name, image, directory)],
                env=process.clean_environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        try:
            scratch = Scratch(major, directory, lambda program: _client(docker, own.name, program, major, bin_dirs))
            _see_server(scratch, image, running, log)
            reporter.note(f"the scratch PostgreSQL {major} runs in a container of {image}")
            yield scratch
        finally:
            _end(docker, own.name, running)


def _place(parent: Path | None) -> Path:
    """``parent``, unless the path of a socket in a workspace there were longer than the 107 bytes of unix(7)."""
    if parent is not None and len(os.fsencode(parent.absolute())) <= _LONGEST_PLACE:
        return parent.absolute()
    return Path(tempfile.gettempdir()).absolute()


def run_arguments(name: str, image: str, directory: Path) -> list[str]:
    """Docker's arguments: a container without network, privileges or log, whose only way out is ``directory``.

    Args:
        name: the container's name.
        image: what it is made of.
        directory: where its socket goes; it has the same path inside, so that one address serves on both sides.
    """
    path = str(directory).replace('"', '""')  # a field of a line of CSV
    options = ["run", "--rm", "--interactive", "--pull", "never", "--name", name, "--label", f"{LABEL}={_owner()}"]
    options += ["--network", "none", "--log-driver", "none", "--user", "postgres", "--read-only", "--cap-drop", "ALL"]
    options += ["--security-opt", "no-new-privileges", "--shm-size", "1g", "--volume", _VOLUME]
    options += ["--mount", f'type=bind,"source={path}","target={path}"', "--entrypoint", "sh"]
    script = _SCRIPT.format(
        initdb=shlex.join(initdb("initdb", _DATA)), postgres=shlex.join(postgres("postgres", _DATA, directory))
    )
    return [*options, image, "-c", script]


def _owner() -> str:
    """This process, told from those with the same number in other containers that use the same engine."""
    return f"{_namespace()}.{os.getpid()}"


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino


def _client(docker: Engine, name: str, program: str, major: int, bin_dirs: tuple[Path, ...]) -> list[str]:
    try:
        return [programs.client(program, major, bin_dirs)]
    except PreflightFailed:
        passed_on = [argument for variable in _PASSED_ON for argument in ("--env", variable)]
        return [*docker.command, "exec", "--interactive", *passed_on, name, program]


def _see_engine(docker: Engine, major: int) -> None:
    try:
        done = docker.run("version", "--format", "{{.Server.Version}}")
    except FileNotFoundError:
        raise _lacking(major, "there is no docker command", "install Docker") from None
    if done.status != 0:
        raise _lacking(
            major,
            f"no Docker engine answers\n{process.tail(done.stderr)}",
            "start a Docker engine that this user may use",
        )


def _see_image(docker: Engine, major: int, image: str, reporter: Reporter) -> None:
    if docker.run("image", "inspect", "--format", "{{.Id}}", image).status == 0:
        return
    with reporter.task(f"pulling {image}"):
        done = docker.run("pull", "--quiet", image, deadline=_PULL_SECONDS)
        if done.status != 0:
            why = f"the image {image} is not in the Docker engine and cannot be pulled\n{process.tail(done.stderr)}"
            raise _lacking(major, why, "name an image in postgresql.scratch_image")


def _see_server(scratch: Scratch, image: str, running: subprocess.Popen[bytes], log: Path) -> None:
    other = "name another image in postgresql.scratch_image"
    try:
        wait_until_ready(scratch.dsn("postgres"), running, log)
    except DrkitError as error:
        raise _lacking(scratch.major, f"a container of {image} does not run it: {error.message}", other) from None
    with scratch.dsn("postgres").connect() as connection:
        found = connection.info.server_version // 10000
    if found != scratch.major:
        raise _lacking(scratch.major, f"the image {image} has PostgreSQL {found}", other)


def _lacking(major: int, why: str, remedy: str) -> PreflightFailed:
    return PreflightFailed(
        f"a scratch PostgreSQL {major} is needed: its server programs are not here, and {why}",
        f"install them (Debian: postgresql-{major}), name their directory in postgresql.bin_dirs, or {remedy}",
    )


def _end(docker: Engine, name: str, running: subprocess.Popen[bytes]) -> None:
    assert running.stdin is not None  # noqa: S101 - opened by server()
    try:
        running.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            running.wait(_END_SECONDS)
    finally:
        process.stop(running)
        with suppress(PreflightFailed):
            docker.run("rm", "--force", "--volumes", name)


def _remove_orphans(docker: Engine) -> None:
    """Remove the containers of runs that are gone."""
    listed = docker.run(
        "ps", "--all", "--no-trunc", "--filter", f"label={LABEL}", "--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}'
    )
    for line in listed.stdout.decode().splitlines():
        container, _, owner = line.partition(" ")
        namespace, _, pid = owner.partition(".")
        if namespace == str(_namespace()) and pid.isdecimal() and not alive(int(pid)):
            docker.run("rm", "--force", "--volumes", container)
