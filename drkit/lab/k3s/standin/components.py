"""How each component is called: pure functions from settings to argument lists and configuration files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import identity, paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .settings import Settings

ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
API_PORT = 6443
SUPERVISOR_PORT = 9345
"""Where joining nodes fetch their certificates. k3s multiplexes this on 6443; RKE2 uses this port."""
BALANCER_PORT = 6444
"""Where an agent's components reach the API servers, on loopback, as in k3s."""


@dataclass(frozen=True)
class Etcd:
    """One member of the datastore."""

    name: str
    address: str
    initial_cluster: str
    new_cluster: bool


def with_extra(arguments: Sequence[str], extra: Sequence[str]) -> list[str]:
    """``arguments`` and the user's own ``name=value``, which replace those of the same name."""
    own = {item.removeprefix("--").partition("=")[0] for item in extra}
    kept = [item for item in arguments if item.removeprefix("--").partition("=")[0] not in own]
    return [*kept, *(f"--{item.removeprefix('--')}" for item in extra)]


def etcd(member: Etcd, extra: Sequence[str] = ()) -> list[str]:
    """The arguments of an etcd member with TLS on all its ports."""
    tls = paths.TLS / "etcd"
    return with_extra(
        [
            f"--name={member.name}",
            f"--data-dir={paths.ETCD}",
            f"--listen-client-urls=https://127.0.0.1:{ETCD_CLIENT_PORT},https://{member.address}:{ETCD_CLIENT_PORT}",
            f"--advertise-client-urls=https://{member.address}:{ETCD_CLIENT_PORT}",
            f"--listen-peer-urls=https://127.0.0.1:{ETCD_PEER_PORT},https://{member.address}:{ETCD_PEER_PORT}",
            f"--initial-advertise-peer-urls=https://{member.address}:{ETCD_PEER_PORT}",
            f"--initial-cluster={member.initial_cluster}",
            f"--initial-cluster-state={'new' if member.new_cluster else 'existing'}",
            "--client-cert-auth=true",
            f"--trusted-ca-file={tls}/server-ca.crt",
            f"--cert-file={tls}/server-client.crt",
            f"--key-file={tls}/server-client.key",
            "--peer-client-cert-auth=true",
            f"--peer-trusted-ca-file={tls}/peer-ca.crt",
            f"--peer-cert-file={tls}/peer-server-client.crt",
            f"--peer-key-file={tls}/peer-server-client.key",
            "--snapshot-count=10000",
            "--heartbeat-interval=500",
            "--election-timeout=5000",
            "--log-level=error",
            "--logger=zap",
        ],
        extra,
    )


def api_server(settings: Settings, address: str, datastore: str) -> list[str]:
    """The arguments of kube-apiserver; ``datastore`` is the address of etcd or kine."""
    tls = paths.TLS
    etcd_tls = (
        [
            f"--etcd-cafile={tls}/etcd/server-ca.crt",
            f"--etcd-certfile={tls}/etcd/client.crt",
            f"--etcd-keyfile={tls}/etcd/client.key",
        ]
        if datastore.startswith("https:")
        else []
    )
    return with_extra(
        [
            f"--advertise-address={settings.advertise_address or address}",
            "--bind-address=0.0.0.0",
            f"--secure-port={API_PORT}",
            f"--etcd-servers={datastore}",
            *etcd_tls,
            f"--service-cluster-ip-range={settings.service_cidr}",
            "--service-node-port-range=30000-32767",
            "--allow-privileged=true",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--profiling=false",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            f"--kubelet-certificate-authority={tls}/server-ca.crt",
            f"--kubelet-client-certificate={tls}/client-kube-apiserver.crt",
            f"--kubelet-client-key={tls}/client-kube-apiserver.key",
            f"--client-ca-file={tls}/client-ca.crt",
            f"--tls-cert-file={tls}/serving-kube-apiserver.crt",
            f"--tls-private-key-file={tls}/serving-kube-apiserver.key",
            f"--requestheader-client-ca-file={tls}/request-header-ca.crt",
            "--requestheader-allowed-names=system:auth-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={tls}/client-auth-proxy.crt",
            f"--proxy-client-key-file={tls}/client-auth-proxy.key",
            f"--service-account-issuer=https://kubernetes.default.svc.{settings.cluster_domain}",
            f"--api-audiences=https://kubernetes.default.svc.{settings.cluster_domain},k3s",
            f"--service-account-key-file={identity.SERVICE_KEY}",
            f"--service-account-signing-key-file={identity.SERVICE_CURRENT_KEY}",
        ],
        settings.kube_apiserver_arg,
    )


