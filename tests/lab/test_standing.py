"""Where a cluster stands, by the real command over a real vault: screen, page, metrics and messages of one story."""

from __future__ import annotations

import json
import re
import signal
import tarfile
from io import BytesIO
from typing import TYPE_CHECKING

import pyrage
import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests import pages
from tests.http_sink import Sink, sink
from tests.lab.site import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.site import Site

IDENTITY = pyrage.x25519.Identity.generate()
ESCROW = f'escrow: {{recipients: ["{IDENTITY.to_public()}"]}}'
NOTIFY = f"notify: {{urls: [{{env: NOTIFY_URL}}]}}\n{ESCROW}"


NO_ESCROW = "whoever loses this machine cannot open the vaults"


@pytest.fixture
def people() -> Iterator[Sink]:
    """Who takes messages."""
    with sink() as server:
        yield server


def _messages(people: Sink) -> list[tuple[str, str]]:
    said = [json.loads(each.body) for each in people.sent]
    people.sent.clear()
    return [(each["type"], f"{each['title']}\n{each['message']}") for each in said]


def _value(text: str, name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


def test_from_nothing_to_safe_and_back(site: Site, small: str, people: Sink) -> None:
    """Lost before the first backup, at risk until a restore and an escrow are there, then safe."""
    site.environment["NOTIFY_URL"] = f"json://{people.place}/"
    site.write({"shop": small}, more=NOTIFY)
    page = site.path / "status.html"

    assert "repository" in site.run("status", "--html", str(page), expect=10).err
    assert "Would be lost" in "".join(pages.self_contained(page.read_text()).shown)
    site.run("notify")
    assert [kind for kind, _ in _messages(people)] == ["failure"]

    site.run("backup")
    first = site.run("status").out.splitlines()[0]
    assert first.endswith("AT RISK: no backup was ever proven by a restore (and 1 more)")
    site.run("notify")
    [(kind, said)] = _messages(people)
    assert kind == "failure"
    assert "next: drkit verify --deep" in said
    assert "over after" in said

    site.run("verify", "--deep")
    assert site.run("status").out.splitlines()[0].endswith("AT RISK: there is no escrow bundle: " + NO_ESCROW)
    site.run("keys", "export", "--to", "b.age")
    assert site.run("status", "--html", str(page)).out.splitlines()[0].endswith(": SAFE")
    standing = site.run("status", "--json").json()
    assert (standing["verdict"], standing["why"]) == ("safe", [])
    assert "Safe:" in "".join(pages.self_contained(page.read_text()).shown)
    site.run("notify")
    site.run("notify")
    assert [kind for kind, _ in _messages(people)] == ["success"]

    file = site.path / "drkit.prom"
    site.run("metrics", "--textfile", str(file))
    text = file.read_text()
    assert _value(text, "drkit_standing", verdict="safe") == 1
    assert _value(text, "drkit_source_size_bytes", source="database/shop") > 1000
    assert _value(text, "drkit_source_duration_seconds", source="database/shop") >= 0
    assert _value(text, "drkit_verification_timestamp_seconds", level="restored") > 1e9

    site.vault.rename(site.path / "elsewhere")
    assert _value(site.run("metrics").out, "drkit_standing", verdict="would be lost") == 1
    site.run("notify")
    [(kind, said)] = _messages(people)
    assert kind == "failure"
    assert PASSPHRASE not in said + text + page.read_text()


def test_keys_that_are_newer_than_the_escrow_are_a_risk(site: Site, small: str, people: Sink) -> None:
    """A new signing key is in no bundle yet, and neither is a service's address; other settings are no risk."""
    site.write({"shop": small}, more=ESCROW)
    site.run("backup")
    site.run("verify", "--deep")
    site.run("keys", "export", "--to", "b.age")
    site.environment["NOTIFY_URL"] = f"json://{people.place}/"
    site.write({"shop": small}, more=f"{ESCROW}\nschedule: {{prune: null}}")
    assert site.run("status", "--json").json()["verdict"] == "safe"
    site.write({"shop": small}, more=NOTIFY)
    site.run("keys", "rotate", "signing-key")
    [why] = site.run("status", "--json").json()["why"]
    assert why == "the escrow bundle is older than notify.urls.0, signing_key, signing_key.pub"
    site.run("keys", "export", "--to", "b.age")
    assert site.run("status", "--json").json()["verdict"] == "safe"
    with tarfile.open(fileobj=BytesIO(pyrage.decrypt((site.path / "b.age").read_bytes(), [IDENTITY]))) as bundle:
        file = bundle.extractfile("keys/notify.urls.0")
        assert file is not None
        assert file.read().decode() == f"json://{people.place}/\n"


def test_a_service_that_takes_nothing_ends_with_an_error(site: Site, small: str, people: Sink) -> None:
    """Whoever tests it sees that it does not work, without the address in the error."""
    site.environment["NOTIFY_URL"] = f"json://{people.place}/token-0123456789abcdef"
    site.write({"shop": small}, more=NOTIFY)
    people.status = 403
    refused = site.run("notify", "--test", expect=1)
    assert "notify.urls.0" in refused.err
    assert "0123456789abcdef" not in refused.out + refused.err
    people.status = 200
    site.run("notify", "--test")
    assert "a test" in _messages(people)[-1][1]


def test_prometheus_is_served_until_a_signal_comes(site: Site, small: str) -> None:
    """The endpoint answers while it runs, is gone after SIGTERM, and asks the vault anew as often as it was told."""
    site.write({"shop": small})
    site.run("backup")
    with site.start("metrics", "--serve", "0", "--every", "1") as served:
        assert served.stderr is not None
        listening = re.search(r"port (\d+)", served.stderr.readline())
        assert listening is not None
        address = f"http://127.0.0.1:{listening[1]}/metrics"
        assert _value(_asked(address), "drkit_points") == 1
        site.run("backup")
        while _value(_asked(address), "drkit_points") != 2:  # until it has asked; the test's own time limit ends it
            pass
        served.send_signal(signal.SIGTERM)
        assert served.wait(30) == 130
    with pytest.raises(urllib3.exceptions.HTTPError):
        _asked(address)


def _asked(address: str) -> str:
    return urllib3.request("GET", address, retries=False, timeout=30).data.decode()
