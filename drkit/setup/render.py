"""``drkit.yaml`` from what was found: every key with a line that says what it is. Pure.

It holds no secret, only where secrets are. What is not known, or only guessed, stands there as a comment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.setup.found import PASSPHRASE_FILE, STORAGE_BOX, TOKEN_VARIABLE, Machine
from drkit.setup.scalar import remark, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drkit.setup.found import Found, Login, Page, Project

_LONGEST_NAME = 63
_COLUMN = 56
"""Where the comments begin, for those keys that leave room for it."""
_TOKEN = f"{{env: {TOKEN_VARIABLE}}}"


def render(found: Found) -> str:
    """The file's text. ``drkit.config.load`` takes it, whatever the names in it are."""
    sections = (
        _head(found),
        _cluster(found),
        _vaults(found.vault),
        _signing(),
        _databases(found),
        _health(found.pages),
        _drills(found),
        _escrow(),
        _clusters(found),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _line(text: str, comment: str) -> str:
    return f"{text.ljust(_COLUMN)}  {remark(comment)}"


def _off(text: str, comment: str) -> str:
    """A key that is not in force; the one beside it says when it would be."""
    return _line(f"# {text}", comment)


def _list(names: Iterable[object]) -> str:
    return f"[{', '.join(map(scalar, names))}]"


def _head(found: Found) -> Iterator[str]:
    yield "# What drkit backs up, where to, and what a restore builds. Made by `drkit init`; `drkit check` tries it."
    yield "# No secret stands here: {file: PATH} (relative to this file, mode 0600), {env: NAME} or {command: COMMAND}."
    if found.missing:
        yield "#"
        yield "# Not found:"
    for each in found.missing:
        yield remark(f"- {each.what}: {each.why}" + (f" ({each.hint})" if each.hint else ""))


def _cluster(found: Found) -> Iterator[str]:
    yield _line("cluster:", "what is backed up")
    yield _line(f"  name: {scalar(found.name[:_LONGEST_NAME] or 'k3s')}", "in recovery points: do not change it later")
    if found.kubeconfig is not None:
        yield _line(f"  kubeconfig: {scalar(found.kubeconfig)}", "rights it needs: drkit/cluster/rbac*.yaml")
    else:
        yield _off("  kubeconfig: kubeconfig", "a file, or `ssh`: through a server, as its administrator")
    yield _line(f"  ssh: {_login(found.login)}", "how servers and agents are logged in to, as root")
    servers = [each for each in found.machines if each.is_server]
    if servers:
        yield _line("  servers:", "those that run k3s server; agents are asked of the API")
        for each in servers:
            yield _line(f"    - {_machine(each)}", each.trouble or "SSH lets drkit in")
    else:
        yield _off("  servers: [{name: k3s-1, address: 192.0.2.1}]", "those that run k3s server")
    agents = [each for each in found.machines if not each.is_server]
    for each in agents:
        yield "  " + remark(f"agent {each.name} at {each.address}: {each.trouble or 'SSH lets drkit in'}")
    if found.project is not None:
        yield _line(f"  token: {_TOKEN}", "of the Hetzner Cloud project; reading is enough")
    else:
        yield _off(f"  token: {_TOKEN}", "of the Hetzner Cloud project that the servers are in; reading is enough")


def _login(login: Login) -> str:
    parts = [("user", login.user), ("key", login.key), ("known_hosts", login.known_hosts)]
    told = [f"{key}: {scalar(value)}" for key, value in parts if value]
    return "{" + ", ".join([*told, *([f"port: {login.port}"] if login.port else [])]) + "}"


def _machine(machine: Machine) -> str:
    return f"{{name: {scalar(machine.name)}, address: {scalar(machine.address)}}}"


def _vaults(address: str) -> Iterator[str]:
    """Both below one address; what is to be made by hand is said where its place is."""
    remote = (address or STORAGE_BOX).startswith("ssh://")
    yield _line("vaults:", "where backups go")
    if not address:
        yield "  # CHANGE the two addresses: a Storage Box's sub-account (ssh://USER@HOST:23/./DIR), or a directory."
    if remote:
        yield "  # A key for the box alone: ssh-keygen -t ed25519 -f box_key -N ''; its public half goes into the box:"
        yield "  # cat box_key.pub | ssh -p 23 USER@HOST install-ssh-key. Then name it below: ssh: {key: box_key}"
    yield f"  # Its passphrase: `drkit init --make-passphrase`, or (umask 077; openssl rand -hex 32 >{PASSPHRASE_FILE})"
    yield "  # Keep a copy where the cluster is not: without it no backup can be opened."
    for name, what, schedule in (
        ("cluster", "datastore, servers' files, objects, topology", "0 3 * * *"),
        ("databases", "PostgreSQL", "0 */6 * * *"),
    ):
        base = (address or STORAGE_BOX).rstrip("/")
        yield _line(f"  {name}:", what)
        yield _line(f"    url: {scalar(f'{base}/{name}')}", "a Borg repository; the first backup makes it")
        yield _line(f"    passphrase: {{file: {PASSPHRASE_FILE}}}", "opens it")
        yield _line("    keep: {daily: 7, weekly: 4}", "how many recovery points `drkit prune` keeps")
        yield _off(f'    schedule: "{schedule}"', "when it is backed up, where drkit is left to itself")
        if remote:
            login = "key: box_key, prune_key: box_prune_key, known_hosts: known_hosts"
            yield _off(f"    ssh: {{{login}}}", "how the box is logged in to; prune_key where key only appends")
            yield _off("    remote_path: borg-1.4", "Borg's program there; a Storage Box has several")


def _signing() -> Iterator[str]:
    yield _line("signing_key: {file: signing.key}", "signs recovery points; the first backup makes it")


def _databases(found: Found) -> Iterator[str]:
    if found.postgres:
        yield "# Of CloudNativePG's clusters all databases are backed up, those that are found here included:"
    for each in found.postgres:
        told = f"{each.name}: {', '.join(each.databases)}" if each.databases else each.name
        yield remark(f"- {told}")
    yield _line("databases: []", "others, and choices: in place of [] lines such as")
    yield _off("  - {name: billing, dsn: {env: BILLING_DSN}}", "any PostgreSQL by its connection string")
    yield _off("  - {cnpg: postgres/main-db, read_from: replica}", "spare the primary; databases: [a, b] for some")


def _health(pages: Iterable[Page]) -> Iterator[str]:
    listed = sorted(pages, key=lambda each: not each.answers)
    sure = [each for each in listed if each.answers]
    yield _line("health:" if sure else "health: []", "what must answer after a restore and during drills")
    for each in listed:
        entry = f"  - {{url: {scalar(each.url)}}}"
        if each.answers:
            yield _line(entry, each.said)
        else:
            # A name's own line ends cannot end a comment: the scalar has escaped them.
            yield _off(entry, f"guessed from an Ingress; {each.said}")
    if not listed:
        yield _off("  - {url: https://example.org/health}", "a page that is up when all behind it is")


def _drills(found: Found) -> Iterator[str]:
    yield _line("drills:", "what may be hurt on purpose, and when: `drkit drill`")
    yield _line("  allow: []", "scenarios that this cluster takes: `drkit drill list` shows them")
    project = found.project
    if project is None:
        yield _off("  provider: hetzner", "who has the machines' power; goes together with a token")
        yield _off(f"  token: {_TOKEN}", "one that may write")
    else:
        yield _line("  provider: hetzner", "who has the machines' power")
        yield _line(f"  token: {_TOKEN}", "one that may write: drills take machines' power away")
        if project.balancer_address:
            yield _off(f"  address: {scalar(project.balancer_address)}", "asked for pages, not where names lead")
    yield _off("  watchdog: admin-host", "a host that undoes what befell another; `local` for this one")
    yield _off("  hours: 01:00-05:00 Europe/Berlin", "when drills may begin")
    if len(found.postgres) == 1 and _is_cnpg(found.postgres[0].name):
        yield _line(f"  database: {scalar(found.postgres[0].name)}", "where probes read and write")
    else:
        yield _off("  database: postgres/main-db", "where probes read and write, if there are several")


def _is_cnpg(name: str) -> bool:
    namespace, slash, cluster = name.partition("/")
    return bool(namespace and slash and cluster and "/" not in cluster)


def _escrow() -> Iterator[str]:
    yield _line("escrow:", "who can open a copy of all keys when everything else is lost")
    yield _line("  recipients: []", "age keys (age1…): make one with age-keygen, and keep it elsewhere")


def _clusters(found: Found) -> Iterator[str]:
    """What `drkit restore --to` builds. Names only: addresses are those of machines that are lost by then."""
    servers = [each.name for each in found.machines if each.is_server]
    agents = [each.name for each in found.machines if not each.is_server]
    if found.project is None or not servers:
        yield _line("clusters: {}", "what a restore builds: `drkit restore --to new-cluster`")
        yield "# new-cluster:"
        yield _off("  provider: ssh", "hosts that are there; `hetzner` makes them, and needs a token")
        yield _off("  servers: [{name: k3s-1, address: 198.51.100.1}]", "where k3s server shall run")
        yield _off("  agents: []", "where k3s agent shall run")
        return
    yield _line("clusters:", "what a restore builds: `drkit restore --to new-cluster`")
    yield _line("  new-cluster:", "its name is yours to choose")
    yield from _target(found.project, servers, agents)


def _target(project: Project, servers: list[str], agents: list[str]) -> Iterator[str]:
    yield _line("    provider: hetzner", "makes servers, network, firewall and load balancer")
    yield _line(f"    token: {_TOKEN}", "one that may write")
    for key, value, what in (
        ("server_type", project.server_type, "of the new servers; the cluster has it now"),
        ("location", project.location, "where they are made; the cluster is there now"),
        ("image", project.image, "their operating system; the cluster has it now"),
        ("load_balancer", project.load_balancer, "adopted if it is there, else made again"),
        ("network", project.network, "adopted if it is there, else made again"),
    ):
        if value:
            yield _line(f"    {key}: {scalar(value)}", what)
        else:
            yield _off(f"    {key}: …", what.partition(";")[0])
    yield _line(f"    servers: {_list(servers)}", "names of those that run k3s server")
    yield _line(f"    agents: {_list(agents)}", "names of the others")
    yield _off("    alternatives: [{location: fsn1}]", "what may be taken where something is sold out")
    yield _off(f"    dns: {_list(project.zones)}", "names that are led to it, last of all")
