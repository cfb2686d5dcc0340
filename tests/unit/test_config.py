"""``drkit.yaml``: what is wrong is named by file, line and column."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config import load as loading
from drkit.config.model import CnpgDatabase, DsnDatabase
from drkit.config.times import Hours
from drkit.errors import ConfigurationError

MINIMAL = """\
vaults:
  databases: {url: vault, passphrase: {env: BORG}}
"""
DOCUMENTED = """\
cluster:
  name: docfast
  kubeconfig: ~/.kube/config
  ssh: {user: root, key: ~/.ssh/id_ed25519, known_hosts: ~/.ssh/known_hosts}
  servers: [{name: k3s-mgr, address: 192.0.2.10}]
vaults:
  cluster:   {url: "ssh://u1-sub1@box.example:23/./k3s-cluster", passphrase: {file: /etc/drkit/passphrase},
              ssh: {key: ~/.ssh/box, known_hosts: ~/.ssh/known_hosts}, remote_path: borg-1.4, schedule: "0 3 * * *",
              keep: {daily: 7, weekly: 4}}
  databases: {url: "ssh://u1-sub1@box.example:23/./k3s-db", passphrase: {file: /etc/drkit/passphrase},
              schedule: "0 */6 * * *", keep: {daily: 7, weekly: 4}}
signing_key: {file: /etc/drkit/signing.key}
databases:
  - {cnpg: postgres/main-db}
  - {name: billing, dsn: {env: BILLING_DSN}}
patches: []
health: [{url: "https://docfast.dev/health"}]
drills: {allow: [], watchdog: null}
escrow: {recipients: []}
notify: {}
clusters:
  new-cluster: {provider: hetzner, token: {env: HCLOUD_TOKEN}, location: nbg1, server_type: cax11,
                servers: [k3s-mgr], agents: [k3s-w1, k3s-w2], load_balancer: k3s-lb, dns: [docfast.dev]}
  spare:       {provider: ssh, servers: [{name: s1, address: 198.51.100.7}],
                databases: [{name: billing, dsn: {env: SPARE_DSN}}]}
"""


def _write(directory: Path, text: str) -> Path:
    file = directory / "drkit.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def _complaint(directory: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        loading.load(_write(directory, text))
    assert refused.value.exit_code == 4
    return refused.value.message.replace(f"{directory}/", "")


def test_the_documented_shape_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the design page shows is understood, with ``~`` as the user's home."""
    monkeypatch.setenv("HOME", "/home/me")
    config = loading.load(_write(tmp_path, DOCUMENTED))
    assert config.cluster.name == "docfast"
    assert config.cluster.kubeconfig == Path("/home/me/.kube/config")
    assert config.vaults["cluster"].ssh.key == Path("/home/me/.ssh/box")
    assert config.vaults["cluster"].is_remote
    assert config.vaults["databases"].keep.weekly == 4
    assert [type(database) for database in config.databases] == [CnpgDatabase, DsnDatabase]
    assert config.clusters["spare"].databases[0].name == "billing"


def test_what_drills_may_do_is_read(tmp_path: Path) -> None:
    """Names, hours and lengths of time of the drills are values, with defaults that forbid nothing in a lab."""
    drills = loading.load(_write(tmp_path, MINIMAL)).drills
    assert (drills.allow, drills.hours, drills.backup_limit, drills.cooldown) == ([], None, None, 60)
    text = """\
drills:
  allow: [worker-down]
  watchdog: k3s-w2
  hours: 01:00-05:00 UTC
  backup_limit: 26h
  cooldown: 2m
  provider: hetzner
  token: {file: hcloud}
  address: 192.0.2.40
  database: postgres/main-db
"""
    drills = loading.load(_write(tmp_path, MINIMAL + text)).drills
    assert (drills.hours, drills.backup_limit, drills.cooldown) == (Hours(60, 300), 26 * 3600, 120)
    assert drills.token is not None
    assert drills.token.file == tmp_path / "hcloud"


