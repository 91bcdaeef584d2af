"""The house rules that no other tool checks: sizes of files and folders, and what the pages say of files."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from support.projects import ROOT

LINES, MODULES, SCRIPT = 500, 16, 190
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split("\n")
CODE = [Path(name) for name in TRACKED if name.endswith(".py") and (ROOT / name).exists()]
PAGES = [Path(name) for name in TRACKED if name.endswith(".md") and (ROOT / name).exists()]

if not CODE:
    pytest.skip("this is no checkout of git", allow_module_level=True)


def test_no_file_is_long_and_scripts_fit_on_two_screens() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {path.as_posix(): n for path, n in lengths.items() if n > LINES} == {}
    assert {path.as_posix(): n for path, n in lengths.items() if path.parent == Path("src") and n > SCRIPT} == {}


def test_no_folder_of_the_library_is_crowded_and_packages_hold_no_code() -> None:
    folders: dict[Path, int] = {}
    for path in CODE:
        if path.is_relative_to("src/woodblock") and path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    assert {path.as_posix(): n for path, n in folders.items() if n > MODULES} == {}
    for folder in set(folders) - {Path("src/woodblock")}:
        body = ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), f"{folder}/__init__.py: a docstring and nothing else"


def test_every_file_says_what_it_is_for() -> None:
    silent = [p.as_posix() for p in CODE if not ast.get_docstring(ast.parse((ROOT / p).read_text(encoding="utf-8")))]
    assert silent == []


def test_tests_have_the_folders_of_the_library() -> None:
    packages = {path.parent.name for path in (ROOT / "src/woodblock").glob("*/__init__.py")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - packages == {"stages", "system", "support", "performance"}
    assert packages <= folders


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:src|tests|docs|performance|workflow|presets|requirements)/[\w./-]*\w\.\w+", text))
    linked = {link for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text) if "/" in link or "." in link}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    assert [link for link in sorted(linked) if not (ROOT / page.parent / link).exists()] == []


def test_architecture_names_the_packages_in_the_order_of_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    for name in ("docs/architecture.md", "docs/layers.svg"):
        text = (ROOT / name).read_text(encoding="utf-8")
        pattern = r"^\| `(\w+)` \|" if name.endswith(".md") else r'font-weight="bold" fill="#222">(\w+)</text>'
        found = re.findall(pattern, text, re.MULTILINE)
        assert found == (contract["layers"][::-1] if name.endswith(".md") else contract["layers"]), name


def test_both_readmes_have_the_same_commands() -> None:
    """The Chinese one says what the English one says: each block of code but for its comments, and as many parts."""

    def of(name: str) -> tuple[list[str], int]:
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        lines = [line.split("#")[0].rstrip() for block in blocks for line in block.split("\n")]
        return [line for line in lines if line], len(re.findall(r"^## ", text, re.MULTILINE))

    assert of("README.md") == of("README.zh.md")
