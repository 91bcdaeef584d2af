"""The digest of code changes with every statement, and with nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import code, graph

LEAF = '"""A leaf."""\nLIMIT = 3\n\n\ndef f(x):\n    """Twice."""\n    return 2 * x  # why\n'
USER = "from woodblock.a import leaf\nfrom woodblock.a.leaf import LIMIT\n\n\ndef g():\n    return leaf.f(LIMIT)\n"
SCRIPT = "import numpy as np\nfrom woodblock.b.user import g\n\nprint(g(), np.pi)\n"
FILES = {"src/s.py": SCRIPT, "src/woodblock/a/leaf.py": LEAF, "src/woodblock/b/user.py": USER}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    put(FILES)
    return tmp_path


def put(files: dict[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def digests() -> dict[str, str]:
    return code.digests([path.as_posix() for path in code.needed(Path("src/s.py"))])


def test_a_script_needs_what_it_imports(here: Path) -> None:
    assert [path.as_posix() for path in code.needed(Path("src/s.py"))] == sorted(FILES)
    assert code.packages(Path("src/s.py")) == {"numpy"}
    assert code.undeclared(Path("src/s.py"), ["src/s.py", "src/woodblock/b/user.py"]) == ["src/woodblock/a/leaf.py"]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/woodblock/a/leaf.py", '"""A leaf."""\n', ""),
        ("src/woodblock/a/leaf.py", '    """Twice."""\n', "    'Two times.'\n"),
        ("src/woodblock/a/leaf.py", "  # why", "\n\n    # nothing"),
        ("src/woodblock/a/leaf.py", "2 * x", "(2*x)"),
        ("src/woodblock/a/leaf.py", "LIMIT = 3", "LIMIT = 0x3"),
        (
            "src/s.py",
            "import numpy as np\nfrom woodblock.b.user import g\n",
            "from woodblock.b.user import g\nimport numpy as np\n",
        ),
    ],
)
def test_what_is_no_statement_changes_nothing(here: Path, path: str, old: str, new: str) -> None:
    before = digests()
    put({path: FILES[path].replace(old, new)})
    assert Path(path).read_text() != FILES[path]
    assert digests() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = None"),
        ("LIMIT = 3", "LIMIT = ''"),
        ("LIMIT = 3", "LIMIT = False"),
        ("LIMIT = 3", "LIMIT = []"),
        ("LIMIT = 3", "LIMIT = [[]]"),
        ("LIMIT = 3", "LIMIT = 3; OTHER = 1"),
        ("2 * x", "x * 2"),
        ("return 2 * x", "2 * x"),
        ("def f(x)", "def f(x=None)"),
        ("def f(x)", "async def f(x)"),
    ],
)
def test_a_statement_changes_its_file_and_all_that_import_it(here: Path, old: str, new: str) -> None:
    before = digests()
    put({"src/woodblock/a/leaf.py": LEAF.replace(old, new, 1)})
    now = digests()
    assert all(before[path] != now[path] for path in FILES)
    assert code.changed(before, now) == ["src/woodblock/a/leaf.py", "src/s.py", "src/woodblock/b/user.py"]


def test_a_moved_file_changes_nothing_and_another_of_its_name_does(here: Path) -> None:
    before = digests()
    Path("src/woodblock/a/leaf.py").unlink()
    moved = {"src/woodblock/z/leaf.py": LEAF, "src/woodblock/b/user.py": USER.replace("woodblock.a", "woodblock.z")}
    put(moved)
    now = digests()
    assert set(now) != set(before) and code.changed(before, now) == []
    put(
        {
            "src/woodblock/z/other.py": LEAF,
            "src/woodblock/b/user.py": USER.replace(
                "woodblock.a import leaf", "woodblock.z import other as leaf"
            ).replace("woodblock.a.leaf", "woodblock.z.other"),
        }
    )
    Path("src/woodblock/z/leaf.py").unlink()
    assert code.changed(before, digests()) == [], "renamed, and called as before"
    put(
        {
            "src/woodblock/y/leaf.py": LEAF.replace("2 * x", "3 * x"),
            "src/woodblock/b/user.py": USER.replace("woodblock.a", "woodblock.y"),
        }
    )
    assert code.changed(before, digests())[0] == "src/woodblock/y/leaf.py"


def test_data_counts_by_its_path() -> None:
    assert code.changed({"data/a": "1", "src/x.py": "2"}, {"data/b": "1", "src/y.py": "2"}) == ["data/a", "data/b"]


def test_what_a_type_checker_alone_imports_is_no_dep(here: Path) -> None:
    put({"src/woodblock/b/user.py": "from typing import *\nif TYPE_CHECKING:\n    from woodblock.a import leaf\n"})
    assert [path.name for path in code.needed(Path("src/s.py"))] == ["s.py", "user.py"]


def test_a_circle_and_a_file_that_is_no_python_are_errors_in_one_line(here: Path) -> None:
    put({"src/woodblock/a/leaf.py": "from woodblock.b import user\n"})
    with pytest.raises(
        UserError,
        match=r"^these files import each other: .*(leaf|user)\.py → .*(leaf|user)\.py → .*\.py; move the code",
    ):
        digests()
    put({"src/woodblock/a/leaf.py": "def f(:\n"})
    with pytest.raises(UserError, match=r"^src/woodblock/a/leaf\.py: not valid Python .*; correct it$") as caught:
        digests()
    assert "\n" not in str(caught.value)


@given(st.lists(st.sampled_from(["# 注释", "", "   # x", "\t"]), max_size=6), st.integers(0, 20))
def test_comments_anywhere_change_nothing(lines: list[str], place: int) -> None:
    text = (ROOT / "src/woodblock/run/graph.py").read_text(encoding="utf-8")
    # Between statements of the module: inside of a string a comment would be text.
    tops = [i for i, line in enumerate(text.split("\n")) if line.startswith(("def ", "@", "from ", "import "))]
    at = tops[place % len(tops)]
    changed = text.split("\n")
    changed[at:at] = lines if not changed[at - 1].startswith("@") else []
    assert of_text("\n".join(changed)) == of_text(text)


def of_text(text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "src", "x.py")
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        return code.digests([file.as_posix()])[file.as_posix()]


@pytest.mark.parametrize("minor", [12, 13, 14])
def test_the_digest_is_that_of_every_python(minor: int) -> None:
    """The lineage of a run made under one Python holds under the next."""
    python = shutil.which(f"python3.{minor}") or ""
    if not python or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no python3.{minor} here")
    program = "import sys; from woodblock.run import code; print(code.digests(sys.argv[1:]))"
    files = [(ROOT / "src/woodblock/run" / name).as_posix() for name in ("stage.py", "shards.py", "reuse.py")]
    files.append(
        (ROOT / "src/woodblock/cleaning/repairing.py").as_posix()
    )  # has characters that later Pythons can print
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([python, "-c", program, *files], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"{code.digests(files)}\n"


def test_every_stage_of_the_graph_declares_all_of_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for stage in graph.load().values():
        assert code.undeclared(Path(f"src/{stage.name}.py"), stage.deps) == [], "run: make graph"
