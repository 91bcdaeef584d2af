"""Fetch the sources, verify them, and write one table a role: corpus, instructions, documents; and say what came from where."""

import json
from collections import Counter

from woodblock import sources, tables
from woodblock.progress import track
from woodblock.stage import WORK, run_stage

SCHEMAS = {"corpus": tables.CORPUS, "instructions": tables.INSTRUCTIONS, "documents": tables.DOCUMENTS}


def download(params, corpus, instructions, documents, manifest, run):
    tables_of = {"corpus": corpus, "instructions": instructions, "documents": documents}
    wanted = {role: getattr(params.download, role) for role in tables_of}
    # All are fetched before any is read: what cannot be had is known within the first seconds, not after hours.
    fetched = {}
    for source in (source for role in wanted for source in wanted[role]):
        if (source.url, source.sha256) not in fetched:
            fetched[source.url, source.sha256] = sources.fetch(source, params.mirror, WORK / "downloads")

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
        tally = sources.Tally(numbers=numbers)
        file = fetched[source.url, source.sha256]
        records = 0
        for row in sources.rows(source, file, role, tally, work):
            records += 1
            size["characters"] += (
                sum(len(m["content"]) for m in row["messages"]) if "messages" in row else len(row["text"])
            )
            yield row
        entry = {"url": source.url, "member": source.member, "format": source.format, "licence": source.licence}
        entries.append(
            entry | {"sha256": file.sha256, "bytes": file.bytes, "records": records, "dropped": dict(tally.dropped)}
        )


if __name__ == "__main__":
    run_stage(download)
