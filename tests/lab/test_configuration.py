"""What the command line says of a configuration that is not as it should be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lab.site import Site

GOOD = """cluster: {name: shop}
vaults:
  databases: {url: vault, passphrase: {env: DRKIT_PASSPHRASE}}
databases:
  - {name: shop, dsn: {env: SHOP_DSN}}
"""


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        (GOOD + "surprise: 1\n", 6, 1, "unknown key"),
        (GOOD.replace("passphrase:", "pasphrase:"), 3, 27, "unknown key"),
        (GOOD + "cluster: {name: again}\n", 6, 1, "duplicated key"),
        (GOOD + "databases: [\n", 7, 1, "expected"),
        (GOOD.replace("{env: SHOP_DSN}", "{}"), 5, 18, "exactly one of"),
        (GOOD.replace("{env: SHOP_DSN}", "postgresql://user:pw@host/db"), 5, 18, "expected"),
        (GOOD.replace("url: vault", "url: ftp://box/vault"), 3, 15, "expected ssh://"),
        (GOOD.replace("name: shop, ", ""), 5, 5, "missing"),
        ("just words\n", 1, 1, "expected"),
    ],
)
def test_says_where_and_what_was_expected(site: Site, text: str, line: int, column: int, says: str) -> None:
    """A key that is malformed, unknown, duplicated or missing is exit 4, with file, line, column and expectation."""
    site.config.write_text(text)
    site.environment |= {"DRKIT_PASSPHRASE": "long enough", "SHOP_DSN": "postgresql://localhost/shop"}
    ran = site.run("backup", expect=4)
    found = re.search(r"drkit\.yaml:(\d+):(\d+)", ran.err)
    assert found is not None, ran.err
    assert (int(found[1]), int(found[2])) == (line, column), ran.err
    assert says in ran.err


def test_missing_secret_is_named(site: Site) -> None:
    """A secret that is not where the configuration says is exit 4, with the key and the place."""
    site.config.write_text(GOOD)
    assert "vaults.databases.passphrase" in site.run("backup", expect=4).err
    site.environment["DRKIT_PASSPHRASE"] = "long enough"
    ran = site.run("backup", expect=4)
    assert "SHOP_DSN" in ran.err
    assert "databases.shop.dsn" in ran.err


def test_malformed_connection_string_is_not_shown(site: Site) -> None:
    """A connection string that libpq does not understand is exit 4, and its password is not repeated."""
    site.config.write_text(GOOD)
    site.environment |= {"DRKIT_PASSPHRASE": "long enough", "SHOP_DSN": "postgresql://u:hush-hush@host:port:/%zz"}
    ran = site.run("backup", expect=4)
    assert "hush-hush" not in ran.out + ran.err


def test_no_configuration(site: Site) -> None:
    """Without any configuration the places that were looked at are named: exit 4."""
    assert "/etc/drkit/drkit.yaml" in site.run("points", expect=4).err


def test_unknown_target_and_contradicting_options(site: Site) -> None:
    """What the command line contradicts itself in is exit 2; a target that is not configured is exit 4."""
    site.config.write_text(GOOD)
    site.environment |= {"DRKIT_PASSPHRASE": "long enough", "SHOP_DSN": "postgresql://localhost/shop"}
    site.run("restore", expect=2)
    site.run("restore", "--to", "x", "--into", "y", expect=2)
    site.run("restore", "--to", "x", "--at", "yesterday", expect=2)
    site.run("backup", "everything", expect=2)
    site.run("restore", "--to", "nowhere", expect=4)


def test_errors_are_one_json_document(site: Site) -> None:
    """With --json an error is a document too: code, message, hint."""
    ran = site.run("points", "--json", expect=4)
    assert ran.json()["error"]["code"] == 4
