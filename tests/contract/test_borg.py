"""What only the real Borg can show."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit import process
from drkit.errors import VerificationFailed, WrongKey
from drkit.vault.borg import BorgVault
from tests.contract.conftest import PASSPHRASE
from tests.contract.streams import NAME, ContentStream, read, stream

if TYPE_CHECKING:
    from collections.abc import Iterator


def _fill(vault: BorgVault, content: bytes) -> None:
    with stream(content) as this:
        vault.store(NAME, this, file_name="database.dump")


def test_another_passphrase_does_not_open_it(borg_vault: BorgVault) -> None:
    """A wrong passphrase is told from every other trouble, whatever is asked."""
    wrong = BorgVault("databases", borg_vault.repository, PASSPHRASE + "!")
    with pytest.raises(WrongKey):
        wrong.archives()
    with pytest.raises(WrongKey):
        _fill(wrong, b"content")
    with pytest.raises(WrongKey):
        read(wrong, NAME)


def test_a_damaged_segment_is_found(borg_vault: BorgVault) -> None:
    """One byte that changed on the disk fails the check, and the content is not read as if it were whole."""
    _fill(borg_vault, os.urandom(300_000))
    segments = Path(borg_vault.repository.url).glob("data/*/*")
    largest = max(segments, key=lambda segment: segment.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    with pytest.raises(VerificationFailed):
        borg_vault.check()
    with pytest.raises(VerificationFailed):
        read(borg_vault, NAME)


def _programs_below(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                yield int(entry.name)
                yield from _programs_below(int(entry.name))


def test_the_passphrase_is_in_no_process_list(borg_vault: BorgVault) -> None:
    """While Borg works, no program that belongs to it has the passphrase in its arguments or its environment."""
    reading, writing = os.pipe()
    moving = threading.Event()
    seen: dict[int, bytes] = {}
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as sink:
        storing = threading.Thread(
            target=lambda: borg_vault.store(
                NAME,
                ContentStream(source, whole=True),
                file_name="database.dump",
                progress=lambda _: moving.set(),
            )
        )
        storing.start()
        assert moving.wait(30)
        for program in _programs_below(os.getpid()):
            for file in ("cmdline", "environ"):
                seen[program] = seen.get(program, b"") + Path(f"/proc/{program}/{file}").read_bytes()
        sink.close()
        storing.join(60)
    assert any(b"--content-from-command" in words for words in seen.values())
    assert not any(PASSPHRASE.encode() in words or b"BORG_PASSPHRASE=" in words for words in seen.values())
    assert [archive.name for archive in borg_vault.archives()] == [NAME]


def test_the_environment_given_to_borg_is_small(borg_vault: BorgVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that came to drkit through its own environment are not handed on."""
    monkeypatch.setenv("BILLING_DSN", "postgresql://u:secret@h/d")
    assert "BILLING_DSN" not in process.clean_environment()
    assert borg_vault.archives() == ()


@pytest.mark.parametrize("directory", ["a:b quote'\" Größe", "-dash"])
def test_a_local_path_may_have_any_characters(tmp_path: Path, directory: str, borg_vault: BorgVault) -> None:
    """A vault's directory is called what its owner calls it."""
    from tests.contract.conftest import local_repository  # noqa: PLC0415 - fixtures have no module of their own

    vault = BorgVault("databases", local_repository(tmp_path / directory), PASSPHRASE)
    vault.create()
    _fill(vault, b"content")
    assert read(vault, NAME) == b"content"
    assert (tmp_path / directory / "data").is_dir()
