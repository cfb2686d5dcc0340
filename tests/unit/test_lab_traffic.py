"""What a lab's load balancer and DNS server are told, and what is read back from that."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import DrkitError
from drkit.lab import balancer, names
from drkit.lab.hcloud.containers import host_key
from drkit.providers import hostkeys

addresses = st.ip_addresses(v=4).map(str)
hosts = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
targets = st.dictionaries(hosts, addresses, max_size=5)
checks = st.builds(balancer.Check, st.integers(3, 60), st.integers(1, 3), st.integers(1, 5))
ports = st.integers(1, 65535)
services = st.lists(st.builds(balancer.Service, ports, ports, checks, st.booleans(), st.just(0) | ports), max_size=3)


@given(services, targets, st.dictionaries(hosts, targets, max_size=2))
def test_a_load_balancers_configuration_says_what_it_was_made_from(
    forwarded: list[balancer.Service], led: dict[str, str], before: dict[str, dict[str, str]]
) -> None:
    """Whoever changes a load balancer finds its services, its targets and what they were before."""
    text = balancer.configuration(forwarded, led, before)
    assert balancer.setting(text) == balancer.Setting(tuple(forwarded), led, before)


def test_proxy_protocol_and_another_port_to_check_are_told() -> None:
    """A service with PROXY protocol sends it, and checks go to the port that was asked for."""
    text = balancer.configuration([balancer.Service(443, 8443, proxy=True, checked=9000)], {"a": "192.0.2.1"})
    line = next(line for line in text.splitlines() if "default-server" in line)
    assert line.endswith(" port 9000 send-proxy-v2")


def test_a_configuration_of_somebody_elses_is_not_guessed_at() -> None:
    """One that does not say what it was made from is left alone, with what to do."""
    with pytest.raises(DrkitError) as caught:
        balancer.setting("global\n  maxconn 1\n")
    assert "drkit lab down" in caught.value.hint


def test_health_is_told_for_each_target_and_port() -> None:
    """Targets that are up or on their way down are healthy, others not; those not checked yet are left out."""
    statistics = """# pxname,svname,status,check_status
port-80,FRONTEND,OPEN,
port-80,a,UP,L4OK
port-80,b,DOWN 1/3,L4TOUT
port-80,c,UP 1/3,L4CON
port-443,a,UP,INI
port-80,BACKEND,UP,
"""
    assert balancer.health(statistics) == {("a", 80): True, ("b", 80): False, ("c", 80): True}


@given(st.dictionaries(hosts, st.lists(addresses, min_size=1, max_size=3), max_size=4))
def test_a_hosts_file_says_what_it_was_made_from(records: dict[str, list[str]]) -> None:
    """All addresses of all names are lines of the file, and come back from it."""
    made = names.Answers(records, dict.fromkeys(records, 60), {"restore": dict.fromkeys(records)})
    text = names.hosts_file(made)
    assert names.answers(text) == made
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        f"{address} {name}" for name, each in records.items() for address in each
    ]


def test_there_is_nothing_before_the_first_record() -> None:
    """A file that is not there yet says nothing; what is no address is refused."""
    assert names.answers("") == names.Answers()
    with pytest.raises(ValueError, match="no-address"):
        names.hosts_file(names.Answers({"a": ["no-address"]}))


def test_the_handed_over_host_key_is_found_in_what_a_machine_is_told() -> None:
    """A machine gets both halves of the key that drkit made; without such a word it makes its own."""
    key = hostkeys.generate()
    assert host_key(hostkeys.user_data(key)) == (key.private, key.public)
    assert host_key("") is None
    assert host_key("#!/bin/sh\ntrue\n") is None
    assert host_key("#cloud-config\n" + json.dumps({"packages": []})) is None
    with pytest.raises(DrkitError, match="no cloud-config"):
        host_key("#cloud-config\na: [\n")
