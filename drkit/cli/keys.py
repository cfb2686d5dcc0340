"""``drkit keys``: export, check, open, rotate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, show_json
from drkit.observe.text import printable as shown

if TYPE_CHECKING:
    from drkit.keys.standing import Standing

BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE", help="What export wrote; or a text file with the lines of its page."),
]
IdentityOption = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="The key of a recipient: of age-keygen, or a private key of SSH."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(3, 10, 11, 12, 13, 14), no_args_is_help=True)
    group.callback()(keys)
    group.command("export", epilog=exits(3, 10, 11, 12))(export)
    group.command("check", epilog=exits(10, 11, 12, 13))(check)
    group.command("open", epilog=exits(12, 13, 14))(open_)
    below = typer.Typer(rich_markup_mode=None, epilog=exits(10, 11, 12), no_args_is_help=True)
    below.callback()(rotate)
    below.command("passphrase", epilog=exits(10, 11, 12))(rotate_passphrase)
    below.command("signing-key", epilog=exits(12))(rotate_signing_key)
    group.add_typer(below, name="rotate")
    app.add_typer(group, name="keys")


def keys() -> None:
    """What opens the backups: kept elsewhere, proven, changed."""


@handled
def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Default: CLUSTER.escrow.age, in this directory.")
    ] = None,
    printable: Annotated[
        Path | None,
        typer.Option("--printable", metavar="FILE.html", help="A page for the drawer; without --to, nothing else."),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that a blank machine needs into a bundle that escrow.recipients open, and nobody else."""
    from drkit.clock import SystemClock
    from drkit.config.load import find, load
    from drkit.keys import export as exporting

    file = find(config_file)
    if to is None and printable is None:
        to = exporting.default_name(load(file))
    done = exporting.export(file, to, printable, SystemClock().now())
    if as_json:
        show_json(done.as_json())
    else:
        for written in (done.bundle, done.printable):
            if written is not None:
                print(f"written: {shown(str(written))}")
        print(f"{len(done.items)} things for {len(done.recipients)} recipients; SHA-256 {done.sha256}")
        for missing in done.missing:
            print(f"NOT IN IT: {shown(missing.name)}: {shown(missing.why)}")
        print("take it away from this machine, and keep the identity elsewhere")
        print("try whether both open the vaults: drkit keys check --identity FILE")
    if done.missing:
        raise typer.Exit(3)


@handled
def check(
    bundle: BundleOption = None,
    identity: IdentityOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that a bundle opens the vaults; without an identity, see whether the last export is up to date."""
    from drkit.config.load import find, load, read_text
    from drkit.errors import UsageError
    from drkit.keys import record
    from drkit.keys.opened import decrypted
    from drkit.keys.prove import prove
    from drkit.keys.standing import stand

    if identity is None:
        file = find(config_file)
        _tell(stand(load(file), read_text(file)), bundle, as_json=as_json)
        return
    if bundle is None:
        last = record.last(load(find(config_file)).cluster.name)
        if last is None:
            raise UsageError("this machine knows of no export", "name the bundle: --bundle FILE")
        bundle = Path(last.file)
    opened = decrypted(bundle, identity)
    proofs = prove(opened)
    if as_json:
        show_json({"ok": True, "made": opened.manifest.get("made"), "vaults": [each.as_json() for each in proofs]})
        return
    print(f"the bundle of {shown(str(opened.manifest.get('made')))} was opened")
    for each in proofs:
        print(f"vault {shown(each.vault)}: {shown(each.said)}{f' ({each.point})' if each.point else ''}")


def _tell(standing: Standing, bundle: Path | None, *, as_json: bool) -> None:
    import hashlib

    from drkit.errors import VerificationFailed
    from drkit.keys.opened import read

    if bundle is not None and standing.last and hashlib.sha256(read(bundle)).hexdigest() != standing.last.sha256:
        raise VerificationFailed(
            f"{bundle} is not the last export, which was made {standing.last.made}",
            "look into it with an identity: --identity FILE",
        )
    if not standing.ok:
        raise VerificationFailed(standing.said, standing.hint)
    if as_json:
        assert standing.last is not None  # noqa: S101 - else it would not be well
        show_json({"ok": True, "made": standing.last.made, "file": standing.last.file, "sha256": standing.last.sha256})
        return
    print(f"escrow: {shown(standing.said)}")
    print("what opens it was not tried: drkit keys check --identity FILE")


@handled
def open_(
    bundle: Annotated[
        Path,
        typer.Option("--bundle", metavar="FILE", help="What export wrote; or a text file with the lines of its page."),
    ],
    identity: Annotated[
        Path,
        typer.Option("--identity", metavar="FILE", help="The key of a recipient: of age, or a private key of SSH."),
    ],
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="A directory that is not there; /dev/shm/… is on no disk.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Begin on a blank machine: write the bundle's drkit.yaml and keys, in clear, into a directory of your own."""
    from drkit.keys.bundle import README
    from drkit.keys.opened import decrypted, write_out

    opened = decrypted(bundle, identity)
    write_out(opened, into)
    if as_json:
        show_json({"directory": str(into), "files": sorted(opened.files), "made": opened.manifest.get("made")})
        return
    print(f"written, in clear: {shown(str(into))}")
    print(f"what to do now stands in {shown(str(into / README))}; drkit works in that directory: drkit points")


def rotate() -> None:
    """Change a passphrase or the signing key. Cut short, both old and new are there: give the command again."""


@handled
def rotate_passphrase(
    vault: Annotated[str, typer.Argument(metavar="VAULT", help="Its name in drkit.yaml.")],
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a vault another passphrase, and every other vault whose passphrase is in the same file."""
    from drkit.config.load import find, load
    from drkit.keys.passphrase import rotate

    changed = rotate(load(find(config_file)), vault, reporter())
    if as_json:
        show_json({"changed": changed})
        return
    print(f"the new passphrase opens: {', '.join(changed) or 'no vault, there is no repository yet'}")
    print("bring it to every other machine that uses them, and make a new escrow: drkit keys export")


@handled
def rotate_signing_key(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Sign with another key from now on; what the old one signed is still believed."""
    from drkit.config.load import find
    from drkit.keys.signing_key import rotate

    done = rotate(find(config_file), reporter())
    if as_json:
        show_json({"old": done.old, "new": done.new})
        return
    print(f"recovery points are signed with {done.new} from now on; {done.old} is trusted for those before")
    print("add the new one to trusted_keys on every other machine, and make a new escrow: drkit keys export")
