"""``drkit init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import JsonOption, exits, handled, show_json
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.setup.found import Found


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("init", epilog=exits())(init)


@handled
def init(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the configuration goes.")] = Path(
        "drkit.yaml"
    ),
    name: Annotated[str, typer.Option("--name", help="How recovery points call the cluster.")] = "k3s",
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", help="Default: $KUBECONFIG, ~/.kube/config, /etc/rancher/k3s/k3s.yaml."),
    ] = None,
    ssh_user: Annotated[str, typer.Option("--ssh-user", help="Whom the machines know.")] = "root",
    ssh_key: Annotated[
        Path | None, typer.Option("--ssh-key", help="Default: the agent's, and those in ~/.ssh.")
    ] = None,
    ssh_known_hosts: Annotated[
        Path | None, typer.Option("--ssh-known-hosts", help="Default: ~/.ssh/known_hosts.")
    ] = None,
    ssh_port: Annotated[int | None, typer.Option("--ssh-port", min=1, max=65535)] = None,
    vault: Annotated[
        str, typer.Option("--vault", metavar="URL", help="Below which both vaults are: ssh://… or a directory.")
    ] = "",
    make_passphrase: Annotated[
        bool, typer.Option("--make-passphrase", help="Make the file with the vaults' passphrase beside it, mode 0600.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a configuration that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find cluster, machines, databases and Hetzner project, and write a commented drkit.yaml. Changes nothing else."""
    from drkit.setup.found import PASSPHRASE_FILE, Login
    from drkit.setup.look import Asked, look
    from drkit.setup.render import render
    from drkit.setup.write import make_passphrase as make
    from drkit.setup.write import refused, write

    if not force and to.exists():
        raise refused(to)
    _see_vault(vault)
    login = Login(ssh_user, _absolute(ssh_key), _absolute(ssh_known_hosts), ssh_port)
    found = look(Asked(name, kubeconfig, login, vault if vault.startswith("ssh://") or not vault else _full(vault)))
    write(to, render(found), force=force)
    passphrase = to.parent / PASSPHRASE_FILE
    made = make_passphrase and make(passphrase)
    if as_json:
        show_json(_document(found, to, passphrase if made else None))
        return
    _show(found)
    if make_passphrase:
        what = "made; keep a copy where the cluster is not" if made else "was there already, and stays"
        print(f"passphrase: {printable(str(passphrase))}: {what}")
    print(f"written: {printable(str(to))}; look through it, then: drkit check --config {printable(str(to))}")


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _full(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _see_vault(url: str) -> None:
    """Refuse an address that no configuration takes."""
    from pydantic import ValidationError

    from drkit.config.model import Secret, VaultConfig
    from drkit.errors import UsageError

    try:
        _ = VaultConfig(url=url or "/", passphrase=Secret(env="NOT_ASKED_FOR"))
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"--vault: {told}") from None


def _show(found: Found) -> None:
    lines = [f"kubeconfig: {found.kubeconfig}"] if found.kubeconfig else []
    for each in found.machines:
        role = "server" if each.is_server else "agent"
        lines.append(f"{role}: {each.name} at {each.address}{'' if each.trouble else ', SSH works'}")
    lines += [f"PostgreSQL: {each.name}: {', '.join(each.databases) or 'databases unknown'}" for each in found.postgres]
    lines += [f"page: {each.url}: {each.said}" for each in found.pages]
    if found.project is not None:
        lines.append(f"Hetzner: {found.project.server_type} in {found.project.location}")
    for line in lines:
        print(printable(line))
    for lack in found.missing:
        print(printable(f"not found: {lack.what}: {' '.join(lack.why.split())}"))
        if lack.hint:
            print(printable(f"    hint: {lack.hint}"))


def _document(found: Found, to: Path, passphrase: Path | None) -> dict[str, object]:
    from dataclasses import asdict

    told = asdict(found)
    for part in (told, told["login"]):
        part.update({key: str(value) for key, value in part.items() if isinstance(value, Path)})
    return {"written": str(to), "passphrase": None if passphrase is None else str(passphrase), "found": told}
