"""params.yaml: reading it, checking it before any work starts, and saying in one line what is wrong with it.

The types and bounds of its keys are in woodblock.run.settings. There are no defaults: params.yaml alone says what a run
uses. Where the block pretrain says auto, the checked params have the numbers that woodblock.base.sizes finds.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from woodblock.base.errors import UserError
from woodblock.run.settings.everything import Params


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file.

    Raises UserError for a file that is missing or not YAML, an unknown key, a missing key, a wrong type or an impossible
    value. Its message is one line that names the key, its value and what is possible.
    """
    return check(read(path), str(path))


def read(path: Path | str = "params.yaml") -> dict[str, Any]:
    """The params file as a plain dictionary, unchecked. Raises UserError where there is none or it is not YAML."""
    try:
        values = parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file here; run from the project's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        where = f" line {mark.line + 1}:" if (mark := getattr(error, "problem_mark", None)) else ""
        what = " ".join((getattr(error, "problem", None) or str(error)).split())
        raise UserError(f"{path}:{where} not valid YAML ({what}); correct it, or git checkout {path}") from None
    if not isinstance(values, dict):
        what = "it is empty" if values is None else f"it contains a {type(values).__name__}, not keys with values"
        raise UserError(f"{path}: {what}; git checkout {path}")
    return values


def parse(text: str) -> Any:
    """The value of a YAML text by YAML 1.2, as DVC reads it: 1e-6 is a number, `no` a word. Raises YAMLError."""
    return YAML(typ="safe").load(text)


def check(values: dict[str, Any], name: str = "params.yaml") -> Params:
    """Check values against the schema. Where they say auto in the block pretrain, the result has numbers.

    Raises UserError, as `load` does.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{name}: {_one_line(error)}") from None


def resolved(values: dict[str, Any], params: Params) -> dict[str, Any]:
    """The values of a params file with numbers where they say auto in the block pretrain, as in the checked `params`."""
    return {**values, "pretrain": params.pretrain.model_dump()}


def changed(values: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Any]:
    """The values with other ones at some dotted paths; blocks that change are copied."""
    for path, number in numbers.items():
        first, _, rest = path.partition(".")
        values = {**values, first: changed(values[first], {rest: number}) if rest else number}
    return values


def processes(values: dict[str, Any]) -> int:
    """How many processes may share a stage's work: `processes` of a params file, where auto is one for each core that
    this process may use. A Slurm job may use the cores that it asked for, also where Slurm does not bind it to them."""
    wanted = values.get("processes", 1)
    if wanted != "auto":
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(cores, int(asked)) if re.fullmatch(r"[1-9]\d*", asked, re.ASCII) else cores


def _one_line(error: ValidationError) -> str:
    """The first thing that is wrong, in a line; the rest is counted."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    value = first["input"]
    match first["type"]:
        case "extra_forbidden":
            text = f"{key}: {value!r} is an unknown key{_suggestion(first['loc'])}"
        case "missing":
            text = f"{key} is missing; git diff params.yaml shows what was removed"
        case "value_error":
            text = str(first.get("ctx", {})["error"])
        case _:
            text = f"{key}: {value!r} is not possible; {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return re.sub(r"(?<=//)[^/?#\s]*@", "", text + more)  # a url's user and password are shown nowhere


# Keys of earlier versions, and what is there instead.
REPLACED = {
    "sft.given_repeats": "remove it, and write weight: 4.0 for a source of download.instructions to read it four times"
}


def _suggestion(location: tuple[int | str, ...]) -> str:
    if instead := REPLACED.get(".".join(map(str, location))):
        return f"; {instead}"
    fields: dict[str, Any] = Params.model_fields
    for part in location[:-1]:
        annotation = fields[part].annotation if part in fields else None
        fields = getattr(annotation, "model_fields", {})
    if close := difflib.get_close_matches(str(location[-1]), fields, n=1):
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(fields)}" if fields else "; remove it"


class Declared:
    """The params that a stage declares in dvc.yaml, and no others.

    Reading any other raises AttributeError: the stage would not run again when it changed.
    """

    def __init__(self, params: BaseModel, leaves: list[str], prefix: str = "") -> None:
        self._params, self._leaves, self._prefix = params, leaves, prefix

    def __getattr__(self, name: str) -> Any:
        path = f"{self._prefix}{name}"
        value = getattr(self._params, name)
        if path in self._leaves:
            return value
        if any(leaf.startswith(f"{path}.") for leaf in self._leaves):
            return Declared(value, self._leaves, f"{path}.")
        raise AttributeError(f"{path} is not among the params that dvc.yaml declares for this stage")


def by_path(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as {dotted path: value}; lists are values."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= by_path(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def leaf(values: dict[str, Any], path: str) -> Any:
    """The value at a dotted path of a params dictionary. Raises UserError for a path that is not in it."""
    for part in path.split("."):
        if not isinstance(values, dict) or part not in values:
            raise UserError(f"dvc.yaml names the param {path}, which is not in params.yaml; correct the name")
        values = values[part]
    return values
