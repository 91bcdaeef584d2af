"""The code of a stage: which files it imports, and a digest of each that only a changed statement changes.

Code is a dep like any other. But comments, docstrings, line breaks and the place of a file shape no output. So the digest
of a file is taken over its syntax tree, without docstrings and positions. Where the file imports another file of the
library, that file's digest is used instead of its name. This has two effects. A moved file keeps its digest, and so do
the files that import it. And a digest covers all that a file imports, directly or not.
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
# The machinery that every stage runs under: it checks, reports and keeps records. It shapes no output, so no stage depends
# on it or on what it imports. (The numbers that params has for auto come from base/sizes.py, which pretrain imports.)
BENEATH = (
    *("base/errors.py", "base/files.py", "base/progress.py", "base/usage.py"),
    *("run/code.py", "run/graph.py", "run/lineage.py", "run/locks.py", "run/params.py"),
    *("run/ranks.py", "run/reuse.py", "run/stage.py"),
    # The settings, but not those of the sources and what they import: a source's defaults shape what download makes.
    *(
        f"run/settings/{topic}.py"
        for topic in ("cleaning", "evaluation", "everything", "model", "roles", "tokens", "training")
    ),
)
# What every stage runs under and what does shape outputs: the number of threads, and the decimals of metrics.
EVERYWHERE = ("__init__.py", "base/rounding.py")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_code(path: str) -> bool:
    """Whether a dep is part of the project's code: then its place does not matter."""
    return path.startswith(f"{SOURCE.as_posix()}/")


def digests(paths: Collection[str]) -> dict[str, str]:
    """By path, the digest of each Python file among the deps of a stage.

    An imported file counts only if it is among the deps too: dvc.yaml says what belongs to a stage.
    Raises FileNotFoundError, with the path, for a file that is not there; UserError for one that is not valid Python.
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
    """The strings in a file's code. A file that reads another file beside it has that file's name among them."""
    return {n.value for n in ast.walk(_parsed(file).tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def needed(script: Path) -> list[Path]:
    """The files of code that shape a stage's outputs, in order: its script and all that it imports, directly or not,
    without the files in BENEATH and what only these import; and the files in EVERYWHERE."""
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
    """The deps whose digests differ. For code only the digests count, not the places of the files.

    Among the changed files, those that import no other changed file come first: the change was made there.
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
        raise UserError(f"{file}: not valid Python ({' '.join(str(error).split())}); correct it") from None


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
        raise UserError(f"these files import each other: {names}; move the code that both need into a third file")
    if file not in found:
        parsed = _parsed(file)
        total = hashlib.sha256()
        _feed(parsed.tree, file, total.update)
        # Imports are digested apart and sorted: the place of a file decides how its import is written, and in which line.
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
    """What an import statement takes from the library, one line a name: the code's digest, the name there, the name here."""
    lines = []
    for alias in node.names:
        one = ast.ImportFrom(node.module, [alias], 0) if isinstance(node, ast.ImportFrom) else ast.Import([alias])
        for target in _targets(one, file):
            code = _digest(target, deps, found, (*above, file)) if target in deps else target.stem
            whole = alias.name.split(".")[-1] == target.stem  # the name of a file, not a name in it
            lines.append(f"{code} {'' if whole else alias.name} {alias.asname or alias.name}")
    return lines


def _feed(value: Any, file: Path, update: Callable[[bytes], None]) -> None:
    """Give a syntax tree to a digest, without positions, docstrings, and imports from the library."""
    if isinstance(value, ast.Constant):
        update(
            f"{value.value!a},".encode()
        )  # ASCII: what repr escapes depends on the Unicode tables of a Python version
    elif isinstance(value, ast.Import | ast.ImportFrom) and _targets(value, file):
        pass
    elif isinstance(value, ast.AST):
        documented = isinstance(value, DOCUMENTED) and ast.get_docstring(value, clean=False) is not None
        update(f"{type(value).__name__}(".encode())
        for name, field in ast.iter_fields(value):
            if field is not None and field != []:  # newer Pythons have more fields, which are empty for older code
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
