"""Files of a hub's data set: which of them a URL names, by itself, by its folder or by a pattern.

| url | files |
|---|---|
| hf://owner/dataset/data/a.jsonl | this file |
| hf://owner/dataset | all but the hub's own: the card, .gitattributes, dataset_infos.json |
| hf://owner/dataset/data/ | those of the folder, at any depth |
| hf://owner/dataset/data/*.parquet | those that match |

In a pattern, * ? and [abc] stand for characters of one name, as in a shell. ** stands for any number of folders. Neither
stands for hidden files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.sources.addresses import hub_parts

_OWN = ("README.md", "dataset_infos.json")  # what the hub itself keeps at the top of a data set


def names_several(url: str) -> bool:
    """Whether a url names a folder, a pattern or a whole data set, and not one file."""
    if not url.startswith("hf://"):
        return False
    file = hub_parts(url)[3]
    return not file or file.endswith("/") or re.search(r"[*?\[]", file) is not None


def chosen(url: str, names: Iterable[str]) -> list[str]:
    """Those of a data set's files that a url names, sorted. Raises UserError where it names none of them."""
    file, names = hub_parts(url)[3], sorted(names)
    found = [name for name in names if _is_named(name, file)]
    if not found:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise UserError(
            f"no file is {file or 'of data'} (* stands for characters of one name, **/ for folders; a folder ends in /); "
            f"there {'is' if len(names) == 1 else 'are'} {shown or 'none'}; correct the url"
        )
    return found


def _is_named(name: str, file: str) -> bool:
    if name == file:
        return True
    if not re.search(r"[*?\[]", file):
        hidden = any(part.startswith(".") for part in name.split("/"))
        return not hidden and (name.startswith(file) if file else name not in _OWN) and file[-1:] in ("", "/")
    return _matches(name.split("/"), (f"{file}**" if file.endswith("/") else file).split("/"))


def is_deep(file: str) -> bool:
    """Whether the file part of a url may name files in folders below the last one that it spells out."""
    return not file or file.endswith("/") or "/" in file[len(spelled_out(file)) :].removeprefix("/") or "**" in file


def spelled_out(file: str) -> str:
    """The folder that a url spells out: what stands before the first name with a pattern, or before the file."""
    return re.split(r"[*?\[]", file)[0].rpartition("/")[0]


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        # At the end it stands for all files below; a file's own name is then one of its parts.
        rest = pattern[1:] or ["*"]
        hidden = [part.startswith(".") for part in parts]
        return any(_matches(parts[start:], rest) for start in range(len(parts)) if not any(hidden[:start]))
    if not parts or (parts[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def of_folder(url: str, folder: Path) -> list[str]:
    """Those of a data set's files on this machine that a url names. Raises UserError as `chosen` does."""
    return chosen(url, (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()))
