"""The code of a stage: which files it imports, and a digest of each that only a changed statement changes.

Code is a dep like any other, but what a comment, a docstring, a line break or a file's place say cannot shape an output.
So the digest of a file is taken over its syntax tree without docstrings and positions, and where it imports another file
of the library, that file's digest stands in the place of its name. Two things follow. A file that was moved has the
digest that it had, and so have those that import it from its new place. And a digest covers all that lies beneath.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError

SOURCE = Path("src")
LIBRARY = "woodblock"
# What every stage runs under accepts or refuses, reports and keeps records: it shapes no output, so no stage depends on
# it, nor on what it imports. (What params puts for auto is made by base/sizes.py, which pretrain imports itself.)
BENEATH = (
    *("base/errors.py", "base/files.py", "base/progress.py"),
    *("run/code.py", "run/graph.py", "run/lineage.py", "run/params.py", "run/ranks.py", "run/reuse.py", "run/stage.py"),
    # The settings, save those of the sources and what they need: the defaults of a source shape what download makes.
    *(f"run/settings/{topic}.py" for topic in ("cleaning", "evaluation", "everything", "model", "tokens", "training")),
)
# What shapes the outputs of every stage from there all the same: the threads, and the decimals of metrics.
EVERYWHERE = ("__init__.py", "base/rounding.py")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_code(path: str) -> bool:
    """Whether a dep is part of the project's code: then its place does not matter."""
    return path.startswith(f"{SOURCE.as_posix()}/")


def digests(paths: Collection[str]) -> dict[str, str]:
    """By path, the digest of each Python file among the deps of a stage.

    What a file imports counts where it is among the deps too: dvc.yaml says what belongs to a stage.
    Raises FileNotFoundError, with the path, for a file that is not there; UserError for one that is no Python.
    """
    files = {Path(path) for path in paths}
    found: dict[Path, str] = {}
    return {file.as_posix(): _digest(file, files, found, ()) for file in sorted(files)}


def imports(file: Path) -> list[Path]:
    """The files of the library that a file imports, at any depth of its code, in order; not what only a type checker
    imports."""
    return [target for node in _parsed(file).imports for target in _targets(node, file)]


def packages(file: Path) -> set[str]:
    """The top-level names of the other modules that a file imports."""
    names: set[str] = set()
    for node in _parsed(file).imports:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif node.module:
            names.add(node.module.split(".")[0])
    return names - {LIBRARY}


