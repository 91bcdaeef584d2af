"""Documents beside each other: remove duplicates, hold out a validation split, let no benchmark into training.

Two rounds over the shards of the corpus. The first keeps of each document what it is compared by (near_duplicates.py);
what is then decided stands in a few bytes a document; the second writes the documents that stay, without the paragraphs
that stand in a better one and without what they share with a benchmark or with held-out text (decontamination.py).
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.decontamination import overlaps as decontamination
from woodblock.decontamination.overlaps import OWN, Overlaps
from woodblock.duplicates import near_duplicates as near
from woodblock.duplicates.near_duplicates import NONE, Shelf
from woodblock.run import shards
from woodblock.run.stage import Run, run_stage
from woodblock.sources.statutes import law_group
from woodblock.tables import parquet
from woodblock.tables.funnel import KEPT, Funnel
from woodblock.tables.texts import BLANK_LINES, fingerprint
from woodblock.tables.texts import held_out as is_held_out

# The steps that drop (or, of paragraphs and validation, shorten) a record, in order.
STEPS = ("exact", "near", "paragraphs", "pair", "prompt", "benchmarks", "validation", "short")
# How a sample's reason names the better record. Until the end the reason is that record's place alone.
REASONS = {
    "exact": "the same letters as {id}",
    "near": "Jaccard {value:.2f} with {id}",
    "paragraphs": "also in {id}",
    "pair": "the same messages as {id}",
    "prompt": "the same prompt as {id}, whose reply is better",
}
# What a whole reply ends with: the end of a sentence, or what closes a quotation, a bracket, code, a table.
ENDS = tuple("。！？…；.!?;”’』」）)】]》>}`|~")
SPLITS = ("train", "validation")


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
    shards.warm(params.threads, load)
    sources = {"corpus": corpus, "instructions": instructions, "documents": documents}
    parts = {role: {f"{role}-{part.stem}": part for part in parquet.parts(path)} for role, path in sources.items()}
    clock = Clock(run)

    shelves = read(parts, params, run.work / "read")
    clock.lap("read")
    fates, pairs = compare_documents(shelves["corpus"], params, run.work, clock)
    save(run.work / "fates-corpus", fates)
    save(run.work / "fates-instructions", compare_conversations(shelves["instructions"]))
    held_out = np.flatnonzero(shelves["corpus"].column("held_out", np.bool_) & (fates["original"] == NONE))
    checked = index(benchmarks, shelves["corpus"].texts(held_out), documents, params.dedup, run.work / "overlaps")
    clock.lap("index")

    funnels, dropped = write(parts, shelves, params, run.work)
    clock.lap("write")
    counts = funnels["corpus"].counts
    for split in SPLITS:
        if not counts[f"{split}_documents"]:
            raise UserError(
                f"the {split} split is empty: {counts['read']} documents read, {dict(sorted((+counts).items()))}; "
                "give more text, or change clean.min_chars or dedup.validation_share"
            )
        counts[f"{split}_groups"] = count_groups(run.work / "written", parts["corpus"], split)
    outputs = [("corpus", "train", train), ("corpus", "validation", validation)]
    outputs += [("instructions", "kept", instructions_out), ("documents", "kept", documents_out)]
    for role, name, folder in outputs:
        collect(run.work / "written", parts[role], name, folder)
    decontamination.write(record, decontamination.record([checked], dropped))
    write_results(results, funnels, shelves, parts)
    clock.lap("collect")
    return {role: dict(sorted(funnel.counts.items())) for role, funnel in funnels.items()} | {"pairs": pairs}


def load() -> None:
    """Load the kernels and tables of both rounds, which takes half a second."""
    factors, summands = near.permutations(0, 1)
    near.sketch(np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64), 1, factors, summands, 1)
    near.gram_set(b"", 1)
    decontamination.normalised("")


class Clock:
    """Seconds by step, for timings/dedup.json and the log."""

    def __init__(self, run: Run) -> None:
        self.run, self.last = run, time.perf_counter()

    def lap(self, step: str) -> None:
        """Name what was done since the last call."""
        now = time.perf_counter()
        self.run.rates[f"{step}_seconds"] = now - self.last
        say(f"dedup: {step} took {now - self.last:.1f} s")
        self.last = now


# --- round one: what records are compared by --------------------------------------------------------------------------


class Shingles(NamedTuple):
    """How documents are sketched: the settings of the block dedup under their names there, and the seed."""

    ngram: int
    bands: int
    rows: int
    paragraph_chars: int
    validation_share: float
    seed: int


def read(parts: Mapping[str, Mapping[str, Path]], params: Any, folder: Path) -> dict[str, Shelf]:
    """Round one. Returns by role the files of what its records are compared by."""
    settings = params.dedup
    shingles = Shingles(*(getattr(settings, name) for name in Shingles._fields[:-1]), seed=params.seed)
    tasks: dict[str, Any] = {name: (part, shingles) for name, part in parts["corpus"].items()}
    tasks |= {name: (part, None) for name, part in parts["instructions"].items()}
    done = shards.work(read_part, tasks, folder, params.threads, "dedup: read")
    return {
        role: Shelf.of(folder, {name: done[name]["records"] for name in parts[role]})
        for role in ("corpus", "instructions")
    }


def read_part(task: tuple[Path, Shingles | None], folder: Path) -> dict[str, int]:
    """Sketch the documents of a part, or fingerprint its conversations where no shingles are given."""
    part, shingles = task
    return {"records": sketch_documents(part, shingles, folder) if shingles else sketch_conversations(part, folder)}


def sketch_documents(part: Path, shingles: Shingles, folder: Path) -> int:
    """Write what documents are compared by, and their texts; returns their number."""
    with pq.ParquetFile(part) as file:  # read_table and to_numpy would import pandas
        table = file.read(columns=["text", "quality", "group"])
    starts, data = utf8(table["text"])
    starts.tofile(folder / "starts.bin")
    data.tofile(folder / "texts.bin")
    factors, summands = near.permutations(shingles.seed, shingles.bands * shingles.rows)
    found = near.sketch(data, starts, shingles.ngram, factors, summands, shingles.paragraph_chars)
    near.keep_sketches(found, shingles.bands, shingles.rows, folder)
    qualities = [np.zeros(0), *(np.from_dlpack(chunk) for chunk in table["quality"].chunks)]
    np.concatenate(qualities).tofile(folder / "qualities.bin")
    held_out = [is_held_out(group, shingles.validation_share) for group in table["group"].to_pylist()]
    np.array(held_out, dtype=np.bool_).tofile(folder / "held_out.bin")
    return len(table)


def utf8(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The texts of a column one after the other: where each begins, and the last one ends (int64), and uint8 data."""
    starts, pieces, total = [np.zeros(1, dtype=np.int64)], [np.zeros(0, dtype=np.uint8)], 0
    for chunk in column.chunks:
        if len(chunk):
            _, offsets, data = chunk.cast(pa.large_string()).buffers()
            places = np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            pieces.append(np.frombuffer(data or b"", dtype=np.uint8)[places[0] : places[-1]])
            starts.append(places[1:] - places[0] + total)
            total += int(places[-1] - places[0])
    return np.concatenate(starts), np.concatenate(pieces)


