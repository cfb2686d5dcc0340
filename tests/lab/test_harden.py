"""A patch of what k3s deploys itself: an upgrade undoes it, and ``drkit harden`` brings it back, or sees to it before.

The lab's k3s is a stand-in in two releases, of which the second packages CoreDNS otherwise.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
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
MANIFESTS = "/var/lib/rancher/k3s/server/manifests"
MANIFEST = f"{MANIFESTS}/coredns.yaml"
ADDONS = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons"
SCENARIO = """
title: k3s is upgraded on its server
probes: [{kind: kube-api, window: 5m}]
faults: [{fault: upgrade-k3s, on: {node: control-plane}, after: 1s, lasts: 20s}]
hold: [patches kept]
"""
K3S = "/usr/local/bin/k3s"
FIRST, NEXT = "v1.34.4+standin", "v1.34.4+standin2"
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

    def packaged_by(self) -> str:
        """The release of k3s whose CoreDNS is in the cluster."""
        path = "jsonpath={.spec.template.metadata.annotations.drkit\\.dev/packaged-by}"
        return ok(kubectl(self.lab, "get", "deployment", "coredns", "-n", "kube-system", "-o", path)).out

    def upgrade(self) -> None:
        """Put the next release of k3s in place of the server's, as its installer does."""
        container = next(each["container"] for each in self.lab["nodes"] if each["name"] == "server-1")
        given = Path(self.lab["config"]).with_name("k3s-next")
        subprocess.run(["docker", "cp", str(given), f"{container}:{K3S}.new"], check=True, capture_output=True)
        ok(ssh(self.lab, "server-1", f"cp {K3S} {K3S}.old && chmod 755 {K3S}.new && mv {K3S}.new {K3S}"))
        self.restart()
        assert ok(ssh(self.lab, "server-1", "k3s --version")).out.startswith(f"k3s version {NEXT} ")

    def put_back(self) -> None:
        """Let the server have the release that it had."""
        ssh(self.lab, "server-1", f"test ! -e {K3S}.old || mv {K3S}.old {K3S}")
        self.restart()

    def restart(self) -> None:
        """Restart the server's k3s, and wait until it answers."""
        ok(ssh(self.lab, "server-1", "systemctl restart k3s"))
        until(lambda: kubectl(self.lab, "get", "--raw", "/readyz").status == 0, 180, every=1)

    def is_there(self) -> bool:
        """Whether there is a CoreDNS."""
        return kubectl(self.lab, "get", "deployment", "coredns", "-n", "kube-system").status == 0

    def drill(self) -> tuple[int, dict[str, Any]]:
        """Upgrade the server's k3s in a drill, and undo it; how the command ended, and its verdict."""
        chaos = self.file.parent / "chaos"
        chaos.mkdir(exist_ok=True)
        (chaos / "server-upgraded.yaml").write_text(SCENARIO, encoding="utf-8")
        argv = [DRKIT, "drill", "run", "server-upgraded", "--config", str(self.file), "--json"]
        ran = subprocess.run(argv, env=self._user.env(), capture_output=True, text=True, timeout=900, check=False)
        (chaos / "server-upgraded.yaml").unlink()
        assert "verdicts" in ran.stdout, f"{ran.stdout}\n{ran.stderr}"
        verdict: dict[str, Any] = json.loads(ran.stdout)["verdicts"][0]
        return ran.returncode, verdict

    @contextmanager
    def scheduler(self) -> Iterator[None]:
        """A scheduler that does nothing but see to the patches, each minute."""
        argv = [DRKIT, "schedule", "run", "--config", str(self.file)]
        child = subprocess.Popen(argv, env=self._user.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield
        finally:
            child.terminate()
            _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said


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
        ssh(lab, "server-1", f"rm -f {MANIFEST}.skip {MANIFESTS}/drkit-coredns.yaml")
        kubectl(lab, "delete", "addon", "drkit-coredns", "-n", "kube-system", "--ignore-not-found")
        # What a manager applied and leaves out now is removed; then k3s applies its own again.
        words = ["apply", "--server-side", "--field-manager=drkit-patches", "-f", "-"]
        ok(kubectl(lab, *words, stdin=BARE))
        made.put_back()
        until(lambda: (made.period(), made.packaged_by()) == (PACKAGED, FIRST), 180, every=1)
        ok(kubectl(lab, "rollout", "status", "deployment", "coredns", "-n", "kube-system", "--timeout=110s"))


def test_a_patch_that_an_upgrade_undid_comes_back(hardener: Hardener) -> None:
    """What k3s set back is found by a plan that changes nothing, field by field, and is applied again."""
    assert hardener.run()[0] == 0
    assert hardener.period() == DECLARED
    assert hardener.run("--plan")[0] == 0
    hardener.upgrade()
    until(lambda: (hardener.period(), hardener.packaged_by()) == (PACKAGED, NEXT), 180, every=1)
    status, (found,) = hardener.run("--plan")
    assert (status, found["state"]) == (23, "drifted")
    assert [each["path"].rpartition(".")[2] for each in found["change"]["fields"]] == ["periodSeconds"]
    assert hardener.period() == PACKAGED
    status, (done,) = hardener.run()
    assert (status, done["state"]) == (0, "applied")
    assert hardener.period() == DECLARED
    assert hardener.run("--plan")[0] == 0


def test_the_schedule_brings_back_what_an_upgrade_undid(hardener: Hardener) -> None:
    """Nobody has to remember: within a minute of a restart that undid a patch, here, it is applied again."""
    hardener.declare(f'{PATCH}schedule: {{harden: "* * * * *", prune: null, verify: null, verify_deep: null}}\n')
    hardener.upgrade()
    until(lambda: (hardener.period(), hardener.packaged_by()) == (PACKAGED, NEXT), 180, every=1)
    with hardener.scheduler():
        until(lambda: hardener.period() == DECLARED, 180, every=1)


def test_what_is_owned_outlives_an_upgrade(hardener: Hardener) -> None:
    """k3s leaves an AddOn alone that every server is told to skip: after an upgrade there is nothing to bring back."""
    hardener.declare(f"{PATCH}  own: true\n")
    status, found = hardener.run()
    assert (status, {each["state"] for each in found}) == (0, {"applied"})
    files = {each["object"].partition(" on ")[0] for each in found if " on " in each["object"]}
    assert files == {"coredns.yaml.skip", "drkit-coredns.yaml"}
    addon = f"{ADDONS}/drkit-coredns"
    until(lambda: kubectl(hardener.lab, "get", "--raw", addon).status == 0, 60, every=1)
    hardener.upgrade()
    # What k3s packages now is told of, and not taken up; a deployment that is gone comes back as it was declared.
    until(lambda: any("packages another" in each["note"] for each in hardener.run("--plan")[1]), 180, every=1)
    ok(kubectl(hardener.lab, "delete", "deployment", "coredns", "-n", "kube-system"))
    hardener.restart()
    until(hardener.is_there, 180, every=1)
    assert hardener.run("--plan")[0] == 0
    assert (hardener.period(), hardener.packaged_by()) == (DECLARED, FIRST)


@pytest.fixture
def patched_workload(workload: Lab, lab_user: LabUser) -> Iterator[None]:
    """The sample workload, which patches CoreDNS by hand, and gets its patch back at the end."""
    yield
    lab_user.run("up", "--workload", name=workload["name"])


@pytest.mark.usefixtures("patched_workload")  # before the one who hardens: without an ingress no target is healthy
@pytest.mark.parametrize("own", [False, True])
def test_a_drill_tells_whether_patches_survive_an_upgrade(hardener: Hardener, own: bool) -> None:
    """An upgrade of a server that costs a patch is a demand that was not met; what is owned is kept."""
    hardener.declare(f"{PATCH}  own: {str(own).lower()}\n")
    assert hardener.run()[0] == 0
    ok(kubectl(hardener.lab, "rollout", "status", "deployment", "coredns", "-n", "kube-system", "--timeout=110s"))
    ended, verdict = hardener.drill()
    assert "confirmed" not in " ".join(verdict["reasons"])
    told = [each for each in verdict["reasons"] if "patches" in each]
    assert (ended, told) == (0, []) if own else "periodSeconds" in told[0]
    assert verdict["patches"]["before"] == 1
    assert ok(ssh(hardener.lab, "server-1", "k3s --version")).out.startswith(f"k3s version {FIRST} ")
