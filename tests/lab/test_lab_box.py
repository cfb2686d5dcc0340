"""The lab's Storage Box: what a user's backup meets there."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab import inside
from tests.lab.labs import COLD_SECONDS, login
from tests.lab.site import BORG, PASSPHRASE, Site
from tests.lab.test_vault_trouble import BULKY

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]


def vault_of(lab: Lab) -> str:
    """The vault's keys for a site that backs up into the lab's box."""
    keys = f"{{key: {lab['box']['append_only_key']}, known_hosts: {lab['ssh']['known_hosts']}}}"
    return f", ssh: {keys}, remote_path: borg-1.4"


def small_account(lab: Lab) -> str:
    """The address of the account that is soon full."""
    account = lab["box"]["accounts"][1]
    return f"ssh://{account['user']}@{lab['box']['address']}:{lab['box']['port']}/./"


def borg(site: Site, lab: Lab, key: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Borg itself, on the repository that ``BORG_REPO`` of the site names, with one of the box's keys."""
    rsh = f"ssh -F none -i {lab['box'][key]} -o UserKnownHostsFile={lab['ssh']['known_hosts']} -o BatchMode=yes"
    env = {**site.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_RSH": rsh, "BORG_REMOTE_PATH": "borg-1.4"}
    return subprocess.run([BORG, *words], env=env, capture_output=True, text=True, timeout=60, check=False)


def stored(engine: DockerClient, lab: Lab, repository: str) -> int:
    """The bytes of a repository of the lab's own account, as the box sees them."""
    box = engine.containers.get(f"drkit-lab-{lab['name']}-box")
    home = f"/home/{lab['box']['accounts'][0]['user']}"
    return int(inside.run_in(box, "du", "-sb", f"{home}/{repository}")[1].split()[0])


def test_a_backup_into_the_box_and_back(lab: Lab, site: Site, small: str, absent: Callable[..., str]) -> None:
    """With the append-only key a database goes into the box on port 23, is verified there, and restored from it."""
    restored = absent()
    site.write({"shop": small}, targets={"shop": restored}, url=f"{lab['box']['url']}trip", vault=vault_of(lab))
    site.run("check")
    site.run("backup")
    site.run("verify")
    with site.connect("postgres") as server:
        server.autocommit = True
        server.execute(f'create database "{restored}"')
    site.run("restore", "--to", "spare")
    with site.connect(restored) as connection:
        assert connection.execute("select count(*) from purchase").fetchone() == (2000,)


def test_the_labs_own_configuration_reaches_the_box(lab: Lab, site: Site) -> None:
    """The drkit.yaml that ``lab up`` wrote works as it is: key, host key, address and passphrase fit the box."""
    ran = site.run("points", "--config", str(lab["config"]), "--json", expect=10)
    assert "does not exist" in ran.json()["error"]["message"].lower()


@pytest.mark.parametrize("key", ["append_only_key", "full_access_key"])
def test_no_shell(lab: Lab, key: str) -> None:
    """Neither key gives a shell, a terminal, files over SFTP or a way through: whatever is asked for, Borg answers."""
    user = lab["box"]["accounts"][0]["user"]
    known_hosts, destination = lab["ssh"]["known_hosts"], f"{user}@{lab['box']['address']}"
    for command in ([], ["id"], ["sh", "-c", "id"], ["cat", "/etc/passwd"]):
        ran = login(lab["box"][key], known_hosts, destination, *command, port=lab["box"]["port"])
        assert "uid=" not in ran.out
        assert "root:" not in ran.out
    options = ("-o", "ExitOnForwardFailure=yes", "-W", f"{lab['dns']['address']}:53")
    ran = login(lab["box"][key], known_hosts, destination, port=lab["box"]["port"], options=options)
    assert ran.status != 0
    assert "forwarding" in ran.err or "prohibited" in ran.err
    argv = ["sftp", "-F", "none", "-b", "-", "-i", lab["box"][key], "-o", f"UserKnownHostsFile={known_hosts}"]
    argv += ["-P", str(lab["box"]["port"]), destination]
    sftp = subprocess.run(argv, input="ls\n", capture_output=True, text=True, timeout=60, check=False)
    assert sftp.returncode != 0


def test_an_account_cannot_reach_another(lab: Lab, site: Site) -> None:
    """A key of one sub-account opens nothing in the home of another."""
    url = f"{small_account(lab)[:-2]}home/{lab['box']['accounts'][0]['user']}/stolen"
    done = borg(site, lab, "full_access_key", "init", "--encryption=none", url)
    assert done.returncode != 0
    assert "not within" in done.stderr.lower() or "not allowed" in done.stderr.lower()


def test_what_the_append_only_key_deletes_is_not_gone(
    lab: Lab, site: Site, docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever has the backup machine's key alone cannot free a byte; the full-access key can."""
    url, name = f"{lab['box']['url']}appended", "appended"
    bulk = tmp_path_factory.mktemp("bulk") / "bulk"
    bulk.write_bytes(bytes(range(256)) * 4096)
    assert borg(site, lab, "append_only_key", "init", "--encryption=repokey", url).returncode == 0
    done = borg(site, lab, "append_only_key", "create", "--compression=none", f"{url}::one", str(bulk))
    assert done.returncode == 0, done.stderr
    before = stored(docker_engine, lab, name)
    assert borg(site, lab, "append_only_key", "delete", f"{url}::one").returncode == 0
    borg(site, lab, "append_only_key", "compact", url)
    assert stored(docker_engine, lab, name) >= before
    borg(site, lab, "full_access_key", "delete", f"{url}::one")
    assert borg(site, lab, "full_access_key", "compact", "--threshold=0", url).returncode == 0
    assert stored(docker_engine, lab, name) < before


def test_the_quota_is_reached(lab: Lab, site: Site, database: Callable[..., str]) -> None:
    """An account that is full ends the backup with 3 and says so, and nothing of it counts."""
    too_much = BULKY.replace("1, 3000", "1, 6000")
    site.write({"bulky": database(too_much)}, url=f"{small_account(lab)}full", vault=vault_of(lab))
    ran = site.run("backup", "--json", expect=3)
    assert "quota" in json.dumps(ran.json()).lower() or "room" in json.dumps(ran.json()).lower()
    assert site.points() == []
