"""What the terminal shows of a run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

from rich.console import Console

from local_stack.airflow_api import RunState, TaskRow
from local_stack.drive import _progress, _source_run
from local_stack.layout import Layout
from local_stack.summary import stage_seconds
from local_stack.world import read_request

START = datetime(2024, 5, 6, 1, tzinfo=UTC)


def row(task_id: str, index: int, label: str, state: str, begin: int, end: int | None) -> TaskRow:
    ends = None if end is None else START + timedelta(seconds=end)
    return TaskRow(task_id, index, label, state, 1, START + timedelta(seconds=begin), ends)


RUN = RunState(
    "nightly",
    "r",
    "running",
    (
        row("extract_load.load_mysql_shop", 0, "customers", "success", 0, 3),
        row("extract_load.load_mysql_shop", 1, "transactions", "failed", 1, 5),
        row("extract_load.check_load", -1, "-1", "failed", 5, 6),
        row("transform.build_staging", -1, "-1", "upstream_failed", 6, 6),
    ),
)


def test_mapped_tasks_are_told_apart():
    console = Console(width=120)
    with console.capture() as capture:
        console.print(_progress(RUN))
    text = capture.get()
    assert "load_mysql_shop[customers]" in text
    assert "load_mysql_shop[transactions]" in text
    assert "3.0 s" in text


def test_the_first_failure_is_the_one_to_read():
    failure = RUN.first_failure()
    assert failure is not None
    assert failure.name == "extract_load.load_mysql_shop[transactions]"


def test_a_stage_lasts_from_its_first_task_to_its_last():
    assert stage_seconds(RUN) == {"extract_load": 6.0, "transform": 0.0}


def test_the_form_of_the_company_gets_every_argument(tmp_path):
    given = {"SCALE": "0.02", "SEED": "7", "DAYS": "90", "DEFECTS": "none", "EFFECTS": "churn"}
    request = read_request({**given, "AS_OF": "2024-07-01"}, Layout(tmp_path), date(2024, 8, 1))
    expected = {
        "scale": 0.02,
        "seed": 7,
        "days": 90,
        "as_of": "2024-07-01",
        "databases": ["mysql", "mongo"],
        "defects": "none",
        "effects": "churn",
    }
    some = SimpleNamespace(external={"postgres": "postgresql://elsewhere"})
    assert _source_run(request, some) == ("generate_source_data", expected)
    every = SimpleNamespace(external=dict.fromkeys(("mysql", "postgres", "mongo"), "elsewhere"))
    assert _source_run(request, every) == ("generate_source_data", None)
