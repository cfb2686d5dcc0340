"""The pure parts of an escrow: the bundle's form, the lines on paper, and changes in the text of ``drkit.yaml``."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config import load
from drkit.config.edit import edited, with_trusted_key
from drkit.errors import DrkitError, VerificationFailed
from drkit.keys import age, bundle, page, paper, record
from drkit.keys.bundle import Item, Material, Missing, VaultFacts
from drkit.keys.instructions import readme
from drkit.keys.places import file_names, places, rewritten
from drkit.keys.record import Record

if TYPE_CHECKING:
    from drkit.config.model import Config

KEY = "ed25519:" + "A" * 43 + "="
FULL = """\
# the shop's
cluster:
  name: docfast   # as it is called
  kubeconfig: ~/.kube/config
  ssh: {user: root, key: ~/.ssh/id, known_hosts: ~/.ssh/known_hosts}
  token: {env: HCLOUD_TOKEN}
vaults:
  # the box
  cluster:   {url: "ssh://u1@box.example:23/./k3s", passphrase: {file: /etc/drkit/passphrase},
              ssh: {key: box}}
  databases: {url: vault, passphrase: {command: [pass, show, vault]}, key_file: borg.key}
databases:
  - {name: billing, dsn: {env: BILLING_DSN}}   # the second
clusters:
  new one: {provider: hetzner, token: {env: HCLOUD_TOKEN}, servers: [a]}
  "new-one": {provider: hetzner, token: {env: OTHER}, servers: [a]}
notify:
  urls: [{file: mail}]
  ping: {backup/databases: {env: PING_URL}}
# the end
"""


def parsed(text: str) -> Config:
    """What a configuration says, paths as they are."""
    return load.parse(Path("drkit.yaml"), text, lambda path: path)


def material(content: bytes = b"secret") -> Material:
    """Something small to keep."""
    return Material(
        "docfast",
        (VaultFacts("cluster", "ssh://u1@box.example:23/./k3s", "ab" * 32, "repokey-blake2"),),
        (KEY,),
        (
            Item("drkit.yaml", "the configuration", "drkit.yaml", b"vaults: {}\n", judged=b"1"),
            Item("vaults.cluster.passphrase", "a passphrase", "keys/a", content, judged=content),
            Item("cluster.kubeconfig", "the way in", "keys/b", b"large", essential=False),
        ),
        (Missing("cluster.token", "it is not set"),),
    )


def packed(what: Material) -> bytes:
    """It, before it is encrypted."""
    return bundle.pack(what, bundle.manifest(what, "2026-03-01T12:00:00Z", "0.1", ["age1x"]), "read me\n")


def test_every_secret_and_file_of_the_configuration_is_found() -> None:
    """No place that a secret can stand at is forgotten."""
    found = {place.name for place in places(parsed(FULL))}
    assert found == {
        "cluster.kubeconfig",
        "cluster.ssh.key",
        "cluster.ssh.known_hosts",
        "cluster.token",
        "vaults.cluster.passphrase",
        "vaults.cluster.ssh.key",
        "vaults.databases.passphrase",
        "vaults.databases.key_file",
        "signing_key",
        "databases.0.dsn",
        "clusters.new one.token",
        "clusters.new-one.token",
        "notify.urls.0",
        "notify.ping.backup/databases",
    }


def test_names_of_files_are_safe_and_differ() -> None:
    """What people call their targets becomes no path and no other's file."""
    found = file_names(["clusters.new one.token", "clusters.new-one.token", "clusters.../../etc.token"])
    assert list(found.values())[:2] == ["keys/clusters.new-one.token", "keys/clusters.new-one.token-2"]
    assert all(path.count("/") == 1 and ".." not in path.replace("keys/", "", 1)[:2] for path in found.values())


