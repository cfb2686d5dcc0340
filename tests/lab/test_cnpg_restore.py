"""A cluster of CloudNativePG that lost its volumes comes back: made anew, filled from the dumps, with its passwords."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.clusters import CLUSTERS, get, items, state
from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.pairs import Pair
from tests.lab.processes import descendants
from tests.lab.site import PASSPHRASE
from tests.lab.test_cnpg_backup import ODD, OLD, TABLES
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.labs import LabUser
    from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
NAMESPACE = "postgres"
NAME = "main-db"
BULKY = "bulky"
BULK = "create table bulk as select g, repeat(md5(g::text), 12) as t from generate_series(1, 500000) g"
READER = "the one of the reader"
ID = "20260301t120000z-abc123"
_STEP_SECONDS = 400.0


@dataclass(frozen=True)
class Restoring:
    """A site with a backup of the cluster, and the steps that bring it back."""

    site: Site
    pair: Pair

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a step and do not wait for it."""
        argv = [sys.executable, "-m", "tests.lab.cnpg_steps", str(self.site.config), f"{NAMESPACE}/{NAME}", ID, *words]
        env = {**self.site.env(), "PYTHONPATH": "."}
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def take(self, *words: str) -> Any:
        """Take a step; returns what it returned."""
        return said(self.start(*words), *words)

    def take_twice(self, moment: Callable[[], object], *words: str) -> Any:
        """Take a step that is killed at that moment, unless it was faster, and take it again."""
        child = self.start(*words)
        until(lambda: moment() or child.poll() is not None, _STEP_SECONDS, 0.05)
        child.kill()
        child.communicate()
        return self.take(*(["again"] if words[0] == "load" else []), *words)

    def works(self, program: str) -> bool:
        """Whether a program of drkit's runs in the primary's pod."""
        primary = state(self.pair.lab, NAME, NAMESPACE).get("currentPrimary")
        return bool(primary) and any(program in line for line in self.pair.processes(str(primary)))


def said(child: subprocess.Popen[str], *words: str) -> Any:
    """What a step printed, which must have ended well."""
    out, err = child.communicate(timeout=_STEP_SECONDS)
    assert child.returncode == 0, f"{words}: {child.returncode}\n{out}\n{err}"
    return json.loads(out.splitlines()[-1])


def quoted(name: str) -> str:
    """A database's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def main_db(workload: Lab) -> Iterator[Pair]:
    """The sample workload's cluster, with databases that are odd and large, and a role that logs in."""
    found = get(workload, CLUSTERS, NAME, NAMESPACE)
    assert found is not None
    pair = Pair(workload, NAMESPACE, found["spec"]["imageName"], NAME)
    pair.settled()
    pair.sql("postgres", f"create role reader login password '{READER}'")
    for name, encoding in ((ODD, "UTF8"), (OLD, "LATIN1"), (BULKY, "UTF8")):
        locale = "template template0 lc_collate 'C' lc_ctype 'C'"
        pair.sql("postgres", f"create database {quoted(name)} owner docfast encoding '{encoding}' {locale}")
    pair.sql(ODD, f"comment on database {quoted(ODD)} is U&'\\00FCber'", *TABLES)
    pair.sql(
        OLD, *TABLES, "grant select on scan to reader", "alter default privileges grant select on tables to reader"
    )
    pair.sql(OLD, f"alter database {quoted(OLD)} set work_mem = '7MB'")
    pair.sql(BULKY, BULK, "create index on bulk (t)")
    yield pair
    for name in (ODD, OLD, BULKY):
        pair.sql("postgres", f"drop database if exists {quoted(name)}")
    pair.sql("postgres", "drop role if exists reader")


@pytest.fixture
def restoring(site: Site, main_db: Pair) -> Restoring:
    """The cluster, backed up just now."""
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    vault = "passphrase: {file: passphrase}, lock_wait: 2"
    lines = [f"cluster: {{name: lab, kubeconfig: {json.dumps(main_db.lab['kubeconfig'])}}}", "proofs: content"]
    lines += ["vaults:", f"  databases: {{url: vault, {vault}}}", f"  cluster: {{url: other, {vault}}}", ""]
    site.config.write_text("\n".join(lines))
    main_db.settled()
    assert site.run("backup", "databases", "--json").json()["point"]["complete"] is True
    return Restoring(site, main_db)


def login(pair: Pair, user: str, password: str, host: str, database: str) -> str:
    """Whom a service lets in."""
    address = f"host={host} user={user} password='{password}' dbname={database}"
    inside = ["psql", "-XqtA", f"{address} connect_timeout=5", "-c", "select current_user"]
    return kubectl(pair.lab, "exec", "-n", NAMESPACE, pair.primary, "-c", "postgres", "--", *inside).out.strip()


