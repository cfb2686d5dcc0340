"""A cluster's API over HTTP; see ``drkit.cluster.kube`` for what it promises."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import unquote, urlencode

from drkit.clock import SystemClock
from drkit.cluster import discovery
from drkit.cluster.execution import execute
from drkit.cluster.kube import FIELD_MANAGER, Discovery
from drkit.cluster.transport import LARGEST_BYTES, POLITE, Answer, TooLarge, Transport
from drkit.cluster.watching import Refusal, opened
from drkit.errors import Cause, DrkitError, KubeExpired, KubeRefused, KubeUnreachable
from drkit.manifests.emit import emit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from drkit.cluster.execution import PodExecution
    from drkit.cluster.kube import Object, Resource
    from drkit.cluster.kubeconfig import Access
    from drkit.cluster.transport import Connection, Limits
    from drkit.cluster.tunnel import Tunnel
    from drkit.cluster.watching import ObjectWatch

PAGE: Final = 500
"""Objects in a page; kubectl's and client-go's own number."""
LARGEST_PAGE: Final = 4 * 1024 * 1024
"""Bytes of a page: one that has more is asked for again with fewer objects, so that memory does not grow with them."""
_FEWER: Final = 8
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_GONE: Final = 410
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_FAILED: Final = 400
_SHOWN: Final = 400
_HINTS: Final = {
    _UNAUTHORIZED: "the credentials in cluster.kubeconfig are not accepted: renew them",
    _FORBIDDEN: "give that user the rights in drkit/cluster/rbac.yaml",
}


class HttpApi:
    """One API server. Safe to use from several threads."""

    def __init__(self, transport: Transport | Tunnel) -> None:
        self._transport = transport

    @property
    def server(self) -> str:
        """Its address, for messages."""
        return self._transport.server

    def connection(self) -> Connection:
        """What another protocol needs to reach the same server as the same user."""
        return self._transport.connection()

    def get(self, path: str) -> Object:
        """What is at a path, query included."""
        return self._ask(path)

    def discover(self) -> Discovery:
        """Every kind that the API serves, one version of each."""
        found: list[Resource] = []
        failed: dict[str, str] = {}
        for root in ("/api", "/apis"):
            document = self._ask(root, accept=discovery.ACCEPT)
            try:
                if document.get("kind") == discovery.AGGREGATED:
                    fresh, one_by_one = discovery.aggregated(document)
                    found += fresh
                else:
                    one_by_one = discovery.versions(document)
            except (TypeError, KeyError, AttributeError):
                self._malformed(root)
            found += self._kinds(one_by_one, failed)
        return Discovery(discovery.one_version_each(found), failed)

    def _kinds(self, group_versions: list[str], failed: dict[str, str]) -> list[Resource]:
        """The kinds of group versions that have to be asked for; those that cannot be had go to ``failed``."""
        found: list[Resource] = []
        for name, root in zip(group_versions, discovery.roots(group_versions), strict=True):
            try:
                found += discovery.kinds(self._ask(root, patient=False))
            except KubeRefused as error:
                failed[name] = error.message
            except (TypeError, KeyError, AttributeError):
                failed[name] = "what it says that it serves is malformed"
        return found

    def pages(self, path: str, *, selector: str = "") -> Iterator[Object]:
        """The pages of a list, each with its ``items`` and the list's ``metadata.resourceVersion``.

        Raises:
            KubeExpired: the list's next page is gone (410): what came so far is not the whole.
        """
        query = {"labelSelector": selector} if selector else {}
        token, limit = "", PAGE
        while True:
            page, limit = self._page(path, query | ({"continue": token} if token else {}), limit)
            metadata, items = page.get("metadata"), page.get("items")
            if not isinstance(metadata, dict) or not _are_objects(items):
                self._malformed(path)
            page["items"] = items or []
            yield page
            following = metadata.get("continue") or ""
            if following and following == token:
                self._malformed(path)  # it would go on for ever
            token = following
            if not token:
                return

    def _page(self, path: str, query: Mapping[str, str], limit: int) -> tuple[Object, int]:
        """One page, and the number of objects that the next one may have."""
        while limit > 1:
            try:
                return self._ask(f"{path}?{urlencode({**query, 'limit': limit})}", largest=LARGEST_PAGE), limit
            except TooLarge:
                limit = max(1, limit // _FEWER)
        # One object can be as large as the API lets it; so can a list whose server does not know of pages.
        return self._ask(f"{path}?{urlencode({**query, 'limit': 1})}"), 1

    @contextmanager
    def watch(self, path: str, version: str) -> Iterator[ObjectWatch]:
        """Begin to watch the objects that are listed at a path, from a list's version on. Leaving the body ends it."""
        try:
            with opened(self.connection(), path, version, self._transport.limits) as begun:
                yield begun
        except Refusal as error:
            self._object(path, Answer(error.status, error.kind, error.body))
            self._malformed(path)

    def create(self, path: str, obj: Object) -> Object:
        """Make one object where none of its name is; 409 where one is."""
        return self._change("POST", path, {"fieldManager": FIELD_MANAGER}, _JSON, json.dumps(obj).encode())

    def apply(
        self, path: str, obj: Object, *, dry_run: bool, take_over: bool = True, manager: str = FIELD_MANAGER
    ) -> Object:
        """Server-side apply of one object."""
        query = {"fieldManager": manager} | ({"force": "true"} if take_over else {})
        query |= {"dryRun": "All"} if dry_run else {}
        # As YAML, not as JSON: the server reads it with a YAML parser, which breaks lines inside JSON's text at U+0085.
        return self._change("PATCH", path, query, _APPLY, emit(obj).encode())

    def patch(self, path: str, patch: Object) -> Object:
        """Merge into one object that is there (RFC 7386: lists are replaced, ``None`` removes), and return it."""
        return self._change("PATCH", path, {"fieldManager": FIELD_MANAGER}, _MERGE, json.dumps(patch).encode())

    def delete(self, path: str, *, uid: str = "", orphan: bool = False, grace: int | None = None) -> bool:
        """Let one object be deleted, and say whether it was there."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = "Orphan" if orphan else "Background"
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._change("DELETE", path, {}, _JSON, json.dumps(options).encode())
        except KubeRefused as error:
            if error.status == _NOT_FOUND or (uid and error.status == _CONFLICT):
                return False
            raise
        return True

    def evict(self, path: str, *, uid: str) -> bool:
        """Let one pod be deleted as far as its disruption budgets allow, and say whether it was there."""
        namespace, _, name = path.partition("/namespaces/")[2].split("/")
        eviction = {
            "kind": "Eviction",
            "apiVersion": "policy/v1",
            "metadata": {"name": unquote(name), "namespace": unquote(namespace)},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        try:
            self._change("POST", f"{path}/eviction", {}, _JSON, json.dumps(eviction).encode(), patient=False)
        except KubeRefused as error:
            if error.status in {_NOT_FOUND, _CONFLICT}:
                return False
            raise
        return True

    def _change(
        self, method: str, path: str, query: Mapping[str, str], kind: str, body: bytes, *, patient: bool = True
    ) -> Object:
        """The answer to a request that changes something, and may be repeated."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": _JSON, "Content-Type": kind}
        try:
            answer = self._transport.request(method, target, headers=headers, body=body, patient=patient)
        except TooLarge:
            raise self._too_large(path) from None
        return self._object(path, answer)

    def execute(
        self, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool = False
    ) -> AbstractContextManager[PodExecution]:
        """Start a program in a container. Leaving the body ends it there too; see ``drkit.cluster.execution``."""
        return execute(self.connection(), namespace, pod, container, argv, stdin=stdin)

    def _ask(self, path: str, *, accept: str = _JSON, largest: int = LARGEST_BYTES, patient: bool = True) -> Object:
        try:
            answer = self._transport.request(
                "GET", path, headers={"Accept": accept, "Accept-Encoding": "gzip"}, largest=largest, patient=patient
            )
        except TooLarge:
            if largest < LARGEST_BYTES:
                raise
            raise self._too_large(path) from None
        return self._object(path, answer)

    def _object(self, path: str, answer: Answer) -> Object:
        """The answer's JSON object.

        Raises:
            KubeRefused: it is an error.
        """
        try:
            found: Any = json.loads(answer.body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            found = None
        if answer.status >= _FAILED:
            raise self._refused(path, answer, found)
        if answer.status >= 300 or not isinstance(found, dict):  # noqa: PLR2004 - HTTP: neither done nor an error
            self._malformed(path)
        return found

    def _refused(self, path: str, answer: Answer, found: Any) -> KubeRefused:
        message = found.get("message") if isinstance(found, dict) else None
        said = message if isinstance(message, str) and message else answer.body[:_SHOWN].decode(errors="replace")
        said = " ".join(said.split())[:_SHOWN]
        kind = KubeExpired if answer.status == _GONE else KubeRefused
        where = path.partition("?")[0]
        return kind(
            answer.status,
            f"the API at {self.server} answered {answer.status} to {where}: {said}",
            _HINTS.get(answer.status, ""),
            said,
            _causes(found),
        )

    def _malformed(self, path: str) -> NoReturn:
        raise KubeUnreachable(
            f"what answers at {self.server} is no Kubernetes API, or a broken one: {path.partition('?')[0]}",
            "look at the server in cluster.kubeconfig",
        )

    def _too_large(self, path: str) -> DrkitError:
        return KubeRefused(0, f"the API at {self.server} answered {path.partition('?')[0]} with more than drkit reads")


def _causes(found: Any) -> tuple[Cause, ...]:
    details = found.get("details") if isinstance(found, dict) else None
    causes = details.get("causes") if isinstance(details, dict) else None
    named = [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
    return tuple(Cause(*(str(each.get(key) or "") for key in ("reason", "field", "message"))) for each in named)


def _are_objects(items: Any) -> bool:
    return items is None or (isinstance(items, list) and all(isinstance(item, dict) for item in items))


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)  # NaN and Infinity, which Python reads and JSON does not have


def connect(access: Access, limits: Limits = POLITE) -> HttpApi:
    """The API that a kubeconfig describes. Nothing is asked of it yet."""
    return HttpApi(Transport(access, SystemClock(), limits=limits))
