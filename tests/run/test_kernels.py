"""What numba compiled is used again only as long as no file with compiled functions has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"

CALLED = """
from numba import njit

@njit(cache=True)
def number():
    return {number}
"""
CALLING = """
from numba import njit
from woodblock.called import number

@njit(cache=True)
def twice():
    return 2 * number()
"""


def said(folder: Path, program: str) -> str:
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": str(folder), "PATH": "", "HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_a_change_in_a_file_whose_functions_are_called_compiles_again(tmp_path):
    package = tmp_path / "woodblock"
    package.mkdir()
    shutil.copy(SOURCE / "woodblock" / "__init__.py", package)
    (package / "calling.py").write_text(CALLING)
    asked = "import woodblock; from woodblock.calling import twice; print(twice())"
    for number in (1, 2):
        (package / "called.py").write_text(CALLED.format(number=number))
        assert said(tmp_path, asked) == str(2 * number)
        assert said(tmp_path, asked) == str(2 * number)
    folders = list((package / "__pycache__").glob("kernels-*"))
    assert len(folders) == 2 and all(list(folder.rglob("*.nbi")) for folder in folders)


def test_a_library_that_may_only_be_read_has_its_kernels_in_the_users_home(tmp_path):
    shutil.copytree(
        SOURCE / "woodblock", tmp_path / "woodblock", ignore=shutil.ignore_patterns("__pycache__", "*.html.j2")
    )
    (tmp_path / "woodblock" / "__pycache__").write_text("no folder")  # as unwritable for root as for others
    where = said(tmp_path, "import os, woodblock; print(os.environ['NUMBA_CACHE_DIR'])")
    assert where.startswith(str(tmp_path / "home" / ".cache" / "woodblock"))
