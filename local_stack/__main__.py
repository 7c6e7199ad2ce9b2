"""Command line: `python -m local_stack up|down|status|clean|env|docs|run`."""

import argparse
import os
import shlex
import subprocess
import sys
from datetime import UTC

from rich.console import Console
from rich.table import Table

from local_stack.freshness import TableFreshness, read_freshness
from local_stack.layout import REPOSITORY, StackError
from local_stack.stack import Stack
from local_stack.status import ServiceStatus

COMMANDS = {
    "up": "start the servers, Airflow and MLflow",
    "down": "stop everything",
    "status": "show every service, and how fresh each table is",
    "clean": "stop everything and remove all data",
    "env": "print shell-exportable connection URLs with full rights",
    "docs": "write the dbt docs of the latest night",
    "run": "drive the whole chain",
}
# Columns that the table of the raw tables needs.
FRESHNESS_WIDTH = 110


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def show(statuses: list[ServiceStatus]) -> None:
    """Print the status table."""
    colours = {"running": "green", "stopped": "dim", "external": "cyan"}
    table = Table(title="AMATO")
    for column in ("service", "state", "pid", "uptime", "port"):
        table.add_column(column)
    for status in statuses:
        colour = colours.get(status.state, "red")
        state = f"[{colour}]{status.state}[/{colour}]"
        pid, port = (str(value or "") for value in (status.pid, status.port))
        table.add_row(status.name, state, pid, _age(status.uptime), port)
    Console().print(table)


def show_freshness(tables: list[TableFreshness]) -> None:
    """Print how fresh each raw table is."""
    if not tables:
        return
    shown = Table(title="Raw tables", title_justify="left")
    for column in ("table", "as of", "loaded"):
        shown.add_column(column, no_wrap=True)
    for column in ("rows", "rejected"):
        shown.add_column(column, justify="right")
    shown.add_column("read up to", no_wrap=True)
    for table in tables:
        loaded = f"{_age(table.age.total_seconds())} ago"
        cursor = table.watermark.astimezone(UTC) if table.watermark else None
        upto = f"{cursor:%Y-%m-%d %H:%M}" if cursor else ""
        figures = (f"{table.rows:,}", f"{table.rejected:,}", upto)
        shown.add_row(table.table, str(table.as_of), loaded, *figures)
    console = Console()
    # In a narrower terminal, or in a pipe, whole columns would be cut away.
    console.width = max(console.width, FRESHNESS_WIDTH)
    console.print(shown)


def is_whole(states: list[str]) -> bool:
    """Whether the platform is all up or all down, and not broken in between."""
    own = {state for state in states if state != "external"}
    return own <= {"running", "starting"} or own == {"stopped"}


def write_docs(stack: Stack) -> int:
    """Write the dbt docs in a process of its own: the stack never imports the DAGs."""
    if not stack.is_up(["postgres"]):
        raise StackError("the servers are not up: `make up`")
    command = [sys.executable, "-m", "dags.stages.write_docs"]
    environment = {**os.environ, **stack.airflow_env()}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


def run_command(command: str) -> int:
    """Do one command; returns the exit code."""
    stack = Stack()
    if command == "up":
        stack.up()
    elif command == "down":
        stack.down()
    elif command == "clean":
        stack.clean()
    elif command == "env":
        for name, url in stack.urls().items():
            print(f"export {name}={shlex.quote(url)}")
    elif command == "docs":
        return write_docs(stack)
    elif command == "run":
        from local_stack import drive

        return drive.main(stack)
    else:
        statuses = stack.status()
        show(statuses)
        if stack.is_up(["postgres"]) or "warehouse" in stack.external:
            show_freshness(read_freshness(stack.urls()["WAREHOUSE_URL"]))
        return 0 if is_whole([status.state for status in statuses]) else 1
    return 0


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    arguments = parser.parse_args()
    try:
        return run_command(arguments.command)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
