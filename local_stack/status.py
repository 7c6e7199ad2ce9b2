"""What runs, as supervisord and the process table tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

from local_stack import processes, settings
from local_stack.airflow_setup import SERVICES
from local_stack.layout import Layout
from local_stack.supervision import RUNNING_STATES, Supervisor


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now.

    `uptime` is in seconds; `state` is supervisord's, in lower case, or `external` (a given
    connection), `stopped`, or `orphaned` (runs without a supervisor).
    """

    name: str
    state: str
    pid: int | None = None
    uptime: float | None = None
    port: int | None = None


def read_status(
    layout: Layout, supervisor: Supervisor, services: Sequence[str], external: Sequence[str]
) -> list[ServiceStatus]:
    """Every service as it is now, and the connections that are given from outside."""
    given = [ServiceStatus(name, "external") for name in external]
    if not layout.run.exists():
        return [*(ServiceStatus(name, "stopped") for name in services), *given]
    states = supervisor.states()
    living = {process.service: process.pid for process in reversed(processes.find(layout.root))}
    ports = settings.read_ports(layout.ports)
    if "airflow" in ports:
        ports[SERVICES[0]] = ports["airflow"]
    found = []
    for name in services:
        info, port = states.get(name, {}), ports.get(name)
        if info.get("statename") in RUNNING_STATES:
            uptime = float(info["now"] - info["start"])
            state = str(info["statename"]).lower()
            found.append(ServiceStatus(name, state, info["pid"], uptime, port))
        elif name in living:
            found.append(ServiceStatus(name, "orphaned", living[name], None, port))
        elif info.get("statename") == "FATAL":
            found.append(ServiceStatus(name, "fatal", port=port))
        else:
            found.append(ServiceStatus(name, "stopped", port=port))
    return [*found, *given]
