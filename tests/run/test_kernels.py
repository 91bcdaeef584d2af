"""Numba's cache of a compiled function notices no change in another file, so a kernel takes nothing from one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
COMPILED = [file for file in sorted(SOURCE.rglob("*.py")) if "njit" in file.read_text(encoding="utf-8")]


def imported(tree: ast.Module) -> set[str]:
    """The names that a file takes from the library."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    taken = [node for node in statements if (node.module or "").split(".")[0] == "woodblock"]
    return {alias.asname or alias.name for node in taken for alias in node.names}


def kernels(tree: ast.Module) -> list[ast.FunctionDef]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [node for node in functions if any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)]


@pytest.mark.parametrize("file", COMPILED, ids=lambda file: file.stem)
def test_kernels_read_nothing_of_other_files(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for kernel in kernels(tree):
        # Not the annotations of its arguments, which numba does not read.
        names = {node.id for part in kernel.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        assert not names & imported(tree), f"{kernel.name} reads {names & imported(tree)}: pass it as an argument"


def test_there_are_kernels_to_look_at():
    assert sum(len(kernels(ast.parse(file.read_text(encoding="utf-8")))) for file in COMPILED) > 40
