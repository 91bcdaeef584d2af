"""Every number of the run beside the default run's: `make metrics`.

The default run is recorded in reference/statutes.json. Two runs of your own are compared by DVC: `dvc metrics diff` and
`dvc exp show` have the scores, the few numbers by which runs are judged (scores/<stage>.json).
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.base.files import read_json
from woodblock.run import graph, params
from woodblock.run.settings import roles

REFERENCE = Path("reference/statutes.json")
NAME, NUMBER = 56, 16  # columns of the table: a name and three numbers, 110 in all
NOT_OF_THE_RUN = ("mirror", *graph.OF_NO_STAGE)  # params that belong to a machine and shape no output


def reference() -> dict[str, Any]:
    """The record of the default run: machine, params, outputs, metrics, timings. Raises UserError where there is none."""
    if not REFERENCE.is_file():
        raise UserError(f"{REFERENCE}: there is no such file; git checkout {REFERENCE}")
    if (found := read_json(REFERENCE)) is None:
        raise UserError(f"{REFERENCE}: cannot be read; git checkout {REFERENCE}")
    return dict(found)


def by_stage(folder: str, stages: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the stages that have run left in a folder: metrics or timings."""
    files = {name: Path(folder, f"{name}.json") for name in stages}
    return {name: found for name, file in files.items() if (found := read_json(file))}


def settings(values: dict[str, Any]) -> dict[str, Any]:
    """The params that shape outputs, by path."""
    return {path: value for path, value in params.by_path(values).items() if path not in NOT_OF_THE_RUN}


def differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The paths at which two trees laid out by path differ."""
    return [path for path in sorted(set(wanted) | set(found)) if wanted.get(path) != found.get(path)]


def lines() -> Iterator[str]:
    """The table, stage by stage. Raises UserError where no stage has run."""
    stages, default = list(graph.load()), reference()
    metrics, timings = by_stage("metrics", stages), by_stage("timings", stages)
    if not metrics:
        raise UserError("no stage has run: metrics/ is empty; run make")
    other = differing(default["params"], settings(params.read()))
    named = ", ".join(other[:4]) + (f" and {len(other) - 4} more" if len(other) > 4 else "")
    yield f"The params differ from the default run's: {named}." if other else "The params are those of the default run."
    for stage in stages:
        of_time = {f"timings: {name}": value for name, value in timings.get(stage, {}).items()}
        of_time_before = {
            f"timings: {name}": value for name, value in default.get("timings", {}).get(stage, {}).items()
        }
        found = params.by_path(metrics.get(stage, {})) | of_time
        wanted = params.by_path(default["metrics"].get(stage, {})) | of_time_before
        if found:
            yield ""
            yield row(stage, "this run", "default run", "difference")
            off = {path: found.pop(path) for path in list(found) if path.partition(".")[0] == roles.KEY}
            yield from (
                f"  switched off{path.removeprefix(roles.KEY).replace('.', ': ')}: {why}" for path, why in off.items()
            )
            yield from (row(f"  {path}", *numbers(found.get(path), wanted.get(path))) for path in found)
            if gone := [path for path in wanted if path not in found]:
                yield f"  only in the default run: {len(gone)}, such as {gone[0]}"


def numbers(found: Any, wanted: Any) -> tuple[str, str, str]:
    """A number of both runs, and the difference where there is one."""
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (found, wanted)):
        return shown(found), shown(wanted), "" if wanted is None or found == wanted else "differs"
    return shown(found), shown(wanted), shown(found - wanted, "+") if found != wanted else ""


def shown(value: Any, sign: str = "") -> str:
    """A value in few characters: integers whole, other numbers with six digits."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign},.6g}"


def row(name: str, *cells: str) -> str:
    """A line of the table; a name that is too long loses its middle."""
    if width(name) > NAME:
        name = name[: NAME // 2 - 2] + "…" + name[-(NAME // 2 - 1) :]
        while width(name) > NAME:  # Chinese characters take two columns
            name = name[: len(name) // 2 - 1] + "…" + name[len(name) // 2 + 2 :]
    right = "".join(f"  {cell[:NUMBER]:>{NUMBER}}" for cell in cells)
    return (name + " " * (NAME - width(name)) + right).rstrip()


def width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def main() -> None:
    try:
        for line in lines():
            print(line)
    except UserError as error:
        sys.exit(f"error: metrics: {error}")
    except BrokenPipeError:  # make metrics | head
        sys.stderr.close()


if __name__ == "__main__":
    main()
