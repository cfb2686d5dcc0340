"""The texts that tell k3s what to be, changed without disturbing what else they say. Pure.

k3s takes what counts most from its command line, then from the last of its configuration files, then from the first,
then from its environment; a list on the command line replaces the files', and ``key+`` in a file adds to a list
(docs.k3s.io/installation/configuration). So what stood on the command line moves into a last file, where it counts the
same: then the files say all there is, to a reset as to a start.
"""

from __future__ import annotations

import re
import shlex
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from drkit.cluster import k3s
from drkit.restore.etcd.values import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LISTS = frozenset(
    {
        "disable",
        "node-label",
        "node-taint",
        "tls-san",
        "kubelet-arg",
        "kube-proxy-arg",
        "kube-apiserver-arg",
        "kube-controller-manager-arg",
        "kube-cloud-controller-manager-arg",
        "kube-scheduler-arg",
        "etcd-arg",
    }
)
"""Settings that are lists even where they have one value."""
_WIDE = 10_000
"""Characters: no line is broken that was not."""
_HEAD = "# Written by drkit's restore: what the command line said before, and what is new about this machine.\n"
_EXEC = re.compile(r"^ExecStart=[^\S\n]*\S(?:[^\n]*\\\n)*[^\n]*$", re.MULTILINE)
_ENVIRONMENT = re.compile(r"^Environment=(.*)$", re.MULTILINE)


class Configuration:
    """k3s's settings on one node, in force and where they stand.

    Args:
        files: the node's files.
        unit: the service that k3s is.

    Raises:
        SourceFailed: one of them cannot be understood.
    """

    def __init__(self, files: Mapping[str, File], unit: str) -> None:
        texts = {path: file.content for path, file in files.items()}
        self._files, self._unit = files, unit
        service = k3s.service(texts, unit)
        told = flags(service.words)
        self.understood = told is not None
        """Whether all of the command line is; one that is not stays as it is."""
        line = dict(told or {})
        self._named = str(line.pop("config", ""))
        variables = {k3s.VARIABLES[name]: value for name, value in service.environment.items() if name in k3s.VARIABLES}
        self.path = self._named or str(variables.pop("config", "")) or k3s.CONFIG
        """The first configuration file."""
        self._parts = k3s.parts(texts, self.path)
        self._documents = {
            path: k3s.document(path, texts[path], _loader()) for path in (self.path, *self._parts) if path in texts
        }
        self._line = line
        self._variables = {name: value for name, value in variables.items() if value}
        self._changed: set[str] = set()
        self._last: dict[str, Any] = dict(line)
        self._removed: set[str] = set()

    def value(self, key: str) -> Any:
        """What is in force: a list for one of ``LISTS``, and else what stands there; nothing where nothing does."""
        found: Any = self._variables.get(key)
        for document in self._documents.values():
            found = document.get(key, found)
            if f"{key}+" in document:
                found = [*as_list(found), *as_list(document[f"{key}+"])]
        found = self._last.get(key, found)
        if f"{key}+" in self._last:
            found = [*as_list(found), *as_list(self._last[f"{key}+"])]
        return as_list(found) if key in LISTS else found

    def text(self, key: str) -> str:
        """The same as one text; a list's values are joined by commas."""
        found = self.value(key)
        return "" if found is None else str(found).lower() if isinstance(found, bool) else ",".join(as_list(found))

    def on(self, key: str) -> bool:
        """Whether a switch is."""
        return self.text(key) in {"true", "1", "t"}

    @property
    def keys(self) -> list[str]:
        """All settings that something is said of."""
        named = [key.removesuffix("+") for each in (*self._documents.values(), self._last) for key in each]
        return sorted({*map(str, named), *self._variables} - self._removed)

    def set(self, key: str, value: Any) -> None:
        """Let a setting be this, where it stands already or in the last file."""
        self._last.pop(f"{key}+", None)
        stands = [path for path, document in self._documents.items() if key in document or f"{key}+" in document]
        for path in stands:
            document = self._documents[path]
            document.pop(f"{key}+", None)
            document[key] = value
            self._changed.add(path)
        if key in self._last or not stands:
            self._last[key] = value
        if key in self._variables:
            self._variables[key] = ",".join(as_list(value))

    def remove(self, key: str) -> None:
        """Let nothing be said of a setting."""
        for path, document in self._documents.items():
            for name in (key, f"{key}+"):
                if name in document:
                    del document[name]
                    self._changed.add(path)
        for name in (key, f"{key}+"):
            self._last.pop(name, None)
        if self._variables.pop(key, None) is not None:
            self._removed.add(key)

    def extend(self, key: str, values: Sequence[str]) -> list[str]:
        """Add to a list what is not in it, in the last file, and return that."""
        new = [value for value in values if value not in self.value(key)]
        if new and key in self._last:
            self._last[key] = [*as_list(self._last[key]), *new]
        elif new:
            self._last[f"{key}+"] = [*as_list(self._last.get(f"{key}+")), *new]
        return new

    def replace(self, change: Callable[[str, str], str]) -> None:
        """Let every text be what ``change`` makes of setting and text, each where it stands."""
        for path, document in self._documents.items():
            if _replaced(document, change):
                self._changed.add(path)
        _replaced(self._last, change)
        self._variables = {key: change(key, value) for key, value in self._variables.items()}

    def files(self) -> dict[str, File]:
        """The files that tell all this: configuration, units and environment."""
        found = {path: file for path, file in self._files.items() if path in self._documents}
        for path in self._changed:
            found[path] = File(_dumped(self._documents[path]), self._files[path].mode)
        if self._last:
            found[self._last_path()] = File(_HEAD.encode() + _dumped(self._last))
        return {**found, **self._services()}

    def _last_path(self) -> str:
        """A file that comes behind all others."""
        name = "zzz-drkit.yaml"
        while self._parts and f"{self.path}.d/{name}" <= self._parts[-1]:
            name = f"z{name}"
        return f"{self.path}.d/{name}"

    def _services(self) -> dict[str, File]:
        found = {}
        folder = f"/etc/systemd/system/{self._unit}.service.d/"
        for path, file in self._files.items():
            if path in k3s.units(self._unit) or (path.startswith(folder) and path.endswith(".conf")):
                text = file.content.decode(errors="surrogateescape")
                text = _ENVIRONMENT.sub(self._environment_line, text)
                text = _EXEC.sub(self._exec_line, text) if self.understood and self._line else text
            elif path in k3s.environments(self._unit):
                lines = file.content.decode(errors="surrogateescape").splitlines(keepends=True)
                text = "".join(map(self._variable_line, lines))
            else:
                continue
            found[path] = File(text.encode(errors="surrogateescape"), file.mode)
        return found

    def _exec_line(self, found: re.Match[str]) -> str:
        words = shlex.split(found[0].replace("\\\n", " ").partition("=")[2])
        kept = words[:2] + ([f"--config={self._named}"] if self._named else [])
        return "ExecStart=" + " ".join(map(_quoted, kept))

    def _environment_line(self, found: re.Match[str]) -> str:
        pairs = [word.partition("=") for word in shlex.split(found[1])]
        kept = [(name, self._variable(name, value)) for name, _, value in pairs]
        if [(name, value) for name, _, value in pairs] == kept:
            return found[0]
        return "Environment=" + " ".join(_quoted(f"{name}={value}") for name, value in kept if value is not None)

    def _variable_line(self, line: str) -> str:
        match = k3s.ENVIRONMENT_LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            return line
        before = match[2].strip().strip("'\"")
        now = self._variable(match[1], before)
        return line if now == before else "" if now is None else f"{match[1]}={_quoted(now)}\n"

    def _variable(self, name: str, value: str) -> str | None:
        """What a variable is now; nothing where it shall not be there."""
        key = k3s.VARIABLES.get(name, "")
        return None if key in self._removed else self._variables.get(key, value)


