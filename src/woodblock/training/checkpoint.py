"""Checkpoints to continue from: written beside the old one, then swapped; refused if damaged or from another run.

A folder has checkpoint.pt and, as checkpoint.previous.pt, the one before. Each has the version of the format, all that
the run depends on (its identity), and a digest of its content. So a file that a full disk cut short, or in which a bit
has changed, is noticed; then the checkpoint before it is used.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from woodblock.base.errors import UserError
from woodblock.base.files import sync_names
from woodblock.base.progress import say
from woodblock.run import code, ranks

FORMAT = 2
NEWEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
Identity = dict[str, Any]  # {"cmd": the command, "params": {path: value}, "deps": {path: sha256}}


def save(folder: Path, identity: Identity, state: dict[str, Any]) -> None:
    """Write a checkpoint. Whenever the process is killed, the last one or the one before it is whole under its name.

    state: tensors, numbers, texts and None, in dictionaries and lists of any depth.
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
    sync_names(folder)


def load(folder: Path, identity: Identity, name: str) -> dict[str, Any] | None:
    """The state of the newest whole checkpoint in the folder, or None where there is none.

    If the newest is damaged, a line with the stage's name says so, it is renamed, and the one before it is used; if that one
    is damaged too, or not there, training starts from the beginning. Raises UserError for a checkpoint that the disk does
    not give or that has another format; and for one of other data, another tokenizer, other params or other code, naming
    what differs.
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
                f"{path} is the checkpoint of a run with different {'; different '.join(differs)}; remove it to start from "
                "the beginning"
            )
        if faults and ranks.rank() == 0:
            say(f"{name}: {faults[0]}; continuing from the one before it")
            # Renamed: otherwise the next save would keep it as the one before, in place of the whole one.
            os.replace(newest, newest.with_suffix(".torn.pt"))
        state: dict[str, Any] = found["state"]
        return state
    if faults and ranks.rank() == 0:
        say(f"{name}: {' and '.join(faults)}; starting from the beginning")
        for path in there:
            os.replace(path, path.with_suffix(".torn.pt"))
    return None


def others(folder: Path, identity: Identity) -> list[str]:
    """A line for each unfinished run of the same stage beside this one: its checkpoint, and how it differs from this run.

    folder: this run's. The folders of the others have the stage's name before their last dash.
    """
    lines = []
    stage = folder.name.rpartition("-")[0]
    for path in sorted(folder.parent.glob(f"{stage}-*/{NEWEST}")):
        if path.parent == folder:
            continue
        try:
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            differs = differences(found["identity"], identity)
            lines.append(f"{path} is of a run with different {'; different '.join(differs)}")
        except Exception:  # damaged, or of another format: not worth a line
            continue
    return lines


class _Torn(Exception):
    """A checkpoint is damaged. Its message, after the file's name, says why it cannot be used."""


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        version = found["format"] if isinstance(found, dict) and "format" in found else None
        if version == FORMAT:
            whole = digest({"identity": found["identity"], "state": found["state"]}) == found["digest"]
    except OSError as error:  # the file may be whole
        raise UserError(f"{path} cannot be read ({error.strerror or error}); run again, or remove it") from error
    except Exception as error:
        raise _Torn(f"cannot be read ({type(error).__name__})") from error
    if version is None:
        raise _Torn("is no checkpoint")
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, not {FORMAT}; remove it to start from the beginning")
    if not whole:
        raise _Torn("does not match its own digest")
    return found


def digest(state: Any) -> str:
    """sha256 over a state: each value with its place in it; tensors with type, shape and bytes."""
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
    """How two runs differ: in data, tokenizer, model, code and params, each with details; empty if they are equal."""
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
