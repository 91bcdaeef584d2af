"""Write a preset into params.yaml: `make preset NAME=book`.

presets/statutes.yaml has every key that any preset changes, with its default. Every other preset is an overlay on it. So
the result does not depend on the preset that was there before. Keys of the machine (threads, device, mirror) stay as they
are.

params.yaml is edited as text, in the layout that `put` defines. YAML libraries attach a comment to the value before it,
and lose the comment when that value is replaced. In the end the file gets the form in which DVC writes it (`in_dvcs_form`),
so that `dvc exp run -S` changes one line and no other.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from woodblock.base.errors import UserError
from woodblock.base.files import write_text
from woodblock.base.progress import say
from woodblock.run import params

FOLDER = Path("presets")
BASE = "statutes"
COMMENT_COLUMN = 28  # comments start here, or two spaces after a longer value


def values(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The params that a preset sets, by dotted path; lists count as values.

    Raises UserError for a preset that does not exist, or that has a key which presets/statutes.yaml lacks.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise UserError(f"there is no preset {name!r}; choose one of {', '.join(known)}")
    base = params.by_path(params.read(folder / f"{BASE}.yaml"))
    overlay = params.by_path(params.read(folder / f"{name}.yaml"))
    if strays := sorted(set(overlay) - set(base)):
        raise UserError(
            f"presets/{name}.yaml: {strays[0]} is not in presets/{BASE}.yaml; add it there with its default"
        )
    return base | overlay


def put(text: str, path: str, value: Any) -> str:
    """The text of params.yaml with another value at a dotted path; everything else is left as it is.

    The layout: two spaces a level; a value on its key's line, its comment at COMMENT_COLUMN; the items of a list below its
    key's line, not further in. Raises UserError for a path that the text does not have.
    """
    lines = text.splitlines()
    start = _line_of(lines, path)
    indent = "  " * path.count(".")
    end = start + 1
    belongs = (f"{indent}  ", f"{indent}- ")
    while end < len(lines) and lines[end].startswith(belongs) and not lines[end].lstrip().startswith("#"):
        end += 1
    comment = _comment(lines[start])
    key = f"{indent}{path.rpartition('.')[2]}:"
    if isinstance(value, list) and value:
        block = []
        for item in value:
            inside = (
                [f"{scalar(k)}: {scalar(v)}" for k, v in item.items()] if isinstance(item, dict) else [scalar(item)]
            )
            block += [f"{indent}{'- ' if place == 0 else '  '}{line}" for place, line in enumerate(inside)]
    else:
        key, block = f"{key} {scalar(value)}", []
    head = f"{key.ljust(COMMENT_COLUMN - 2)}  {comment}" if comment else key
    return "\n".join([*lines[:start], head, *block, *lines[end:]]) + "\n"


def scalar(value: Any) -> str:
    """A value as it stands in params.yaml, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(scalar(item) for item in value)}]"
    if isinstance(value, str):
        return value if _stands_plain(value) else json.dumps(value, ensure_ascii=False)
    return yaml.safe_dump(value).splitlines()[0]


def in_dvcs_form(text: str) -> str:
    """The text of a params file as DVC writes it: ruamel.yaml's round trip, with every item on a line of its own.

    A text in this form comes back from `dvc exp run -S` with nothing changed but the value that was set.
    """
    yaml = YAML()
    tree = yaml.load(text)
    _in_blocks(tree)
    written = io.StringIO()
    yaml.dump(tree, written)
    return written.getvalue()


def _in_blocks(node: Any) -> None:
    if isinstance(node, CommentedMap | CommentedSeq) and node:
        node.fa.set_block_style()
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _in_blocks(inner)


def _stands_plain(text: str) -> bool:
    """Whether YAML reads a text back without quotes, as a value with a comment after it and as an item of a list."""
    if not text or text != text.strip() or re.search(r"[\s\[\]{},#]", text[0]) or "\n" in text:
        return False
    try:
        return bool(params.parse(f"- a: {text}  # b\n- [{text}]") == [{"a": text}, [text]])
    except YAMLError:
        return False


def apply(name: str, target: Path = Path("params.yaml"), folder: Path = FOLDER) -> list[str]:
    """Write a preset into params.yaml, whole or not at all; returns the paths whose values it changed.

    Raises UserError, as `values` and `params.check` do, before anything is written.
    """
    before = params.by_path(params.read(target))
    text = target.read_text(encoding="utf-8")
    changed = []
    for path, value in values(name, folder).items():
        if path not in before:
            raise UserError(f"presets/{name}.yaml: {path} is not in {target}; add it there")
        if before[path] != value or type(before[path]) is not type(value):
            text = put(text, path, value)
            changed.append(path)
    text = in_dvcs_form(text)
    params.check(params.parse(text), f"presets/{name}.yaml")
    write_text(target, text)
    return changed


def _line_of(lines: list[str], path: str) -> int:
    start = 0
    for depth, part in enumerate(path.split(".")):
        indent = "  " * depth
        for number in range(start, len(lines)):
            if lines[number].startswith(f"{indent}{part}:"):
                break
            if depth and re.match(r"\S", lines[number]) and not lines[number].startswith("#"):
                raise UserError(f"params.yaml: found no line for {path}")
        else:
            raise UserError(f"params.yaml: found no line for {path}")
        start = number + 1
    return start - 1


def _comment(line: str) -> str:
    """The comment at the end of a line: from the first " #" that no quotes enclose."""
    found = re.match(r"""(?:[^"'#]|"(?:\\.|[^"\\])*"|'[^']*'|(?<!\s)#)*\s(#.*)$""", line)
    return found[1] if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.presets", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the name of a file in presets/, without .yaml")
    name = parser.parse_args().name
    try:
        changed = apply(name)
    except UserError as error:
        sys.exit(f"error: {error}")
    say(f"params.yaml: preset {name}, {len(changed)} values changed")


if __name__ == "__main__":
    main()
