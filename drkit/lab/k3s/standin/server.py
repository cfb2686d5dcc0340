"""``k3s server`` and ``k3s agent``: everything started in its order, then watched until it is told to stop."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import (
    NOT_ENFORCED,
    VERSION,
    addons,
    agent,
    components,
    datastore,
    identity,
    join,
    log,
    paths,
    pki,
    reset,
    snapshots,
    supervisor,
)
from .balancer import Balancer
from .kube import ApiError, Kube
from .problem import Fatal
from .processes import Children, end_on_signals, notify, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .settings import Settings
    from .store import Store

_LOCAL = f"https://127.0.0.1:{components.API_PORT}"
_ROUND = 2.0
_MEMBER = "etcd.k3s.cattle.io/node-name"


def run_server(settings: Settings) -> None:
    """Be a server until told to stop, or do one cluster reset.

    Raises:
        Fatal: it cannot go on.
    """
    end_on_signals()
    node = agent.node_of(settings)
    for directory in (paths.SERVER, paths.TLS / "etcd", paths.CRED, paths.MANIFESTS):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    member = datastore.Server(settings, node.name, node.address, datastore.password_of(settings))
    log.info(f"Starting drkit's stand-in for k3s {VERSION}: not k3s, but its interface over the upstream components")
    log.warning(f"In drkit's stand-in {NOT_ENFORCED}")
    if settings.cluster_reset:
        reset.perform(member)
        return
    kind = datastore.kind_of(settings, has_etcd=(paths.ETCD / "member").exists())
    children = Children()
    try:
        _serve(settings, node, member, kind, children)
    finally:
        children.stop_all()


def _serve(
    settings: Settings, node: agent.Node, member: datastore.Server, kind: datastore.Kind, children: Children
) -> None:
    store: Store | None = None
    endpoint = f"https://127.0.0.1:{components.ETCD_CLIENT_PORT}"
    if kind is datastore.Kind.ETCD:
        store = datastore.start_etcd(member, children)
    else:
        endpoint = datastore.start_kine(member, kind, children).endpoint
    datastore.write_token(member.password)
    kube = Kube(_LOCAL, identity.SERVER_CA.certificate, paths.TLS / "client-supervisor")
    elected = kind is not datastore.Kind.SQLITE
    children.start("kube-apiserver", components.api_server(settings, node.address, endpoint))
    wait_for("the API server", kube.ready, children)
    write_kubeconfig(settings)
    children.start("kube-controller-manager", components.controller_manager(settings, elected=elected))
    children.start("kube-scheduler", components.scheduler(settings, elected=elected))
    joining = supervisor.Joining()
    supervisor.serve(supervisor.Cluster(settings, kube, store, joining))
    upstream = agent.write_resolv_conf(settings)[1]
    _in_background(lambda: _deploy(kube, addons.write_packaged(settings, upstream)))
    if store is not None and not settings.etcd_disable_snapshots:
        _in_background(lambda: snapshots.run_schedule(settings, node.name))
    log.info("k3s is up and running (drkit's stand-in)")
    notify("READY=1")
    # While its own node's password is refused, the control plane goes on without it, so that the cause can be removed.
    agent.fetch_patiently([(_LOCAL, member.password, "server")], node, children)
    network = agent.start(settings, node, _LOCAL, children)
    upkeep = Upkeep(kube, node.name, store, joining)
    _watch(children, [network.refresh, upkeep.refresh])


def write_kubeconfig(settings: Settings) -> None:
    """Write the administrator's kubeconfig, with its certificates inside."""
    stem = paths.TLS / "client-admin"
    files = (identity.SERVER_CA.certificate, f"{stem}.crt", f"{stem}.key")
    authority, certificate, key = (pki.encoded(str(file)) for file in files)
    text = f"""\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {_LOCAL}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {{}}
users:
- name: default
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"""
    pki.write_private(paths.KUBECONFIG, text.encode())
    paths.KUBECONFIG.chmod(int(settings.write_kubeconfig_mode, 8))


def _deploy(kube: Kube, disabled: list[Path]) -> None:
    deployer = addons.Deployer(kube)
    addons.wait_for_prepare(deployer)
    for path in disabled:
        deployer.remove(path)
    _repeat([deployer.refresh])


