"""What no training text may share: the benchmarks' questions, held-out documents and held-out articles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.decontamination.gate import own_texts
from woodblock.decontamination.index import OWN
from woodblock.sources.statutes import law_group
from woodblock.tables import parquet
from woodblock.tables.texts import held_out


def checked_texts(
    benchmarks: Path, documents: Iterable[bytes], articles: Path, validation_share: float
) -> Iterator[tuple[str, str]]:
    """All of them, as pairs of benchmark and text for `Overlaps.of`.

    benchmarks, articles: tables. documents: the texts of the held-out documents, as UTF-8. validation_share: of the
    groups, which decides which articles are held out.
    Raises UserError for a benchmark that bears the name of the pipeline's own.
    """
    for row in parquet.stream(benchmarks, ["benchmark", "text"]):
        if row["benchmark"] == OWN:
            raise UserError(f"download.benchmarks: {OWN} is the name of the pipeline's own; give name: another")
        yield row["benchmark"], row["text"]
    texts = ({"text": text.decode("utf-8")} for text in documents)
    rows = (
        {"text": row["text"], "split": split_of(row["law"], validation_share)}
        for row in parquet.stream(articles, ["law", "text"])
    )
    yield from own_texts(texts, rows)


def split_of(law: str, validation_share: float) -> str:
    """The split of an article: that of the law that it belongs to."""
    return "validation" if held_out(law_group(law), validation_share) else "train"
