"""Each rule of the audit finds what it is about, and finds nothing in a cluster that keeps all of them."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.posture.reading import settings
from drkit.posture.rules import RULES, check
from drkit.posture.rules.rule import SEVERITIES
from drkit.posture.snapshot import BACKUPS, Kept, Snapshot
from tests.unit.posture_cases import CASES
from tests.unit.posture_changes import config_map, container, kept, put
from tests.unit.posture_cluster import hardened

if TYPE_CHECKING:
    from drkit.posture.rules.rule import Finding
    from tests.unit.posture_changes import Case
    from tests.unit.posture_cluster import Objects

ROOT = Path(__file__).parents[2]


def found(broken: Snapshot) -> dict[str, list[Finding]]:
    """The findings by rule; rules without one lack."""
    checked = check(broken, settings(broken))
    return {each.rule.id: list(each.findings) for each in checked if each.findings}


def test_a_cluster_that_keeps_all_rules_has_no_finding() -> None:
    """Every rule is silent where nothing is wrong."""
    assert found(hardened()) == {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_finds_what_breaks_it(case: Case) -> None:
    """It names whom it is about, says what is the matter in a sentence, and how to mend it."""
    broken = case.known(hardened(case.objects, case.project))
    findings = found(broken)[case.rule]
    assert tuple(each.what for each in findings) == case.named
    for each in findings:
        assert each.said
        assert each.fix.how
        assert each.seconds is None or each.seconds > 0
        json.dumps(each.as_json())


def test_every_rule_is_broken_by_a_case() -> None:
    """No rule is without a test."""
    assert {case.rule for case in CASES} == {rule.id for rule in RULES}
    assert len(RULES) >= 30


def test_rules_are_well_formed() -> None:
    """Ids are unique and stable in form, severities are known, and every runbook is a page of this repository."""
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
        assert rule.severity in SEVERITIES
        assert (ROOT / rule.runbook).is_file(), rule.runbook
        assert set(rule.as_json()) == {"id", "severity", "title", "runbook"}


def test_a_patch_names_its_object() -> None:
    """What server-side apply is to take says its version, kind and name."""
    for case in CASES:
        for each in found(case.known(hardened(case.objects, case.project)))[case.rule]:
            if each.fix.by == "apply":
                assert {"apiVersion", "kind", "metadata"} <= set(each.fix.patch)
                assert each.fix.patch["metadata"]["name"]
            assert bool(each.fix.patch) == bool(each.fix.by)


def test_what_is_not_known_is_not_an_all_clear() -> None:
    """A rule whose facts could not be found out is listed as unchecked, with the reason, and finds nothing."""
    blind = replace(hardened(), backups=None, unknown={BACKUPS: "the vault did not answer"})
    checked = {each.rule.id: each for each in check(blind, settings(blind))}
    assert checked["no-backup"].unchecked == "the vault did not answer"
    assert not checked["no-backup"].findings
    assert checked["one-server"].unchecked == ""


def test_no_finding_holds_the_secret_that_it_is_about() -> None:
    """A password that stands in a config map does not go on into reports."""
    broken = hardened(put("configmaps", config_map("a", password="correct horse", uri="https://u:battery@host/")))
    told_of = json.dumps([each.as_json() for each in found(broken)["secret-in-configmap"]])
    assert "correct horse" not in told_of
    assert "battery" not in told_of


def test_references_to_secrets_are_none() -> None:
    """A variable, a path, or an empty value beside a secret's name gives nothing away."""
    harmless = config_map(
        "a", password="$(PASSWORD)", token="/run/token", secret="", api_key="${KEY}", passphrase="file:x"
    )
    assert "secret-in-configmap" not in found(hardened(put("configmaps", harmless)))


def test_a_workload_that_nobody_asks_needs_no_readiness() -> None:
    """Readiness decides whom a Service asks: a workload without a Service, such as an operator, is let be."""

    def unasked(listed: Objects) -> None:
        container("docfast", readinessProbe=None)(listed)
        listed["services"] = [each for each in listed["services"] if each["metadata"]["name"] != "docfast"]

    assert "no-readiness-probe" not in found(hardened(unasked))


def test_a_vault_that_holds_nothing_is_not_told_to_be_read_back() -> None:
    """Where there is no backup that alone is said: verifying nothing would mend nothing."""
    empty = kept(verified=None, sources=(Kept("datastore", None, 3600.0, None),))
    ids = found(empty(hardened()))
    assert "no-backup" in ids
    assert "backup-unverified" not in ids


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    2.5,
    float("nan"),
    "",
    "odd",
    [],
    [None],
    [[]],
    ["odd"],
    [{}],
    {},
    {"odd": None},
    {"name": {}},
)


def places(thing: Any) -> list[tuple[Any, Any]]:
    """Everywhere in a document: what holds it, and its key or number there."""
    pairs = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return [place for key, value in pairs for place in ((thing, key), *places(value))]


def test_whatever_stands_where_something_else_should_the_audit_goes_on() -> None:
    """What comes out of a vault may be of any shape: no rule, and no reader of settings, ends in an error."""
    spoilt = hardened(put("configmaps", config_map("a", password="correct horse")))
    everywhere = [place for kind in spoilt.listed.values() for each in kind for place in places(each)]
    everywhere += places(spoilt.topology["hetzner"])
    chosen = random.Random(7)  # noqa: S311 - the same ones each time
    for _ in range(200):
        holder, key = chosen.choice(everywhere)
        before = holder[key]
        holder[key] = chosen.choice(ODD)
        try:
            for each in check(spoilt, settings(spoilt)):
                json.dumps([finding.as_json() for finding in each.findings])
        except Exception as error:  # noqa: BLE001 - any is one too many
            pytest.fail(f"{key} = {holder[key]!r} instead of {before!r}: {error!r}")
        finally:
            holder[key] = before
