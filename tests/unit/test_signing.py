"""The signing key: made once, private, and checked against what is pinned."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from drkit.config.model import Config, Secret
from drkit.errors import ConfigurationError, VerificationFailed, WrongKey
from drkit.points import signing
from tests.unit import builders

if TYPE_CHECKING:
    from pathlib import Path


def _config(file: Path, *trusted: str) -> Config:
    return Config.model_validate(
        {
            "vaults": {"databases": {"url": "vault", "passphrase": {"env": "X"}}},
            "signing_key": {"file": file},
            "trusted_keys": list(trusted),
        }
    )


def test_a_new_key_is_private_and_has_its_public_half_beside_it(tmp_path: Path) -> None:
    """The key that the first backup makes can be read by its owner alone, and is trusted from then on."""
    config = _config(tmp_path / "keys" / "signing.key")
    made = signing.signer(config, may_create=True)
    key, public = tmp_path / "keys" / "signing.key", tmp_path / "keys" / "signing.key.pub"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert public.read_text().strip() == made.public
    assert signing.verifier(config).keys == {made.public}


def test_the_same_key_is_read_again(tmp_path: Path) -> None:
    """A second run signs with the key that the first one made."""
    config = _config(tmp_path / "signing.key")
    assert (
        signing.signer(config, may_create=True).public
        == signing.signer(config, may_create=True).public
        == signing.signer(config, may_create=False).public
    )


def test_a_lost_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    """Where points exist already, a missing key is an error and stays missing."""
    with pytest.raises(WrongKey):
        signing.signer(_config(tmp_path / "signing.key"), may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_the_public_half_alone_is_enough_to_check(tmp_path: Path) -> None:
    """A machine that only verifies needs no private key."""
    config = _config(tmp_path / "signing.key")
    made = signing.signer(config, may_create=True)
    (tmp_path / "signing.key").unlink()
    signing.verifier(config).check(b"text", made.public, made.sign(b"text"))


def test_the_private_half_alone_is_enough_to_check(tmp_path: Path) -> None:
    """A key whose public file was never written is trusted all the same."""
    config = _config(tmp_path / "signing.key")
    made = signing.signer(config, may_create=True)
    (tmp_path / "signing.key.pub").unlink()
    assert signing.verifier(config).keys == {made.public}


def test_trusted_keys_are_added_to_the_own_one(tmp_path: Path) -> None:
    """Keys that the configuration trusts count beside the machine's own."""
    former = builders.signer(7).public
    config = _config(tmp_path / "signing.key", former)
    made = signing.signer(config, may_create=True)
    assert signing.verifier(config).keys == {made.public, former}


def test_nothing_is_trusted_without_a_key(tmp_path: Path) -> None:
    """A machine without any key refuses every signature."""
    one = builders.signer()
    with pytest.raises(WrongKey, match="pinned: none"):
        signing.verifier(_config(tmp_path / "signing.key")).check(b"text", one.public, one.sign(b"text"))


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64 ***", "\N{SNOWMAN}", None, 5, {"a": 1}])
def test_what_is_no_signature_does_not_fit(signature: object) -> None:
    """Whatever stands in place of a signature is refused as one that does not fit."""
    one = builders.signer()
    with pytest.raises(VerificationFailed):
        builders.verifier(one).check(b"text", one.public, signature)


def test_a_signature_fits_its_own_text_alone() -> None:
    """A signature under another text is refused."""
    one = builders.signer()
    builders.verifier(one).check(b"text", one.public, one.sign(b"text"))
    with pytest.raises(VerificationFailed):
        builders.verifier(one).check(b"texT", one.public, one.sign(b"text"))


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_file_is_a_configuration_error(tmp_path: Path, text: str) -> None:
    """A key file that holds no key is named, and never replaced."""
    file = tmp_path / "signing.key"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="signing_key"):
        signing.signer(_config(file), may_create=True)
    assert file.read_text() == text


def test_a_place_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    """A key cannot be made below something that is no directory, and the message says where."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        signing.signer(_config(tmp_path / "file" / "signing.key"), may_create=True)


def test_a_key_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signing key need not be a file."""
    config = _config(tmp_path / "signing.key")
    made = signing.signer(config, may_create=True)
    monkeypatch.setenv("DRKIT_KEY", (tmp_path / "signing.key").read_text())
    elsewhere = config.model_copy(update={"signing_key": Secret(env="DRKIT_KEY")})
    assert signing.signer(elsewhere, may_create=False).public == made.public
    assert signing.verifier(elsewhere).keys == {made.public}