def sketch_conversations(part: Path, folder: Path) -> int:
    """Write what conversations are compared by: prompt, all messages, whether the last reply is whole, length."""
    prompts, pairs, whole, lengths = [], [], [], []
    for record in parquet.stream_part(part, ["messages"]):
        messages = record["messages"]
        until = next((n for n, message in enumerate(messages, start=1) if message["role"] == "user"), len(messages))
        prompts.append(said(messages[:until]))
        pairs.append(said(messages))
        replies = [message["content"] for message in messages if message["role"] == "assistant"]
        whole.append(bool(replies) and replies[-1].endswith(ENDS))
        lengths.append(sum(map(len, replies)))
    columns = {"prompts": (prompts, np.uint64), "pairs": (pairs, np.uint64)}
    columns |= {"whole": (whole, np.bool_), "lengths": (lengths, np.uint32)}
    for name, (values, dtype) in columns.items():
        np.array(values, dtype=dtype).tofile(folder / f"{name}.bin")
    return len(prompts)


def said(messages: Sequence[Mapping[str, str]]) -> int:
    """64 bits that two runs of messages share only if they are equal but for white space. (Punctuation counts: 2-1 and
    2+1 are two questions.)
    """
    text = "\0".join(f"{message['role']}\0{''.join(message['content'].split())}" for message in messages)
    return int.from_bytes(fingerprint(text)[:8], "big")


