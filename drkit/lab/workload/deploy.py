"""``drkit lab up --workload``: brings the sample workload to a lab, or brings it up to date, until it is healthy."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from docker.errors import ImageNotFound

from drkit import process
from drkit.errors import DrkitError, PreflightFailed
from drkit.lab import balancer, containers, inside, traffic
from drkit.lab.files import TOKEN
from drkit.lab.placed import Placed
from drkit.lab.topology import Role
from drkit.lab.workload import health, images, manifests, real
from drkit.lab.workload.certificate import self_signed
from drkit.lab.workload.images import CNPG

if TYPE_CHECKING:
    from collections.abc import Mapping

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.files import LabFiles
    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter

_HEALTHY_SECONDS = 300.0
_WEB_SECONDS = 60.0
_WEBHOOK_SECONDS = 60.0
_ANSWER_SECONDS = 8.0
_PLACE = "/var/lib/lab/workload"
_TAINT = "node-role.kubernetes.io/control-plane=true:NoSchedule"
_DATA = {"docfast": "data.sql", "docfast_staging": "staging.sql"}


def deploy(engine: DockerClient, lab: Topology, files: LabFiles, reporter: Reporter) -> None:
    """See that the workload is there and healthy.

    Raises:
        PreflightFailed: the lab is too small for it, or the real operator was given in part.
        DrkitError: an image could not be made, an object was refused, or it did not become healthy in time.
    """
    if not manifests.is_enough(lab):
        raise PreflightFailed(
            f"the lab {lab.spec.name} has one node; two of everything need two", "--agents 2, or --servers 3"
        )
    given = real.given()
    server = _Server(engine.containers.get(lab.the(Role.SERVER).name))
    listed = server.kubectl("get", "deployments", "-n", health.OPERATOR_NAMESPACE, "-o", "name")
    real.check_the_same([line.rpartition("/")[2] for line in listed.split()], given)
    found = images.ensure_all(engine, reporter)
    wanted = _needed(engine, found, given)
    images.give(engine, [node.name for node in manifests.workers(lab)], wanted, reporter)
    with reporter.task("deploying the sample workload"):
        _prepare(server, lab)
        server.apply("definitions", manifests.definitions() if given is None else _own_definitions())
        server.apply("operator", manifests.operator(found) if given is None else given.manifest)
        _apply_objects(server, lab, manifests.objects(lab, found, files.secret(TOKEN)), given)
        containers.wait(
            "the sample workload did not become healthy",
            lambda: not problems(server.container),
            _HEALTHY_SECONDS,
            lambda: "\n".join(problems(server.container)),
            containers.ASK_SECONDS,
        )
    with reporter.task("loading the sample databases"):
        _load(server)
    _publish(engine, lab)


def image_names(engine: DockerClient, reporter: Reporter) -> list[str]:
    """The names of all images that the workload's pods run, which are there afterwards; raises what ``deploy`` does."""
    return _needed(engine, images.ensure_all(engine, reporter), real.given())


def _needed(engine: DockerClient, found: Mapping[str, str], given: real.RealOperator | None) -> list[str]:
    wanted = [name for key, name in found.items() if given is None or key != CNPG]
    if given is not None:
        _check_image(engine, given.image)
        wanted.append(given.image)
    return wanted


class _Server:
    """A server's kubectl."""

    def __init__(self, container: docker.models.containers.Container) -> None:
        self.container = container

    def kubectl(self, *words: str) -> str:
        """What kubectl says; raises ``DrkitError`` where it fails."""
        status, said = inside.run_in(self.container, "k3s", "kubectl", *words)
        if status != 0:
            raise DrkitError(f"kubectl {' '.join(words[:3])} failed\n{process.tail(said)}")
        return said

    def apply(self, name: str, text: str) -> None:
        """Apply manifests."""
        path = f"{_PLACE}/{name}.yaml"
        containers.place(self.container, [Placed(path, text, 0o600)])
        self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=drkit-lab", "-f", path)

    def psql(self, instance: str, database: str, *words: str, script: str = "") -> str:
        """What psql in an instance says; raises ``DrkitError`` where it fails."""
        call = ["psql", "-XqtA", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, *words]
        argv = ["exec", "-n", "postgres", instance, "-c", "postgres"]
        if not script:
            return self.kubectl(*argv, "--", *call)
        path = f"{_PLACE}/{database}.sql"
        containers.place(self.container, [Placed(path, script, 0o600)])
        feed = f'k3s kubectl exec -i "$@" <{path}'
        status, said = inside.run_in(self.container, "sh", "-c", feed, "sh", *argv[1:], "--", *call, "-1")
        if status != 0:
            raise DrkitError(f"loading {database} failed\n{process.tail(said)}")
        return said


def _check_image(engine: DockerClient, image: str) -> None:
    try:
        engine.images.get(image)
    except ImageNotFound:
        raise PreflightFailed(
            f"the image {image} is not in the Docker engine", f"docker pull {image}, or docker load"
        ) from None


def _own_definitions() -> str:
    """The definitions without those that the real operator brings."""
    return (resources.files(__package__) / "manifests/30-definitions.yaml").read_text(encoding="utf-8")


