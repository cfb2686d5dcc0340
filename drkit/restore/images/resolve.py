"""Whether the images that workloads need can be had for the new machines: asked before anything is made.

What was not found, or is not for the machines' architecture, lets a restore end with pods that never start. Where
nobody can be asked from here, such as a registry inside the cluster that is to be restored, that is said and no more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.restore.images import keyring, reference, wanted
from drkit.restore.images.registry import Answer, Registries, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from drkit.restore.images.keyring import Login
    from drkit.restore.images.mirrors import Endpoint, Mirrors
    from drkit.restore.images.reference import Reference
    from drkit.restore.images.wanted import Wanted

THREADS: Final = 8
_SETTLED: Final = frozenset({State.RESOLVED, State.OTHER_ARCHITECTURE})
"""An endpoint that has the image is the one that a node takes it from."""
_UNSETTLED: Final = (State.CANNOT_ASK, State.DENIED, State.NOT_FOUND)
"""The first of these counts: one that cannot be asked may have what the others do not."""
_PROBLEMS: Final = frozenset({State.NOT_FOUND, State.DENIED, State.OTHER_ARCHITECTURE})


@dataclass(frozen=True)
class Finding:
    """What was found out about an image, for these workloads."""

    image: str
    state: State
    why: str
    used_by: tuple[str, ...]
    digest: str = ""
    """Of what the tag means now."""
    stops: bool = False
    """Whether pods would be started with it for sure, and as surely would not start."""

    @property
    def is_problem(self) -> bool:
        """Whether pods with it would not start."""
        return self.state in _PROBLEMS

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        told = {"image": self.image, "state": self.state.value, "used_by": list(self.used_by)}
        return told | {key: value for key, value in (("why", self.why), ("digest", self.digest)) if value}


@dataclass(frozen=True)
class _Question:
    """Images that are asked for alike."""

    image: str
    logins: tuple[Login, ...]
    never: bool


def resolve(
    needed: Iterable[Wanted], architectures: Collection[str], mirrors: Mirrors, present: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Ask for every image, those that are asked for alike once.

    Args:
        needed: ``wanted.wanted`` of all objects.
        architectures: of the new machines, as Kubernetes calls them: ``amd64``, ``arm64``.
        mirrors: what the nodes' ``registries.yaml`` says.
        present: names of images that the new machines will have without asking.
    """
    users: dict[_Question, list[Wanted]] = {}
    for each in needed:
        question = _Question(each.image, each.logins, each.policy == wanted.NEVER)
        users.setdefault(question, []).append(each)
    there = {str(reference.parse(name) or name) for name in present}
    asking = _Asking(Registries(architectures), mirrors, there)
    with ThreadPoolExecutor(THREADS, "images") as pool:
        answers = list(pool.map(asking.answer, users))
    found = (_finding(question.image, answer, users[question]) for question, answer in zip(users, answers, strict=True))
    return tuple(sorted(found, key=lambda each: (each.image, each.used_by)))


def _finding(image: str, answer: Answer, users: Sequence[Wanted]) -> Finding:
    used_by = tuple(dict.fromkeys(each.used_by for each in users))
    stops = answer.is_sure and answer.state in _PROBLEMS and any(each.runs for each in users)
    return Finding(image, answer.state, answer.why, used_by, answer.digest, stops)


@dataclass(frozen=True)
class _Asking:
    registries: Registries
    mirrors: Mirrors
    present: Collection[str]

    def answer(self, question: _Question) -> Answer:
        image = reference.parse(question.image)
        if image is None:
            return Answer(State.NOT_FOUND, "no image can be called so", is_sure=True)
        if str(image) in self.present:
            return Answer(State.NOT_ASKED, "the machines have it")
        if question.never:
            return Answer(State.NOT_ASKED, "its pull policy is Never: the machines have to have it")
        return self._ask(image, keyring.chosen(image, question.logins))

    def _ask(self, image: Reference, logins: Sequence[Login]) -> Answer:
        """Endpoint after endpoint, each with every login, as containerd does, until one has it."""
        answers: list[Answer] = []
        for endpoint in self.mirrors.endpoints(image):
            for login in _logins(endpoint, logins):
                answers.append(self.registries.ask(endpoint, image.version, login))
                if answers[-1].state in _SETTLED:
                    return answers[-1]
        best = min(answers, key=lambda each: _UNSETTLED.index(each.state))
        why = "; ".join(dict.fromkeys(each.why for each in answers))
        return Answer(best.state, why, best.digest, is_sure=all(each.is_sure for each in answers))


def _logins(endpoint: Endpoint, logins: Sequence[Login]) -> Sequence[Login | None]:
    """Pull secrets are for the registry itself; what the node's file says is for the endpoint, where there are none."""
    if logins and not endpoint.is_mirror:
        return logins
    return (endpoint.login,)