# --- what goes --------------------------------------------------------------------------------------------------------


def compare_documents(
    shelf: Shelf, params: Any, work: Path, clock: Clock
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The fate of each document, and how many pairs were compared. Writes the paragraphs that go to work/paragraphs.

    A fate is `original` (uint32: the place of the better document for which it goes, or NONE) and `similar` (float32:
    their Jaccard index; 0 for an exact copy, which was not compared).
    """
    settings, permutations = params.dedup, params.dedup.bands * params.dedup.rows
    lengths = shelf.column("lengths", np.uint32)
    ranks = near.ranking(shelf.column("qualities", np.float64), lengths)
    order = np.argsort(ranks).astype(np.uint32)
    original = near.exact_copies(shelf, ranks)
    comparable = np.where((original == NONE) & (lengths >= settings.ngram), ranks, NONE)
    save(work / "ranks", {"ranks": comparable, "order": order})
    clock.lap("exact")

    meetings = near.meetings(shelf, work / "ranks" / "ranks.bin", settings.bands)
    shards.work(near.meet, meetings, work / "meetings", params.threads, "dedup: buckets")
    places = [(work / "meetings" / name, band) for name, task in meetings.items() for band in task.bands]
    tasks = near.comparisons(
        *(shelf, work / "ranks" / "order.bin", places),
        *(settings.ngram, permutations, settings.threshold, settings.edited, settings.copied),
    )
    done = shards.work(near.compare, tasks, work / "comparisons", params.threads, "dedup: pairs")
    better, similar = np.full(len(shelf), NONE, dtype=np.uint32), np.zeros(len(shelf), dtype=np.float32)
    for name in tasks:
        near.drop_worse(*near.near_pairs(work / "comparisons" / name), better, similar)
    is_near = better[ranks] != NONE
    original[is_near] = order[better[ranks][is_near]]
    clock.lap("near")

    held_out = shelf.column("held_out", np.bool_)
    trained = np.where((original == NONE) & ~held_out, ranks, NONE)
    near.repeated_paragraphs(shelf, trained, settings.paragraph_documents, work / "paragraphs")
    clock.lap("paragraphs")
    pairs = {key: sum(result[key] for result in done.values()) for key in ("candidates", "compared", "alike", "near")}
    return {"original": original, "similar": similar[ranks]}, pairs


def compare_conversations(shelf: Shelf) -> dict[str, np.ndarray]:
    """The fate of each conversation: `original`, as of documents, and `by_prompt` (bool: only the prompt is the same).

    Of conversations with the same messages the first stays; then, of those with the same system and first user message,
    the best: one whose last reply ends like a sentence, then the one whose replies are longest. In
    memory: 21 bytes a conversation, and 24 more to put them in order.
    """
    prompts, pairs = shelf.column("prompts", np.uint64), shelf.column("pairs", np.uint64)
    whole, lengths = shelf.column("whole", np.bool_), shelf.column("lengths", np.uint32).astype(np.int64)
    places = np.arange(len(shelf))
    original = first_of_each(pairs, places)
    left = np.flatnonzero(original == NONE)
    best = np.lexsort((left, -lengths[left], ~whole[left]))
    left = left[best]
    of_prompt = first_of_each(prompts[left], left)
    by_prompt = np.zeros(len(shelf), dtype=np.bool_)
    by_prompt[left[of_prompt != NONE]] = True
    original[left] = of_prompt
    return {"original": original, "by_prompt": by_prompt}


def first_of_each(keys: np.ndarray, places: np.ndarray) -> np.ndarray:
    """uint32 [n]: for each that has the key of an earlier one, the place of the first; NONE for the first."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = places[first][inverse].astype(np.uint32)
    original[first] = NONE
    return original


def save(folder: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write arrays as raw files, from which a shard reads its own rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        values.tofile(folder / f"{name}.bin")


def index(benchmarks: Path, held_out: Iterator[bytes], documents: Path, settings: Any, folder: Path) -> Overlaps:
    """Index what no training text may share: the benchmarks' questions, held-out documents and held-out articles."""

    def asked() -> Iterator[tuple[str, str]]:
        for row in parquet.stream(benchmarks, ["benchmark", "text"]):
            if row["benchmark"] == OWN:
                raise UserError(f"download.benchmarks: {OWN} is the name of the pipeline's own; give name: another")
            yield row["benchmark"], row["text"]
        texts = ({"text": text.decode("utf-8")} for text in held_out)
        articles = (
            {"text": row["text"], "split": side(row["law"], settings.validation_share)}
            for row in parquet.stream(documents, ["law", "text"])
        )
        yield from decontamination.own_texts(texts, articles)

    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        Overlaps.of(asked(), settings.overlap_chars).save(partial)
        os.replace(partial, folder)
    return Overlaps.load(folder)


def side(law: str, share: float) -> str:
    """The split of an article: that of the law that it belongs to."""
    return "validation" if is_held_out(law_group(law), share) else "train"


# --- round two: write what stays --------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A task: write what stays of a part of a table."""

    role: str
    part: Path
    work: Path
    shelf: Shelf | None  # of the role; articles have none
    number: int  # of the part
    min_chars: int
    validation_share: float


def write(
    parts: Mapping[str, Mapping[str, Path]], shelves: Mapping[str, Shelf], params: Any, work: Path
) -> tuple[dict[str, Funnel], dict[str, dict[str, int]]]:
    """Round two. Returns the funnel of each role, and by benchmark what was dropped for it."""
    tasks = {
        name: Part(
            *(role, part, work, shelves.get(role), number),
            *(params.clean.min_chars, params.dedup.validation_share),
        )
        for role in parts
        for number, (name, part) in enumerate(parts[role].items())
    }
    done = shards.work(write_part, tasks, work / "written", params.threads, "dedup: write")
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
    """By benchmark and kind of record, how many went."""

    def add(self, benchmarks: Sequence[str], kind: str, number: int = 1) -> None:
        for benchmark in benchmarks:
            counts = self.setdefault(benchmark, {})
            counts[kind] = counts.get(kind, 0) + number


def write_documents(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Tables train and validation, and groups-<split>.bin: hashes of the names of their groups, uint64, ascending."""
    fate = fates(task, original=np.uint32, similar=np.float32)
    held_out = task.shelf.shard("held_out", task.number, np.bool_)
    repeated = repeated_paragraphs(task)
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
                    text = without_paragraphs(record, repeated[place], funnel)
                text = without_overlaps(record, text, overlaps, funnel, dropped)
                if text is None:
                    continue
                if len(text) < task.min_chars:
                    funnel.drop("short", record, text, f"{len(text)} characters are left", len(text))
                    continue
            writers[split].add({**record, "text": text})
            funnel.counts[f"{split}_documents"] += 1
            funnel.counts[f"{split}_chars"] += len(text)
            funnel.sample(KEPT, record, text, split, record["quality"])
            groups[split].add(int.from_bytes(fingerprint(record["group"])[:8], "big"))
    save(folder, {f"groups-{split}": np.array(sorted(names), dtype=np.uint64) for split, names in groups.items()})


def fates(task: Part, **dtypes: Any) -> dict[str, np.ndarray]:
    """The rows of a part in the files that `save` wrote for its role."""
    first, last = task.shelf.starts[task.number : task.number + 2].tolist()
    return {
        name: np.fromfile(
            task.work / f"fates-{task.role}" / f"{name}.bin",
            dtype,
            count=last - first,
            offset=first * np.dtype(dtype).itemsize,
        )
        for name, dtype in dtypes.items()
    }


def repeated_paragraphs(task: Part) -> dict[int, list[tuple[int, int, int]]]:
    """By document of the part: where the paragraphs that go begin and end, in its UTF-8, and the place of the document
    that keeps each.
    """
    starts = task.shelf.shard("starts", task.number, np.int64)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for document, start, end, keeper in near.paragraphs_that_go(task.work / "paragraphs", task.shelf, task.number):
        found.setdefault(document, []).append((start - int(starts[document]), end - int(starts[document]), keeper))
    return found


def without_paragraphs(record: Mapping[str, Any], gone: list[tuple[int, int, int]], funnel: Funnel) -> str:
    """A document's text without some of its lines."""
    data = record["text"].encode("utf-8")
    pieces, behind = [], 0
    for start, end, _ in gone:
        pieces.append(data[behind:start])
        behind = end + 1  # its newline goes too
    pieces.append(data[behind:])
    funnel.change("paragraphs")
    funnel.counts["paragraphs_removed"] += len(gone)
    start, end, keeper = gone[0]
    funnel.sample("paragraphs", record, data[start:end].decode("utf-8"), str(keeper), len(gone))
    return tidy(b"".join(pieces).decode("utf-8"))


def without_overlaps(
    record: Mapping[str, Any], text: str, overlaps: Overlaps, funnel: Funnel, dropped: Dropped
) -> str | None:
    """A training text without the lines that it shares with held-out text; None where it holds a benchmark's question."""
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
        return tidy(left)
    return text


def lines_that_went(text: str, left: str) -> str:
    """The different lines of a text of which there are fewer in what is left of it."""
    return "\n".join(Counter(text.split("\n")) - Counter(left.split("\n")))


def tidy(text: str) -> str:
    """A text from which lines went, without the holes that they left."""
    return (BLANK_LINES.sub("\n\n", text) if "\n\n\n" in text else text).strip()


def write_conversations(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Table kept: conversations that are no duplicates and share no run with a benchmark or with held-out text."""
    fate = fates(task, original=np.uint32, by_prompt=np.bool_)
    with parquet.Writer(folder / "kept", parquet.INSTRUCTIONS) as table:
        for place, record in enumerate(parquet.stream_part(task.part)):
            funnel.counts["read"] += 1
            text = "\n".join(message["content"] for message in record["messages"])
            if fate["original"][place] != NONE:
                step = "prompt" if fate["by_prompt"][place] else "pair"
                funnel.drop(step, record, text, str(fate["original"][place]))
            elif found := overlaps.benchmarks(text):
                dropped.add(found, "conversations")
                step = "validation" if found == [OWN] else "benchmarks"
                funnel.drop(step, record, text, ", ".join(found), len(found))
            else:
                funnel.counts["kept"] += 1
                table.add(record)


def write_articles(task: Part, folder: Path, overlaps: Overlaps, funnel: Funnel, dropped: Dropped) -> None:
    """Table kept: all articles with their split. One that shares a run with a benchmark or a held-out article is
    "shared": it is indexed, for retrieval may find what the model never learned; no training example is made from it.
    """
    with parquet.Writer(folder / "kept", parquet.SPLIT_DOCUMENTS) as table:
        for record in parquet.stream_part(task.part):
            funnel.counts["read"] += 1
            split = side(record["law"], task.validation_share)
            if split == "train" and (found := overlaps.benchmarks(record["text"])):
                split = "shared"
                dropped.add(found, "articles")
                step = "validation" if found == [OWN] else "benchmarks"
                funnel.change(step)
                named = {"id": record["id"], "source": record["law"]}
                funnel.sample(step, named, record["text"], ", ".join(found), len(found))
            funnel.counts[f"{split}_articles"] += 1
            table.add({**record, "split": split})


# --- outputs ----------------------------------------------------------------------------------------------------------


def collect(written: Path, names: Sequence[str], table: str, folder: Path) -> None:
    """Make one table of the shards' parts of it; empty ones are left out, but for the only one."""
    folder.mkdir(parents=True)
    found = [part for name in names for part in parquet.parts(written / name / table)]
    kept = [part for part in found if pq.read_metadata(part).num_rows] or found[:1]
    for number, part in enumerate(kept):
        shards.place(part, folder / f"part-{number:05d}.parquet")


def count_groups(written: Path, names: Sequence[str], split: str) -> int:
    """How many groups have a document in a split: 8 bytes a group in memory."""
    hashes = [np.fromfile(written / name / f"groups-{split}.bin", dtype=np.uint64) for name in names]
    return len(np.unique(np.concatenate(hashes)))


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
        return file.read(columns=["id"])["id"][place - int(shelf.starts[number])].as_py()


if __name__ == "__main__":
    run_stage(dedup)
