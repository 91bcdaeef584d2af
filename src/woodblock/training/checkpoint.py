"""Checkpoints to resume from: written beside the old one and swapped; refused when torn, or another run's.

A folder holds checkpoint.pt and, as checkpoint.previous.pt, the one before. Each carries the format's version, what the
run depends on (its identity), and a digest of all that it holds: a file that a full disk cut short, or in which a bit
fell over, is told from a whole one, and the one before takes its place.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.run import code, ranks

FORMAT = 2
NEWEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
Identity = dict[str, Any]  # {"cmd": the command, "params": {path: value}, "deps": {path: sha256}}


def save(folder: Path, identity: Identity, state: dict[str, Any]) -> None:
    """Write a checkpoint; a kill at any moment leaves the last one, or the one before it, whole under its name.

    state: tensors, numbers, texts and None in dictionaries and lists of any depth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial, newest = folder / f".{NEWEST}.partial", folder / NEWEST
    held = {"identity": identity, "state": state}
    with partial.open("wb") as file:
        torch.save({"format": FORMAT, "digest": digest(held), **held}, file)
        file.flush()
        os.fsync(file.fileno())
    if newest.exists():
        os.replace(newest, folder / PREVIOUS)
    os.replace(partial, newest)
    _sync_names(folder)


def load(folder: Path, identity: Identity, name: str) -> dict[str, Any] | None:
    """The state of the newest whole checkpoint in the folder, or None where there is none.

    A torn one is set aside and said, under the stage's name, and the one before it taken. Raises UserError where neither
    is whole, and, naming what differs, for one of other data, of another tokenizer, of other params or other code.
    """
    newest, previous = folder / NEWEST, folder / PREVIOUS
    there = [path for path in (newest, previous) if path.is_file()]
    faults = []
    for path in there:
        try:
            found = _read(path)
        except _Torn as torn:
            faults.append(f"{path} {torn}")
            continue
        if differs := differences(found["identity"], identity):
            raise UserError(
                f"{path} belongs to another run, of other {'; other '.join(differs)}; remove it to start anew"
            )
        if faults and ranks.rank() == 0:
            say(f"{name}: {faults[0]}; going on from the one before it")
            # Set aside: the next save would otherwise make it the one before, in the place of this one, which is whole.
            os.replace(newest, folder / "checkpoint.torn.pt")
        state: dict[str, Any] = found["state"]
        return state
    if faults:
        raise UserError(f"{' and '.join(faults)}; remove {'it' if len(faults) == 1 else 'both'} to start anew")
    return None


def others(folder: Path, identity: Identity) -> list[str]:
    """What runs of the same stage were left unfinished beside this one, and how each differs from it, a line each.

    folder: this run's; its siblings bear the stage's name before their last dash.
    """
    lines = []
    stage = folder.name.rpartition("-")[0]
    for path in sorted(folder.parent.glob(f"{stage}-*/{NEWEST}")):
        if path.parent == folder:
            continue
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            lines.append(f"{path} is of other {'; other '.join(differences(found['identity'], identity))}")
        except Exception:  # torn, or of another format: of no use to name
            continue
    return lines


class _Torn(Exception):
    """Says, behind the file's name, why it is of no use."""


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        version = found["format"] if isinstance(found, dict) and "format" in found else None
        if version == FORMAT:
            whole = digest({"identity": found["identity"], "state": found["state"]}) == found["digest"]
    except Exception as error:
        raise _Torn(f"cannot be read ({type(error).__name__})") from error
    if version != FORMAT:
        raise _Torn(f"is of format {version}, not {FORMAT}")
    if not whole:
        raise _Torn("does not match its own digest")
    return found


def digest(state: Any) -> str:
    """sha256 over a state: each value with its place, tensors by type, shape and bytes."""
    total = hashlib.sha256()

    def feed(place: str, value: Any) -> None:
        if isinstance(value, Tensor):
            total.update(f"{place} {value.dtype} {tuple(value.shape)}\n".encode())
            total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, dict):
            total.update(f"{place} {len(value)}\n".encode())
            for key, item in value.items():
                feed(f"{place}/{key!r}", item)
        elif isinstance(value, list | tuple):
            total.update(f"{place} {len(value)}\n".encode())
            for number, item in enumerate(value):
                feed(f"{place}/{number}", item)
        else:
            total.update(f"{place} {value!r}\n".encode())

    feed("", state)
    return total.hexdigest()


def differences(found: Identity, wanted: Identity) -> list[str]:
    """How two runs differ: data, tokenizer, model, code and params, each with what of it; empty where they do not."""
    changed: dict[str, list[str]] = {}
    for path in code.changed(found["deps"], wanted["deps"]):
        changed.setdefault(_kind(path), []).append(path)
    for path in sorted(set(found["params"]) | set(wanted["params"])):
        if found["params"].get(path) != wanted["params"].get(path):
            values = f"{path}: {found['params'].get(path)!r}, here {wanted['params'].get(path)!r}"
            changed.setdefault("params", []).append(values if len(values) < 100 else path)
    if found["cmd"] != wanted["cmd"]:
        changed.setdefault("command", []).append(found["cmd"])
    return [f"{kind} ({_some(names)})" for kind, names in changed.items()]


def _kind(path: str) -> str:
    if path.startswith("models/"):
        return "tokenizer" if path == "models/tokenizer" else "model"
    return "code" if path.startswith(("src/", "requirements/")) else "data"


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _sync_names(folder: Path) -> None:
    """Have the file system keep the renames too, so that a machine that loses power loses nothing."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # a system that opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