def controller_manager(settings: Settings, *, elected: bool) -> list[str]:
    """The arguments of kube-controller-manager; ``elected`` where other servers may run one too."""
    tls = paths.TLS
    signing = [
        argument
        for signer, authority in (
            ("kube-apiserver-client", "client-ca"),
            ("kubelet-client", "client-ca"),
            ("kubelet-serving", "server-ca"),
            ("legacy-unknown", "server-ca"),
        )
        for argument in (
            f"--cluster-signing-{signer}-cert-file={tls}/{authority}.crt",
            f"--cluster-signing-{signer}-key-file={tls}/{authority}.key",
        )
    ]
    return with_extra(
        [
            f"--kubeconfig={paths.CRED}/controller.kubeconfig",
            f"--authentication-kubeconfig={paths.CRED}/controller.kubeconfig",
            f"--authorization-kubeconfig={paths.CRED}/controller.kubeconfig",
            f"--leader-elect={'true' if elected else 'false'}",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={settings.cluster_cidr}",
            f"--service-cluster-ip-range={settings.service_cidr}",
            f"--root-ca-file={tls}/server-ca.crt",
            f"--service-account-private-key-file={identity.SERVICE_CURRENT_KEY}",
            "--use-service-account-credentials=true",
            "--bind-address=127.0.0.1",
            "--profiling=false",
            *signing,
        ],
        settings.kube_controller_manager_arg,
    )


def scheduler(settings: Settings, *, elected: bool) -> list[str]:
    """The arguments of kube-scheduler."""
    return with_extra(
        [
            f"--kubeconfig={paths.CRED}/scheduler.kubeconfig",
            f"--authentication-kubeconfig={paths.CRED}/scheduler.kubeconfig",
            f"--authorization-kubeconfig={paths.CRED}/scheduler.kubeconfig",
            f"--leader-elect={'true' if elected else 'false'}",
            "--bind-address=127.0.0.1",
            "--profiling=false",
        ],
        settings.kube_scheduler_arg,
    )


def kubelet(settings: Settings, name: str, address: str) -> list[str]:
    """The arguments of kubelet, beside its configuration file."""
    return with_extra(
        [
            f"--config={paths.AGENT_ETC}/kubelet.json",
            f"--kubeconfig={paths.AGENT}/kubelet.kubeconfig",
            f"--hostname-override={name}",
            f"--node-ip={address}",
            f"--root-dir={paths.KUBELET_STATE}",
            f"--provider-id=k3s://{name}",
            f"--node-labels={','.join((*_INSTANCE_LABELS, *settings.node_label))}",
            *([f"--register-with-taints={','.join(settings.node_taint)}"] if settings.node_taint else []),
        ],
        settings.kubelet_arg,
    )


_INSTANCE_LABELS = ("node.kubernetes.io/instance-type=k3s", "beta.kubernetes.io/instance-type=k3s")


def proxy(settings: Settings, name: str) -> list[str]:
    """The arguments of kube-proxy; what it may not touch in a container's kernel it is told to leave alone."""
    return with_extra(
        [
            f"--kubeconfig={paths.AGENT}/kubeproxy.kubeconfig",
            f"--hostname-override={name}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={settings.cluster_cidr}",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--conntrack-tcp-timeout-established=0s",
            "--healthz-bind-address=127.0.0.1",
        ],
        settings.kube_proxy_arg,
    )


def cni(pod_cidr: str) -> dict[str, Any]:
    """The network of a node's pods: a bridge with addresses from the node's own range."""
    return {
        "cniVersion": "1.0.0",
        "name": "k3s-standin",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "forceAddress": True,
                "ipam": {
                    "type": "host-local",
                    # On a tmpfs: after a power cut no pod has an address any more.
                    "dataDir": "/run/cni/networks",
                    "ranges": [[{"subnet": pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def routes(nodes: Sequence[Mapping[str, Any]], own_name: str) -> dict[str, str]:
    """From API objects of nodes: which pod range is reached through which node's address."""
    found: dict[str, str] = {}
    for node in nodes:
        pod_cidr = node["spec"].get("podCIDR")
        if node["metadata"]["name"] == own_name or not pod_cidr:
            continue
        for entry in node.get("status", {}).get("addresses", []):
            if entry["type"] == "InternalIP":
                found[pod_cidr] = entry["address"]
                break
    return found
