"""The second round over the shards: write what stays of each table, and collect it.

Which duplicates and paragraphs to remove was decided before, from the first round. Overlaps are found now: every text is
looked up in the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from woodblock.cleaning import markup
from woodblock.decontamination.checked_texts import split_of
from woodblock.decontamination.index import OWN, Overlaps
from woodblock.duplicates import paragraphs
from woodblock.duplicates.documents import group_of
from woodblock.duplicates.shelf import NONE, Columns, Shelf, write_columns
from woodblock.run import shards
from woodblock.tables import parquet
from woodblock.tables.funnel import KEPT, Funnel
from woodblock.tables.texts import fingerprint

SPLITS = ("train", "validation")


class Part(NamedTuple):
    """A task: write what stays of a part of a table.

    work: has the index (overlaps), the paragraphs to remove (paragraphs) and the fates of a role's records (fates-<role>).
    """

    role: str
    part: Path
    work: Path
    shelf: Shelf  # of the role; for articles it is empty
    number: int  # of the part
    min_chars: int
    validation_share: float

    def fates(self, **dtypes: Any) -> Columns:
        return self.shelf.shard_columns(self.work / f"fates-{self.role}", self.number, **dtypes)


def write(
    parts: Mapping[str, Mapping[str, Path]],
    shelves: Mapping[str, Shelf],
    work: Path,
    *,
    min_chars: int,
    validation_share: float,
    workers: int,
) -> tuple[dict[str, Funnel], dict[str, dict[str, int]]]:
    """Write what stays of all parts to work/written. Returns the funnel of each role; and for each benchmark what was
    dropped for it, by kind of record.

    parts: of the roles corpus, instructions and documents, by name. shelves: of the roles that were read (reading.py).
    work: see Part. min_chars: a document that lost lines and is shorter in the end is dropped. workers: how many
    processes.
    """
    nothing = Shelf.of(work, {})
    tasks = {
        name: Part(role, part, work, shelves.get(role, nothing), number, min_chars, validation_share)
        for role in parts
        for number, (name, part) in enumerate(parts[role].items())
    }
    done = shards.work(write_part, tasks, work / "written", workers, "dedup: write")
    funnels = {role: Funnel() for role in parts}
    dropped: dict[str, Counter[str]] = {}
    for name, result in done.items():
        funnels[tasks[name].role].merge(result["funnel"]["counts"], result["funnel"]["samples"])
        for benchmark, counts in result["dropped"].items():
            dropped.setdefault(benchmark, Counter()).update(counts)
    return funnels, {name: dict(counts) for name, counts in dropped.items()}


def write_part(task: Part, folder: Path) -> dict[str, Any]:
    """Write what stays of a part, as tables in the folder. Returns its funnel, and by benchmark what was dropped."""
    funnel, dropped = Funnel(), Dropped()
    overlaps = Overlaps.load(task.work / "overlaps")
    writers = {"corpus": write_documents, "instructions": write_conversations, "documents": write_articles}
    writers[task.role](task, folder, overlaps, funnel, dropped)
    return {"funnel": funnel.as_json(), "dropped": dropped}


class Dropped(dict[str, dict[str, int]]):
    """How many records or lines were removed, by benchmark and by kind."""

    def add(self, benchmarks: Sequence[str], kind: str, number: int = 1) -> None:
        for benchmark in benchmarks:
            counts = self.setdefault(benchmark, {})
            counts[kind] = counts.get(kind, 0) + number


def write_documents(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Write the tables train and validation, and groups-<split>.bin: hashes of their groups' names, uint64, ascending."""
    fate = task.fates(original=np.uint32, similar=np.float32)
    held_out = task.shelf.shard("held_out", task.number, np.bool_)
    marks = task.shelf.shard("fingerprints", task.number, np.uint64).reshape(-1, 2)
    repeated = paragraphs.that_go(task.work / "paragraphs", task.shelf, task.number)
    groups: dict[str, set[int]] = {split: set() for split in SPLITS}
    with (
        parquet.Writer(folder / "train", parquet.CLEANED) as train,
        parquet.Writer(folder / "validation", parquet.CLEANED) as validation,
    ):
        writers = {"train": train, "validation": validation}
        for place, record in enumerate(parquet.stream_part(task.part)):
            funnel.counts["read"] += 1
            text, split = record["text"], "validation" if held_out[place] else "train"
            if fate["original"][place] != NONE:
                step = "near" if fate["similar"][place] else "exact"
                funnel.drop(step, record, text, str(fate["original"][place]), fate["similar"][place])
                continue
            if split == "train":
                if place in repeated:
                    text = paragraphs.without(record, repeated[place], funnel)
                left = without_overlaps(record, text, overlaps, funnel, dropped)
                if left is None:
                    continue
                text = left
                if len(text) < task.min_chars and text != record["text"]:
                    funnel.drop("short", record, text, f"{len(text)} characters are left", len(text))
                    continue
            group = group_of(record["group"], marks[place])
            writers[split].add({**record, "group": group, "text": text})
            funnel.counts[f"{split}_documents"] += 1
            funnel.counts[f"{split}_chars"] += len(text)
            funnel.sample(KEPT, record, text, split, record["quality"])
            groups[split].add(int.from_bytes(fingerprint(group)[:8], "big"))
    write_columns(
        folder, {f"groups-{split}": np.array(sorted(names), dtype=np.uint64) for split, names in groups.items()}
    )


