"""The tasks that make source data: whose databases they touch, and when they do nothing."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.stages import common, source
from data_generators import ledger, standing
from data_generators.args import WorldArgs
from data_generators.sinks.marker import ForeignDataError, Marker

ARGS = WorldArgs(7, 0.05, 100, date(2024, 7, 1), effects="churn", defects="none")
NIGHT = date(2024, 7, 3)


def marker(until: date) -> Marker:
    return Marker.of(ARGS, until)


@pytest.fixture
def night(monkeypatch, tmp_path):
    """The task runs for NIGHT; `held` says what each database holds, `calls` what was asked.

    `told` is the marker of the ledger, and the page of the company is there.
    """
    held: dict[str, object] = {}
    calls: list[tuple] = []

    def reader(name):
        def read(connection):
            assert connection == f"connection to {name}"
            if isinstance(held.get(name), Exception):
                raise held[name]
            return held.get(name)

        return read

    def opener(name):
        @contextmanager
        def opened():
            yield f"connection to {name}"

        return opened

    def generate(args, until, databases):
        calls.append((args, until, sorted(databases)))
        return {"customers": 500}

    names = ("mysql", "postgres", "mongo")
    monkeypatch.setattr(standing, "_READERS", {name: reader(name) for name in names})
    monkeypatch.setattr(source, "WRITABLE", {name: opener(name) for name in names})
    monkeypatch.setattr(source, "_generate", generate)
    context = {"params": {"as_of": NIGHT.isoformat()}}
    monkeypatch.setattr(common, "get_current_context", lambda: context)
    monkeypatch.setenv("AMATO_EXTERNAL", "")
    monkeypatch.setenv("AMATO_HOME", str(tmp_path))
    monkeypatch.setenv("AMATO_TRUTH", str(tmp_path / "truth"))
    page = tmp_path / "reports" / "world.html"
    page.parent.mkdir()
    page.touch()
    state = SimpleNamespace(held=held, calls=calls, page=page, told=None)
    monkeypatch.setattr(ledger, "read_marker", lambda folder: state.told)
    return state


def run() -> dict[str, int]:
    return source.add_source_days.function()


def test_the_company_lives_up_to_the_night_with_the_arguments_that_it_was_made_with(night):
    night.held |= {name: marker(date(2024, 7, 1)) for name in ("mysql", "postgres", "mongo")}
    assert run() == {"customers": 500}
    ((args, until, databases),) = night.calls
    assert (args.seed, args.scale, args.days, args.as_of) == (7, 0.05, 100, date(2024, 7, 1))
    assert args.planted == ARGS.planted and args.defect_rates == ARGS.defect_rates
    assert until == NIGHT
    assert databases == ["mongo", "mysql", "postgres"]


def test_databases_from_outside_empty_ones_and_other_data_are_left_alone(night, monkeypatch):
    monkeypatch.setenv("AMATO_EXTERNAL", "mongo")
    night.held |= {
        "mysql": ForeignDataError("a sales file"),
        "postgres": marker(date(2024, 7, 2)),
        "mongo": marker(date(2024, 7, 2)),
    }
    run()
    assert [databases for _, _, databases in night.calls] == [["postgres"]]


@pytest.mark.parametrize("mysql", [None, ForeignDataError("a sales file")])
def test_without_a_company_there_is_nothing_to_do(night, mysql):
    night.held["mysql"] = mysql
    with pytest.raises(AirflowSkipException, match="no database here"):
        run()
    assert night.calls == []


@pytest.mark.parametrize("until", [NIGHT, date(2024, 8, 1)])
def test_an_older_night_or_the_same_again_changes_nothing(night, until):
    night.held |= {name: marker(until) for name in ("mysql", "postgres", "mongo")}
    night.told = marker(until)
    with pytest.raises(AirflowSkipException, match=str(until)):
        run()
    assert night.calls == []


@pytest.mark.parametrize("missing", ["ledger", "page"])
def test_a_run_that_died_after_the_databases_is_finished(night, missing):
    night.held |= {name: marker(NIGHT) for name in ("mysql", "postgres", "mongo")}
    night.told = marker(date(2024, 7, 1) if missing == "ledger" else NIGHT)
    if missing == "page":
        night.page.unlink()
    run()
    assert len(night.calls) == 1


def test_what_was_left_behind_or_half_written_is_finished(night):
    both = {name: marker(NIGHT) for name in ("mysql", "postgres")}
    for mongo in (marker(NIGHT).writing(date(2024, 7, 1)), marker(date(2024, 7, 2))):
        night.held.update({**both, "mongo": mongo})
        run()
    assert [(until, databases) for _, until, databases in night.calls] == [
        (NIGHT, ["mongo", "mysql", "postgres"])
    ] * 2


def test_a_form_that_names_an_external_database_is_refused(night, monkeypatch):
    monkeypatch.setenv("AMATO_EXTERNAL", "mongo")
    params = {"databases": ["mysql", "mongo"]}
    monkeypatch.setattr(source, "get_current_context", lambda: {"params": params})
    with pytest.raises(AirflowFailException, match="mongo_clickstream was given from outside"):
        source.write_sources.function()
    assert night.calls == []
