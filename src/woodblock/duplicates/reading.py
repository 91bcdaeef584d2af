"""The first round over the shards: read what each record is compared by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from woodblock.duplicates.conversations import sketch_conversations
from woodblock.duplicates.documents import Shingles, sketch_documents
from woodblock.duplicates.shelf import Shelf
from woodblock.run import shards


def read(parts: Mapping[str, Mapping[str, Path]], shingles: Shingles, folder: Path, workers: int) -> dict[str, Shelf]:
    """Read documents and conversations, in one round. Returns by role the files with what its records are compared by.

    parts: of the roles corpus and instructions, by name (other roles are not read). workers: the number of processes.
    """
    tasks: dict[str, tuple[Path, Shingles | None]] = {name: (part, shingles) for name, part in parts["corpus"].items()}
    tasks |= {name: (part, None) for name, part in parts["instructions"].items()}
    done = shards.work(read_part, tasks, folder, workers, "dedup: read")
    return {
        role: Shelf.of(folder, {name: done[name]["records"] for name in parts[role]})
        for role in ("corpus", "instructions")
    }


def read_part(task: tuple[Path, Shingles | None], folder: Path) -> dict[str, int]:
    """Sketch the documents of a part or, if no shingles are given, its conversations."""
    part, shingles = task
    return {"records": sketch_documents(part, shingles, folder) if shingles else sketch_conversations(part, folder)}
