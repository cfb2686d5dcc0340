"""Escrow: a bundle that opens what this machine opens, told when it does not any more, and keys that change."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from drkit.config.load import load
from drkit.points.signing import existing_signer, verifier
from tests.lab.processes import command_line, descendants, environment
from tests.lab.rotations import killed_at
from tests.lab.site import BORG, DRKIT, PASSPHRASE, Site
from tests.runbooks import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.lab.box import LabBox
    from drkit.lab.postgres import LabPostgres


@dataclass
class Owner:
    """Somebody who keeps an identity of age apart from the site.

    Attributes:
        site: theirs.
        identity: the file with the private key.
        recipients: the line of ``drkit.yaml`` with the public one.
    """

    site: Site
    identity: Path
    recipients: str

    def export(self, *options: str, expect: int = 0) -> Path:
        """Export, to a place outside the site."""
        bundle = self.identity.parent / "bundle.age"
        self.site.run("keys", "export", "--to", str(bundle), *options, expect=expect)
        return bundle

    def check(self, bundle: Path, expect: int = 0) -> str:
        """Prove the bundle; what was said."""
        done = self.site.run("keys", "check", "--bundle", str(bundle), "--identity", str(self.identity), expect=expect)
        return done.out + done.err

    def opened(self, bundle: Path) -> dict[str, bytes]:
        """The bundle's files, by age and tar alone."""
        key = pyrage.x25519.Identity.from_str(self.identity.read_text().strip())
        with tarfile.open(fileobj=BytesIO(pyrage.decrypt(bundle.read_bytes(), [key]))) as archive:
            files = {member.name: archive.extractfile(member) for member in archive}
            return {name: file.read() for name, file in files.items() if file is not None}


@pytest.fixture
def owner(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Owner:
    """Its site has no configuration yet."""
    key = pyrage.x25519.Identity.generate()
    identity = tmp_path_factory.mktemp("elsewhere") / "identity"
    identity.write_text(f"{key}\n")
    return Owner(site, identity, f'escrow: {{recipients: ["{key.to_public()}"]}}')


def test_a_blank_machine_restores_from_bundle_identity_and_drkit_alone(
    owner: Owner,
    small: str,
    absent: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    postgres: LabPostgres,
) -> None:
    """With nothing of the old machine but the bundle, points are listed and a database comes back."""
    there = absent()
    owner.site.write({"shop": small}, targets={"shop": there}, more=owner.recipients)
    owner.site.run("backup")
    bundle = owner.export()
    blank = Site(tmp_path_factory.mktemp("blank"), postgres)
    kept = tmp_path_factory.mktemp("mounted") / "vault"
    shutil.move(owner.site.vault, kept)
    shutil.rmtree(owner.site.path)
    owner.site.path.mkdir()
    owner.site.vault.symlink_to(kept)
    words = ("--bundle", str(bundle), "--identity", str(owner.identity), "--into", "escrow")
    blank.run("keys", "open", *words)
    directory = blank.path / "escrow"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in directory.rglob("*") if each.is_file())
    config = ("--config", "escrow/drkit.yaml")
    assert len(blank.run("points", "list", "--json", *config).json()["points"]) == 1
    blank.run("restore", "--into", "files", *config)
    assert list((blank.path / "files").iterdir())
    assert (
        blank.run("restore", "--to", "spare", "--only", "databases", "--json", *config).json()["proofs_equal"] is True
    )
    blank.run("keys", "open", *words, expect=14)


