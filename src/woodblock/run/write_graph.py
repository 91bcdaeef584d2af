"""Write into dvc.yaml what each stage's code depends on: `make graph`.

A person writes a stage's command, params, outputs and data. The imports of its script tell which files of the library,
templates and pinned packages it needs. So a program writes these, after a line that says so.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.base.files import write_text
from woodblock.base.progress import say
from woodblock.run import code, graph

LINE = "      # Code, templates and pins, from the imports; written by `make graph`."
PINS = Path("requirements")


def deps_of_code(script: Path, locks: dict[str, str]) -> list[str]:
    """The deps that follow from a script's imports, in order. locks: as `locks_by_package` gives them."""
    files = code.needed(script)
    pins = {locks[name] for file in files for name in code.packages(file) if name in locks}
    read = {path for file in files for path in _read_beside(file)}
    return [file.as_posix() for file in sorted({*files, *read})] + sorted(pins)


def _read_beside(file: Path) -> list[Path]:
    """The files other than Python that a file names: files beside it, and the files in a folder beside it."""
    named = code.texts(file)
    beside = [path for path in file.parent.iterdir() if path.name in named and not (path / "__init__.py").exists()]
    found = [inner for path in beside for inner in (path.rglob("*") if path.is_dir() else [path])]
    return [path for path in found if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts]


def locks_by_package() -> dict[str, str]:
    """By top-level module, the lock file that pins its package; modules of packages that are not pinned are left out."""
    pinned = {}
    for lock in sorted(PINS.glob("*.txt")):
        for line in lock.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"([A-Za-z0-9._-]+)==", line):
                pinned[_canonical(found[1])] = lock.as_posix()
    modules = metadata.packages_distributions()
    return {module: pinned[_canonical(names[0])] for module, names in modules.items() if _canonical(names[0]) in pinned}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def written(text: str) -> str:
    """The text of dvc.yaml with the present code deps of each stage.

    Raises UserError for a stage without the line after which they are written.
    """
    locks = locks_by_package()
    blocks = re.split(r"(?m)^(?=  \w+:$)", text)
    for number, block in enumerate(blocks):
        if not (found := re.match(r"  (\w+):\n", block)):
            continue
        before, line, after = block.partition(f"{LINE}\n")
        if not line:
            raise UserError(f"dvc.yaml: {found[1]} has no line {LINE.strip()!r} at the end of its deps; add it")
        rest = re.sub(r"\A(?:      - .*\n)*", "", after)
        items = "".join(f"      - {dep}\n" for dep in deps_of_code(code.SOURCE / f"{found[1]}.py", locks))
        blocks[number] = f"{before}{line}{items}{rest}"
    return "".join(blocks)


def main() -> None:
    argparse.ArgumentParser(
        prog="python -m woodblock.run.write_graph", description=__doc__.splitlines()[0]
    ).parse_args()
    path = Path("dvc.yaml")
    try:
        stages = graph.load(path)
        text = path.read_text(encoding="utf-8")
        new = written(text)
    except UserError as error:
        sys.exit(f"error: {error}")
    write_text(path, new)
    now = graph.load(path)
    others = [name for name in now if set(now[name].deps) != set(stages[name].deps)]
    say(f"dvc.yaml: {'code deps changed for ' + ', '.join(others) if others else 'nothing changed'}")


if __name__ == "__main__":
    main()
