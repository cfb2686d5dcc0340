"""What the stand-in for k3s is built of: pure functions from versions to Go modules, build commands and image names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.34.4"
ETCD = "3.6.4"
COREDNS = "1.12.4"
LOCAL_PATH = "0.0.30"
KINE = "0.17.5"

GO_NEEDED = (1, 24)
"""The oldest Go that these modules accept."""

MODULES = Path(__file__).with_name("modules")
"""For each module its go.sum (the pinned hashes) and, where it has one, its own program."""

COMPONENTS = (
    "etcd",
    "etcdctl",
    "etcdutl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
"""The names under which the one program of upstream components is called."""

_STAGING = (
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "cloud-provider",
    "cluster-bootstrap",
    "code-generator",
    "component-base",
    "component-helpers",
    "controller-manager",
    "cri-api",
    "cri-client",
    "csi-translation-lib",
    "dynamic-resource-allocation",
    "endpointslice",
    "externaljwt",
    "kms",
    "kube-aggregator",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics",
    "mount-utils",
    "pod-security-admission",
    "sample-apiserver",
    "sample-cli-plugin",
    "sample-controller",
)
"""Kubernetes' parts that are modules of their own; its go.mod replaces them by directories that its module lacks."""


@dataclass(frozen=True)
class Module:
    """One Go module that becomes one static program.

    Attributes:
        name: of its directory and of the program.
        requires: module path to version, without the ``v``.
        replaces: as in go.mod, likewise.
        package: what is built: ``.``, or another module's program.
        variables: what the linker sets, by the variable's full name.
        go: the oldest Go that it accepts; an older one fetches that first.
        minutes: how long it takes on two cores without anything cached, in words.
        place: where its directory is.
    """

    name: str
    requires: tuple[tuple[str, str], ...]
    replaces: tuple[tuple[str, str], ...] = ()
    package: str = "."
    variables: tuple[tuple[str, str], ...] = ()
    go: str = "1.24.0"
    minutes: str = "a minute or two"
    place: Path = MODULES

    @property
    def source(self) -> Path:
        """The directory with its go.sum and its own program."""
        return self.place / self.name


def _kubernetes_variables() -> tuple[tuple[str, str], ...]:
    major, minor, _ = KUBERNETES.split(".")
    values = {
        "gitVersion": f"v{KUBERNETES}+standin",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "drkit-standin",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple((f"{package}.{name}", value) for package in packages for name, value in values.items())


def modules() -> tuple[Module, ...]:
    """All modules. Each is one of its own, because the Kubernetes versions that they want disagree."""
    staged = KUBERNETES.replace("1.", "0.", 1)
    return (
        Module(
            "kubernetes",
            requires=(
                ("github.com/spf13/cobra", "1.9.1"),
                ("go.etcd.io/etcd/etcdctl/v3", ETCD),
                ("go.etcd.io/etcd/etcdutl/v3", ETCD),
                ("go.etcd.io/etcd/server/v3", ETCD),
                ("k8s.io/component-base", staged),
                ("k8s.io/kubectl", staged),
                ("k8s.io/kubernetes", KUBERNETES),
            ),
            replaces=tuple((f"k8s.io/{name}", staged) for name in _STAGING),
            variables=_kubernetes_variables(),
            minutes="about six minutes",
        ),
        Module("coredns", requires=(("github.com/coredns/coredns", COREDNS),)),
        Module(
            "local-path",
            requires=(("github.com/rancher/local-path-provisioner", LOCAL_PATH),),
            package="github.com/rancher/local-path-provisioner",
            variables=(("main.VERSION", f"v{LOCAL_PATH}"),),
        ),
        Module("kine", requires=(("github.com/k3s-io/kine", KINE),), package="github.com/k3s-io/kine", go="1.26.5"),
        Module("pause", requires=()),
    )


def go_mod(module: Module) -> str:
    """The go.mod that names what the module needs; Go itself finds the rest, which go.sum pins."""
    lines = [f"module drkit.lab/{module.name}", "", f"go {module.go}", ""]
    if module.package != ".":
        lines += [f"tool {module.package}", ""]
    lines += [f"require {path} v{version}" for path, version in module.requires]
    lines += [f"replace {path} => {path} v{version}" for path, version in module.replaces]
    return "\n".join(lines) + "\n"


def build_command(module: Module, go: str, output: str) -> list[str]:
    """How the module's program is built, in its directory."""
    variables = [f"-X {name}={value}" for name, value in module.variables]
    flags = " ".join(["-s", "-w", *variables])
    # -mod=mod: go.mod names only what is wanted, and Go adds what that wants.
    return [go, "build", "-mod=mod", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", output, module.package]


def digest(module: Module) -> str:
    """Names the build of a module by all that goes into it."""
    content = hashlib.sha256()
    content.update(go_mod(module).encode())
    content.update("\0".join(build_command(module, "go", "out")).encode())
    for path in sorted(module.source.iterdir()):
        content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()[:16]


def new_enough(version_line: str) -> bool:
    """Whether the answer of ``go version`` names a Go that can build the modules."""
    for word in version_line.split():
        if word.startswith("go1."):
            numbers = word[2:].split(".")
            digits = "".join(letter for letter in numbers[1] if letter.isdigit())
            return (int(numbers[0]), int(digits or 0)) >= GO_NEEDED
    return False


def text_digest(parts: list[str]) -> str:
    """A short name for all of ``parts``."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
