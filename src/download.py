"""Fetch the sources, verify them, and write one table a role: corpus, instructions, documents; and a manifest."""

import json
from collections import Counter

from woodblock import fetching, sources, tables
from woodblock.progress import track
from woodblock.stage import WORK, run_stage

SCHEMAS = {"corpus": tables.CORPUS, "instructions": tables.INSTRUCTIONS, "documents": tables.DOCUMENTS}


def download(params, corpus, instructions, documents, manifest, run):
    tables_of = {"corpus": corpus, "instructions": instructions, "documents": documents}
    wanted = {role: getattr(params.download, role) for role in tables_of}
    # All are fetched before any is read, so that what cannot be had is known at once.
    fetched = {}
    for source in (source for role in wanted for source in wanted[role]):
        if (source.url, source.sha256) not in fetched:
            fetched[source.url, source.sha256] = fetching.fetch(source, params.mirror, WORK / "downloads")

    entries, metrics = {}, {}
    for role, folder in tables_of.items():
        entries[role], size = [], Counter()
        rows = read(wanted[role], fetched, role, entries[role], size, run.work)
        size["records"] = tables.write(folder, track(rows, f"download {role}", "records"), SCHEMAS[role])
        metrics[role] = {"records": size["records"], "characters": size["characters"]}
    manifest.write_text(json.dumps(entries, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return metrics


def read(wanted, fetched, role, entries, size, work):
    """Yield the rows of a role's sources in turn; fill in the manifest's entries and count characters on the way."""
    numbers = Counter()
    for source in wanted:
        file = fetched[source.url, source.sha256]
        tally = sources.Tally(numbers=numbers)
        records = 0
        for row in sources.rows(source, file, role, tally, work):
            records += 1
            texts = [message["content"] for message in row["messages"]] if "messages" in row else [row["text"]]
            size["characters"] += sum(map(len, texts))
            yield row
        described = source.model_dump(include={"url", "member", "format", "licence", "max_records"})
        counted = {"records": records, "dropped": dict(+tally.dropped), "mended": dict(+tally.mended)}
        entries.append(described | {"sha256": file.sha256, "bytes": file.bytes} | counted)


if __name__ == "__main__":
    run_stage(download)