def _prepare(server: _Server, lab: Topology) -> None:
    """What the reference cluster's owner has set by hand: the taint, and CoreDNS's patch."""
    workers = {node.member for node in manifests.workers(lab)}
    for node in lab.by_role(Role.SERVER):
        if node.member not in workers:
            server.kubectl("taint", "node", node.member, _TAINT, "--overwrite")
    server.kubectl("patch", "deployment", "coredns", "-n", "kube-system", "-p", manifests.coredns_patch())


def _admitted(server: _Server, text: str) -> bool:
    """Apply everything, unless a webhook cannot be asked yet: its pod is ready before each node knows the way to it."""
    try:
        server.apply("objects", text)
    except DrkitError as error:
        if "failed calling webhook" in str(error):
            return False
        raise
    return True


def _apply_objects(server: _Server, lab: Topology, text: str, given: real.RealOperator | None) -> None:
    for definition in ("clusters.postgresql.cnpg.io", "poolers.postgresql.cnpg.io", "templates.docfast.dev"):
        server.kubectl("wait", "--for=condition=Established", "--timeout=60s", f"crd/{definition}")
    if given is not None:
        # Its webhooks refuse everything until it runs.
        server.kubectl("rollout", "status", "-n", health.OPERATOR_NAMESPACE, "deployment", "--timeout=120s")
    containers.wait("the operator's webhooks did not answer", lambda: _admitted(server, text), _WEBHOOK_SECONDS)
    for site in manifests.SITES:
        if server.kubectl("get", "secret", "certificate", "-n", site.name, "--ignore-not-found").strip():
            continue
        certificate, key = self_signed([site.host(lab.zone)])
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "certificate", "namespace": site.name},
            "data": {"tls.crt": _encoded(certificate), "tls.key": _encoded(key)},
        }
        server.apply(f"certificate-{site.name}", json.dumps(secret))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _load(server: _Server) -> None:
    """Fill the databases that were not filled yet; each is filled as a whole or not at all."""
    path = ["get", "cluster.postgresql.cnpg.io", "main-db", "-n", "postgres", "-o", "jsonpath={.status.currentPrimary}"]
    primary = server.kubectl(*path).strip()
    for database, file in _DATA.items():
        if server.psql(primary, database, "-c", "select to_regclass('loaded') is null").strip() == "t":
            text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
            server.psql(primary, database, "-c", "set client_encoding = 'UTF8'", "-f", "-", script=text)


def _publish(engine: DockerClient, lab: Topology) -> None:
    """Let the sites be found by name, and answer through the load balancer."""
    front = lab.the(Role.BALANCER)
    hosts = {site.host(lab.zone): front.address for site in manifests.SITES}
    dns = engine.containers.get(lab.the(Role.DNS).name)
    now = traffic.answers(dns)
    traffic.answer(dns, replace(now, records={**now.records, **{name: [address] for name, address in hosts.items()}}))
    haproxy = engine.containers.get(front.name)
    for service in balancer.INGRESS:
        for node in lab.ingress:
            # Before there was an ingress its targets failed; it would find out within three checks.
            command = f"echo 'set server port-{service.listen}/{node.member} health up' | socat - {balancer.SOCKET}"
            inside.run_in(haproxy, "sh", "-c", command)
    containers.wait(
        "the sites do not answer through the load balancer",
        lambda: not web_problems(lab),
        _WEB_SECONDS,
        lambda: "\n".join(web_problems(lab)),
    )


def problems(server: docker.models.containers.Container) -> list[str]:
    """What the cluster says is not as it should be."""
    status, said = inside.run_in(server, "k3s", "kubectl", "get", health.KINDS, "-A", "-o", "json")
    return health.problems(json.loads(said)["items"], datetime.now(UTC)) if status == 0 else [process.tail(said)]


def web_problems(lab: Topology) -> list[str]:
    """Which sites' health is not answered with 200 through the load balancer."""
    address = lab.the(Role.BALANCER).address
    said = []
    for site in manifests.SITES:
        host = site.host(lab.zone)
        connection = http.client.HTTPConnection(address, balancer.INGRESS[0].listen, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/health", headers={"Host": host})
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                said.append(f"http://{host}/health answers {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            said.append(f"http://{host}/health: {error!r}")
        finally:
            connection.close()
    return said


def status(engine: DockerClient, lab: Topology) -> dict[str, Any] | None:
    """The workload as ``drkit lab status`` shows it; None where there is none."""
    for node in lab.by_role(Role.SERVER):
        server = containers.get(engine, node.name)
        if server is None or server.status != "running":
            continue
        asked = (
            "get",
            "namespace",
            manifests.SITES[0].name,
            "-o",
            "name",
            "--ignore-not-found",
            "--request-timeout=5s",
        )
        code, said = inside.run_in(server, "k3s", "kubectl", *asked)
        if code != 0:
            continue
        if not said.strip():
            return None
        found = [*problems(server), *web_problems(lab)]
        sites = {site.name: f"http://{site.host(lab.zone)}/" for site in manifests.SITES}
        return {"healthy": not found, "problems": found, "sites": sites}
    return None
