"""The texts that no training text may share runs with: benchmark questions, held-out documents, held-out articles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.cleaning import markup, personal_data
from woodblock.cleaning.repairing import repair
from woodblock.decontamination.gate import own_texts
from woodblock.decontamination.index import OWN
from woodblock.sources.statutes import law_group
from woodblock.tables import parquet
from woodblock.tables.texts import held_out


def checked_texts(
    benchmarks: Path, documents: Iterable[bytes], articles: Path, validation_share: float
) -> Iterator[tuple[str, str]]:
    """All these texts, as pairs of benchmark and text for `Overlaps.of`.

    benchmarks, articles: tables. documents: the texts of the held-out documents, as UTF-8. validation_share: the share of
    groups that is held out; it decides which articles are.
    Raises UserError for a benchmark with the name of the pipeline's own tasks.
    """
    for row in parquet.stream(benchmarks, ["benchmark", "text"]):
        if row["benchmark"] == OWN:
            raise UserError(
                f"download.benchmarks: the name {OWN} is reserved for the pipeline's own tasks; give this source another "
                "name"
            )
        yield row["benchmark"], row["text"]
    texts = ({"text": text.decode("utf-8")} for text in documents)
    rows = (
        {"text": row["text"], "split": split_of(row["law"], validation_share)}
        for row in parquet.stream(articles, ["law", "text"])
    )
    yield from own_texts(texts, rows)


def split_of(law: str, validation_share: float) -> str:
    """The split of an article: the split of its law."""
    return "validation" if held_out(law_group(law), validation_share) else "train"


def cleaned(text: str, kinds: Collection[str]) -> str:
    """A text as `clean` leaves the same words in a document: repaired, without markup, with personal data masked.

    kinds: of personal data. (Traditional characters need nothing: the normal form has Simplified ones.)
    """
    return personal_data.mask(repair(markup.plain(repair(text))), kinds)[0]
