"""Tests, and CI as a whole, run without root's rights over files: users have none, and would meet what root does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.projects import AS_ORDINARY_USER, ROOT


def test_a_file_that_may_only_be_read_is_not_written(tmp_path: Path) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root, and no setpriv to give its rights away")
    (tmp_path / "file").write_text("before")
    (tmp_path / "file").chmod(0o444)
    write = [AS_ORDINARY_USER, "sh", "-c", "echo after > file"]
    assert subprocess.run(write, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    (tmp_path / "file").chmod(0o644)
    subprocess.run(write, cwd=tmp_path, check=True)
    assert (tmp_path / "file").read_text() == "after\n"


def test_the_exit_code_and_the_arguments_are_the_commands(tmp_path: Path) -> None:
    command = [AS_ORDINARY_USER, "sh", "-c", 'printf "%s|" "$@"; exit 3', "sh", "a b", "", "-x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "a b||-x|")


def test_without_setpriv_the_command_runs_as_it_is(tmp_path: Path) -> None:
    """macOS has none."""
    for name in ("sh", "id", "touch"):
        (tmp_path / name).symlink_to(shutil.which(name))
    subprocess.run([AS_ORDINARY_USER, "touch", "made"], cwd=tmp_path, env={"PATH": str(tmp_path)}, check=True)
    assert (tmp_path / "made").exists()


def test_ci_and_make_use_it() -> None:
    script = "tests/support/as_ordinary_user.sh"
    assert f"exec {script} .ci/run" in (ROOT / ".ci/run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert f"PYTEST := {script} $(BIN)/python -m pytest" in makefile
    assert len(re.findall(r"-m pytest", makefile)) == 1, "every target that runs tests goes through PYTEST"