def test_a_bundle_is_proven_by_its_own_keys(owner: Owner, small: str) -> None:
    """What this machine has does not count: with its passphrase and keys gone, the bundle still opens the vault."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    bundle = owner.export()
    (owner.site.path / "passphrase").write_text("another\n")
    (owner.site.path / "signing.key").unlink()
    said = owner.check(bundle)
    assert "opened by the bundle's passphrase and key (repokey-blake2)" in said
    assert re.search(r"descriptor is whole and signed \(\d{8}T", said), said
    stranger = owner.identity.with_name("stranger")
    stranger.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    owner.site.run("keys", "check", "--bundle", str(bundle), "--identity", str(stranger), expect=12)


def test_a_bundle_that_is_older_than_the_passphrase_proves_nothing(owner: Owner, small: str) -> None:
    """After a rotation the old bundle is refused with 12, and the new one opens the vault."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    old = owner.export().read_bytes()
    owner.site.run("keys", "rotate", "passphrase", "databases")
    bundle = owner.export()
    owner.check(bundle)
    bundle.write_bytes(old)
    assert "is not opened by the passphrase or key" in owner.check(bundle, expect=12)


def test_a_box_is_reached_with_the_bundles_own_ssh_key(owner: Owner, small: str, box: LabBox) -> None:
    """The SSH key and the host keys of a box are in the bundle, and are enough where the machine has neither."""
    here = owner.site.path
    shutil.copy(box.key, here / "box.key")
    shutil.copy(box.known_hosts, here / "hosts")
    keys = ", ssh: {key: box.key, known_hosts: hosts}"
    owner.site.write({"shop": small}, url=box.url("drkit"), vault=keys, more=owner.recipients)
    owner.site.run("backup")
    bundle = owner.export()
    files = owner.opened(bundle)
    assert files["keys/vaults.databases.ssh.key"] == (here / "box.key").read_bytes()
    (here / "box.key").unlink()
    (here / "hosts").unlink()
    assert "descriptor is whole and signed" in owner.check(bundle)


