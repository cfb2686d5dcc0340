"""``drkit lab``: up, status, down, balancer, rehearse."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from drkit.cli.common import JsonOption, exits, handled, reporter, show_json, table
from drkit.lab.k3s.given import BINARY_VARIABLE, IMAGES_VARIABLE, given
from drkit.lab.spec import MOST_AGENTS, MOST_GIB, MOST_SERVERS, Datastore, LabSpec

NameOption = Annotated[str, typer.Option("--name", help="Which lab: several can run beside each other.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(14, 16), no_args_is_help=True)
    group.callback()(lab)
    group.command("up", epilog=exits(14, 16))(up)
    group.command("status", epilog=exits(16))(status)
    group.command("down", epilog=exits(16))(down)
    group.command("balancer", epilog=exits(16))(balancer)
    group.command("rehearse", epilog=exits(3, 13, 14, 16))(rehearse)
    app.add_typer(group, name="lab")


def lab() -> None:
    """A cluster in containers on this machine, to rehearse on. Needs a Docker engine, and no configuration."""


@handled
def up(
    name: NameOption = "lab",
    servers: Annotated[int, typer.Option(help=f"Nodes with the control plane, 1 to {MOST_SERVERS}.")] = 1,
    agents: Annotated[int, typer.Option(help=f"Nodes without it, 0 to {MOST_AGENTS}.")] = 2,
    datastore: Annotated[Datastore, typer.Option(help="Where the cluster keeps its objects.")] = Datastore.ETCD,
    k3s: Annotated[
        Path | None,
        typer.Option(
            "--k3s",
            envvar=BINARY_VARIABLE,
            help="The real k3s, a binary of its releases, for the nodes to run. Without it they run a stand-in.",
        ),
    ] = None,
    k3s_images: Annotated[
        Path | None,
        typer.Option(
            "--k3s-images",
            envvar=IMAGES_VARIABLE,
            help="Its air-gap archive (k3s-airgap-images-….tar.zst), where no registry can be reached.",
        ),
    ] = None,
    memory: Annotated[
        int, typer.Option(help=f"GiB that each node has, up to {MOST_GIB}; 0: as much as this machine has.")
    ] = 0,
    disk: Annotated[
        int, typer.Option(help="GiB of the disk that each node has for k3s; 0: as much as this machine has.")
    ] = 0,
    workload: Annotated[
        bool, typer.Option("--workload", help="With a sample workload: PostgreSQL, PgBouncer, a web application.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a lab up, or back up after a reboot. What it needs is pulled or built the first time."""
    real = given(k3s, k3s_images)
    spec = LabSpec(name, servers, agents, datastore, "" if real is None else real.digest, memory, disk)

    from drkit.lab import engine

    client = engine.connect()

    from drkit.lab import up as labs
    from drkit.lab.status import status as status_of

    with reporter() as told:
        labs.up(client, spec, told, k3s=real, workload=workload)
    _show(status_of(client, name), as_json=as_json)


@handled
def status(name: NameOption = "lab", as_json: JsonOption = False) -> None:
    """What a lab consists of, and where: nodes, kubeconfig, Storage Box, load balancer, and a ready drkit.yaml."""
    spec = LabSpec(name)

    from drkit.lab import engine

    client = engine.connect()

    from drkit.lab.status import status as status_of

    _show(status_of(client, spec.name), as_json=as_json)


@handled
def down(name: NameOption = "lab", as_json: JsonOption = False) -> None:
    """Remove a lab: its containers, network, volumes and files. Images stay, for the next one."""
    spec = LabSpec(name)

    from drkit.lab import engine

    client = engine.connect()

    from drkit.lab import up as labs

    with reporter() as told:
        removed = labs.down(client, spec.name, told)
    if as_json:
        show_json({"name": spec.name, "removed": removed})
    else:
        print(f"lab {spec.name}: {'removed' if removed else 'there was nothing to remove'}")


@handled
def balancer(
    name: NameOption = "lab",
    interval: Annotated[int, typer.Option(help="Seconds between two checks of a target, at least 3.")] = 15,
    timeout: Annotated[int, typer.Option(help="Seconds for a check, no more than the interval.")] = 10,
    retries: Annotated[int, typer.Option(help="Checks in a row that have to fail, or to succeed.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Have the lab's load balancer check its targets otherwise: by default as the reference cluster's does."""
    from drkit.errors import PreflightFailed, UsageError
    from drkit.lab.balancer import Check

    try:
        check = Check(interval, timeout, retries)
    except ValueError as error:
        raise UsageError(f"Hetzner has no such check: {error}") from None

    from drkit.lab import containers, engine, traffic
    from drkit.lab.topology import Role

    client = engine.connect()
    found = containers.find(client, name)
    there = None if found is None else containers.get(client, found.the(Role.BALANCER).name)
    if there is None:
        raise PreflightFailed(f"there is no lab {name}", f"make it: drkit lab up --name {name}")
    traffic.check_targets(there, check)
    if as_json:
        show_json({"name": name, "interval": interval, "timeout": timeout, "retries": retries})
    else:
        print(f"lab {name}: targets are checked every {interval} s, for {timeout} s, {retries} times in a row")


class Mode(StrEnum):
    """How a cluster is brought back."""

    ETCD = "etcd"
    MANIFESTS = "manifests"


@handled
def rehearse(
    name: NameOption = "rehearsal",
    mode: Annotated[Mode, typer.Option(help="The same identity (etcd), or a fresh one (manifests).")] = Mode.ETCD,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab and the restored cluster afterwards.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Lose a cluster and bring it back: lab up, backup, every node destroyed, restore through Hetzner's API.

    The API is a stand-in whose servers are the lab's containers.
    """
    spec = LabSpec(name)

    from drkit.lab import engine

    client = engine.connect()

    from drkit.lab.rehearse import rehearse as whole

    with reporter() as told:
        document = whole(client, spec, mode.value, told, keep=keep)
    if as_json:
        show_json(document)
        return
    print(f"restored {document['point']} in {document['rto_seconds']:.0f} s, mode {document['mode']}; proofs are equal")
    for host, found in document["sites"].items():
        print(f"http://{host}/health answers {found['health']}, {found['there']} of {found['documents']} documents")
    print(f"report         {document['report']}")


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(document)
        return
    print(f"lab {document['name']}: {document['state']}, network {document['network']}")
    rows = [
        [node["name"], node["role"], node["address"], "Ready" if node["ready"] else f"{node['state']}, not Ready"]
        for node in document["nodes"]
    ]
    table(["NODE", "ROLE", "ADDRESS", "STATE"], rows)
    box = document["box"]
    print(
        f"log in         ssh -i {document['ssh']['key']} -o UserKnownHostsFile={document['ssh']['known_hosts']} root@…"
    )
    print(f"k3s            {document['k3s']['version'] or 'does not answer'}")
    print(f"kubeconfig     {document['kubeconfig'] or 'none yet'}")
    print(f"Storage Box    {box['url']}")
    print(f"load balancer  {document['load_balancer']['address']}")
    print(f"DNS server     {document['dns']['address']} for {document['dns']['zone']}")
    print(f"configuration  {document['config']}")
    if (workload := document["workload"]) is not None:
        state = "healthy" if workload["healthy"] else "not healthy"
        print(f"workload       {state}, {' '.join(workload['sites'].values())}")
        for problem in workload["problems"]:
            print(f"               {problem}")
