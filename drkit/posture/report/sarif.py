"""An audit as SARIF 2.1.0, which code hosts and editors show. Pure.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0. Findings are about a cluster and no file: they carry
logical locations; the physical one is the runbook, which is what a host that needs one can show.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from drkit import __version__
from drkit.posture.report.words import cost
from drkit.posture.rules.rule import CRITICAL, HIGH, LOW, MEDIUM

if TYPE_CHECKING:
    from drkit.posture.audit import Audit
    from drkit.posture.rules.rule import Finding, Rule

_LEVELS: Final = {CRITICAL: "error", HIGH: "error", MEDIUM: "warning", LOW: "note"}
_SCORES: Final = {CRITICAL: "9.5", HIGH: "8.0", MEDIUM: "5.0", LOW: "2.0"}
"""GitHub's ``security-severity``: from 9 critical, from 7 high, from 4 medium."""
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(audit: Audit) -> dict[str, Any]:
    """The document."""
    rules = [each.rule for each in audit.checked]
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "drkit audit", "version": __version__, "rules": [_rule(r) for r in rules]}},
                "automationDetails": {"id": f"drkit-audit/{audit.cluster}/"},
                "results": [_result(audit, rule, finding, numbers) for rule, finding in audit.findings()],
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "warning",
                                "message": {"text": f"not checked: {each.unchecked}"},
                                "associatedRule": {"id": each.rule.id, "index": numbers[each.rule.id]},
                            }
                            for each in audit.checked
                            if each.unchecked
                        ],
                    }
                ],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": f"See {rule.runbook}."},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"severity": rule.severity, "security-severity": _SCORES[rule.severity], "runbook": rule.runbook},
    }


def _result(audit: Audit, rule: Rule, finding: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    costs = f" Costs {cost(finding)}." if cost(finding) else ""
    # The same finding is the same tomorrow, whatever its numbers are then.
    print_of = hashlib.sha256(f"{audit.cluster}\0{rule.id}\0{finding.what}".encode()).hexdigest()
    return {
        "ruleId": rule.id,
        "ruleIndex": numbers[rule.id],
        "level": _LEVELS[rule.severity],
        "message": {"text": f"{finding.what}: {finding.said}.{costs} Fix: {finding.fix.how}."},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": rule.runbook}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": finding.what, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"drkit/v1": print_of},
    }
