"""The power of servers in a Hetzner Cloud project, and its load balancers' targets."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from drkit.errors import ProviderFailed
from drkit.providers.hcloud import balancer, servers
from drkit.providers.hcloud.api import Api, understood
from drkit.providers.port import TargetHealth
from drkit.providers.power import PATIENCE_SECONDS, Lead, Remotely, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.observe.progress import Reporter
    from drkit.providers.hcloud.api import Raw
    from drkit.providers.power import Recall

_ALREADY, _ABSENT = "target_already_defined", "load_balancer_target_not_found"
_SINGLE = frozenset({"server", "ip"})
# The token comes from a file, and is no argument of any program.
_ASK = """
ask() {{
    curl --silent --show-error --max-time 30 --header @header --header 'Content-Type: application/json' "$@" >answer
}}
"""
# A server that is started while an earlier action still runs on it is refused: so it is asked until it runs.
_ON = """
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    ask {url}
    if grep -Eq '"status": ?"running"' answer; then return 0; fi
    ask --request POST {url}/actions/poweron
    sleep 5
done
return 1
"""
_ATTACH = """
ask --request POST --data {body} {url}/actions/add_target
grep -q -e '"command": *"add_target"' -e {already} answer || return 1
"""


class HetznerPower:
    """See ``Power``.

    Args:
        token: an API token that may read and write.
        endpoint: the API's address.
        reporter: told of what takes long.
        patience: seconds for which a busy API or an action is waited for.
        pause: seconds between two questions.
    """

    name = "Hetzner"

    def __init__(
        self,
        token: str,
        endpoint: str,
        reporter: Reporter,
        *,
        patience: float = PATIENCE_SECONDS,
        pause: float = 1.0,
    ) -> None:
        self._api = Api(token, endpoint, reporter, patience=patience, pause=pause)
        self._token, self._endpoint = token, endpoint

    def has(self, server: str) -> bool:
        """See ``Power``."""
        with understood():
            return self._api.named(servers.SERVERS, server) is not None

    def is_off(self, server: str) -> bool:
        """See ``Power``."""
        with understood():
            return bool(self._server(server)["status"] == "off")

    def power_off(self, server: str) -> None:
        """See ``Power``."""
        with understood():
            servers.power_off(self._api, self._server(server))

    def power_on(self, server: str) -> None:
        """See ``Power``."""
        with understood():
            found = self._server(server)
            if found["status"] != "running":
                self._api.act(f"/servers/{found['id']}/actions/poweron")

    def reset(self, server: str) -> None:
        """See ``Power``."""
        with understood():
            self._api.act(f"/servers/{self._server(server)['id']}/actions/reset")

    def leads(self, server: str) -> tuple[Lead, ...]:
        """See ``Power``."""
        with understood():
            raw = self._server(server)
            return tuple(
                Lead(each["name"], balancer.body_of(target))
                for each in self._api.all(f"/{balancer.BALANCERS}", balancer.BALANCERS)
                for target in balancer.targets_of(each)
                if target[0] in _SINGLE and balancer.leads_to(target, raw)
            )

    def detach(self, lead: Lead) -> None:
        """See ``Power``."""
        with understood():
            body = {key: value for key, value in lead.target.items() if key != "use_private_ip"}
            self._api.act(f"{self._balancer(lead)}/actions/remove_target", body, done=[_ABSENT])

    def attach(self, lead: Lead) -> None:
        """See ``Power``."""
        with understood():
            self._api.act(f"{self._balancer(lead)}/actions/add_target", lead.target, done=[_ALREADY])

    def health(self, server: str) -> tuple[TargetHealth, ...]:
        """See ``Power``."""
        with understood():
            number = self._server(server)["id"]
            found = self._api.all(f"/{balancer.BALANCERS}", balancer.BALANCERS)
            return tuple(
                TargetHealth(server, status["listen_port"], status["status"])
                for each in found
                for target in balancer.single(each["targets"])
                if target["server"]["id"] == number
                for status in target.get("health_status") or ()
            )

    def remotely(self, recall: Recall) -> Remotely | None:
        """See ``Power``: with curl."""
        with understood():
            body = "".join(self._steps(recall))
        return Remotely(_ASK.format() + body, f"Authorization: Bearer {self._token}\n")

    def way(self) -> Way:
        """See ``Power``."""
        return Way("hetzner", {"token": self._token, "endpoint": self._endpoint})

    def _steps(self, recall: Recall) -> Iterator[str]:
        if not recall.leads:
            yield _ON.format(url=shlex.quote(f"{self._endpoint}/servers/{self._server(recall.server)['id']}"))
        for lead in recall.leads:
            url, body = f"{self._endpoint}{self._balancer(lead)}", json.dumps(dict(lead.target))
            yield _ATTACH.format(url=shlex.quote(url), body=shlex.quote(body), already=_ALREADY)

    def _server(self, name: str) -> Raw:
        return self._found(servers.SERVERS, name)

    def _balancer(self, lead: Lead) -> str:
        return f"/{balancer.BALANCERS}/{self._found(balancer.BALANCERS, lead.balancer)['id']}"

    def _found(self, collection: str, name: str) -> dict[str, Any]:
        found = self._api.named(collection, name)
        if found is None:
            raise ProviderFailed(
                f"Hetzner has no {collection.removesuffix('s').replace('_', ' ')} {name}",
                "the token is of another project, or it has another name there",
            )
        return found
