"""Clean the corpus, the instructions and the documents; split by whole laws and whole chapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from woodblock import cleaning, tables
from woodblock.errors import UserError
from woodblock.progress import track
from woodblock.stage import run_stage
from woodblock.statutes import law_group


def clean(
    params: Any,
    raw_corpus: Path,
    raw_instructions: Path,
    raw_documents: Path,
    train: Path,
    validation: Path,
    instructions: Path,
    documents: Path,
) -> dict[str, Any]:
    return {
        "corpus": clean_corpus(raw_corpus, train, validation, params.clean.min_chars, params.clean.validation_share),
        "instructions": clean_instructions(raw_instructions, instructions),
        "documents": clean_documents(raw_documents, documents, params.clean.validation_share),
    }


def clean_corpus(raw: Path, train: Path, validation: Path, min_chars: int, share: float) -> dict[str, int]:
    """Write the two splits; return the funnel's counts and both sizes."""
    held_out_lines = {
        cleaning.fingerprint(line)
        for record in track(tables.stream(raw), "clean: validation lines", "documents", tables.count(raw))
        if cleaning.held_out(record["group"], share)
        for line in cleaning.long_lines(cleaning.repair(record["text"]))
    }
    funnel, groups = cleaning.Funnel(), {"train": set(), "validation": set()}
    with tables.Writer(train, tables.CORPUS) as trained, tables.Writer(validation, tables.CORPUS) as held_out:
        for record in track(tables.stream(raw), "clean: corpus", "documents", tables.count(raw)):
            text, removed = cleaning.repair(record["text"]), 0
            is_held_out = cleaning.held_out(record["group"], share)
            if not is_held_out:
                text, removed = cleaning.without_lines(text, held_out_lines)
            if not funnel.keep(text, min_chars=min_chars):
                continue
            split, table = ("validation", held_out) if is_held_out else ("train", trained)
            table.add({**record, "text": text})
            groups[split].add(record["group"])
            funnel.counts[f"{split}_chars"] += len(text)
            funnel.counts["train_lines_removed"] += removed
    for split, table in (("train", trained), ("validation", held_out)):
        if not table.written:
            raise UserError(
                f"the {split} split is empty: {funnel.counts['read']} documents read, {dict(funnel.counts)}; "
                "give more text, or change clean.min_chars or clean.validation_share"
            )
        funnel.counts[f"{split}_documents"] = table.written
        funnel.counts[f"{split}_groups"] = len(groups[split])
    return dict(funnel.counts)


def clean_instructions(raw: Path, out: Path) -> dict[str, int]:
    funnel = cleaning.Funnel()
    with tables.Writer(out, tables.INSTRUCTIONS) as table:
        for record in track(tables.stream(raw), "clean: instructions", "conversations", tables.count(raw)):
            messages, cause = cleaning.conversation(record["messages"])
            if messages is None:
                funnel.drop(cause)
            elif funnel.keep("\n".join(f"{m['role']}: {m['content']}" for m in messages)):
                table.add({**record, "messages": messages})
    return dict(funnel.counts)


def clean_documents(raw: Path, out: Path, share: float) -> dict[str, int]:
    funnel, laws = cleaning.Funnel(), {"train": set(), "validation": set()}
    with tables.Writer(out, tables.SPLIT_DOCUMENTS) as table:
        for record in track(tables.stream(raw), "clean: documents", "articles", tables.count(raw)):
            text = cleaning.repair(record["text"])
            # One law may say the same in two articles, and two laws in one each: the place is part of what is said.
            if not funnel.keep(text, key=f"{record['law']}\n{record['article']}\n{text}"):
                continue
            split = "validation" if cleaning.held_out(law_group(record["law"]), share) else "train"
            table.add({**record, "text": text, "split": split})
            laws[split].add(record["law"])
    for split, names in laws.items():
        funnel.counts[f"{split}_laws"] = len(names)
    return dict(funnel.counts)


if __name__ == "__main__":
    run_stage(clean)
