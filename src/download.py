"""Fetch the sources, verify them, and write a table for each role (corpus, instructions, …) and a manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from woodblock.base.progress import say, track
from woodblock.run.settings.sources import Source
from woodblock.run.stage import WORK, Run, run_stage
from woodblock.sources import fetching, reading
from woodblock.sources.addresses import revision_of, shown
from woodblock.sources.archives import counted
from woodblock.sources.inspection import Row, Tally
from woodblock.sources.known_files import Fetched
from woodblock.tables import parquet

SCHEMAS = {
    "corpus": parquet.CORPUS,
    "instructions": parquet.INSTRUCTIONS,
    "documents": parquet.DOCUMENTS,
    "benchmarks": parquet.BENCHMARKS,
}

# What was fetched, by address and sha256: one file may serve several roles.
Files = dict[tuple[str, str | None], Fetched]


def download(
    params: Any, corpus: Path, instructions: Path, documents: Path, benchmarks: Path, manifest: Path, run: Run
) -> dict[str, Any]:
    folders = {"corpus": corpus, "instructions": instructions, "documents": documents, "benchmarks": benchmarks}
    wanted = {role: getattr(params.download, role) for role in folders}
    # All sources are fetched before any is read, so a source that cannot be fetched is reported at once.
    fetched: Files = {}
    for source in (source for role in wanted for source in wanted[role]):
        if (source.url, source.sha256) not in fetched:
            fetched[source.url, source.sha256] = fetching.fetch(source, params.mirror, WORK / "downloads")

    entries: dict[str, list[dict[str, Any]]] = {}
    metrics: dict[str, Any] = {}
    for role, folder in folders.items():
        size: Counter[str] = Counter()
        entries[role] = []
        rows = track(read(wanted[role], fetched, role, entries[role], size, run.work), f"download {role}", "records")
        size["records"] = parquet.write(folder, rows, SCHEMAS[role], part_characters=params.download.shard_chars)
        metrics[role] = {"records": size["records"], "characters": size["characters"]}
    manifest.write_text(json.dumps(entries, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return metrics


def read(
    wanted: Sequence[Source],
    fetched: Files,
    role: str,
    entries: list[dict[str, Any]],
    size: Counter[str],
    work: Path,
) -> Iterator[Row]:
    """Yield the rows of a role's sources in turn; meanwhile fill in the manifest's entries and count characters."""
    numbers: Counter[str] = Counter()
    for source in wanted:
        file = fetched[source.url, source.sha256]
        tally = Tally(numbers=numbers)
        records = 0
        for row in reading.rows(source, file, role, tally, work):
            records += 1
            texts = [message["content"] for message in row["messages"]] if "messages" in row else [row["text"]]
            size["characters"] += sum(map(len, texts))
            yield row
        entries.append(entry(source, file, tally, records))
        tell_losses(source, tally, records)


def tell_losses(source: Source, tally: Tally, records: int) -> None:
    """Say on the terminal what of a source was not read, and when more than half of its records were dropped."""
    url, dropped = shown(source.url), +tally.dropped
    if tally.skipped:
        say(
            f"download: {url}: {sum(tally.skipped.values()):,} files were skipped ({counted(tally.skipped)}); convert those "
            "that you want to read to text, HTML, Markdown or JSON Lines"
        )
    if tally.bad:
        first = tally.bad_samples[0]
        say(f"download: {url}: {tally.bad:,} bad records were skipped, the first: {first['where']}: {first['reason']}")
    if dropped.total() > records:
        causes = ", ".join(f"{count:,} {cause.replace('_', ' ')}" for cause, count in dropped.most_common())
        say(f"download: {url}: more than half of its records were dropped ({causes}); {records:,} are left")


def entry(source: Source, file: Fetched, tally: Tally, records: int) -> dict[str, Any]:
    """What the manifest says of a source: its address and licence, the commit that a hub gave, the file's sha256 and
    format, what was read, and what was not: records that were dropped or bad, and files that were skipped, by kind."""
    said = source.model_dump(include={"member", "columns", "licence", "weight", "max_records"})
    came = {"url": shown(source.url), "revision": revision_of(source.url), "commit": file.commit}
    found = {"sha256": file.sha256, "bytes": file.bytes, "format": ", ".join(sorted(tally.formats))}
    lost = {"dropped": dict(+tally.dropped), "mended": dict(+tally.mended), "skipped": dict(+tally.skipped)}
    bad = {"allowed": source.bad_records, "records": tally.bad, "samples": tally.bad_samples}
    return said | came | found | {"records": records, **lost, "bad": bad}


if __name__ == "__main__":
    run_stage(download, reuses="if stale")
