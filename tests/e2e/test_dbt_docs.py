"""The dbt docs in a browser: what an analyst sees of the overview, of each mart and of lineage."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dags.stages.dbt_build import PROJECT, readable

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# Walks through the pages, and leaves what can be seen of each as JSON in the page.
WALK = """<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
window.addEventListener("load", async () => {
  const seen = {};
  for (const page of PAGES) {
    location.hash = "#!/" + page;
    await wait(1500);
    seen[page] = {
      text: document.body.innerText,
      links: [...document.querySelectorAll("a")].map((a) => a.getAttribute("href")),
      columns: [...document.querySelectorAll("tr.column-row")].map((row) => [
        row.children[0].innerText, row.children[2].innerText,
        row.children[2].scrollWidth <= row.children[2].clientWidth,
      ]),
      canvases: document.querySelectorAll("canvas").length,
    };
  }
  const told = document.createElement("script");
  told.type = "application/json";
  told.id = "seen";
  told.textContent = JSON.stringify(seen).replaceAll("<", "\\\\u003c");
  document.documentElement.append(told);
});
</script>"""
LINEAGE = "model/model.amato.customer_rfm?g_v=1&g_i=3%2Bcustomer_rfm%2B1"


@pytest.fixture(scope="module")
def manifest_and_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, Any], Path]:
    """The docs as ``generate_docs`` makes them, but for the tables' sizes: no server is asked."""
    from dbt.cli.main import dbtRunner

    folder = tmp_path_factory.mktemp("docs")
    common = [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"),
        *("--target-path", str(folder), "--log-path", str(folder)),
        *("--vars", "{as_of: 2024-02-29}"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOST", "USER", "PASSWORD", "DBNAME"):
            patch.setenv(f"AMATO_DBT_{name}", "unused")
        for command in (
            ["parse"],
            ["docs", "generate", "--static", "--no-compile", "--empty-catalog"],
        ):
            outcome = dbtRunner().invoke([*command, *common])
            assert outcome.success, outcome.exception
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    page = folder / "page.html"
    text = (folder / "static_index.html").read_text(encoding="utf-8")
    page.write_text(readable(text), encoding="utf-8")
    return manifest, page


def look(page: Path, paths: list[str]) -> dict[str, Any]:
    """What a browser shows of the pages of the docs."""
    assert BROWSER is not None
    walk = WALK.replace("PAGES", json.dumps(paths))
    walked = page.with_name("walked.html")
    text = page.read_text(encoding="utf-8").replace("</head>", f"{walk}</head>", 1)
    walked.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={page.with_name('browser')}",
            f"--virtual-time-budget={3000 + 2000 * len(paths)}",
            *("--dump-dom", f"{walked.as_uri()}#!/{paths[0]}"),
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    told = re.search(r'<script type="application/json" id="seen">(.*?)</script>', done.stdout, re.S)
    assert told, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(told[1])
    return found


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome is installed")
def test_every_mart_is_readable_from_the_overview_on(
    manifest_and_page: tuple[dict[str, Any], Path],
) -> None:
    manifest, page = manifest_and_page
    marts = {
        f"model/{key}": node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }
    assert len(marts) == 26
    seen = look(page, ["overview", *marts])
    overview = seen["overview"]
    for words in ("AMATO's warehouse", "Words that mean one thing", "Where a figure comes from"):
        assert words in overview["text"]
    assert {f"#!/{path}" for path in marts} <= set(overview["links"])
    for path, node in marts.items():
        shown = seen[path]
        assert " ".join(node["description"].split()) in " ".join(shown["text"].split()), path
        assert [
            (name, " ".join(told.split()), is_whole) for name, told, is_whole in shown["columns"]
        ] == [
            (name, " ".join(column["description"].split()), True)
            for name, column in node["columns"].items()
        ], path
    lineage = look(page, [LINEAGE])[LINEAGE]
    assert "Lineage Graph" in lineage["text"]
    assert lineage["canvases"] > 0
