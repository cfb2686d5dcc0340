"""How a new server is believed: by the host key that it was handed."""

from __future__ import annotations

import base64
import os
import pwd
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.providers import hostkeys, naming
from tests.contract.node_suite import shell_host
from tests.old_cluster import asked, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.box import LabBox
    from drkit.lab.hcloud.memory import MemoryMachines
    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.hetzner import HetznerProvider


def test_the_first_key_is_known_before_the_server_is(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """What the server is told to prove to be is what its label says; no key is on this machine's disk or in a repr."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = provider.server(wanted, wanted.servers[0].name)
    told = next(spec.user_data for spec in machines.specs.values() if spec.name == made.name)
    document = YAML(typ="safe").load(told)
    assert told.startswith("#cloud-config\n")
    assert made.host_keys == (document["ssh_keys"]["ed25519_public"],)
    assert made.first_key
    assert made.known_hosts() == f"{made.address} {made.host_keys[0]}\n"
    both = provider.pin(made, (OWN_KEY, *made.host_keys))
    assert provider.server(wanted, made.name) == both
    own = provider.pin(both, (OWN_KEY,))
    assert own == replace(made, host_keys=(OWN_KEY,), first_key=False)
    assert provider.server(wanted, made.name) == own


OWN_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(32)).decode()


@pytest.fixture
def fresh_host() -> Iterator[LabBox]:
    """An sshd on loopback, as a server's image has one."""
    with shell_host() as running:
        yield running


def test_a_server_with_the_handed_over_key_is_believed(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines, fresh_host: LabBox, tmp_path: Path
) -> None:
    """A real sshd takes the key that stood in ``user_data``, and a client with the label's pin logs in to it."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = provider.server(wanted, wanted.servers[0].name)
    told = next(spec.user_data for spec in machines.specs.values() if spec.name == made.name)
    key = fresh_host.directory / "host_key"
    key.write_text(YAML(typ="safe").load(told)["ssh_keys"]["ed25519_private"])
    fresh_host.restart()
    pins = tmp_path / "known_hosts"
    pins.write_text(replace(made, address="127.0.0.1").known_hosts(fresh_host.port))
    user = pwd.getpwuid(os.geteuid()).pw_name
    ssh = Ssh(user=user, key=fresh_host.key, known_hosts=pins, port=fresh_host.port)
    node = SshNode(made.name, "127.0.0.1", ssh)
    try:
        assert node.run(["echo", "here"], deadline=30).stdout == b"here\n"
    finally:
        node.close()


def test_keys_of_labels_come_back() -> None:
    """A public key goes into a label's 63 characters and comes back; what is none is refused."""
    key = hostkeys.generate()
    value = hostkeys.to_label(key.public)
    assert len(value) <= naming.LONGEST_NAME
    assert hostkeys.from_label(value) == key.public
    assert "PRIVATE" not in repr(key)
    with pytest.raises(ValueError, match="no host key"):
        hostkeys.from_label("k" + "a" * 10)
    with pytest.raises(ValueError, match="no ssh-ed25519 key"):
        hostkeys.to_label("ssh-rsa AAAA")
