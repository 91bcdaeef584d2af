"""Write a preset into params.yaml: `make preset NAME=book`.

presets/statutes.yaml has every key that any preset changes, with its default. Every other preset is an overlay on it. So
the result does not depend on the preset that was there before. Keys of the machine (threads, device, mirror) stay as they
are.

ruamel.yaml says on which lines of params.yaml a value stands, and these lines are replaced, in the layout that `put`
defines. Its own tree is not edited: there a comment belongs to the value before it, and is lost with it. In the end the
file gets the form in which DVC writes it (`in_dvcs_form`), so that `dvc exp run -S` changes one line and no other.
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
from ruamel.yaml.nodes import CollectionNode, MappingNode

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


def put(text: str, values: dict[str, Any]) -> str:
    """The text of params.yaml with other values at some dotted paths; everything else is left as it is.

    The layout: two spaces a level; a value on its key's line, its comment at COMMENT_COLUMN; the items of a list below its
    key's line, not further in. Raises UserError for a path that the text does not have.
    """
    lines = text.splitlines()
    tree = YAML(typ="safe", pure=True).compose(text)
    places = {path: _place_of(tree, path) for path in values}
    for path, (start, end) in sorted(
        places.items(), key=lambda place: place[1], reverse=True
    ):  # lines above stay where they are
        value = values[path]
        indent = "  " * path.count(".")
        comment = _comment(lines[start])
        key = f"{indent}{path.rpartition('.')[2]}:"
        block = []
        if isinstance(value, list | dict) and value:
            nested = "" if isinstance(value, list) else "  "
            block = [f"{indent}{nested}{line}" for line in _block(value)]
        else:
            key = f"{key} {scalar(value)}"
        lines[start:end] = [f"{key.ljust(COMMENT_COLUMN - 2)}  {comment}" if comment else key, *block]
    return "\n".join(lines) + "\n"


def _block(value: list[Any] | dict[str, Any]) -> list[str]:
    """The lines of a list or a mapping that is not empty, however deep it is."""
    found = []
    for key, item in value.items() if isinstance(value, dict) else ((None, item) for item in value):
        head = "-" if key is None else f"{scalar(key)}:"
        if not (isinstance(item, list | dict) and item):
            found.append(f"{head} {scalar(item)}")
        elif key is None:  # the first line of an item stands beside its dash
            first, *rest = _block(item)
            found += [f"- {first}", *(f"  {line}" for line in rest)]
        else:
            found += [head, *(line if isinstance(item, list) else f"  {line}" for line in _block(item))]
    return found


def scalar(value: Any) -> str:
    """A value as it stands in params.yaml, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(scalar(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {scalar(item)}" for key, item in value.items()) + "}"
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
    if not text or text != text.strip() or re.search(r"[\s\[\]{},#]", text[0]) or re.search(r"[\n{}]", text):
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
    changed = {}
    for path, value in values(name, folder).items():
        if path not in before:
            raise UserError(f"presets/{name}.yaml: {path} is not in {target}; add it there")
        if before[path] != value or type(before[path]) is not type(value):
            changed[path] = value
    text = in_dvcs_form(put(text, changed))
    params.check(params.parse(text), f"presets/{name}.yaml")
    write_text(target, text)
    return list(changed)


def _place_of(tree: Any, path: str) -> tuple[int, int]:
    """The line of a key, and the first line after its value. Comments after the value are none of it.

    Raises UserError for a path that the text does not have.
    """
    node, key = tree, None
    for part in path.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        key, node = next(((key, inner) for key, inner in pairs if key.value == part), (None, None))
        if key is None or node is None:
            raise UserError(f"params.yaml: found no line for {path}")
    assert key is not None and node is not None
    line = key.start_mark.line
    # The empty value, which is null, stands wherever the next key begins.
    last = line if node.start_mark.index == node.end_mark.index else _last_line(node)
    return line, last + 1


def _last_line(node: Any) -> int:
    """The last line of a value. The end that ruamel.yaml gives to a block lies behind the comments after it."""
    end = node.end_mark
    if node.start_mark.index == end.index:
        return -1  # empty
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        key, value = last if isinstance(last := node.value[-1], tuple) else (last, last)
        return max(_last_line(key), _last_line(value))
    line: int = end.line
    return line - 1 if end.column == 0 and line > node.start_mark.line else line


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
