"""Which kind a probe is, made for the prober."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.probes.dns import DnsKind
from drkit.drill.probes.http import HttpKind
from drkit.drill.probes.kube_api import kube_api
from drkit.drill.probes.sql_read import sql_read
from drkit.drill.probes.sql_write import sql_write
from drkit.drill.probes.tcp import TcpKind, control
from drkit.drill.probes.wanted import Control, Dns, Http, KubeApi, Tcp
from drkit.drill.values import SQL_WRITE

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Address, Ways
    from drkit.drill.probes.port import Kind
    from drkit.drill.probes.wanted import Asking


def kind_of(asking: Asking, ways: Ways, parent: Address) -> Kind:
    """The kind of a probe, ready to ask.

    Args:
        asking: what is asked, and how.
        ways: where ways begin.
        parent: where the control probe is answered.

    Raises:
        OwnTrouble: a name has no address.
        ConfigurationError: it cannot be asked so.
        ValueError: a certificate is none.
    """
    probe, how = asking.probe, asking.how
    if isinstance(how, Http):
        return HttpKind(how, ways)
    if isinstance(how, Tcp):
        return TcpKind(how, ways, probe.timeout)
    if isinstance(how, KubeApi):
        return kube_api(how, ways)
    if isinstance(how, Dns):
        return DnsKind(how, ways)
    if isinstance(how, Control):
        return control(parent, ways, probe.timeout)
    return sql_write(how, probe.name, ways) if probe.kind == SQL_WRITE else sql_read(how, ways)
