"""The filters: limits, of all sources or of one, and which of them a text breaks because of its measures.

A limit that is learned from laws and manuals fails on other genres: verse has no punctuation, speech that a machine wrote
down has none either, a report of the stock exchange is a third digits. So a text that breaks such a limit is read once
more (`is_running`), and dropped only if it is a list by what makes a list in every genre: its words come again and again,
and nothing joins them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from woodblock.base.errors import UserError
from woodblock.cleaning import spam
from woodblock.sources.addresses import short_name

LISTED_CHARS = 100  # a text of at least this length may count as a list
STRUNG_CHARS = 150  # characters of a line, on average: running text has at least one sentence end in so long a line
READ_CHARS = 4000  # characters of a text from its beginning that `is_running` and `is_report` look at

# Hanzi that join words, or point to what was said: pronouns, particles, prepositions, conjunctions, negations, auxiliaries.
# Every third or fifth hanzi of speech is one, every tenth of an encyclopedia, every sixteenth of classical verse, and
# hardly any of a list.
JOINING = frozenset(
    "的了是在不有和就也都这那我你他她它们个为以与及之而于从被把让对向到着过得地呢吗吧啊么所其此些等并且但如因或"
    "还又再才只很更最没要会能可将已曾自己什怎"
    "為與於從讓對個們這還沒會將過著麼"
)
RUNNING = -0.06  # of text without digits and signs: keyword lists have -.09 or less, recipes -.04 or more
RUNNING_IN_ROWS = 0.03  # of text in rows of figures and signs: tables have .025 or less, subtitles .1 or more
REPEAT_COST = 0.3  # how many joining hanzi, as a share, a share of repeated pairs has to be made up for
ROW_HAN = 0.04  # share of hanzi in a derivation full of formulas
REPORT_HAN = 0.3  # share of hanzi in prose full of figures (.41)
REPORT_REPEATS = 0.7  # repeated 4-grams of hanzi in it (.61); sentences from one template have .78 or more
ONCE_SHARE = 0.15  # of the hanzi: in lines that did not come before
SONG_LINE = 24  # characters of a line of verse, at most on average
SONG_REPEATS = 0.85  # share of repeated lines in a song, at most: a chorus may come five times
SONG_HAN = 60  # hanzi in the lines of a song, without those that came before


@dataclass(frozen=True)
class Limits:
    """The settings of the block `clean` in params.yaml, with the same names; and those of single sources, by name."""

    simplified: bool
    languages: list[str]
    min_han: float
    min_chars: int
    max_top_ngram: float
    max_repeated_ngrams: float
    max_repeated_lines: float
    max_longest_run: float
    max_templated: float
    min_variety: float
    max_digits: float
    max_symbols: float
    max_punctuation: float
    min_punctuation: float
    min_stops: float
    max_list_line: float
    max_links: float
    max_spam: float
    personal_data: list[str]
    max_bits: float | None
    weight_by_quality: float
    sources: Mapping[str, Limits] = field(default_factory=dict)

    @classmethod
    def of(cls, block: Any, sources: Iterable[Any] = ()) -> Limits:
        """The limits of a block `clean`, and those of entries of `download` that have their own.

        Raises UserError for two sources of one name with different limits, since records carry only the name.
        """
        limits = cls(**{item.name: getattr(block, item.name) for item in fields(cls) if item.name != "sources"})
        said: dict[str, Any] = {}
        for source in sources:
            name = source.name or short_name(source.url)
            if said.setdefault(name, source.limits) != source.limits:
                raise UserError(
                    f"two sources are called {name} and have different limits; give one of them another name in params.yaml"
                )
        own_limits = {
            name: limits.lifted() if own == "none" else replace(limits, **own) for name, own in said.items() if own
        }
        return replace(limits, sources=own_limits)

    def of_source(self, name: str) -> Limits:
        return self.sources.get(name, self)

    def lifted(self) -> Limits:
        """Limits that no text breaks, unless it is empty."""
        bounds: dict[str, Any] = {item.name: 0.0 for item in fields(self) if item.name.startswith("min_")}
        bounds |= {item.name: float("inf") for item in fields(self) if item.name.startswith("max_")}
        return replace(self, languages=[], sources={}, **{**bounds, "min_chars": 1})


def language(text: str, row: Mapping[str, float], min_han: float) -> str:
    """The language of a text, as ISO 639-1: by its script or, where the script does not tell, by py3langid.

    row: the text's measures. Japanese has at least a tenth of kana. A text without kana is Chinese if hanzi are a share of
    at least `min_han`: it may have code or tables in it.
    """
    if row["hangul"] > 0.1:
        return "ko"
    if row["kana"] > 0.1 * (row["han"] + row["kana"]) and row["kana"] > 0.02:
        return "ja"
    if row["han"] >= min_han:
        return "zh"
    if row["letter"] + row["han"] < 0.2:
        return "none"  # numbers and signs
    import py3langid  # reading its model takes half a second, and most shards never need it

    name: str = py3langid.classify(text[:2000])[0]
    return name


def filtered(text: str, row: Mapping[str, float], limits: Limits) -> tuple[str, str, float] | None:
    """(step, reason, value) of the first step that drops a text because of its measures; None if it stays.

    row: the text's measures (measures.MEASURES).
    """
    if len(text) < limits.min_chars:
        return "length", f"{len(text)} characters", len(text)
    if limits.languages and (found := language(text, row, limits.min_han)) not in limits.languages:
        return "language", found, row["han"]
    for step, measure in _broken(row, limits):
        if not _excused(measure, text, row):
            return step, measure, row[measure]
    if (links := link_share(text)) > limits.max_links:
        return "ratios", "links", links
    if points := spam.points(text, limits.max_spam):
        return "spam", spam.reason(text), points
    return None


_LINK = re.compile(r"https?://[!-~]+")


def link_share(text: str) -> float:
    """The share of a text's characters in addresses of pages; 0 if there are fewer than five."""
    return sum(map(len, _LINK.findall(text))) / len(text) if text.count("://") >= 5 else 0.0


