"""Keeps the Data Docs of Great Expectations small, and readable without the internet.

GX's templates load their style sheets, scripts and logo from seven hosts. Pages are rewritten
after GX has built them: what is vendored in ``plugins/static/data_docs`` is taken from the site
itself, and any other thing that would be fetched from elsewhere is left out.

GX keeps the results of every night, and reads them all for its index. Those of nights older than
``KEPT_NIGHTS`` days are dropped with their pages; what was found stays in the warehouse.
"""

from __future__ import annotations

import re
import shutil
from datetime import date, timedelta
from pathlib import Path

from dags.stages.gate_rows import KEPT_NIGHTS
from report_pages.files import replace_file

ASSETS = Path(__file__).resolve().parents[2] / "plugins" / "static" / "data_docs"
FOLDER = "static/vendor"  # in the site
# File names in GX's templates whose vendored copy has another name.
RENAMED = {
    "all.min.css": "fontawesome.min.css",
    "bootstrap-prefers-dark.css": "bootstrap-prefers-dark.min.css",
    "bootstrap-table-filter-control.css": "bootstrap-table-filter-control.min.css",
    "jquery-3.7.1.min.js": "jquery.min.js",
}
# What GX writes for a night: its index, the suites' pages, the night's results, its own styles.
_BUILT = ("*.html", "expectations/**/*.html", "validations/*/{}/**/*.html", "static/styles/*.css")
_FETCHED = re.compile(
    r"<script\b[^>]*\bsrc=\"(?P<script>https?:[^\"]+)\"[^>]*>\s*</script>"
    r"|<link\b[^>]*\bhref=\"(?P<style>https?:[^\"]+)\"[^>]*>"
)
_LOGO = re.compile(r"https://great-expectations-web-assets[^\"'?]*/logo-long\.png(\?[^\"']*)?")
_FAR_PICTURE = re.compile(r"url\(['\"]?https?:[^)]*\)")
# In the dark, GX lays a white logo from elsewhere over its black one; the black one turned white
# does as well.
_DARK_LOGO = re.compile(r"(\.navbar-brand a img \{\s*)visibility:\s*hidden")
_FAVICON = re.compile(r"href=\"[./]*/static/images/favicon\.ico\"")
_NEWSLETTER = re.compile(r"<footer>\s*<p>Stay current on everything GX.*?</footer>", re.DOTALL)


def drop_old_nights(home: Path, as_of: date) -> None:
    """Drop results and pages of the nights that are long over on the night `as_of`."""
    oldest = as_of - timedelta(days=KEPT_NIGHTS)
    for folder in (home / "validation_results", home / "data_docs" / "validations"):
        for night in folder.glob("*/*/"):  # suite, night
            if date.fromisoformat(night.name) < oldest:
                shutil.rmtree(night)


def make_offline(site: Path, as_of: date) -> list[Path]:
    """Rewrite the pages of a Data Docs site that fetch from elsewhere; returns those pages.

    Looks at the pages that a run for the night `as_of` builds. Copies the vendored assets into
    the site. Running it again changes nothing.
    """
    shutil.copytree(ASSETS, site / FOLDER, dirs_exist_ok=True, copy_function=_copy_if_changed)
    changed = []
    for pattern in _BUILT:
        for page in sorted(site.glob(pattern.format(as_of))):
            text = page.read_text(encoding="utf-8")
            rewritten = rewrite(text, depth=len(page.relative_to(site).parts) - 1)
            if rewritten != text:
                replace_file(page, rewritten)
                changed.append(page)
    return changed


def rewrite(text: str, depth: int) -> str:
    """One page, with nothing in it that would be fetched from elsewhere.

    `depth` is the number of folders between the site's root and the page.
    """
    root = "../" * depth

    def local(match: re.Match[str]) -> str:
        address = match["script"] or match["style"]
        name = address.split("?")[0].rsplit("/", 1)[-1]
        name = RENAMED.get(name, name)
        if not (ASSETS / name).is_file():
            return ""
        if match["script"]:
            return f'<script src="{root}{FOLDER}/{name}"></script>'
        return f'<link rel="stylesheet" href="{root}{FOLDER}/{name}">'

    text = _FETCHED.sub(local, text)
    text = _LOGO.sub(f"{root}static/images/logo-long.png", text)
    text = _FAR_PICTURE.sub("none", text)
    text = _DARK_LOGO.sub(r"\1filter: invert(1)", text)
    text = _FAVICON.sub(f'href="{root}static/images/favicon.ico"', text)
    return _NEWSLETTER.sub("", text)


def _copy_if_changed(source: str, target: str) -> str:
    """Copy one file unless it is already there, the same size."""
    there = Path(target)
    if there.is_file() and there.stat().st_size == Path(source).stat().st_size:
        return target
    return shutil.copyfile(source, target)
