"""``drkit runbook``: pages with the user's own names, printed whatever is lost."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.build import build_wheel
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.config import load as loading
from drkit.posture.rules import RULES
from drkit.runbook.fill import fill
from drkit.runbook.names import EXAMPLES, own_names
from drkit.runbook.pages import Page, named, pages, shipped
from drkit.runbook.sheet import html
from tests.pages import self_contained
from tests.unit.builders import point, source

if TYPE_CHECKING:
    from drkit.config.model import Config

ROOT = Path(__file__).parents[2]
PAGES = {each.situation: each for each in pages(shipped())}
CONFIG = """\
cluster:
  name: shop
  servers: [{name: mgr-1, address: 203.0.113.10}, {name: mgr-2, address: 203.0.113.11}]
vaults:
  databases: {url: vault, passphrase: {env: BORG}}
databases: [{cnpg: data/shop-db, databases: [orders]}]
patches:
- {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: kube-system, name: coredns}}
- {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: web, name: store}}
- {apiVersion: postgresql.cnpg.io/v1, kind: Pooler, metadata: {namespace: data, name: shop-pool}}
clusters:
  rebuilt: {provider: hetzner, token: {env: T}, servers: [mgr-1], agents: [node-1, node-2], load_balancer: shop-lb}
  refuge:
    provider: ssh
    servers: [{name: r-1, address: 203.0.113.20}]
    agents: [{name: r-2, address: 203.0.113.21}]
    ssh: {jump: me@bastion.example}
  alive: {provider: ssh, servers: [{name: mgr-1, address: 203.0.113.10}]}
"""
NEWEST = point(datetime(2026, 5, 2, 3, tzinfo=UTC), [source("database/data/shop-db/orders")])
EXAMPLE = re.compile(
    r"new-cluster|--to (spare|here)|^  (spare|here):|`(spare|here)`|spare-|main-db|docfast|k3s-(mgr|[sw]\d|lb)\b"
    r"|2026-03-01|\$POINT|(-n|--namespace) postgres|192\.0\.2\.",
    re.MULTILINE,
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Of somebody whose names are all others than those of the examples."""
    file = tmp_path / "drkit.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return loading.load(file)


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    """Each of them."""
    return PAGES[request.param]


def test_every_example_on_every_page_is_filled(page: Page, config: Config) -> None:
    """Nobody types the name of somebody else's cluster on the worst day."""
    filled = fill(page, own_names(config, NEWEST))
    assert filled.examples == {}
    assert EXAMPLE.search(filled.text) is None
    assert EXAMPLE.search(page.text) is not None or filled.text == page.text
    assert filled.head == ()


def test_every_known_example_is_on_some_page() -> None:
    """The table of names has none that the pages do not have any more, and the configuration fills them all."""
    seen = {key for each in PAGES.values() for key in fill(each, {}).examples}
    assert seen == {each.key for each in EXAMPLES}


def test_names_stand_where_they_are_meant(config: Config) -> None:
    """One example word that stands for several things becomes each of them in its place."""
    text = fill(PAGES["damaged-database"], own_names(config, NEWEST)).text
    assert "kubectl -n web scale deployment store --replicas=0" in text
    assert "kubectl -n data get pods -l cnpg.io/cluster=shop-db," in text
    assert "-c postgres -- psql -c 'alter database orders rename to orders_damaged'" in text
    assert "drkit restore --to alive --only database/data/shop-db/orders --at 2026-05-02T03:00:00Z" in text
    beside = fill(PAGES["beside-the-living"], own_names(config, NEWEST)).text
    assert "--only manifests/web/Secret --namespace web=web-before" in beside
    hosts = fill(PAGES["private-cluster"], own_names(config, NEWEST)).text
    assert "servers: [{name: r-1, address: 203.0.113.20}]" in hosts
    assert "jump: me@bastion.example" in hosts
    assert f"--point {NEWEST.id} " in fill(PAGES["incomplete-point"], own_names(config, NEWEST)).text


def test_without_anything_the_page_is_as_it_ships(page: Page) -> None:
    """Without configuration and vault nothing is made up, and each example is said to be one."""
    filled = fill(page, own_names(None, None))
    assert filled.text == page.text
    assert bool(filled.head) == bool(EXAMPLE.search(page.text))


def test_a_vault_alone_tells_of_its_databases() -> None:
    """A recovery point knows which databases it has, where the configuration takes all there are."""
    known = own_names(None, NEWEST)
    assert (known["PostgreSQL cluster"], known["database"]) == ("shop-db", "orders")


@pytest.mark.parametrize("name", ["a b", "$(reboot)", "-x", "a;b", "Upper"])
def test_no_name_is_more_than_a_name_to_a_shell(name: str) -> None:
    """What would be run, or be an option, is not put into commands that people paste."""
    filled = fill(PAGES["damaged-database"], {"database": name})
    assert filled.names == {}
    assert "database" in filled.examples


def test_pages_are_found_by_situation_and_by_rule() -> None:
    """A finding's id leads to its page as the page's name does; links name the command that prints theirs."""
    known = tuple(PAGES.values())
    for rule in RULES:
        assert f"runbooks/{named(known, rule.id).situation}.md" == rule.runbook
    assert named(known, "timing") == named(known, "audit/timing") == PAGES["audit/timing"]
    for each in known:
        assert ".md)" not in each.text
        for situation in re.findall(r"`drkit runbook ([^`]+)`", each.text):
            assert situation in PAGES


def test_the_printed_page_needs_nothing_else(page: Page, config: Config) -> None:
    """It is whole and refers to nothing; commands stand there as they are typed."""
    filled = fill(page, own_names(config, NEWEST), ["<b>a note</b>"])
    shown = self_contained(html(filled, "foot"))
    text = "".join(shown.shown)
    assert {"pre", "code", "h2"} <= shown.tags
    assert "b" not in shown.tags
    for command in re.findall(r"^```sh\n(.*?)^```$", filled.text, re.MULTILINE | re.DOTALL):
        assert command in text


def test_the_command_prints_whatever_is_lost(tmp_path: Path) -> None:
    """Without a configuration, and without a vault that answers, the page comes, and says what is missing."""
    sheet = tmp_path / "page.html"
    absent = str(tmp_path / "drkit.yaml")
    words = ["runbook", "every-server-lost", "--config", absent, "--html", str(sheet)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0
    assert "> Your names are not known" in ended.stdout
    assert "drkit restore --to new-cluster --plan" in ended.stdout
    self_contained(sheet.read_text(encoding="utf-8"))
    Path(absent).write_text(CONFIG, encoding="utf-8")
    said = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert said["names"] == {"new target": "rebuilt"}
    assert said["notes"][0].startswith("The newest recovery point is not known")
    assert "drkit restore --to rebuilt --plan" in said["text"]
    listed = json.loads(CliRunner().invoke(app, ["runbook", "--json"]).stdout)["situations"]
    assert [each["situation"] for each in listed] == list(PAGES)


def test_the_pages_are_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has installed drkit has them, without its repository."""
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        inside = set(wheel.namelist())
    assert {f"drkit/runbooks/{situation}.md" for situation in PAGES} <= inside
    assert "drkit/runbook/sheet.css" in inside
