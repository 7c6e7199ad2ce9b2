"""The master report of a run: what every model said that night, as YAML and as a page."""

from __future__ import annotations

from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import psycopg
import yaml

from ml.catalogue import FAMILIES
from ml.standing import night_mark
from report_pages import note_html, page_html, section_html, table_html
from report_pages.files import replace_file

_LAST_RUNS = """
select distinct on (model) model, version, state, rows, coalesce(message, '')
from ml.model_runs
where as_of = %s and kind = 'infer'
order by model, run_id desc
"""


def write_master_report(conn: psycopg.Connection, as_of: date, home: Path) -> tuple[Path, Path]:
    """Write `reports/master/master_<as_of>.yaml` and `.html` from the night's last inferences.

    A model without a run that night is reported as `not_run`. Insights are the headlines of
    the models' own reports. The same runs give the same bytes.
    """
    content = master_content(conn, as_of, home)
    folder = home / "reports" / "master"
    yaml_path, html_path = (folder / f"master_{as_of}.{suffix}" for suffix in ("yaml", "html"))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    replace_file(yaml_path, text)
    replace_file(html_path, master_html(content))
    return yaml_path, html_path


def master_content(conn: psycopg.Connection, as_of: date, home: Path) -> dict[str, Any]:
    """Return the sections of the master report."""
    runs = {row[0]: row[1:] for row in conn.execute(_LAST_RUNS, (as_of,)).fetchall()}
    mark = night_mark(conn, as_of)
    conn.commit()
    summary, insights, steps = [], [], []
    sources: set[str] = set()
    for model, family in sorted(FAMILIES.items(), key=lambda item: (item[1], item[0])):
        version, state, rows, message = runs.get(model, (None, "not_run", 0, "no run that night"))
        report = f"reports/{family}/{model}_{as_of}_{version}" if state == "success" else None
        if report and not (home / f"{report}.yaml").is_file():
            report, message = None, f"its report {report}.yaml is gone; run batch_inference again"
        summary.append(
            {
                "family": family,
                "model": model,
                "state": state,
                "model_version": version,
                "predictions": int(rows),
                "message": message,
                "report": f"{report}.html" if report else None,
            }
        )
        if report:
            own = yaml.safe_load((home / f"{report}.yaml").read_text(encoding="utf-8"))
            insights += [{"model": model, "insight": line} for line in own["headlines"]]
            steps += _steps_of(model, own)
            sources |= set(own["report"]["data_source"].split(", "))
        else:
            steps.append({"model": model, "step": _remedy(state, message)})
    return {
        "master_inference_info": {
            "execution_date": as_of.isoformat(),
            "total_pipelines": len(set(FAMILIES.values())),
            "total_models": len(FAMILIES),
            "total_predictions": sum(entry["predictions"] for entry in summary),
            "data_source": ", ".join(sorted(sources)) or "no mart",
        },
        "gate": mark,
        "pipeline_summary": summary,
        "business_insights": insights,
        "next_steps": steps,
    }


def _steps_of(model: str, report: dict[str, Any]) -> list[dict[str, str]]:
    """Return the actions that a model's own report recommends."""
    steps = []
    fallback = report["report"].get("fallback_from")
    if fallback:
        steps.append(
            {"model": model, "step": f"Train {model} again: {fallback} could not be read."}
        )
    steps += [{"model": model, "step": action} for action in report["actions"]]
    return steps


def _remedy(state: str, message: str) -> str:
    return {
        "not_applicable": "Nothing to do: it will train once there is enough history.",
        "not_run": "Run batch_inference for this as_of.",
        "success": f"Its predictions stand, but {message}.",
    }.get(state, f"Mend and run again: {message}")


def master_html(content: dict[str, Any]) -> str:
    """Return the master report as a page; links to the models' pages are relative."""
    info = content["master_inference_info"]
    rows = [
        (
            entry["family"],
            entry["model"],
            entry["state"],
            entry["model_version"] or "-",
            f"{entry['predictions']:,}",
            entry["message"],
        )
        for entry in content["pipeline_summary"]
    ]
    links = "".join(
        f'<li><a href="{escape(Path("..", *Path(entry["report"]).parts[1:]).as_posix())}">'
        f"Report of {escape(entry['model'])}</a></li>"
        for entry in content["pipeline_summary"]
        if entry["report"]
    )
    header = ("Family", "Model", "State", "Version", "Predictions", "Message")
    body = note_html(content["gate"]) + section_html(
        "Models of this run",
        table_html(header, rows, words=True) + (f"<ul>{links}</ul>" if links else ""),
        "pipeline_summary",
    )
    for key, title, field in (
        ("business_insights", "What the models say", "insight"),
        ("next_steps", "What to do next", "step"),
    ):
        items = "".join(f"<li>{escape(entry[field])}</li>" for entry in content[key])
        body += section_html(title, f"<ul>{items}</ul>" if items else "<p>Nothing.</p>", key)
    facts = (
        ("as of", info["execution_date"]),
        ("pipelines", str(info["total_pipelines"])),
        ("models", str(info["total_models"])),
        ("predictions", f"{info['total_predictions']:,}"),
    )
    return page_html(
        "Master report", f"All models of the night; made from {info['data_source']}.", facts, body,
        with_plots=False,
    )  # fmt: skip