def test_relative_paths_are_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration works from whatever directory drkit is called in."""
    monkeypatch.setenv("HOME", "/home/me")
    text = MINIMAL + "signing_key: {file: keys/k}\nstaging: ~/staging\n"
    config = loading.load(_write(tmp_path, text))
    assert config.vaults["databases"].url == str(tmp_path / "vault")
    assert config.signing_key.file == tmp_path / "keys/k"
    assert config.staging == Path("/home/me/staging")


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (MINIMAL + "vault: 1\n", "3:1: vault", "unknown key"),
        (MINIMAL + "cluster:\n  nam: x\n", "4:3: cluster.nam", "unknown key"),
        (MINIMAL + "cluster:\n  name: [x]\n", "4:3: cluster.name", "string"),
        (MINIMAL + "proofs: all\n", "3:1: proofs", "'rows' or 'content'"),
        (MINIMAL + "signing_key: {file: a, env: B}\n", "3:1: signing_key", "exactly one of"),
        (MINIMAL + "trusted_keys: [abc]\n", "3:16: trusted_keys.0", "expected"),
        (MINIMAL + "cluster: {name: a}\ncluster: {name: b}\n", "4:1: cluster", "duplicated key"),
        (MINIMAL + "cluster: {name: a, name: b}\n", "3:20: name", "duplicated key"),
        (MINIMAL + "cluster: [a\n", "4:1", "expected YAML"),
        (MINIMAL + "\tcluster: a\n", "3:1", "expected YAML"),
        ("vaults: {db: {url: v, passphrase: {env: X}}}\n", "1:1", "a source that goes to vault db"),
        (MINIMAL + "cluster: {vaults: [cluster, away]}\n", "1:1", "a vault away under vaults"),
        (MINIMAL + "volumes: [{claim: uploads}]\n", "3:12: volumes.0.claim", "expected"),
        (MINIMAL + "volumes: [{labels: {a: b}}]\n", "3:11: volumes.0", "{claim: NAMESPACE/NAME}"),
        (MINIMAL + "cluster: {vaults: []}\n", "3:11: cluster.vaults", "at least 1"),
        (
            "cluster: {vaults: [b]}\nvaults: {b: {url: v, passphrase: {env: X}, schedule: 0 3 * * *}}\n",
            "1:1",
            "no schedule at vault b",
        ),
        ("vaults: {}\n", "1:1: vaults", "expected"),
        ("cluster: {}\n", "1:1: vaults", "missing"),
        ("vaults:\n  cluster: {url: 'http://x/y', passphrase: {env: X}}\n", "2:13: vaults.cluster.url", "ssh://"),
        ("vaults:\n  cluster: {url: 'ssh://u:p@h/y', passphrase: {env: X}}\n", "2:13", "no password"),
        ("vaults:\n  cluster: {url: v, passphrase: geheim}\n", "2:21: vaults.cluster.passphrase", "expected"),
        (MINIMAL + "cluster: {name: a\x1bb}\n", "3:18", "control character U+001B"),
        (MINIMAL + "drills:\n  hours: 25:00-26:00\n", "4:3: drills.hours", "01:00-05:00"),
        (
            MINIMAL + "drills:\n  hours: 01:00-05:00 Europe/Nowhere\n",
            "4:3: drills.hours",
            "Europe/Nowhere is not known",
        ),
        (MINIMAL + "drills:\n  backup_limit: a day\n", "4:3: drills.backup_limit", "26h"),
        (MINIMAL + "drills:\n  provider: hetzner\n", "3:1: drills", "and its token"),
        (MINIMAL + "drills:\n  token: {env: X}\n", "3:1: drills", "provider: hetzner"),
        (MINIMAL + "drills:\n  database: main-db\n", "4:3: drills.database", "expected"),
        ("", "1:1", "expected keys"),
        ("- a\n", "1:1", "expected keys"),
        ("5\n", "1:1", "expected keys"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """A malformed, unknown, missing or duplicated key ends with file:line:column and what was expected."""
    complaint = _complaint(tmp_path, text)
    assert complaint.startswith(f"drkit.yaml:{place}")
    assert says in complaint


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """Somebody who wrote the passphrase itself into the file does not find it in the error."""
    assert "geheim" not in _complaint(tmp_path, "vaults:\n  cluster: {url: v, passphrase: geheim}\n")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Two mistakes are two lines, not two attempts."""
    assert len(_complaint(tmp_path, MINIMAL + "a: 1\nb: 2\n").splitlines()) == 2