def test_the_rewritten_configuration_names_files_and_keeps_comments() -> None:
    """Every secret becomes a file of the bundle, other values stay, and so do comments."""
    config = parsed(FULL)
    files = {place.where: f"keys/{number}" for number, place in enumerate(places(config))}
    text = rewritten(FULL, config, files)
    now = parsed(text)
    assert {place.where: str(getattr(place.value, "file", place.value)) for place in places(now)} == files
    assert now.clusters["new one"].servers == ["a"]
    for comment in ("# the shop's", "# as it is called", "# the box", "# the second", "# the end"):
        assert comment in text


STYLES = [
    FULL,
    FULL.replace("  - {name", "- {name"),
    'trusted_keys: ["ed25519:BBBB"]   # older\nvaults: {}\n',
    'vaults: {}\ntrusted_keys:\n    # before\n    - "ed25519:BBBB"  # the first\n    - ed25519:CCCC\ncluster: {}\n',
]


@pytest.mark.parametrize("text", STYLES)
def test_a_trusted_key_is_added_and_nothing_else_changes(text: str) -> None:
    """Every line that was there is there still, comments and layout included."""
    after = with_trusted_key(text, KEY)
    assert after.count(KEY) == 1
    left = [line for line in text.splitlines() if line not in after.splitlines()]
    assert len(left) <= 1  # the one with a list on one line
    assert all(line.partition("#")[2] in after for line in left)
    empty = with_trusted_key("vaults: {}\ntrusted_keys: []  # none\n", KEY)
    assert KEY in empty


@pytest.mark.parametrize("indent", ["", "  ", "    "])
def test_an_edit_keeps_the_layout_of_lists(indent: str) -> None:
    """However lists are set in, they stay so."""
    text = f"a:\n{indent}- x: 1\n{indent}  y: 2\nb: old\n"
    assert edited(text, {("b",): "new"}) == text.replace("old", "new")


def test_equal_contents_give_equal_bytes() -> None:
    """What is packed depends on nothing else; and is opened by gunzip and tar."""
    assert packed(material()) == packed(material())
    with tarfile.open(fileobj=io.BytesIO(packed(material()))) as archive:
        assert archive.getnames() == ["READ-ME-FIRST.txt", "drkit.yaml", "keys/a", "keys/b", "manifest.json"]
    opened = bundle.unpack(packed(material()))
    assert opened.files["keys/a"] == b"secret"
    assert opened.manifest["missing"] == [{"name": "cluster.token", "why": "it is not set"}]


def hostile(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"x") -> bytes:
    """An archive with one entry."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
        archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        hostile("../drkit.yaml"),
        hostile("/etc/cron.d/x"),
        hostile("keys/../../x"),
        hostile("other/x"),
        hostile(".ssh"),
        hostile("keys/x", tarfile.SYMTYPE, b""),
        hostile("keys/x", tarfile.LNKTYPE, b""),
        hostile("keys/large", content=bytes(bundle.LARGEST_FILE_BYTES + 1)),
        gzip.compress(bytes(20 * 1024 * 1024)),
        gzip.compress(b"no archive" * 100),
        hostile("manifest.json", content=b"[]"),
        packed(material())[:-20],
        b"",
    ],
    # The archives have the time in them: as names of tests they would differ from process to process.
    ids=lambda raw: f"{len(raw)} bytes",
)
def test_what_is_no_bundle_is_refused(raw: bytes) -> None:
    """Whoever has a recipient's public key can make something that decrypts: nothing of it is believed."""
    with pytest.raises(VerificationFailed):
        bundle.unpack(raw)


def test_a_later_format_is_named() -> None:
    """A bundle of a newer drkit says so."""
    what = {**bundle.manifest(material(), "now", "9", []), "format": 2}
    with pytest.raises(VerificationFailed, match="format 2"):
        bundle.unpack(bundle.pack(material(), what, ""))


def armored(content: bytes) -> str:
    """Text of the form of age's armor."""
    import base64  # noqa: PLC0415 - here alone

    body = base64.encodebytes(content).decode().replace("\n", "")
    lines = [body[begin : begin + 64] for begin in range(0, len(body), 64)]
    return "\n".join([age.BEGIN, *lines, age.END, ""])