def _quoted(word: str) -> str:
    """A word as systemd and a shell read it alike."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%,=+-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _replaced(mapping: dict[str, Any], change: Callable[[str, str], str]) -> bool:
    changed = False
    for key, value in mapping.items():
        name = str(key).removesuffix("+")
        if isinstance(value, list):
            for number, item in enumerate(value):
                now = change(name, item) if isinstance(item, str) else item
                if now != item:
                    value[number], changed = now, True
        elif isinstance(value, str) and (now := change(name, value)) != value:
            mapping[key], changed = now, True
    return changed


def as_list(value: Any) -> list[str]:
    """A setting's values as texts, however they stand there."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def flags(words: Sequence[str]) -> dict[str, Any] | None:
    """The options of ``k3s server`` or ``agent`` as a file would hold them; nothing where they are unclear."""
    if not words:
        return {}
    if len(words) < 2 or words[1] not in {"server", "agent"} or any("$" in word for word in words):  # noqa: PLR2004 - program, command
        return None
    found: dict[str, Any] = {}
    rest = list(words[2:])
    while rest:
        name, has_value, value = rest.pop(0).partition("=")
        key = k3s.SHORT.get(name) or (name[2:] if name.startswith("--") else "")
        if not key:
            return None
        given: Any = value
        if not has_value:
            given = rest.pop(0) if rest and not rest[0].startswith("-") else True
        if key in LISTS or key in found:
            found[key] = [*as_list(found.get(key)), str(given)]
        else:
            found[key] = given
    return found


def _loader() -> YAML:
    loader = YAML(typ="rt", pure=True)
    loader.preserve_quotes = True
    loader.width = _WIDE
    return loader


def _dumped(document: Mapping[str, Any]) -> bytes:
    into = BytesIO()
    _loader().dump(document, into)
    return into.getvalue()
