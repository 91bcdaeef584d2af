"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_text(target: Path, text: str) -> None:
    """Write a text file under another name and rename it, so that a killed process leaves the old one or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