def without_overlaps(
    record: Mapping[str, Any], text: str, overlaps: Overlaps, funnel: Funnel, dropped: Dropped
) -> str | None:
    """A training text without the lines that it shares with held-out text; None if it has a benchmark's question."""
    found = overlaps.benchmarks(text)
    if asked := [name for name in found if name != OWN]:
        dropped.add(asked, "documents")
        funnel.drop("benchmarks", record, text, ", ".join(asked), len(asked))
        return None
    if OWN in found:
        left, lines = overlaps.without(text)
        dropped.add([OWN], "lines", lines)
        funnel.change("validation")
        funnel.counts["train_lines_removed"] += lines
        funnel.sample("validation", record, lambda: lines_that_went(text, left), "held-out text", lines)
        return paragraphs.tidy(left)
    return text


def lines_that_went(text: str, left: str) -> str:
    """The lines of a text that were removed, each once: there are fewer of them in what is left."""
    return "\n".join(Counter(text.split("\n")) - Counter(left.split("\n")))


def write_conversations(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Write the table kept: conversations that are no duplicates and share no run with a benchmark or held-out text."""
    fate = task.fates(original=np.uint32, by_prompt=np.bool_)
    with parquet.Writer(folder / "kept", parquet.INSTRUCTIONS) as table:
        for place, record in enumerate(parquet.stream_part(task.part)):
            funnel.counts["read"] += 1
            text = "\n".join(message["content"] for message in record["messages"])
            if fate["original"][place] != NONE:
                step = "prompt" if fate["by_prompt"][place] else "pair"
                funnel.drop(step, record, text, str(fate["original"][place]))
            elif found := sorted({*overlaps.benchmarks(text), *overlaps.benchmarks(markup.plain(text))}):
                # Cleaning leaves markup in conversations, and its letters would stand between the hanzi of a question.
                dropped.add(found, "conversations")
                step = "validation" if found == [OWN] else "benchmarks"
                funnel.drop(step, record, text, ", ".join(found), len(found))
            else:
                funnel.counts["kept"] += 1
                table.add(record)


def write_articles(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Write the table kept: all articles with their split. An article that shares a run with a benchmark or a held-out
    article has the split "shared": it is indexed, since retrieval may find what the model never learned, but no training
    example is made from it.
    """
    with parquet.Writer(folder / "kept", parquet.SPLIT_DOCUMENTS) as table:
        for record in parquet.stream_part(task.part):
            funnel.counts["read"] += 1
            split = split_of(record["law"], task.validation_share)
            if split == "train" and (found := overlaps.benchmarks(record["text"])):
                split = "shared"
                dropped.add(found, "articles")
                step = "validation" if found == [OWN] else "benchmarks"
                funnel.change(step)
                named = {"id": record["id"], "source": record["law"]}
                funnel.sample(step, named, record["text"], ", ".join(found), len(found))
            funnel.counts[f"{split}_articles"] += 1
            table.add({**record, "split": split})


def collect(written: Path, names: Iterable[str], table: str, folder: Path) -> None:
    """Make one table of its parts in the shards. Empty parts are left out, unless all are empty: then one is kept."""
    folder.mkdir(parents=True)
    found = [part for name in names for part in parquet.parts(written / name / table)]
    kept = [part for part in found if pq.read_metadata(part).num_rows] or found[:1]
    for number, part in enumerate(kept):
        shards.place(part, folder / f"part-{number:05d}.parquet")


def count_groups(written: Path, names: Iterable[str], split: str) -> int:
    """How many groups have a document in a split. Memory: 8 bytes a group."""
    hashes = [np.fromfile(written / name / f"groups-{split}.bin", dtype=np.uint64) for name in names]
    return len(np.unique(np.concatenate(hashes)))
