"""What every vault keeps to."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from drkit.errors import DrkitError, NoRepository, NoSuchPoint, SourceFailed
from tests.contract.streams import name, read, stream

if TYPE_CHECKING:
    from drkit.vault.port import StoredArchive, Vault


def _store(vault: Vault, archive: str, content: bytes = b"content", comment: str = "") -> StoredArchive:
    with stream(content) as this:
        return vault.store(archive, this, file_name="database.dump", comment=comment)


def _names(vault: Vault) -> list[str]:
    return [archive.name for archive in vault.archives()]


def test_what_was_stored_is_read_back(vault: Vault) -> None:
    """Some megabytes that compress not at all come back byte by byte, with size and checksum as they were told."""
    content = random.Random(1).randbytes(3_000_001)  # noqa: S311 - data, not a secret
    told: list[int] = []
    with stream(content) as this:
        stored = vault.store(name(1), this, file_name="database.dump", progress=told.append)
    assert read(vault, name(1)) == content
    assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert stored.archive in vault.archives()
    assert stored.added >= len(content)
    assert told == sorted(told)
    assert told[-1] == len(content)


def test_content_that_is_there_already_adds_little(vault: Vault) -> None:
    """Storing the same content under another name takes next to no room, and makes another archive with another id."""
    content = random.Random(2).randbytes(500_000)  # noqa: S311 - data, not a secret
    first = _store(vault, name(2), content)
    second = _store(vault, name(3), content)
    assert second.added < len(content) // 10
    assert second.archive.archive_id != first.archive.archive_id


def test_what_was_prepared_is_stored_as_if_it_had_not_been(vault: Vault) -> None:
    """While archives are prepared the vault can be written and read; each holds what was stored under its name."""
    for number in (30, 31):
        vault.prepare(name(number), file_name="database.dump")
    _store(vault, name(32), b"written meanwhile")
    assert name(32) in _names(vault)
    _store(vault, name(31), b"second")
    _store(vault, name(30), b"first")
    assert [read(vault, name(number)) for number in (30, 31, 32)] == [b"first", b"second", b"written meanwhile"]


def test_what_was_prepared_and_not_stored_leaves_nothing(vault: Vault) -> None:
    """What is prepared and dropped makes no archive and holds no lock, and its name can be stored afterwards."""
    vault.prepare(name(33), file_name="database.dump")
    vault.prepare(name(34), file_name="database.dump")
    vault.drop_prepared()
    assert not {name(33), name(34)} & set(_names(vault))
    _store(vault, name(33), b"after all")
    assert read(vault, name(33)) == b"after all"


def test_an_empty_stream_is_an_archive_too(vault: Vault) -> None:
    """Nothing at all is kept and read back as nothing at all."""
    stored = _store(vault, name(5), b"")
    assert (stored.size, stored.sha256) == (0, hashlib.sha256().hexdigest())
    assert read(vault, name(5)) == b""


def test_archives_are_listed_oldest_first_with_their_ids(vault: Vault) -> None:
    """The listing has the order in which archives were made, and the ids that storing them told."""
    made = [_store(vault, name(number), b"x" * number).archive for number in (7, 6)]
    assert list(vault.archives()[-2:]) == made


def test_comments_come_back_as_they_were_given(vault: Vault) -> None:
    """Braces, quotes and letters of any script in a comment are kept as they are."""
    comments = {
        name(10): "{now} {{x}} {hostname} }{",
        name(11): "Größe 数据 'single' \"double\" \\ $HOME `id` %s",
        name(12): "{" + random.Random(3).randbytes(15_000).hex(),  # noqa: S311 - data, not a secret
    }
    for archive, comment in comments.items():
        _store(vault, archive, comment=comment)
    assert vault.comments(comments) == comments


def test_comments_of_what_is_not_there_are_left_out(vault: Vault) -> None:
    """Asking for nothing, or for an archive that is gone, is no error."""
    assert vault.comments([]) == {}
    assert vault.comments(["docfast.20200101T000000Z-000000.point"]) == {}


def test_deleting_removes_what_was_named_and_nothing_else(vault: Vault) -> None:
    """Deleted archives are gone, the others and their content stay, also after the room was freed."""
    for number in (20, 21, 22):
        _store(vault, name(number), b"content of %d" % number)
    vault.delete([name(21), name(20)])
    vault.compact()
    assert not {name(20), name(21)} & set(_names(vault))
    assert read(vault, name(22)) == b"content of 22"


def test_reading_what_is_not_there_is_an_error(vault: Vault) -> None:
    """An archive that is not there is no empty one."""
    with pytest.raises(NoSuchPoint):
        read(vault, "docfast.20200101T000000Z-000000.point")


def test_an_archive_is_not_overwritten(vault: Vault) -> None:
    """Storing under a name that is taken is refused, and what is there stays."""
    _store(vault, name(25), b"first")
    with pytest.raises(DrkitError):
        _store(vault, name(25), b"second")
    assert read(vault, name(25)) == b"first"


def test_reading_may_end_early(vault: Vault) -> None:
    """Whoever has read enough just stops, and the vault works on."""
    _store(vault, name(26), b"x" * 1_000_000)
    with vault.open(name(26)) as reader:
        assert reader.read(10)
    assert name(26) in _names(vault)


def test_a_good_vault_passes_its_check(vault: Vault) -> None:
    """Nothing is found where nothing is wrong."""
    _store(vault, name(27))
    vault.check()


def test_a_place_without_a_repository_says_so(empty_place: Vault) -> None:
    """A vault that was never made is told from one that is empty, until it is made."""
    with pytest.raises(NoRepository):
        empty_place.archives()
    with pytest.raises(NoRepository):
        _store(empty_place, name(1))
    empty_place.create()
    assert empty_place.archives() == ()


def test_a_stream_that_is_not_the_whole_leaves_nothing(vault: Vault) -> None:
    """A source that fails after its last byte leaves no archive, and the vault works on."""
    before = vault.archives()
    with stream(b"half of it" * 10_000, whole=False) as this, pytest.raises(SourceFailed):
        vault.store(name(4), this, file_name="database.dump")
    assert vault.archives() == before
    _store(vault, name(4), b"the whole")
    assert read(vault, name(4)) == b"the whole"


def test_deleting_twice_is_no_error(vault: Vault) -> None:
    """What is gone already is what was asked for, and does not keep the rest from going."""
    for number in (23, 24):
        _store(vault, name(number))
    vault.delete([name(23)])
    vault.delete([name(23), name(24)])
    vault.delete([name(23), name(24)])
    vault.delete([])
    assert not {name(23), name(24)} & set(_names(vault))
