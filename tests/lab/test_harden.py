"""A patch of what k3s deploys itself: an upgrade undoes it, and ``drkit harden`` brings it back, or sees to it before.

The lab's k3s upgrades nothing. What makes k3s apply an AddOn again after an upgrade is that the checksum which it noted
is another than its manifest's; so that is what is changed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.labs import COLD_SECONDS, LabUser, kubectl, ssh
from tests.lab.site import DRKIT, Ran
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
MANIFEST = "/var/lib/rancher/k3s/server/manifests/coredns.yaml"
DECLARED, PACKAGED = 5, 2
PATCH = f"""
patches:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {{namespace: kube-system, name: coredns}}
  take_over: true
  spec: {{template: {{spec: {{containers: [{{name: coredns, readinessProbe: {{periodSeconds: {DECLARED}}}}}]}}}}}}
"""
BARE = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: kube-system, name: coredns}}\n"


class Hardener:
    """Runs ``drkit harden`` as the lab's user does, with a configuration of their own beside the lab's."""

    def __init__(self, lab: Lab, user: LabUser) -> None:
        self.lab, self._user = lab, user
        self.file = Path(lab["config"]).with_name("harden.yaml")

    def declare(self, patches: str) -> None:
        """Write it."""
        self.file.write_text(Path(self.lab["config"]).read_text(encoding="utf-8") + patches, encoding="utf-8")

    def run(self, *words: str) -> tuple[int, list[dict[str, Any]]]:
        """How the command ended, and what it says of each patch."""
        argv = [DRKIT, "harden", "--config", str(self.file), "--json", *words]
        ran = subprocess.run(argv, env=self._user.env(), capture_output=True, text=True, timeout=300, check=False)
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout).get("patches", [])

    def period(self) -> int:
        """CoreDNS's seconds between two readiness probes, as the cluster has them."""
        path = "jsonpath={.spec.template.spec.containers[0].readinessProbe.periodSeconds}"
        return int(ok(kubectl(self.lab, "get", "deployment", "coredns", "-n", "kube-system", "-o", path)).out)

    def noted(self) -> str:
        """The checksum of CoreDNS's manifest that k3s has noted."""
        return ok(
            kubectl(self.lab, "get", "addon", "coredns", "-n", "kube-system", "-o", "jsonpath={.spec.checksum}")
        ).out

    def upgrade(self) -> None:
        """Restart k3s as one whose CoreDNS is another than the one that was deployed last."""
        change = '{"spec":{"checksum":"of-an-earlier-version"}}'
        ok(kubectl(self.lab, "patch", "addon", "coredns", "-n", "kube-system", "--type=merge", "-p", change))
        ok(ssh(self.lab, "server-1", "systemctl restart k3s"))
        until(lambda: kubectl(self.lab, "get", "--raw", "/readyz").status == 0, 180, every=1)


def ok(ran: Ran) -> Ran:
    """Of a command that has to end well."""
    assert ran.status == 0, ran.err
    return ran


@pytest.fixture
def hardener(lab: Lab, lab_user: LabUser) -> Iterator[Hardener]:
    """One who leaves CoreDNS as k3s packages it."""
    made = Hardener(lab, lab_user)
    made.declare(PATCH)
    try:
        yield made
    finally:
        made.file.unlink()
        ssh(lab, "server-1", f"rm -f {MANIFEST}.skip")
        # What a manager applied and leaves out now is removed; then k3s applies its own again.
        words = ["apply", "--server-side", "--field-manager=drkit-patches", "-f", "-"]
        ok(kubectl(lab, *words, stdin=BARE))
        made.upgrade()
        until(lambda: made.period() == PACKAGED, 180, every=1)
        ok(kubectl(lab, "rollout", "status", "deployment", "coredns", "-n", "kube-system", "--timeout=110s"))


def test_a_patch_that_an_upgrade_undid_comes_back(hardener: Hardener) -> None:
    """What k3s set back is found by a plan that changes nothing, field by field, and is applied again."""
    assert hardener.run()[0] == 0
    assert hardener.period() == DECLARED
    assert hardener.run("--plan")[0] == 0
    hardener.upgrade()
    until(lambda: hardener.period() == PACKAGED, 180, every=1)
    status, (found,) = hardener.run("--plan")
    assert (status, found["state"]) == (23, "drifted")
    assert [each["path"].rpartition(".")[2] for each in found["change"]["fields"]] == ["periodSeconds"]
    assert hardener.period() == PACKAGED
    status, (done,) = hardener.run()
    assert (status, done["state"]) == (0, "applied")
    assert hardener.period() == DECLARED
    assert hardener.run("--plan")[0] == 0


def test_what_is_owned_outlives_an_upgrade(hardener: Hardener) -> None:
    """k3s leaves an AddOn alone that every server is told to skip: after an upgrade there is nothing to bring back."""
    hardener.declare(f"{PATCH}  own: true\n")
    status, found = hardener.run()
    assert (status, {each["state"] for each in found}) == (0, {"applied"})
    assert any(each["object"].startswith("coredns.yaml.skip on ") for each in found)
    assert ssh(hardener.lab, "server-1", f"test -f {MANIFEST}.skip").status == 0
    hardener.upgrade()
    # Another manifest that k3s deploys as it starts has its turn after CoreDNS's.
    path = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons/rolebindings"
    until(lambda: kubectl(hardener.lab, "get", "--raw", path).status == 0, 180, every=1)
    assert hardener.run("--plan")[0] == 0
    assert (hardener.period(), hardener.noted()) == (DECLARED, "of-an-earlier-version")
