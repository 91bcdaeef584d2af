"""Checkpoints to resume from: written beside the old one and swapped, refused when they belong to another run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from woodblock.errors import UserError


def save(path: Path, key: str, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`, so that a kill at any moment leaves the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        torch.save({"key": key, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, key: str) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None where there is none.

    Raises UserError for one that cannot be read, or whose key (data, params, code) is another's.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state)["key"]
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}); remove it to start from the beginning"
        ) from error
    if found != key:
        raise UserError(f"{path} belongs to the run {found}, this is {key}; remove it to start anew")
    return state
