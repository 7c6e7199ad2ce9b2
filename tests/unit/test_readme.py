"""What the README points at is there."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


def test_pictures_and_files_that_the_readme_names_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).is_file()] == []
    for path in re.findall(r"tests/data/[\w.]+", README):
        assert (REPOSITORY / path).is_file(), path


def test_commands_that_the_readme_names_exist():
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ |&& )make ([a-z]+)", README))
    assert {"run", "test"} <= named <= targets | {"help"}


def test_folders_that_the_readme_names_exist():
    folders = re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE)
    assert len(folders) >= 9
    assert all((REPOSITORY / folder).is_dir() for folder in folders)