def _broken(row: Mapping[str, float], limits: Limits) -> list[tuple[str, str]]:
    """(step, measure) of each limit that a text breaks."""
    long_enough = row["characters"] >= LISTED_CHARS
    # Without sentences: a list, if lines are short and end without punctuation; or strung keywords, if lines are as long
    # as paragraphs.
    listed = row["line_length"] < limits.max_list_line and row["ended_lines"] < 0.5
    strung = row["line_length"] > STRUNG_CHARS
    checks = (
        ("repetition", "top_ngram", long_enough and row["top_ngram"] > limits.max_top_ngram),
        ("repetition", "repeated_ngrams", row["repeated_ngrams"] > limits.max_repeated_ngrams),
        ("repetition", "repeated_lines", row["repeated_lines"] > limits.max_repeated_lines),
        ("repetition", "longest_run", row["longest_run"] > limits.max_longest_run),
        ("repetition", "templated", long_enough and row["templated"] > limits.max_templated),
        ("repetition", "variety", row["variety"] < limits.min_variety and row["han"] > 0.5),  # an alphabet is small
        ("ratios", "digit", row["digit"] > limits.max_digits),
        ("ratios", "symbol", row["symbol"] > limits.max_symbols),
        ("ratios", "punctuation", row["punctuation"] > limits.max_punctuation),
        ("ratios", "punctuation", long_enough and row["punctuation"] < limits.min_punctuation),
        ("ratios", "stop", long_enough and row["stop"] < limits.min_stops and (listed or strung)),
    )
    return [(step, measure) for step, measure, failed in checks if failed]


def _excused(measure: str, text: str, row: Mapping[str, float]) -> bool:
    """Whether a text that breaks a limit is of a genre in which good texts do."""
    match measure:
        case "top_ngram" | "repeated_ngrams" | "repeated_lines":
            return is_song(text, row)
        case "templated" | "symbol":  # subtitles, songs with times, numbered tips, derivations
            return is_running(text, row, RUNNING_IN_ROWS)
        case "digit":
            return is_running(text, row, RUNNING_IN_ROWS) or is_report(text, row)
        case "punctuation" | "stop":  # verse, speech, recipes
            return row["punctuation"] < 0.5 and is_running(text, row, RUNNING if row["han"] >= 0.6 else RUNNING_IN_ROWS)
    return False


# --- genres -----------------------------------------------------------------------------------------------------------

_HANZI = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]+")
_NO_HANZI = re.compile("[^\u3400-\u9fff\U00020000-\U0003ffff\n]+")


def hanzi_once(text: str) -> str:
    """The hanzi of a text's beginning; lines that say the same count once, so that the chorus of a song is no repetition."""
    lines = _NO_HANZI.sub("", text[:READ_CHARS]).split("\n")
    return "".join(dict.fromkeys(lines))


def joining_share(hanzi: str) -> float:
    """The share of hanzi that join words."""
    return sum(map(JOINING.__contains__, hanzi)) / len(hanzi) if hanzi else 0.0


def repeated_share(hanzi: str, size: int) -> float:
    """The share of n-grams that came before."""
    grams = [hanzi[place : place + size] for place in range(len(hanzi) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_running(text: str, row: Mapping[str, float], least: float) -> bool:
    """Whether a text's hanzi run on as language does, whatever stands between them.

    Speech repeats words, and has many hanzi that join them. Verse has few, and hardly repeats a pair of hanzi. A list of
    keywords repeats its words and joins none of them.
    """
    if row["han"] < ROW_HAN:
        return False
    hanzi = hanzi_once(text)
    if len(hanzi) < ONCE_SHARE * row["han"] * min(row["characters"], READ_CHARS):
        return False  # one sentence with other numbers
    return joining_share(hanzi) - REPEAT_COST * repeated_share(hanzi, 2) >= least


def is_report(text: str, row: Mapping[str, float]) -> bool:
    """Whether a text with many figures has sentences around them, which are not filled from one template."""
    if row["han"] < REPORT_HAN or row["stop"] < 0.005 or row["punctuation"] < 0.05:
        return False
    return repeated_share("".join(_HANZI.findall(text[:READ_CHARS])), 4) <= REPORT_REPEATS


def is_song(text: str, row: Mapping[str, float]) -> bool:
    """Whether a text that repeats itself has short lines, and enough different ones, as a song with a chorus has."""
    if row["line_length"] > SONG_LINE or row["repeated_lines"] > SONG_REPEATS:
        return False
    hanzi = hanzi_once(text)
    return len(hanzi) >= SONG_HAN and is_running(text, row, RUNNING_IN_ROWS)