def test_a_keyfile_goes_along(owner: Owner, small: str) -> None:
    """Where the repository does not hold its key, the bundle's is the one that the vault is opened with."""
    owner.site.write({"shop": small}, vault=", key_file: borg.key", more=owner.recipients)
    env = {**owner.site.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_KEY_FILE": str(owner.site.path / "borg.key")}
    init = [BORG, "init", "--encryption", "keyfile-blake2", str(owner.site.vault)]
    subprocess.run(init, env=env, check=True, capture_output=True)
    owner.site.run("backup")
    bundle = owner.export()
    (owner.site.path / "borg.key").unlink()
    assert "(keyfile-blake2)" in owner.check(bundle)
    owner.site.run("keys", "open", "--bundle", str(bundle), "--identity", str(owner.identity), "--into", "escrow")
    assert owner.site.run("points", "--json", "--config", "escrow/drkit.yaml").json()["points"]


def test_a_private_key_of_ssh_is_an_identity(owner: Owner, small: str) -> None:
    """Who has no age opens the bundle with an ssh-ed25519 key."""
    key = owner.identity.with_name("drawer")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_name("drawer.pub").read_text().strip()
    owner.site.write({"shop": small}, more=f"escrow: {{recipients: [{json.dumps(public)}]}}")
    owner.site.run("backup")
    owner.identity = key
    owner.check(owner.export())


def test_check_warns_without_an_escrow_and_with_an_old_one(owner: Owner, small: str) -> None:
    """No escrow is a warning that fails nothing; so is one from before a key, a secret or a vault was changed."""

    def escrow() -> tuple[bool, str]:
        checks = owner.site.run("check", "--json").json()["checks"]
        found = next(each for each in checks if each["what"] == "escrow")
        return found["warning"], found["said"]

    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    assert escrow() == (True, "no escrow: what opens the backups is lost with this machine")
    assert "WARNING  escrow" in owner.site.run("check").out
    owner.site.run("keys", "check", expect=13)
    owner.export()
    assert escrow()[0] is False
    owner.site.run("keys", "check")
    with owner.site.config.open("a") as file:
        file.write("# a comment changes nothing\n")
    assert escrow()[0] is False
    owner.site.run("keys", "rotate", "signing-key")
    warned, said = escrow()
    assert warned
    assert "signing_key has changed since" in said
    assert "drkit.yaml has changed since" in said
    owner.site.run("keys", "check", expect=13)
    owner.export()
    assert escrow()[0] is False
    owner.site.run("keys", "rotate", "passphrase", "databases")
    said = escrow()[1]
    assert "vaults.databases.passphrase has changed since" in said
    assert "vaults.databases.borg-key has changed since" in said


def test_what_is_missing_is_named(owner: Owner, small: str) -> None:
    """A secret that cannot be read is named, in the bundle as well, and the export ends with 3."""
    target = "clusters: {spare: {provider: hetzner, token: {env: NO_SUCH_VARIABLE}}}"
    owner.site.write({"shop": small}, more=f"{owner.recipients}\n{target}")
    owner.site.run("backup")
    done = owner.site.run("keys", "export", "--to", "b.age", expect=3)
    assert "NOT IN IT: clusters.spare.token" in done.out
    manifest = json.loads(owner.opened(owner.site.path / "b.age")["manifest.json"])
    assert [each["name"] for each in manifest["missing"]] == ["clusters.spare.token"]
    owner.site.environment["NO_SUCH_VARIABLE"] = "a token of Hetzner"
    bundle = owner.export()
    files = owner.opened(bundle)
    assert files["keys/clusters.spare.token"] == b"a token of Hetzner\n"
    assert b"token: {file: keys/clusters.spare.token}" in files["drkit.yaml"]


def test_without_recipients_nothing_is_written(owner: Owner, small: str) -> None:
    """A bundle that nobody could open is not made, and the vault is not even asked."""
    owner.site.write({"shop": small})
    done = owner.site.run("keys", "export", "--to", "b.age", expect=4)
    assert "escrow.recipients" in done.err
    assert not (owner.site.path / "b.age").exists()
    owner.site.write({"shop": small}, more="escrow: {recipients: [nobody]}")
    assert "escrow.recipients.0" in owner.site.run("keys", "export", expect=4).err


def test_no_secret_is_on_disk_or_in_a_process_list(owner: Owner, small: str) -> None:
    """While a bundle is made, proven and its passphrase changed, no secret is in an argument, variable or new file."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    before = {path for path in owner.site.path.rglob("*") if path.is_file()}
    dsn = (owner.site.path / "from-0.dsn").read_text()
    private = (owner.site.path / "signing.key").read_text().splitlines()[1]
    seen: list[str] = []
    for words in (
        ("keys", "export", "--to", "b.age", "--printable", "p.html"),
        ("keys", "check", "--bundle", "b.age", "--identity", str(owner.identity)),
        ("keys", "rotate", "passphrase", "databases"),
    ):
        child = owner.site.start(*words)
        while child.poll() is None:
            for pid in descendants(child.pid):
                seen += [environment(pid), " ".join(command_line(pid))]
        out, err = child.communicate()
        assert child.returncode == 0, err
        seen += [out, err]
    new = (owner.site.path / "passphrase").read_text().strip()
    files = {path for path in owner.site.path.rglob("*") if path.is_file()} - before
    written = [path.read_bytes().decode(errors="replace") for path in files if path.is_relative_to(owner.site.path)]
    assert any("borg" in each for each in seen)
    for secret in (PASSPHRASE, new, private, dsn):
        assert not any(secret in text for text in (*seen, *written)), secret
    assert new != PASSPHRASE


def test_a_page_can_be_read_again(owner: Owner, small: str) -> None:
    """Lines that were recognised from the page open the vault; one that was misread is named, and so is a lost one."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    owner.site.run("keys", "export", "--printable", "page.html")
    page = (owner.site.path / "page.html").read_text()
    assert "<script" not in page
    assert PASSPHRASE not in page
    owner.check(owner.site.path / "page.html")
    lines = page.partition('<pre class="lines">')[2].partition("</pre>")[0].strip().splitlines()
    assert len(lines) < 120
    scanned = owner.identity.with_name("LINES.txt")
    scanned.write_text("\n".join(line.replace(" ", "   ") for line in lines))
    assert "descriptor is whole and signed" in owner.check(scanned)
    wrong = list(lines)
    wrong[4] = wrong[4][:-6] + ("A" if wrong[4][-7] != "A" else "B") + wrong[4][-6:]
    del wrong[9]
    scanned.write_text("\n".join(wrong))
    said = owner.check(scanned, expect=13)
    assert f"of {len(lines)} lines are missing or misread: 5, 10\n" in said


def test_the_runbook_of_a_lost_machine(
    owner: Owner, small: str, tmp_path_factory: pytest.TempPathFactory, postgres: LabPostgres
) -> None:
    """Its commands, given where nothing is but drkit, bundle and identity, end as the page says."""
    owner.site.write({"shop": small}, url=str(owner.site.vault), more=owner.recipients)
    point = owner.site.run("backup", "--json").json()["point"]["id"]
    blank = Site(tmp_path_factory.mktemp("blank"), postgres)
    shutil.copy(owner.export(), blank.path / "escrow.age")
    shutil.copy(owner.identity, blank.path / "identity")
    env = {**blank.env(), "PATH": f"{Path(DRKIT).parent}:{blank.env()['PATH']}"}
    said = []
    for block in pages()["drkit-machine-lost"].blocks:
        shell = block.text.replace("/dev/shm/", f"{blank.path}/")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shell],
            cwd=blank.path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == block.status, done
        said.append(done.stdout)
    assert "descriptor is whole and signed" in said[0]
    assert point in said[-1]


