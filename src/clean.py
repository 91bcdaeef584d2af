"""Clean corpus, instructions and documents, each record by itself: repair, strip, mask, drop, score; shard by shard."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from woodblock.base.files import partial_of, replace
from woodblock.base.progress import track
from woodblock.cleaning import boilerplate, encodings, losses, markup, measures, personal_data, spam, steps
from woodblock.cleaning.filters import Limits
from woodblock.cleaning.quality import Model
from woodblock.cleaning.repairing import repair
from woodblock.run import shards
from woodblock.run.stage import Run, run_stage
from woodblock.tables import parquet, texts
from woodblock.tables.funnel import KEPT, Funnel

BATCH_CHARS = 2_000_000  # characters in memory at once, in each process
SAMPLED_CHARS = 2_000  # of a document, for the quality model
SAMPLED_ROWS = 100  # rows in memory at once while sampling
SAMPLED_PARTS = 16  # at most so many parts of the table are sampled, at even distances


def clean(
    params: Any,
    raw_corpus: Path,
    raw_instructions: Path,
    raw_documents: Path,
    corpus: Path,
    instructions: Path,
    documents: Path,
    results: Path,
    run: Run,
) -> dict[str, Any]:
    shards.warm(run.processes, load)
    limits = Limits.of(params.clean, [*params.download.corpus, *params.download.instructions])
    model = run.work / "quality.npy"
    if not Model.is_whole(model):
        count_model(raw_corpus, limits, params.clean.quality_chars, model, run.processes)
    roles = {"instructions": (raw_instructions, instructions), "corpus": (raw_corpus, corpus)}
    tasks = {
        f"{role}-{number:05d}": (role, str(part), limits, str(model))
        for role, (raw, _) in roles.items()
        for number, part in enumerate(parquet.parts(raw))
    }
    done = shards.work(clean_shard, tasks, run.work / "shards", run.processes, "clean")

    funnels = {role: Funnel() for role in roles}
    sources = {role: losses.of_no_source() for role in roles}
    histograms: steps.Histograms = {}
    for name, result in done.items():
        role, _, number = name.partition("-")
        out = roles[role][1]
        out.mkdir(exist_ok=True)
        shards.place(run.work / "shards" / name / "part.parquet", out / f"part-{number}.parquet")
        funnels[role].merge(**result["funnel"])
        losses.add(sources[role], result["sources"])
        steps.add_histograms(histograms, result["histograms"])
    funnels["documents"] = clean_documents(raw_documents, documents)
    warned = losses.checked({role: funnel.counts for role, funnel in funnels.items()}, sources)
    write_results(results, funnels, histograms)
    found = {role: dict(sorted((+funnel.counts).items())) for role, funnel in funnels.items()}
    return {**found, **({"warnings": warned} if warned else {})}


def load() -> None:
    """Load the kernels and tables of cleaning, which takes half a second."""
    text = repair(markup.plain(f"<p>版权所有</p>{personal_data.SHORT_CHARS * '文'}"))
    text, _ = boilerplate.without_boilerplate(text)
    personal_data.mask(text)
    encodings.broken(encodings.mend(text))
    measures.measure([text])
    spam.points(text)
    Model.count([text]).bits_per_byte([text])


def count_model(raw: Path, limits: Limits, characters: int, path: Path, workers: int) -> None:
    """Count the quality model on cleaned documents, drawn evenly from the first row group of each sampled part."""
    parts = parquet.parts(raw)
    parts = parts[:: stride(len(parts), SAMPLED_PARTS)]
    quota = characters // len(parts) // SAMPLED_CHARS + 1
    # Documents of every language are counted: asking py3langid would take longer than the whole sample.
    limits = dataclasses.replace(limits, min_han=0.0, languages=[*limits.languages, "zh"])
    sampled = shards.map_in_order(sample, [(part, limits, quota) for part in parts], workers)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    found = track(sampled, "clean: sample for the quality model", "shards", len(parts))
    Model.count(text for texts in found for text in texts).save(partial)
    replace(partial, path)


def sample(task: tuple[Path, Limits, int]) -> list[str]:
    """The cleaned beginnings of about `quota` documents from the first row group of a part."""
    part, limits, quota = task
    heads = []
    with pq.ParquetFile(part) as file:
        rows = file.metadata.row_group(0).num_rows if file.num_row_groups else 0
        wanted, first = range(0, rows, stride(rows, quota)), 0
        for batch in file.iter_batches(SAMPLED_ROWS, row_groups=[0] if rows else [], columns=["text"]):
            places = range(-first % wanted.step, len(batch), wanted.step)
            # Twice as many characters as wanted, since half of a page may be markup.
            heads += [batch["text"][place].as_py()[: 2 * SAMPLED_CHARS] for place in places]
            first += len(batch)
    records = [{"id": "", "source": "", "text": text} for text in heads]
    return [record["text"][:SAMPLED_CHARS] for record in steps.documents(records, limits, None, Funnel())]


def clean_shard(task: tuple[str, str, Limits, str], folder: Path) -> dict[str, Any]:
    """Clean a part of a table into part.parquet; returns its funnel and histograms."""
    role, part, limits, model_path = task
    funnel = Funnel()
    histograms: steps.Histograms = {}
    sources = losses.of_no_source()
    model = Model.load(Path(model_path))
    columns = parquet.CLEANED if role == "corpus" else parquet.INSTRUCTIONS
    with parquet.Writer(folder / "table", columns) as table:
        for batch in batches(parquet.stream_part(Path(part))):
            if role == "corpus":
                kept = steps.documents(batch, limits, model, funnel)
                steps.add_histograms(histograms, steps.histograms(kept))
            else:
                kept = steps.conversations(batch, limits, funnel)
            losses.add(sources, {"read": losses.by_source(batch), "kept": losses.by_source(kept)})
            for record in kept:
                table.add(record)
    os.replace(folder / "table" / "part-00000.parquet", folder / "part.parquet")
    (folder / "table").rmdir()
    return {"funnel": funnel.as_json(), "histograms": histograms, "sources": sources}


def batches(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The records in lists of about BATCH_CHARS characters."""
    batch: list[dict[str, Any]] = []
    size = 0
    for record in records:
        batch.append(record)
        size += parquet.characters(record)
        if size >= BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def stride(total: int, wanted: int) -> int:
    """The step from one sample to the next, at least 1, that takes at most `wanted` of `total` records."""
    return max(1, math.ceil(total / wanted))