class Upkeep:
    """What a server does for the cluster again and again: labels, names for DNS, and etcd's members."""

    def __init__(self, kube: Kube, node: str, store: Store | None, joining: supervisor.Joining) -> None:
        self._kube = kube
        self._node = node
        self._store = store
        self._joining = joining
        self._seen: dict[str, str] = {}
        """Each node that had a member of etcd when it was last seen, and that member's name."""

    def refresh(self) -> None:
        """Compare and repair once.

        Raises:
            ApiError: the API server does not answer.
            Fatal: etcd does not.
        """
        nodes = self._kube.list("/api/v1/nodes")
        for node in nodes:
            if node["metadata"]["name"] == self._node:
                self._mark(node["metadata"])
        self._name_nodes(addons.node_hosts(nodes))
        if self._store is not None:
            self._keep_members(self._store, {node["metadata"]["name"]: member_of(node) for node in nodes})

    def _mark(self, found: dict[str, Any]) -> None:
        wanted: dict[str, dict[str, str]] = {"labels": {"node-role.kubernetes.io/control-plane": "true"}}
        if self._store is not None:
            wanted["labels"]["node-role.kubernetes.io/etcd"] = "true"
            # It changes where a server joins again with an empty database.
            wanted["annotations"] = {_MEMBER: paths.ETCD_NAME.read_text().strip()}
        if any(not marks.items() <= found.get(key, {}).items() for key, marks in wanted.items()):
            self._kube.patch(f"/api/v1/nodes/{self._node}", {"metadata": wanted})

    def _name_nodes(self, hosts: str) -> None:
        path = "/api/v1/namespaces/kube-system/configmaps/coredns"
        found = self._kube.get(path)
        if found is not None and found.get("data", {}).get("NodeHosts") != hosts:
            self._kube.patch(path, {"data": {"NodeHosts": hosts}})

    def _keep_members(self, store: Store, present: dict[str, str]) -> None:
        # By the member's own name: a machine of the same name may have joined meanwhile, before its node is there.
        left = self._seen.keys() - present.keys() - {self._node}
        gone = {self._seen[node] for node in left}
        for member in store.members() if gone or self._joining.likely() else []:
            if member.learner and member.name:
                store.promote(member.number)
                log.info(f"Promoted learner {member.name}")
            elif member.name in gone:
                log.info(f"Removing etcd member {member.name}: its node was deleted")
                store.remove(member.number)
        self._seen = {node: member for node, member in present.items() if member}


def member_of(node: dict[str, Any]) -> str:
    """The name of the member of etcd that a node says it has; empty where it says nothing."""
    return str(node["metadata"].get("annotations", {}).get(_MEMBER, ""))


def run_agent(settings: Settings) -> None:
    """Be an agent until told to stop.

    Raises:
        Fatal: it cannot go on.
    """
    end_on_signals()
    if not settings.server or not settings.token:
        raise Fatal("--server and --token are required to join a cluster")
    log.info(f"Starting drkit's stand-in for the k3s agent {VERSION}")
    node = agent.node_of(settings)
    children = Children()
    known = paths.AGENT_ETC / "api-servers.json"
    addresses: list[str] = json.loads(known.read_text()) if known.exists() else []
    urls = [settings.server, *(f"https://{address}" for address in addresses)]
    try:
        client = agent.fetch_patiently([(url, settings.token, "node") for url in urls], node, children)
        asked = {name.replace("-", "_"): value for name, value in client.get("/v1-k3s/config").items()}
        balancer = Balancer(addresses or [f"{client.host}:{components.API_PORT}"])
        balancer.start()
        network = agent.start(
            replace(settings, **asked), node, f"https://127.0.0.1:{components.BALANCER_PORT}", children
        )
        log.info("k3s agent is up and running (drkit's stand-in)")
        notify("READY=1")
        _watch(children, [network.refresh, lambda: _learn_servers(settings, balancer, known)])
    finally:
        children.stop_all()


def _learn_servers(settings: Settings, balancer: Balancer, known: Path) -> None:
    for server in [settings.server, *(f"https://{address}" for address in balancer.servers)]:
        try:
            found = join.connect(server, settings.token, "node").get("/v1-k3s/apiservers")
        except (join.Unreachable, join.Rejected):
            continue
        if balancer.use(found):
            log.info(f"Using API servers {', '.join(found)}")
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(balancer.servers))
        return


def _watch(children: Children, tasks: list[Callable[[], None]]) -> None:
    _in_background(lambda: _repeat(tasks))
    while True:
        children.check()
        time.sleep(0.5)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def _repeat(tasks: list[Callable[[], None]]) -> None:
    said: dict[int, str] = {}
    while True:
        for number, task in enumerate(tasks):
            try:
                task()
                said.pop(number, None)
            except (ApiError, Fatal, OSError) as problem:
                if said.get(number) != str(problem):
                    log.error(str(problem))
                    said[number] = str(problem)
        time.sleep(_ROUND)