def texts(file: Path) -> set[str]:
    """The strings in a file's code, in which the files beside it that it reads are named."""
    return {n.value for n in ast.walk(_parsed(file).tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def needed(script: Path) -> list[Path]:
    """The files of code that shape a stage's outputs, in order: its script, what that imports, directly or not, save the
    machinery beneath every stage; and what of the machinery shapes outputs."""
    library = _root(script) / LIBRARY
    beneath, everywhere = ({library / name for name in names} for names in (BENEATH, EVERYWHERE))
    found = {file for file in everywhere if file.is_file()}
    queue = [script]
    while queue:
        file = queue.pop()
        if file not in found and file not in beneath:
            found.add(file)
            queue += imports(file)
    return sorted(found)


def undeclared(script: Path, deps: Collection[str]) -> list[str]:
    """The files of code that a stage needs and that are not among its deps."""
    return [file.as_posix() for file in needed(script) if file.as_posix() not in deps]


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The deps whose digests differ. Of code it is the digests that count, wherever the files stand.

    Of the files that changed, those come first that import none of the others: there the change was made.
    """
    plain = sorted(p for p in set(before) | set(now) if not is_code(p) and before.get(p) != now.get(p))
    old = {path: sha for path, sha in before.items() if is_code(path)}
    new = {path: sha for path, sha in now.items() if is_code(path)}
    if sorted(old.values()) == sorted(new.values()):
        return plain
    files = sorted(path for path, sha in new.items() if sha not in old.values())
    files += sorted(path for path, sha in old.items() if sha not in new.values() and path not in new)
    return plain + sorted(files, key=lambda path: bool(_imported(path) & set(files)))


def _imported(path: str) -> set[str]:
    file = Path(path)
    return {target.as_posix() for target in imports(file)} if file.suffix == ".py" and file.is_file() else set()


class _Parsed:
    """A file's syntax tree, and the import statements in it that run."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.imports = list(_import_statements(tree))


def _parsed(file: Path) -> _Parsed:
    state = file.stat()
    return _parse(file, state.st_mtime_ns, state.st_size)


@cache
def _parse(file: Path, time: int, size: int) -> _Parsed:
    try:
        return _Parsed(ast.parse(file.read_text(encoding="utf-8")))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: no Python that can be read ({' '.join(str(error).split())}); mend it") from None


def _import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from _import_statements(child)


def _targets(node: ast.Import | ast.ImportFrom, file: Path) -> list[Path]:
    """The files of the library that an import statement loads: packages have no code of their own."""
    root = _root(file)
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        if _file_of(node.module or "", root):
            names = [node.module or ""]
    return [found for name in names if (found := _file_of(name, root))]


def _root(file: Path) -> Path:
    """The folder that the library lies in: src beside or above the file."""
    return next((parent for parent in file.parents if parent.name == SOURCE.name), SOURCE)


def _file_of(module: str, root: Path) -> Path | None:
    if module.split(".")[0] != LIBRARY:
        return None
    file = root.joinpath(*module.split(".")).with_suffix(".py")
    return file if file.is_file() else None


def _digest(file: Path, deps: Collection[Path], found: dict[Path, str], above: tuple[Path, ...]) -> str:
    if file in above:
        names = " → ".join(path.as_posix() for path in [*above[above.index(file) :], file])
        raise UserError(f"these files import each other: {names}; move what they share into a file beneath both")
    if file not in found:
        parsed = _parsed(file)
        total = hashlib.sha256()
        _feed(parsed.tree, file, total.update)
        # Apart from the rest and sorted: where a file stands decides how its import is written, and in which line.
        for line in sorted(_imported_names(node, file, deps, found, above) for node in parsed.imports):
            total.update("\n".join(line).encode())
        found[file] = total.hexdigest()
    return found[file]


def _imported_names(
    node: ast.Import | ast.ImportFrom,
    file: Path,
    deps: Collection[Path],
    found: dict[Path, str],
    above: tuple[Path, ...],
) -> list[str]:
    """What an import statement takes from the library, a line a name: from which code, what, and as what."""
    lines = []
    for alias in node.names:
        one = ast.ImportFrom(node.module, [alias], 0) if isinstance(node, ast.ImportFrom) else ast.Import([alias])
        for target in _targets(one, file):
            code = _digest(target, deps, found, (*above, file)) if target in deps else target.stem
            whole = alias.name.split(".")[-1] == target.stem  # a file, and not one of its names
            lines.append(f"{code} {'' if whole else alias.name} {alias.asname or alias.name}")
    return lines


def _feed(value: Any, file: Path, update: Callable[[bytes], None]) -> None:
    """Give a syntax tree to a digest, without positions, docstrings, and imports from the library."""
    if isinstance(value, ast.Constant):
        update(f"{value.value!a},".encode())  # ASCII: what repr escapes depends on a Python's tables of Unicode
    elif isinstance(value, ast.Import | ast.ImportFrom) and _targets(value, file):
        pass
    elif isinstance(value, ast.AST):
        documented = isinstance(value, DOCUMENTED) and ast.get_docstring(value, clean=False) is not None
        update(f"{type(value).__name__}(".encode())
        for name, field in ast.iter_fields(value):
            if field is not None and field != []:  # later Pythons know more fields, which are empty in earlier code
                update(f"{name}=".encode())
                _feed(field[1:] if documented and name == "body" else field, file, update)
        update(b")")
    elif isinstance(value, list):
        update(b"[")
        for item in value:
            _feed(item, file, update)
        update(b"]")
    else:
        update(f"{value!a},".encode())
