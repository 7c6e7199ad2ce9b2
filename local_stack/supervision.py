"""supervisord: its configuration, its start, and talking to it."""

import hashlib
import json
import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from local_stack.layout import REPOSITORY, Layout, StackError, tail, write_private
from local_stack.processes import ROOT_MARK, SERVICE_MARK
from local_stack.service import Service

SUPERVISOR = "supervisord"
RUNNING_STATES = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")
START_SECONDS = 20

PROGRAM = """
[program:{name}]
command="{python}" -m local_stack.launch {name}
environment={mark}="{name}"
autostart=false
autorestart=true
startsecs=1
startretries={start_retries}
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup={stop_group}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""

DAEMON = """[supervisord]
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={run}/supervisord.pid
childlogdir={logs}
directory={repository}
umask=077
nocleanup=true

[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")  # supervisord expands %(names)s


def spec_hash(spec: dict[str, Any]) -> str:
    """Changes when, and only when, a service must be started anew."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    def specs_file(self) -> Path:
        """What `local_stack.launch` starts: commands and environments (with secrets), mode 600."""
        return self.layout.run / "services.json"

    def _rpc(self) -> Any:
        url = f"unix://{self.layout.supervisor_socket()}"
        transport = SupervisorTransport(None, None, url)
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def is_reachable(self) -> bool:
        """Whether a supervisord answers."""
        if not self.layout.run.exists() or not self.layout.supervisor_socket().exists():
            return False
        try:
            return str(self._rpc().getState()["statename"]) == "RUNNING"
        except (OSError, xmlrpc.client.Error):
            return False

    def write(self, services: Sequence[Service]) -> None:
        """Write the configuration and the specs that the launcher reads."""
        layout = self.layout
        text = DAEMON.format(
            logs=_escaped(layout.logs),
            run=_escaped(layout.run),
            repository=_escaped(REPOSITORY),
            socket=_escaped(layout.supervisor_socket()),
        )
        for service in services:
            text += PROGRAM.format(
                name=service.name,
                python=_escaped(sys.executable),
                mark=SERVICE_MARK,
                stop_signal=service.stop_signal,
                stop_seconds=service.stop_seconds,
                start_retries=service.start_retries,
                stop_group=str(service.stop_group).lower(),
                log=_escaped(layout.log(service.name)),
            )
        write_private(layout.run / "supervisord.conf", text)
        specs = {
            service.name: {"argv": service.argv, "environment": dict(service.environment)}
            for service in services
        }
        write_private(self.specs_file, json.dumps(specs, indent=1))

    def start(self) -> None:
        """Start supervisord, or make the running one read its configuration again."""
        if self.is_reachable():
            self._reload()
            return
        environment = {
            **os.environ,
            ROOT_MARK: str(self.layout.root),
            SERVICE_MARK: SUPERVISOR,
            "PYTHONPATH": str(REPOSITORY),
            # setproctitle would overwrite the environment that /proc shows, and so the marks.
            "SPT_NOENV": "1",
        }
        command = [sys.executable, "-m", "supervisor.supervisord"]
        command += ["-c", str(self.layout.run / "supervisord.conf")]
        result = subprocess.run(
            command,
            env=environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + START_SECONDS
        while result.returncode == 0 and time.monotonic() < deadline:
            if self.is_reachable():
                return
            time.sleep(0.05)
        log = tail(self.layout.logs / "supervisord.log")
        raise StackError(f"supervisord did not start:\n    {result.stderr.strip()}\n{log}")

    def _reload(self) -> None:
        rpc = self._rpc()
        [[added, changed, removed]] = rpc.reloadConfig()
        for name in [*changed, *removed]:
            rpc.stopProcessGroup(name)
            rpc.removeProcessGroup(name)
        for name in [*changed, *added]:
            rpc.addProcessGroup(name)

    def states(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of every program; empty when it does not run."""
        if not self.is_reachable():
            return {}
        return {info["name"]: info for info in self._rpc().getAllProcessInfo()}

    def is_current(self, service: Service) -> bool:
        """Whether the running process was started from exactly this spec."""
        record = self.layout.run / f"{service.name}.launched"
        spec = {"argv": list(service.argv), "environment": dict(service.environment)}
        return record.exists() and record.read_text() == spec_hash(spec)

    def launch(self, services: Sequence[Service]) -> list[str]:
        """Start what does not run, restart what runs from an older spec; names of those started."""
        states = self.states()
        started = []
        for service in services:
            running = states[service.name]["statename"] in RUNNING_STATES
            if running and self.is_current(service):
                continue
            if running:
                self.stop([service.name])
            self._rpc().startProcess(service.name, False)
            started.append(service.name)
        return started

    def stop(self, names: Sequence[str]) -> None:
        """Stop programs side by side and wait for them."""
        rpc = self._rpc()
        for name, info in self.states().items():
            if name not in names or info["statename"] not in RUNNING_STATES:
                continue
            try:
                rpc.stopProcess(name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:  # it ended, or is stopping already
                    raise
        while any(
            info["statename"] in RUNNING_STATES
            for name, info in self.states().items()
            if name in names
        ):
            time.sleep(0.05)

    def shutdown(self) -> None:
        """Ask supervisord to end."""
        self._rpc().shutdown()