@given(st.binary(min_size=1, max_size=600), st.sampled_from(["{}", "  {}  ", "\t{}", "> no\n{}\nat all"]))
def test_printed_lines_are_read_again(content: bytes, around: str) -> None:
    """Whatever stands around them, and however wide the gaps came out."""
    text = armored(content)
    printed = "\n".join(around.format(line.replace(" ", "  ")) for line in paper.lines(text))
    assert paper.is_paper(printed)
    assert paper.read(printed) == text


@given(st.binary(min_size=200, max_size=400), st.data())
def test_a_character_that_was_misread_is_never_believed(content: bytes, data: st.DataObject) -> None:
    """One wrong character anywhere, in numbers and checksums too, is found, and its line named."""
    lines = paper.lines(armored(content))
    number = data.draw(st.integers(0, len(lines) - 1))
    columns = [at for at, character in enumerate(lines[number]) if character not in " -/:"]
    column = data.draw(st.sampled_from(columns))
    other = data.draw(st.sampled_from([each for each in "0Ol1Ia7+" if each.lower() != lines[number][column].lower()]))
    lines[number] = lines[number][:column] + other + lines[number][column + 1 :]
    with pytest.raises(VerificationFailed, match=rf"\b{number + 1}\b"):
        paper.read("\n".join(lines))


def test_a_page_shows_names_and_no_contents() -> None:
    """What is on paper in clear names no secret, and nothing on it is fetched from elsewhere."""
    text = armored(bytes(300))
    shown = page.html(material(b"correct horse").essentials(), ["age1<x>"], "2026-03-01T12:00:00Z", text)
    assert "correct horse" not in shown
    assert "vaults.cluster.passphrase" in shown
    assert "age1&lt;x&gt;" in shown
    assert "cluster.kubeconfig: not essential: left off the paper" in shown
    assert "http" not in shown.replace("http-equiv", "")
    assert paper.read(shown) == text


def test_the_text_has_the_command_for_a_lost_repository_key() -> None:
    """Who stands before a repository without its key reads how the exported one is put back."""
    said = readme(material(), "2026-03-01T12:00:00Z", "b.age")
    assert "borg key import ssh://u1@box.example:23/./k3s keys/vaults.cluster.borg-key" in said
    assert "UserKnownHostsFile=keys/vaults.cluster.ssh.known_hosts" in said
    assert "drkit keys open --bundle b.age" in said


def test_differences_are_told_by_fingerprints() -> None:
    """What changed, came or went is named; what cannot be read now, and what changes every day, is not."""
    marks = bundle.fingerprints("docfast", material().items)
    assert set(marks) == {"drkit.yaml", "vaults.cluster.passphrase"}
    last = Record("then", "b.age", "00", {**marks, "cluster.token": "x", "old.token": "y"})
    assert record.differences(last, material()) == ["old.token is not used any more"]
    assert record.differences(last, material(b"another")) == [
        "vaults.cluster.passphrase has changed since",
        "old.token is not used any more",
    ]
    assert bundle.fingerprints("other", material().items) != marks


@pytest.mark.parametrize("recipient", ["age1qqqq", "ssh-ed25519 AAAA"])
def test_a_recipient_that_is_none_is_named(recipient: str) -> None:
    """A typing error in a public key is found before anything is encrypted."""
    with pytest.raises(DrkitError, match=r"escrow.recipients\[0\]"):
        age.encrypt(b"", [recipient])


@pytest.mark.parametrize("text", ["", "no key", "AGE-SECRET-KEY-1NONSENSE", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_an_identity_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    """A wrong file as identity is exit code 4, and nothing of it is shown."""
    file = tmp_path / "identity"
    file.write_text(text)
    with pytest.raises(DrkitError) as raised:
        age.decrypt(age.BEGIN.encode(), file)
    assert raised.value.exit_code == 4
    assert "NONSENSE" not in raised.value.message
