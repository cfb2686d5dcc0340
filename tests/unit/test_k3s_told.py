"""What k3s was told, read from a server's files, and which datastore follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.cluster import k3s
from drkit.cluster.k3s import CONFIG, Settings, settings
from drkit.datastore.look import Kind, Seen, decide
from drkit.errors import SourceFailed
from drkit.masking import mask

UNIT = "/etc/systemd/system/k3s.service"
BOMB = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 10)) for level in range(1, 9)
)
ENV = "/etc/systemd/system/k3s.service.env"
PARTS = "/etc/rancher/k3s/config.yaml.d"


def test_nothing_said_is_k3s_own_default() -> None:
    """A server without any file of settings keeps its data where k3s does."""
    assert settings({}) == Settings()
    assert settings({}).database_directory == "/var/lib/rancher/k3s/server/db"


def test_the_command_line_counts_before_files_before_the_environment() -> None:
    """The order is k3s's own; what only one place says is taken from there."""
    files = {
        UNIT: b"[Service]\nEnvironment='K3S_DATA_DIR=/from/unit' X=1\nExecStart=/usr/local/bin/k3s \\\n  server \\\n"
        b"  '--datastore-cafile' '/line/ca' \\\n  --etcd-snapshot-dir=/line/snapshots --cluster-init\n",
        ENV: b"K3S_TOKEN='from env'\nK3S_DATASTORE_CAFILE=/env/ca\nK3S_DATASTORE_KEYFILE=\"/env/key\"\n#K3S_URL=x\n",
        CONFIG: b"datastore-cafile: /file/ca\ndatastore-keyfile: /file/key\ntoken: from-file\nnode-label: [a=b]\n",
        f"{PARTS}/10-a.yaml": b"token: from-part\n",
        f"{PARTS}/9-b.yaml": b"token: from-last-part\n",
    }
    found = settings(files)
    assert found == Settings(
        data_directory="/from/unit",
        cafile="/line/ca",
        keyfile="/file/key",
        cluster_init=True,
        token="from-last-part",
        snapshot_directory="/line/snapshots",
    )


def test_a_units_overrides_count_last() -> None:
    """A drop-in that starts k3s in another way is what systemd follows."""
    files = {
        UNIT: b"ExecStart=/usr/local/bin/k3s server --data-dir /one\n",
        f"{UNIT}.d/override.conf": b"[Service]\nExecStart=\nExecStart=/usr/local/bin/k3s server -d /two/\n",
        "/usr/lib/systemd/system/k3s.service": b"ExecStart=/usr/bin/k3s server --data-dir /zero\n",
    }
    assert settings(files).data_directory == "/two"


def test_another_configuration_file_is_followed() -> None:
    """A file that the command line or the environment names stands in for the usual one."""
    files = {ENV: b"K3S_CONFIG_FILE=/srv/k3s.yaml\n", CONFIG: b"token: usual\n", "/srv/k3s.yaml": b"token: named\n"}
    assert (settings(files).config, settings(files).token) == ("/srv/k3s.yaml", "named")


def test_an_agent_has_a_service_of_its_own() -> None:
    """What a server's unit says on a node does not count for its agent's."""
    files = {"/etc/systemd/system/k3s-agent.service": b"ExecStart=/usr/local/bin/k3s agent --data-dir=/agent\n"}
    assert settings(files, k3s.AGENT_UNIT).data_directory == "/agent"
    assert settings(files).data_directory == k3s.DATA_DIRECTORY


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        b"[" * 20_000,
        b"node-label:\n" + b"- a=b\n" * 100_000,
        b"token: [unclosed\n",
        b"- a list\n",
        b"\xff\xfe\x00",
        b"token: !!int ''\n",
    ],
    ids=["aliases", "deep", "long", "open", "list", "no-text", "no-integer"],
)
def test_a_hostile_configuration_is_refused(text: bytes) -> None:
    """Alias bombs, endless nesting and what is no configuration end in an error that names the file."""
    with pytest.raises(SourceFailed, match=CONFIG):
        settings({CONFIG: text})


def test_aliases_in_reason_are_taken() -> None:
    """An anchor that is used twice is YAML like any other."""
    assert settings({CONFIG: b"node-ip: &n a\ntoken: *n\n"}).token == "a"


def test_what_is_secret_is_masked() -> None:
    """The token and the datastore's password show nowhere."""
    found = settings({CONFIG: b"token: tok-12345\ndatastore-endpoint: postgres://u:pass-67890@h/db\n"})
    assert "tok-12345" not in repr(found)
    assert "pass-67890" not in repr(found)
    assert mask("said: tok-12345") == "said: ***"


def seen(*, etcd: bool = False, sqlite: bool = False, told: Settings | None = None) -> Seen:
    """A server as it was seen."""
    return Seen(told or Settings(), etcd, sqlite, "v1.34.4+k3s1")


POSTGRES = Settings(endpoint="postgres://k3s@db/kine")


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (seen(sqlite=True), Kind.SQLITE),
        (seen(etcd=True), Kind.EMBEDDED_ETCD),
        (seen(etcd=True, sqlite=True, told=POSTGRES), Kind.EMBEDDED_ETCD),
        (seen(told=POSTGRES, sqlite=True), Kind.POSTGRESQL),
        (seen(told=replace(POSTGRES, endpoint="postgresql://db/kine")), Kind.POSTGRESQL),
        (seen(told=Settings(endpoint="https://a:2379,https://b:2379")), Kind.EXTERNAL_ETCD),
    ],
)
def test_the_datastore_is_the_one_that_k3s_uses(found: Seen, kind: Kind) -> None:
    """What is on disk and what k3s was told decide as in k3s itself: an etcd on disk is used whatever was said."""
    assert decide(found) is kind


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (seen(), "no datastore is in /var/lib/rancher/k3s/server/db"),
        (seen(sqlite=True, told=Settings(cluster_init=True)), "told to have etcd"),
        (seen(told=Settings(server="https://first:6443")), "told to have etcd"),
        (seen(sqlite=True, told=Settings(endpoint="mysql://u:p@tcp(db)/k")), "mysql is not supported"),
        (seen(told=Settings(endpoint="nats://x")), "nats is not supported"),
        (seen(told=Settings(endpoint="nonsense")), "not supported"),
    ],
)
def test_no_datastore_is_made_up(found: Seen, said: str) -> None:
    """Where there is none, or one that cannot be saved, that is said; no other is taken in its place."""
    with pytest.raises(SourceFailed, match=said):
        decide(found)


@pytest.mark.parametrize(
    "token", ["secret", "K10" + "a" * 64 + "::server:secret", " K10" + "b" * 64 + "::node:secret\n"]
)
def test_the_identitys_key_follows_from_the_token(token: str) -> None:
    """It is named after a hash of the token's secret part, whatever form the token has."""
    assert replace(seen(), token=token).bootstrap_key == "/bootstrap/2bb80d537b1d"
    assert seen().bootstrap_key == ""
