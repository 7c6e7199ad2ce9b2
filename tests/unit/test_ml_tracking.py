"""What MLflow is to hold of a version, and which code trained it."""

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ml import provenance
from ml.mlflow_records import MAX_TEXT, Figure, Point, Record, Trained, make_record
from ml.registry import ModelVersion
from ml.tracking import SyncResult

AS_OF = date(2026, 1, 5)
VERSION = ModelVersion(
    model="revenue",
    version="2025-10-05-0a1b2c3d",
    family="forecasting",
    as_of=AS_OF,
    artefact="artefacts/forecasting/revenue-2025-10-05-0a1b2c3d.zip",
    sha256="ab" * 32,
    params={
        "kind": "model",
        "trained_until": "2025-10-05",
        "levels": [0.8, 0.95],
        "strange(key)": None,
    },
    features=("recency_days", "frequency"),
    data_fingerprint="cd" * 32,
    trained_rows=640,
    code_commit="ef" * 20,
)
TRAINED = Trained(datetime(2026, 1, 5, 1, 30, tzinfo=UTC), 12.5, "takes its place")
MASE = Figure(AS_OF, "mase_30", 0.8, 0.7, 0.9, "seasonal_naive", 1.0)


def record(*figures: Figure, version: ModelVersion = VERSION) -> Record:
    return make_record(version, True, AS_OF, figures, TRAINED)


def test_a_figure_is_kept_with_its_bounds_and_its_baseline() -> None:
    assert record(MASE).points == (
        Point("mase_30", 0, 0.8),
        Point("mase_30_baseline", 0, 1.0),
        Point("mase_30_high", 0, 0.9),
        Point("mase_30_low", 0, 0.7),
    )
    assert record(MASE).tags["compared_with"] == "seasonal_naive"


def test_a_later_night_is_a_later_step_of_the_same_figure() -> None:
    night = date(2026, 2, 4)
    made = record(
        Figure(AS_OF, "outcome_mase", 0.8, None, None, None, None),
        Figure(night, "outcome_mase", 1.1, None, None, "seasonal_naive", 1.0),
    )
    later = Point("outcome_mase", 30, 1.1)
    assert made.points == (
        Point("outcome_mase", 0, 0.8),
        later,
        Point("outcome_mase_baseline", 30, 1.0),
    )
    assert made.timestamp(later) == 1770163200000  # 2026-02-04T00:00:00Z


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
def test_what_is_no_finite_number_is_left_out(value: float | None) -> None:
    assert record(Figure(AS_OF, "auc", value, value, 0.9, None, value)).points == (
        Point("auc_high", 0, 0.9),
    )


def test_params_tags_and_times_say_where_a_version_comes_from() -> None:
    made = record(MASE)
    assert made.params == {
        "kind": "model",
        "trained_until": "2025-10-05",
        "levels": "[0.8, 0.95]",
        "strange_key_": "null",
        "trained_rows": "640",
    }
    wanted = {
        "amato.model": "revenue",
        "amato.version": "2025-10-05-0a1b2c3d",
        "as_of": "2026-01-05",
        "trained_until": "2025-10-05",
        "is_baseline": "false",
        "promoted_as_of": "2026-01-05",
        "data_fingerprint": "cd" * 32,
        "git_commit": "ef" * 20,
        "mlflow.source.git.commit": "ef" * 20,
        "artefact": VERSION.artefact,
        "artefact_sha256": "ab" * 32,
        "mlflow.note.content": "takes its place",
    }
    assert wanted.items() <= made.tags.items()
    assert (made.start, made.end) == (1767576587500, 1767576600000)


def test_a_version_without_a_run_of_its_own_has_the_time_of_its_night() -> None:
    baseline = replace(VERSION, params={**VERSION.params, "kind": "baseline"})
    made = make_record(baseline, False, None, [], None)
    assert made.start == made.end == 1767571200000  # 2026-01-05T00:00:00Z
    assert (made.tags["is_baseline"], made.tags["promoted_as_of"]) == ("true", "never")
    assert "mlflow.note.content" not in made.tags


def test_texts_fit_into_what_mlflow_takes() -> None:
    long = replace(VERSION, params={**VERSION.params, "tables": ["x" * 50] * 200})
    assert len(record(version=long).params["tables"]) == MAX_TEXT
    assert record(version=long).params["tables"].endswith("…")


def test_the_digest_changes_with_all_that_a_run_holds_and_with_nothing_else() -> None:
    made = record(MASE)
    assert record(MASE).digest == made.digest
    assert replace(made, is_champion=False).digest == made.digest  # that is the alias
    others = [
        record(replace(MASE, low=0.71)),
        record(replace(MASE, as_of=date(2026, 1, 6))),
        record(),
        record(MASE, version=replace(VERSION, code_commit="unknown")),
        record(MASE, version=replace(VERSION, trained_rows=641)),
    ]
    assert len({made.digest, *(other.digest for other in others)}) == 6


def test_a_result_adds_up_and_says_what_changed() -> None:
    made = SyncResult(runs_made=1) + SyncResult(runs_made=2, champions_changed=1)
    assert made.changed
    assert str(made) == "3 runs made, 1 champions changed"
    assert str(SyncResult()) == "nothing new" and not SyncResult().changed


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_is_the_repositorys_and_says_when_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message=one")
    git(tmp_path, "tag", "--annotate", "--message=v", "v1.0")  # a tag is no commit
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit_of(tmp_path) == commit
    (tmp_path / "code.py").write_text("2\n")
    provenance.commit_of.cache_clear()
    assert provenance.commit_of(tmp_path) == f"{commit}-dirty"
    # A folder inside of another repository is not its commit.
    (tmp_path / "inner").mkdir()
    assert provenance.commit_of(tmp_path / "inner") == "unknown"


def test_an_image_says_its_commit_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMATO_COMMIT", "0123abcd")
    assert provenance.code_commit() == "0123abcd"
    monkeypatch.setenv("AMATO_COMMIT", "")
    assert provenance.code_commit() == provenance.commit_of(provenance.ROOT)