def clean_documents(raw: Path, out: Path) -> Funnel:
    """Repair articles and drop repeated ones. Nothing else is changed: answers quote articles as they stand in the law."""
    funnel, seen = Funnel(), set()
    with parquet.Writer(out, parquet.DOCUMENTS) as table:
        for record in track(parquet.stream(raw), "clean: documents", "articles", parquet.count(raw)):
            funnel.counts["read"] += 1
            text = repair(record["text"])
            # Two articles may have the same text, in one law or in two laws. They are not duplicates of each other.
            mark = texts.fingerprint(f"{record['law']}\n{record['article']}\n{text}")
            if not text or mark in seen:
                step = "duplicate" if text else "empty"
                funnel.drop(step, {"id": record["id"], "source": record["law"]}, text, record["article"])
                continue
            seen.add(mark)
            funnel.counts["kept"] += 1
            table.add({**record, "text": text})
    return funnel


def write_results(folder: Path, funnels: dict[str, Funnel], histograms: steps.Histograms) -> None:
    """results/clean: drops and kept (tables of samples), histograms.json."""
    folder.mkdir(parents=True)
    names = [*steps.STEPS, "roles", "empty", "cut", "duplicate"]
    drops = (row for funnel in funnels.values() for row in funnel.rows(names))
    parquet.write(folder / "drops", drops, parquet.DROPS)
    parquet.write(folder / "kept", funnels["corpus"].rows([KEPT]), parquet.DROPS)
    edges = {"length": steps.LENGTHS, "bits": steps.BITS}
    text = json.dumps({"edges": edges, "counts": histograms}, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "histograms.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(clean)