def test_the_same_database_name_twice_is_refused(tmp_path: Path) -> None:
    """Two databases under one name would overwrite each other in every point."""
    entry = "  - {name: a, dsn: {env: X}}\n"
    assert "a stands there twice" in _complaint(tmp_path, MINIMAL + "databases:\n" + entry + entry)


def test_aliases_cannot_fill_the_memory(tmp_path: Path) -> None:
    """A page of aliases that stands for billions of values is refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    assert "alias" in _complaint(tmp_path, "\n".join(lines) + "\n")


def test_aliases_as_such_are_welcome(tmp_path: Path) -> None:
    """An anchor saves writing a passphrase's place twice."""
    text = "vaults:\n  cluster: {url: a, passphrase: &p {env: X}}\n  databases: {url: b, passphrase: *p}\n"
    vaults = loading.load(_write(tmp_path, text)).vaults
    assert vaults["databases"].passphrase == vaults["cluster"].passphrase


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """Something that is no configuration is not read to its end."""
    assert "larger than" in _complaint(tmp_path, "#" * (1024 * 1024 + 1))


_CHAIN = "a0: &a0 [x]\n" + "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 1000))


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: " + "[" * 500_000, "1:36", "32 collections in one another"),
        ("a: " + "[{b: " * 200_000, "1:", "32 collections in one another"),
        ("".join(" " * level + "a:\n" for level in range(1000)), "33:", "32 collections in one another"),
        ("a:\n  " + "- " * 1000, "2:", "32 collections in one another"),
        ("a: [" + "x," * 500_000, "1:", "50000 values"),
        ("- x\n" * 250_000, "50000:3", "50000 values"),
        (_CHAIN, "1:1", "since aliases stand for more"),
    ],
    ids=["lists", "mappings", "lines", "dashes", "one-list", "one-value-a-line", "aliases-in-a-row"],
)
def test_a_hostile_file_is_refused_quickly(tmp_path: Path, text: str, place: str, says: str) -> None:
    """What is made to keep the parser busy, or to fill the stack, ends in an error within seconds of computing."""
    began = time.process_time()
    complaint = _complaint(tmp_path, text)
    assert time.process_time() - began < 10
    assert complaint.startswith(f"drkit.yaml:{place}")
    assert says in complaint


def test_brackets_that_are_closed_or_quoted_are_welcome(tmp_path: Path) -> None:
    """Only what is open at a time counts, as the parser sees it: neither texts, comments nor a long list of pairs."""
    names = [f"b{number}" for number in range(300)]
    entries = ", ".join(f"{{name: {name}, dsn: {{env: X}}}}" for name in names)
    text = f"# {'[' * 1000}\n{MINIMAL}databases: [{entries}]\nhealth: [{{url: 'https://x/{'[' * 100}'}}]\n"
    assert len(loading.load(_write(tmp_path, text)).databases) == len(names)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A mistyped --config says which file it looked for."""
    with pytest.raises(ConfigurationError, match="no such file"):
        loading.load(tmp_path / "none.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        loading.load(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A binary file is told from a configuration."""
    file = tmp_path / "drkit.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        loading.load(file)


def test_the_file_is_looked_for_where_the_help_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory comes before the user's own configuration, and what was asked for before both."""
    work, home = tmp_path / "work", tmp_path / "home"
    (home / "drkit").mkdir(parents=True)
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    mine = _write(home / "drkit", MINIMAL)
    assert loading.find(None) == mine
    _write(work, MINIMAL)
    assert loading.find(None) == Path("drkit.yaml")
    assert loading.find(mine) == mine


_PIECES = [
    "vaults",
    "cluster",
    "databases",
    "name",
    "url",
    ":",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "~",
    "5",
    '"',
    "a",
    ", ",
    ">",
    "?",
    "!!int ",
    "%",
    "@",
    "é",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
def test_no_text_is_a_surprise(text: str) -> None:
    """Whatever nonsense stands in the file ends in a configuration error with a place."""
    with (
        tempfile.TemporaryDirectory() as directory,
        pytest.raises(ConfigurationError, match=r"drkit\.yaml:\d+:\d+: "),
    ):
        loading.load(_write(Path(directory), text))