def _opens(site: Site) -> list[str]:
    """Which of the passphrase's files open the vault."""
    found = []
    for file in (site.path / "passphrase", site.path / "passphrase.next"):
        if file.exists():
            env = {**site.env(), "BORG_PASSPHRASE": file.read_text().strip(), "BORG_BASE_DIR": str(site.path / "other")}
            env["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
            done = subprocess.run([BORG, "list", str(site.vault)], env=env, capture_output=True, check=False)
            found += [file.name] if done.returncode == 0 else []
    return found


def test_a_rotated_passphrase_opens_the_vault_and_the_old_one_does_not(owner: Owner, small: str) -> None:
    """After a rotation backups go on, and the file keeps its owner and mode."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    (owner.site.path / "passphrase").chmod(0o640)
    owner.site.run("keys", "rotate", "passphrase", "databases")
    assert (owner.site.path / "passphrase").read_text().strip() != PASSPHRASE
    assert stat.S_IMODE((owner.site.path / "passphrase").stat().st_mode) == 0o640
    assert not (owner.site.path / "passphrase.next").exists()
    owner.site.run("backup")
    owner.site.borg("list", expect=52)
    owner.site.run("verify")


@pytest.mark.parametrize("step", range(4))
def test_a_rotation_of_the_passphrase_that_was_killed_is_gone_on_with(owner: Owner, small: str, step: int) -> None:
    """Killed before any of its steps, one of two files opens the vault, and the next call comes to the same end."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    killed_at(owner.site, "passphrase", step)
    assert len(_opens(owner.site)) == 1
    owner.site.run("keys", "rotate", "passphrase", "databases")
    assert _opens(owner.site) == ["passphrase"]
    assert not (owner.site.path / "passphrase.next").exists()
    owner.site.run("verify")


def test_a_rotation_killed_at_any_moment_leaves_one_that_opens(owner: Owner, small: str) -> None:
    """Killed after so many milliseconds, in the middle of Borg too, either passphrase opens the vault."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    for tenths in range(2, 30, 3):
        child = owner.site.start("keys", "rotate", "passphrase", "databases")
        try:
            child.wait(tenths / 10)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        assert len(_opens(owner.site)) == 1, tenths
    owner.site.run("keys", "rotate", "passphrase", "databases")
    assert _opens(owner.site) == ["passphrase"]


def test_vaults_that_share_a_file_change_together(owner: Owner, small: str) -> None:
    """A passphrase's file opens every vault that it opened before, also where a rotation was killed between two."""
    owner.site.write({"shop": small}, more=owner.recipients)
    text = owner.site.config.read_text()
    second = "  cluster: {url: second, passphrase: {file: passphrase}}\n"
    owner.site.config.write_text(text.replace("databases:\n", f"{second}databases:\n", 1))
    owner.site.run("backup")
    env = {**owner.site.env(), "BORG_PASSPHRASE": PASSPHRASE}
    init = [BORG, "init", "--encryption", "repokey-blake2", str(owner.site.path / "second")]
    subprocess.run(init, env=env, check=True, capture_output=True)
    killed_at(owner.site, "passphrase", 2)
    owner.site.run("keys", "rotate", "passphrase", "cluster")
    said = {each["what"]: each["said"] for each in owner.site.run("check", "--json").json()["checks"]}
    assert all("opened with the passphrase" in said[f"vault {name}"] for name in ("cluster", "databases"))
    assert (owner.site.path / "passphrase").read_text().strip() != PASSPHRASE


def test_what_drkit_cannot_change_is_refused(owner: Owner, small: str) -> None:
    """A passphrase from elsewhere than a file, and a vault that is none, change nothing."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("keys", "rotate", "passphrase", "nonsense", expect=2)
    owner.site.environment["SECRET"] = PASSPHRASE
    owner.site.config.write_text(owner.site.config.read_text().replace("{file: passphrase}", "{env: SECRET}"))
    owner.site.run("keys", "rotate", "passphrase", "databases", expect=4)
    owner.site.run("keys", "rotate", "signing-key", expect=12)


def test_a_rotation_with_a_wrong_passphrase_leaves_nothing(owner: Owner, small: str) -> None:
    """Where the file does not open the vault, nothing is written beside it; nor a bundle where no stick is mounted."""
    owner.site.write({"shop": small}, more=owner.recipients)
    owner.site.run("backup")
    (owner.site.path / "passphrase").write_text("wrong\n")
    owner.site.run("keys", "rotate", "passphrase", "databases", expect=12)
    assert not (owner.site.path / "passphrase.next").exists()
    assert "is it mounted?" in owner.site.run("keys", "export", "--to", "usb/b.age", expect=4).err
    assert not (owner.site.path / "usb").exists()


@pytest.mark.parametrize("step", [None, *range(4)])
def test_a_rotated_signing_key_signs_and_old_points_stay_believed(owner: Owner, small: str, step: int | None) -> None:
    """Before, after and killed before any step of a rotation, every point is believed; comments stay in drkit.yaml."""
    owner.site.write({"shop": small}, more=f"# who opens it\n{owner.recipients}  # the drawer's")
    owner.site.run("backup")
    before = owner.site.config.read_text()
    old = verifier(load(owner.site.config)).keys
    if step is not None:
        killed_at(owner.site, "signing-key", step)
        owner.site.run("verify")
        owner.site.run("backup")
        owner.site.run("verify")
    done = owner.site.run("keys", "rotate", "signing-key", "--json").json()
    config = load(owner.site.config)
    assert {done["old"]} == old
    signer = existing_signer(config)
    assert signer is not None
    assert signer.public == done["new"] not in old
    assert owner.site.config.read_text().startswith(before.rstrip())
    assert not (owner.site.path / "signing.key.next").exists()
    owner.site.run("backup")
    owner.site.run("verify")
    assert verifier(config).keys == {*old, done["new"]}
    listed = [each["id"] for each in owner.site.points()]
    owner.site.config.write_text(before)
    assert [each["id"] for each in owner.site.points()] == listed[:1]
