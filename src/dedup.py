"""Compare documents with each other: remove duplicates, hold out a validation split, keep benchmarks out of training.

There are two rounds over the shards of the corpus. The first round reads what each document is compared by (duplicates/).
Then the stage decides which documents stay, in a few bytes a document. The second round writes the documents that stay.
It leaves out paragraphs that a better document has too, and text that a benchmark or a held-out document has too
(decontamination/).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.decontamination import gate
from woodblock.decontamination.checked_texts import checked_texts, cleaned
from woodblock.decontamination.index import Overlaps
from woodblock.decontamination.normal_form import normalised
from woodblock.decontamination.writing import SPLITS, collect, count_groups, write
from woodblock.duplicates import sketches
from woodblock.duplicates.conversations import compare_conversations
from woodblock.duplicates.documents import Shingles, compare_documents
from woodblock.duplicates.reading import read
from woodblock.duplicates.shelf import NONE, Shelf, write_columns
from woodblock.run import shards
from woodblock.run.stage import Run, run_stage
from woodblock.tables import parquet
from woodblock.tables.funnel import KEPT, Funnel

# The steps that drop a record, in order. The steps paragraphs and validation may also shorten one.
STEPS = ("exact", "near", "paragraphs", "pair", "prompt", "benchmarks", "validation", "short")
# The reason of a sample, with the better record's id. Until the end the reason is only that record's place.
REASONS = {
    "exact": "the same letters as {id}",
    "near": "Jaccard {value:.2f} with {id}",
    "paragraphs": "also in {id}",
    "pair": "the same messages as {id}",
    "prompt": "the same prompt as {id}, whose reply is better",
}


def dedup(
    params: Any,
    corpus: Path,
    instructions: Path,
    documents: Path,
    benchmarks: Path,
    train: Path,
    validation: Path,
    instructions_out: Path,
    documents_out: Path,
    record: Path,
    results: Path,
    run: Run,
) -> dict[str, Any]:
    settings, work, workers = params.dedup, run.work, run.processes
    shards.warm(workers, load)
    clock = Clock(run)
    sources = {"corpus": corpus, "instructions": instructions, "documents": documents}
    parts = {role: {f"{role}-{part.stem}": part for part in parquet.parts(path)} for role, path in sources.items()}

    shelves = read(parts, Shingles.of(settings, params.seed), work / "read", workers)
    clock.lap("read")
    fates, pairs = compare_documents(shelves["corpus"], settings, work, workers, clock.lap)
    write_columns(work / "fates-corpus", fates)
    write_columns(work / "fates-instructions", compare_conversations(shelves["instructions"]))
    held_out = np.flatnonzero(shelves["corpus"].column("held_out", np.bool_) & (fates["original"] == NONE))
    texts = checked_texts(benchmarks, shelves["corpus"].texts(held_out), documents, settings.validation_share)
    form = partial(cleaned, kinds=params.clean.personal_data)
    checked = Overlaps.made_once(work / "overlaps", texts, settings.overlap_chars, form)
    clock.lap("index")

    funnels, dropped = write(
        *(parts, shelves, work),
        min_chars=params.clean.min_chars,
        validation_share=settings.validation_share,
        workers=workers,
    )
    clock.lap("write")
    counts = funnels["corpus"].counts
    for split in SPLITS:
        if not counts[f"{split}_documents"]:
            raise UserError(
                f"the {split} split is empty: {counts['read']} documents read, {dict(sorted((+counts).items()))}; "
                "give more text, or change clean.min_chars or dedup.validation_share"
            )
        counts[f"{split}_groups"] = count_groups(work / "written", parts["corpus"], split)
    outputs = [("corpus", "train", train), ("corpus", "validation", validation)]
    outputs += [("instructions", "kept", instructions_out), ("documents", "kept", documents_out)]
    for role, name, folder in outputs:
        collect(work / "written", parts[role], name, folder)
    gate.write(record, recorded := gate.record([checked], dropped))
    write_results(results, funnels, shelves, parts)
    clock.lap("collect")
    found = {role: dict(sorted(funnel.counts.items())) for role, funnel in funnels.items()}
    return found | {"pairs": pairs, "benchmarks": gate.numbers(recorded)}


def load() -> None:
    """Load the kernels and tables of both rounds, which takes half a second."""
    factors, summands = sketches.permutations(0, 1)
    sketches.sketch(np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64), 1, factors, summands, 1)
    sketches.gram_set(b"", 1)
    normalised("")


class Clock:
    """Seconds by step, for timings/dedup.json and the log."""

    def __init__(self, run: Run) -> None:
        self.run, self.last = run, time.perf_counter()

    def lap(self, step: str) -> None:
        """Record the seconds since the last call as those of a step."""
        now = time.perf_counter()
        self.run.rates[f"{step}_seconds"] = now - self.last
        say(f"dedup: {step} took {now - self.last:.1f} s")
        self.last = now


def write_results(
    folder: Path,
    funnels: Mapping[str, Funnel],
    shelves: Mapping[str, Shelf],
    parts: Mapping[str, Mapping[str, Path]],
) -> None:
    """Tables drops and kept: samples of what each step dropped or shortened, and of what stays."""
    folder.mkdir(parents=True)
    drops = []
    for role, funnel in funnels.items():
        for row in funnel.rows(STEPS):
            if row["step"] in REASONS:
                better = record_id(shelves[role], list(parts[role].values()), int(row["reason"]))
                row = {**row, "reason": REASONS[row["step"]].format(id=better, value=row["value"])}
            drops.append(row)
    parquet.write(folder / "drops", drops, parquet.DROPS)
    parquet.write(folder / "kept", funnels["corpus"].rows([KEPT]), parquet.DROPS)


def record_id(shelf: Shelf, parts: Sequence[Path], place: int) -> str:
    """The id of the record at a place of the whole table."""
    number = int(np.searchsorted(shelf.starts, place, "right")) - 1
    with pq.ParquetFile(parts[number]) as file:
        found: str = file.read(columns=["id"])["id"][place - int(shelf.starts[number])].as_py()
    return found


if __name__ == "__main__":
    run_stage(dedup)