def secrets(lab: Lab) -> dict[str, Any]:
    """What the cluster's secrets hold."""
    found = items(lab, "secrets", NAMESPACE, f"cnpg.io/cluster={NAME}") + items(lab, "secrets", NAMESPACE)
    names = {f"{NAME}-{each}" for each in ("app", "replication", "pooler")}
    return {each["metadata"]["name"]: each["data"] for each in found if each["metadata"]["name"] in names}


def test_killed_in_each_step_it_comes_back(restoring: Restoring, lab_user: LabUser) -> None:
    """Without its volumes and killed in every step, the cluster is back with equal proofs, and applications log in."""
    pair, lab = restoring.pair, restoring.pair.lab
    kept, volumes = secrets(lab), {each["metadata"]["uid"] for each in items(lab, "pvc", NAMESPACE)}
    assert len(kept) == 3

    def noted() -> object:
        return get(lab, "configmap", f"drkit-remade-{NAME}", NAMESPACE)

    warnings = restoring.take_twice(noted, "prepare")
    assert warnings == ["what was run once when it began is not run again (postInitSQL)"]
    restoring.take_twice(lambda: get(lab, CLUSTERS, NAME, NAMESPACE), "make")
    assert noted() is None
    assert volumes.isdisjoint(each["metadata"]["uid"] for each in items(lab, "pvc", NAMESPACE))
    restoring.take_twice(lambda: restoring.works("psql"), "roles")
    for name in ("docfast", BULKY):
        restoring.take_twice(lambda: restoring.works("psql"), "create", name)
        restoring.take_twice(lambda: restoring.works("pg_restore"), "load", name)
        for step in ("analyze", "prove", "publish"):
            restoring.take_twice(lambda: restoring.works("psql"), step, name)
        assert restoring.take_twice(lambda: restoring.works("psql"), "put_back_properties", name) == []
    for name in ("docfast_staging", ODD, OLD):
        assert restoring.take("whole", name) == []
    assert not restoring.works("pg_restore")

    assert secrets(lab) == kept
    password = base64.b64decode(kept[f"{NAME}-app"]["password"]).decode()
    for host in (f"{NAME}-rw", f"{NAME}-pooler"):
        until(lambda host=host: login(pair, "docfast", password, host, "docfast") == "docfast", 90, 0.5)  # type: ignore[misc]
    assert login(pair, "reader", READER, f"{NAME}-rw", "docfast") == "reader"
    assert pair.sql("postgres", "select rolcanlogin from pg_roles where rolname = 'Berichte & Export'") == "f"
    assert pair.sql(OLD, "show server_encoding") == "LATIN1"
    assert pair.sql("docfast", "select count(*) from pg_largeobject_metadata") == "20"
    pair.settled()
    assert pair.sql("postgres", "select count(*) from pg_database where datname like 'drkit%'") == "0"
    until(lambda: healthy(lab, lab_user), 120, 2)


def healthy(lab: Lab, lab_user: LabUser) -> bool:
    """Whether the sites answer, and all that they need is ready."""
    found = lab_user.run("status", "--json", name=lab["name"]).json()["workload"]
    return found is not None and found["healthy"] is True


def test_a_primary_that_goes_in_mid_load_is_followed(restoring: Restoring) -> None:
    """The primary's pod is deleted while rows are loaded: they are loaded again on the new one, and are whole."""
    pair = restoring.pair
    pair.sql("postgres", f"drop database {BULKY}")
    restoring.take("create", BULKY)
    before = pair.primary
    child = restoring.start("load", BULKY)
    until(lambda: restoring.works("--section=data"), _STEP_SECONDS, 0.05)
    kubectl(pair.lab, "delete", "pod", "-n", NAMESPACE, before, "--wait=false")
    said(child, "load")
    for step in ("analyze", "prove", "publish", "put_back_properties"):
        restoring.take(step, BULKY)
    assert pair.sql(BULKY, "select count(*) from bulk") == "500000"
    pair.settled()


def test_a_killed_load_leaves_nothing_in_the_pod(restoring: Restoring) -> None:
    """After kill -9 no program and no file of drkit's is left in the pod, and no secret was in any argument."""
    pair = restoring.pair
    pair.sql("postgres", f"drop database {BULKY}")
    restoring.take("create", BULKY)
    child = restoring.start("load", BULKY)
    until(lambda: restoring.works("--section=data"), _STEP_SECONDS, 0.05)
    lines = pair.processes(pair.primary)
    started = descendants(child.pid)
    child.kill()
    child.communicate()
    until(lambda: not [line for line in pair.processes(pair.primary) if "pg_restore" in line or "psql" in line], 60)
    inside = ["exec", "-n", NAMESPACE, pair.primary, "-c", "postgres", "--", "ls", "/controller/run"]
    assert "drkit" not in kubectl(pair.lab, *inside).out
    assert started
    assert not [line for line in lines if PASSPHRASE in line]
    restoring.take("again", "load", BULKY)
    for step in ("analyze", "prove", "publish", "put_back_properties"):
        restoring.take(step, BULKY)
