"""Files are found inside their folder only, whatever a request names."""

from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.stages.run_pages import file_name, read_run_page, reports_of, run_file, write_run_page
from plugins.amato_pages.files import find
from plugins.amato_pages.reports import list_reports

NIGHT = date(1998, 7, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "deep").mkdir(parents=True)
    (site / "index.html").write_text("front")
    (site / "deep" / "index.html").write_text("deep")
    (site / ".hidden").write_text("hidden")
    (site / "a b+c.html").write_text("odd")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "site-other").mkdir()
    (tmp_path / "site-other" / "index.html").write_text("other")
    (site / "link").symlink_to(tmp_path / "secret")
    (site / "out").symlink_to(tmp_path / "site-other")
    (site / "within").symlink_to(site / "deep")
    return site


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", "index.html"),
        ("index.html", "index.html"),
        ("deep/", "deep/index.html"),
        ("deep", "deep/index.html"),
        ("within/index.html", "deep/index.html"),
        ("a b+c.html", "a b+c.html"),
        ("//deep//index.html", "deep/index.html"),
        ("nothing.html", None),
        ("../secret", None),
        ("deep/../../secret", None),
        ("deep/../index.html", None),
        ("..", None),
        (".hidden", None),
        ("link", None),
        ("out/", None),
        ("out/index.html", None),
        ("index.html\0.css", None),
        ("..\\secret", None),
        ("%2e%2e/secret", None),
        ("x" * 5000, None),
        ("index.html/index.html", None),
    ],
)
def test_find_stays_in_the_folder(folder: Path, name: str, found: str | None) -> None:
    assert find(folder, name) == (None if found is None else folder.resolve() / found)


@given(st.lists(st.sampled_from(["..", ".", "deep", "link", "out", "index.html", ""]), max_size=6))
def test_no_walk_leaves_the_folder(parts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        (root / "site" / "deep").mkdir(parents=True)
        (root / "index.html").write_text("outside")
        (root / "site" / "out").symlink_to(root)
        found = find(root / "site", "/".join(parts))
        assert found is None or found.is_relative_to(root / "site")


@given(st.text(min_size=1, max_size=300))
def test_ids_make_safe_names(identifier: str) -> None:
    try:
        identifier.encode()
    except UnicodeEncodeError:
        return
    name = file_name(identifier)
    assert name not in {".", ".."} and not name.startswith(".")
    assert "/" not in name and "\\" not in name and "\0" not in name
    assert len(name.encode()) <= 201
    if len(name) <= 200:
        assert unquote(name) == identifier


def test_long_ids_stay_apart() -> None:
    names = {file_name("x" * n) for n in range(195, 260)} | {file_name("x" * 250 + "y")}
    assert len(names) == 66
    with pytest.raises(ValueError, match="empty"):
        file_name("")


def test_a_run_page_is_read_as_it_was_written(tmp_path: Path) -> None:
    run_id = "scheduled__1998-07-01T01:00:00+00:00"
    assert read_run_page(tmp_path, "nightly", run_id) is None
    family = tmp_path / "reports" / "customer_segmentation"
    family.mkdir(parents=True)
    for name in ("kmeans_1998-07-01_v1.html", "kmeans_1998-06-30_v1.html", ".kmeans_1998-07-01_v2"):
        (family / name).write_text("x")
    path = write_run_page(tmp_path, dag_id="nightly", run_id=run_id, as_of=NIGHT)
    assert path == run_file(tmp_path, "nightly", run_id)
    assert path.name == "scheduled__1998-07-01T01%3A00%3A00%2B00%3A00.json"
    page = read_run_page(tmp_path, "nightly", run_id)
    assert page is not None
    assert (page.dag_id, page.run_id, page.as_of) == ("nightly", run_id, NIGHT)
    assert page.reports == ("reports/customer_segmentation/kmeans_1998-07-01_v1.html",)
    assert reports_of(tmp_path / "none", NIGHT) == []


def test_reports_are_grouped_and_the_newest_comes_first(tmp_path: Path) -> None:
    for name in (
        "segmentation/kmeans_1998-07-01_v1.parquet",
        "segmentation/kmeans_1998-07-01_v1.html",
        "segmentation/kmeans_1998-07-02_v1.yaml",
        "master/master_1998-07-02.html",
        "master/notes.txt",
        "world.html",
        ".world.html.123",
        "segmentation/.part",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    listed = [
        (r.family, r.name, r.as_of, r.version, [f.suffix for f in r.files])
        for r in list_reports(tmp_path)
    ]
    assert listed == [
        ("master", "master", "1998-07-02", "", [".html"]),
        ("master", "notes", "", "", [".txt"]),
        ("segmentation", "kmeans", "1998-07-02", "v1", [".yaml"]),
        ("segmentation", "kmeans", "1998-07-01", "v1", [".html", ".parquet"]),
        ("source_data", "world", "", "", [".html"]),
    ]
    only = list_reports(tmp_path, only=["master/master_1998-07-02.html"])
    assert [r.name for r in only] == ["master"]
