"""How a node runs pods: whose cgroups they get, and the configuration files of kubelet and containerd. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import paths

if TYPE_CHECKING:
    from .settings import Settings


def cgroup_driver(mounts: str) -> str:
    """Who makes the pods' cgroups, for kubelet and containerd alike, by the node's ``/proc/mounts``.

    On version 2 there is one hierarchy, and systemd, which is the node's first process, is its only writer; so it is
    asked (systemd.io/CGROUP_DELEGATION, kubernetes.io/docs/setup/production-environment/container-runtimes). On
    version 1 the controllers' own hierarchies are written to as they are: systemd touches only those it mounts itself.
    """
    kinds = {path: kind for _, path, kind, *_ in (line.split() for line in mounts.splitlines())}
    return "systemd" if kinds.get("/sys/fs/cgroup") == "cgroup2" else "cgroupfs"


def kubelet_configuration(settings: Settings, resolv_conf: str, driver: str) -> dict[str, Any]:
    """The kubelet's configuration file: for a node that is a container, which has no cgroups or kernel of its own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.AGENT / "client-ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": driver,
        "clusterDNS": [settings.cluster_dns],
        "clusterDomain": settings.cluster_domain,
        "containerRuntimeEndpoint": f"unix://{paths.CONTAINERD_SOCKET}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "10Mi"},
        "failSwapOn": False,
        "featureGates": {"KubeletInUserNamespace": True},
        # The images come from files, not from a registry: one that is removed cannot be had again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "resolvConf": resolv_conf,
        "rotateCertificates": False,
        "serializeImagePulls": False,
        "staticPodPath": str(paths.AGENT / "pod-manifests"),
        "tlsCertFile": str(paths.AGENT / "serving-kubelet.crt"),
        "tlsPrivateKeyFile": str(paths.AGENT / "serving-kubelet.key"),
    }


def containerd_configuration(socket: str, pause: str, driver: str) -> str:
    """Containerd's configuration file; ``driver`` as for the kubelet."""
    return _CONTAINERD.format(socket=socket, pause=pause, systemd="true" if driver == "systemd" else "false")


_CONTAINERD = """\
# Written by drkit's stand-in for k3s at each start.
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  # A container cannot set a score below its own.
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {systemd}
"""
