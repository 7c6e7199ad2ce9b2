"""The look of the reports: one self-contained HTML page each, of models and of the company."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

_STYLE = """
:root { --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --back: #f6f7f9; --accent: #2563eb; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 56px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.25rem; margin: 0 0 12px; }
h3 { font-size: 1.05rem; margin: 0; }
p { margin: 0 0 10px; }
.sub { color: var(--soft); margin-bottom: 20px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px;
  margin: 0 0 20px; }
.fact { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.fact b { display: block; font-size: 1.2rem; overflow-wrap: anywhere; }
.fact span { color: var(--soft); font-size: .85rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin: 0 0 20px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { padding: 8px 10px; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
td:first-child { white-space: nowrap; }
th:first-child, td:first-child, .words td, .words th { text-align: left; }
.card { border-left: 5px solid var(--accent); padding: 2px 0 2px 16px; margin: 0 0 22px; }
.card p { margin: 4px 0 0; }
.card p.say { padding-left: 92px; text-indent: -92px; }
.card p.say b { display: inline-block; width: 92px; text-indent: 0; }
.note { background: #fff7e6; border: 1px solid #f3d9a4; border-radius: 8px; padding: 10px 14px;
  margin: 10px 0 12px; }
.small { color: var(--soft); font-size: .88rem; }
.plot { width: 100%; }
"""


def figure_html(figure: go.Figure, div_id: str) -> str:
    """Return a figure as a block of a page that loads Plotly itself, under a fixed id."""
    import plotly.io as pio

    block = pio.to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=div_id,
        config={"responsive": True, "displayModeBar": False},
    )
    return f'<div class="plot">{block}</div>'


def style_figure(figure: go.Figure, height: int) -> None:
    """Give a figure the look of the pages."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 20, "t": 10, "b": 10},
        font={"family": "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", "size": 14},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)


def note_html(text: str | None) -> str:
    """Return a note that stands out, or nothing where there is no text."""
    return f'<div class="note">{escape(text)}</div>' if text else ""


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]], words: bool = False) -> str:
    """Return a table of plain text; `words` aligns every column to the left."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    kind = ' class="words"' if words else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def section_html(title: str, body: str, anchor: str) -> str:
    """Return a titled section of a page."""
    return f'<section id="{escape(anchor)}"><h2>{escape(title)}</h2>{body}</section>'


def page_html(
    title: str,
    subtitle: str,
    facts: Sequence[tuple[str, str]],
    body: str,
    with_plots: bool,
) -> str:
    """Return a whole page, with its style and (for plots) Plotly's script inside it."""
    tiles = "".join(
        f'<div class="fact"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in facts
    )
    script = ""
    if with_plots:
        from plotly.offline import get_plotlyjs

        script = f"<script>{get_plotlyjs()}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{script}</head>"
        f'<body><main><h1>{escape(title)}</h1><p class="sub">{escape(subtitle)}</p>'
        f'<div class="facts">{tiles}</div>{body}</main></body></html>\n'
    )
