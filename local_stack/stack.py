"""The platform on this machine: servers, Airflow and MLflow as one thing that is up or down."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import ModuleType

from local_stack import (
    airflow_setup,
    connections,
    databases,
    mlflow_setup,
    mongo_server,
    mysql_server,
    postgres_server,
    processes,
    settings,
)
from local_stack.launch import AIRFLOW_PATIENCE_SECONDS
from local_stack.layout import REPOSITORY, Layout, StackError, tail
from local_stack.service import Account, Context, Service
from local_stack.status import ServiceStatus, read_status
from local_stack.supervision import SUPERVISOR, Supervisor

SERVERS: dict[str, ModuleType] = {
    server.NAME: server for server in (postgres_server, mysql_server, mongo_server)
}
SERVER_READY_SECONDS = 90.0
AIRFLOW_READY_SECONDS = 300.0
MLFLOW_READY_SECONDS = 300.0
STOP_SECONDS = 60.0
#: What `clean` keeps in the base folder: downloads, and the lock that others may wait on.
KEPT_BY_CLEAN = ("mongod", "tools", "lock")


class Stack:
    """The servers, Airflow and MLflow with files in `root` (default: AMATO_LOCAL or `.local`).

    `environment` is where given connections (AIRFLOW_CONN_*), AMATO_FIRST_NIGHT and DEMO are
    looked up; default: the process's own. `say` gets one line a step.
    """

    def __init__(
        self,
        root: Path | None = None,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.environment = os.environ if environment is None else environment
        chosen = root or Path(self.environment.get("AMATO_LOCAL") or REPOSITORY / ".local")
        self.layout = Layout(chosen.absolute())
        self.supervisor = Supervisor(self.layout)
        self.say = say

    # What the stack consists of

    @cached_property
    def external(self) -> dict[str, str]:
        """URLs of the given connections, by kind: mysql, postgres, mongo, warehouse."""
        return connections.external(self.environment)

    @cached_property
    def data_services(self) -> list[str]:
        """The servers that run here. PostgreSQL always does: it holds Airflow's metadata."""
        return [name for name in SERVERS if name == "postgres" or name not in self.external]

    @property
    def services(self) -> list[str]:
        """All services that run here, in the order they are started."""
        return [*self.data_services, mlflow_setup.NAME, *airflow_setup.SERVICES]

    @cached_property
    def context(self) -> Context:
        """Secrets, ports and account; secrets and ports are made when they are missing."""
        return Context(
            layout=self.layout,
            secrets=settings.load_secrets(self.layout),
            ports=settings.load_ports(
                self.layout, [*self.data_services, "airflow", mlflow_setup.NAME]
            ),
            account=Account(self.layout),
        )

    def _require_files(self) -> None:
        if not (self.layout.secrets.exists() and self.layout.ports.exists()):
            raise StackError("nothing was started here yet: `make up`")

    def _urls(self, login: str) -> dict[str, str]:
        urls = {
            "postgres": postgres_server.url(self.context, "marketing", login),
            "warehouse": postgres_server.url(self.context, "warehouse", login),
        }
        if "mysql" not in self.external:
            urls["mysql"] = mysql_server.url(self.context, login)
        if "mongo" not in self.external:
            urls["mongo"] = mongo_server.url(self.context, login)
        return {**urls, **self.external}

    def urls(self) -> dict[str, str]:
        """Connection URLs with full rights, and where the UIs are (see `make env`)."""
        self._require_files()
        urls = self._urls("amato_admin")
        port = self.context.ports["airflow"]
        return {
            **{kind.url_name: urls[kind.name] for kind in connections.KINDS},
            "AIRFLOW_URL": airflow_setup.base_url(port),
            "AIRFLOW_USER": airflow_setup.USER,
            "AIRFLOW_PASSWORD": self.context.secrets.airflow_admin,
            **self._mlflow_client(),
        }

    def airflow_env(self) -> dict[str, str]:
        """The environment of Airflow's processes: also for running its command line by hand."""
        port = self.context.ports["airflow"]
        login = postgres_server.AIRFLOW_LOGIN
        metadata = postgres_server.url(self.context, "airflow", login)
        environment = airflow_setup.settings(self.layout, self.context.secrets, port, metadata)
        urls = self._urls("amato")
        for kind in connections.KINDS:
            given = self.environment.get(kind.variable)
            environment[kind.variable] = given or connections.airflow_uri(kind, urls[kind.name])
        environment |= self._mlflow_client()
        environment["AMATO_EXTERNAL"] = ",".join(self.external)
        night = settings.first_night(self.layout, self.environment)
        environment["AMATO_FIRST_NIGHT"] = night.isoformat() if night else "never"
        demo = settings.demo_mode(self.layout, self.environment)
        environment["AMATO_DEMO"] = "1" if demo else "0"
        return environment

    # Up

    def up(self, airflow: bool = True, migrate: bool = True) -> None:
        """Start whatever does not run, and wait until all of it answers.

        Args:
            airflow: start Airflow and MLflow too, not only the data servers.
            migrate: apply the DDL (of sources only where they are local).

        Raises:
            StackError: something the user can mend is in the way.
        """
        with self.layout.lock():
            self.layout.check_space(first_setup=not self.layout.data.exists())
            self.layout.make()
            connections.keep_external(self.layout, self.external)
            settings.keep_demo_mode(self.layout, self.environment)
            services = self._services(airflow)
            self._check_ports(services)
            self.supervisor.write(self._services(airflow=True))
            if not self.supervisor.is_reachable():
                # Servers whose supervisor was killed would answer until they are replaced.
                self._stop_leftovers()
            self.supervisor.start()
            with ThreadPoolExecutor() as pool:
                list(pool.map(self._up_server, self.data_services))
                tracking = pool.submit(self._up_mlflow) if airflow else None
                metadata = pool.submit(self._migrate_metadata) if airflow else None
                if migrate:
                    self._migrate_databases()
                if metadata:
                    metadata.result()
                if airflow:
                    self._up_airflow([s for s in services if s.name in airflow_setup.SERVICES])
                if tracking:
                    tracking.result()

    def _services(self, airflow: bool) -> list[Service]:
        made: list[Service] = [SERVERS[name].service(self.context) for name in self.data_services]
        if airflow:
            made += [self._mlflow(), *airflow_setup.services(self.layout, self.airflow_env())]
        return made

    def _mlflow(self) -> Service:
        store = postgres_server.url(self.context, mlflow_setup.NAME, postgres_server.MLFLOW_LOGIN)
        port, password = self.context.ports[mlflow_setup.NAME], self.context.secrets.mlflow_admin
        return mlflow_setup.service(self.layout, port, store, password)

    def _mlflow_client(self) -> dict[str, str]:
        port = self.context.ports[mlflow_setup.NAME]
        return mlflow_setup.client_environment(port, self.context.secrets.mlflow_admin)

    def _check_ports(self, services: Sequence[Service]) -> None:
        mine = {process.service for process in processes.find(self.layout.root)}
        for service in services:
            key = "airflow" if service.name == airflow_setup.SERVICES[0] else service.name
            if key in self.context.ports and service.name not in mine:
                settings.check_port(self.layout, key, self.context.ports[key])

    def _up_server(self, name: str) -> None:
        server = SERVERS[name]
        began = time.monotonic()
        server.initialise(self.context)
        started = self.supervisor.launch([server.service(self.context)])
        self._wait(
            [name],
            lambda: self._listening(name, name) or server.check(self.context),
            SERVER_READY_SECONDS,
        )
        port = self.context.ports[name]
        with databases.clear_errors(name, f"{name}://{settings.LOOPBACK}:{port}"):
            server.provision(self.context)
        if started:
            seconds = time.monotonic() - began
            self.say(f"{name}: ready on port {port} ({seconds:.1f} s)")

    def _listening(self, service: str, key: str) -> str | None:
        """None when the service listens on its port; StackError when somebody else does.

        Another stack may have taken the port after it was chosen, and would answer in its place.
        """
        listens = processes.listens(self.layout.root, service, self.context.ports[key])
        if listens is False:
            settings.check_port(self.layout, key, self.context.ports[key])
        return None if listens else f"{service} does not listen yet"

    def _wait(self, names: Sequence[str], check: Callable[[], str | None], patience: float) -> None:
        """Ask until the services are ready; StackError with their last log lines when not."""
        deadline = time.monotonic() + patience
        while (reason := check()) is not None:
            states = self.supervisor.states()
            dead = [name for name in names if states[name]["statename"] in ("FATAL", "EXITED")]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(
                    f"  {self.layout.log(name)}:\n{tail(self.layout.log(name))}"
                    for name in dead or names
                )
                raise StackError(f"{', '.join(dead or names)} did not start: {reason}\n{logs}")
            time.sleep(0.1)

    def _migrate_databases(self) -> None:
        began = time.monotonic()
        local = [name for name in ("mysql", "postgres", "mongo") if name not in self.external]
        urls = {**self._urls("amato_admin"), "postgres": self._urls("amato")["postgres"]}
        grant_to = None if "warehouse" in self.external else postgres_server.LOGIN
        loader_url = self._urls("amato")["warehouse"]
        given = {
            kind.name: kind.variable for kind in connections.KINDS if kind.name in self.external
        }
        applied = databases.migrate(urls, local, loader_url, grant_to, given)
        if applied:
            seconds = time.monotonic() - began
            self.say(f"databases: {len(applied)} migrations applied ({seconds:.1f} s)")

    def _migrate_metadata(self) -> None:
        began = time.monotonic()
        if airflow_setup.migrate_metadata(self.layout, self.airflow_env()):
            self.say(f"airflow: metadata database made ({time.monotonic() - began:.1f} s)")

    def _up_mlflow(self) -> None:
        began = time.monotonic()
        name, port = mlflow_setup.NAME, self.context.ports[mlflow_setup.NAME]
        started = self.supervisor.launch([self._mlflow()])
        self._wait(
            [name],
            lambda: self._listening(name, name) or mlflow_setup.check(port),
            MLFLOW_READY_SECONDS,
        )
        if started:
            seconds = time.monotonic() - began
            self.say(f"mlflow: ready at {mlflow_setup.base_url(port)} ({seconds:.1f} s)")

    def _up_airflow(self, services: Sequence[Service]) -> None:
        began = time.monotonic()
        since = datetime.now(UTC)
        port = self.context.ports["airflow"]
        airflow_setup.write_passwords(self.layout, self.context.secrets)
        started = self.supervisor.launch(services)
        check_since = since if set(started) - {airflow_setup.SERVICES[0]} else None
        self._wait(
            airflow_setup.SERVICES,
            lambda: (
                self._listening(airflow_setup.SERVICES[0], "airflow")
                or airflow_setup.check(port, check_since)
            ),
            AIRFLOW_READY_SECONDS,
        )
        airflow_setup.create_pools(port, self.context.secrets.airflow_admin)
        if started:
            seconds = time.monotonic() - began
            self.say(f"airflow: healthy at {airflow_setup.base_url(port)} ({seconds:.1f} s)")

    # Down

    def down(self) -> None:
        """Stop everything, and make sure that no process of the stack is left."""
        if not self.layout.root.exists():
            return
        with self.layout.lock():
            self._down()

    def _down(self) -> None:
        if not self.layout.run.exists():
            return
        found = processes.find(self.layout.root)
        if self.supervisor.is_reachable():
            self.supervisor.stop([mlflow_setup.NAME, *airflow_setup.SERVICES])
            self.supervisor.stop(list(SERVERS))
            self.supervisor.shutdown()
            processes.wait_for_end(self.layout.root, SUPERVISOR, STOP_SECONDS)
        self._stop_leftovers()
        self._remove_short_socket_folder()
        services = {process.service for process in found} - {SUPERVISOR}
        if services:
            self.say(f"stopped {len(services)} services")

    def _stop_leftovers(self) -> None:
        """Stop what a killed supervisor or scheduler left behind; the databases last."""
        names = {process.service for process in processes.find(self.layout.root)}
        for name in [*sorted(names - SERVERS.keys()), *SERVERS, None]:
            airflow = name is not None and name.startswith("airflow")
            patience = AIRFLOW_PATIENCE_SECONDS if airflow else STOP_SECONDS
            processes.stop(self.layout.root, name, patience)

    def _remove_short_socket_folder(self) -> None:
        record = self.layout.run / "socket_dir"
        if record.exists():
            folder = Path(record.read_text().strip())
            if folder.is_dir() and folder.name.startswith("amato-"):
                shutil.rmtree(folder)
            record.unlink()

    def clean(self) -> None:
        """Stop everything and remove all data. Downloaded tools stay."""
        if not self.layout.root.exists():
            return
        for nested in sorted(self.layout.root.glob("test/*/run")):
            Stack(nested.parent, self.environment, self.say).down()
        with self.layout.lock():
            self._down()
            for entry in self.layout.root.iterdir():
                if entry.name in KEPT_BY_CLEAN:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        self.__dict__.pop("context", None)  # its secrets and ports are gone

    # Looking

    def is_up(self, names: Sequence[str]) -> bool:
        """Whether supervisord runs all of these services."""
        states = self.supervisor.states()
        up = ("STARTING", "RUNNING")
        return all(states.get(name, {}).get("statename") in up for name in names)

    def status(self) -> list[ServiceStatus]:
        """Every service as it is now; also what is external or orphaned."""
        return read_status(self.layout, self.supervisor, self.services, list(self.external))
