"""A corpus with known faults: real documents, and planted among them what cleaning and deduplication must find.

python tests/support/planted.py --seed 7 --corpus FILE plants with a seed, runs the stages clean and dedup in a scratch project
and prints what they found of each kind, and examples of what they missed. tests/system/test_planted.py asserts the bars.

The rest are real documents as they come, chosen so that no two have a Jaccard of .3 or more over the sets of their
character 3-grams. Everything else is planted, and its id says its kind. What is compared here is computed here: nothing
of the pipeline's own measures is used, neither to plant nor to judge.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import sys
import tarfile
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numba import njit
from support import planted_wordings as wordings

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
CORPUS = SHARED / "mirror/ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"
BENCHMARKS = SHARED / "bench"

APART = 0.3  # Jaccard under which any two real documents of the planted corpus stay
REST = 2000  # real documents that must stay
EACH = 60  # documents of each kind, or more
PERSONAL = 90  # documents with personal data, each with one piece of every kind and of every decoy
PAGES = 100  # documents that are put into pages, and as many into HTML and into Markdown
QUESTIONS = 80  # documents with a question of each kind; some are held out, and no training text
EDITED = (5, 10, 20)  # per cent of the characters
BARS = {"rest": 0.99, "edited 10 %": 0.8, "replaced 10 %": 0.8, "edited 20 %": 0.0, "replaced 20 %": 0.0}  # else .95
BLOCK = 12  # characters: a real document that holds so many of a planted question in a row is not used


@dataclass(frozen=True)
class Document:
    """A document of the planted corpus. What must come of it is said by the fields after the text.

    id: kind and number. parent: the id of the document of which this is a copy. original: the text before it was
    garbled. gone: (kind, string) of what must not stand in it any more; kept: (kind, string) of what must; body: the
    text around which things were planted. question: what a training text must not hold.
    """

    id: str
    kind: str
    text: str
    parent: str = ""
    original: str = ""
    body: str = ""
    question: str = ""
    gone: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Planted:
    """The corpus, in the order of its table, and the benchmarks' questions: (id, benchmark, text)."""

    documents: list[Document]
    benchmarks: list[tuple[str, str, str]]


@dataclass
class Row:
    """Of one kind: how many were planted, and which were missed: (id, what is wrong, an excerpt)."""

    kind: str
    planted: int = 0
    missed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / self.planted if self.planted else 1.0


# ------------------------------------------------------------------------------------------------ real documents


def read_corpus(path: Path) -> Iterator[str]:
    """The texts of a JSONL file, or of the one in a tar archive."""
    if ".tar" in path.suffixes:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield from (json.loads(line)["text"] for line in archive.extractfile(member))
    else:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line)["text"] for line in file)


def read_questions(folder: Path) -> dict[str, list[str]]:
    """The questions of CMMLU, C3 (with their dialogues and passages) and GSM8K, by benchmark."""
    found: dict[str, list[str]] = {"cmmlu": [], "c3": [], "gsm8k": []}
    for path in sorted(folder.glob("cmmlu/*/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found["cmmlu"] += [row["Question"] for row in csv.DictReader(file)]
    for path in sorted(folder.glob("c3/*.json")):
        for passage, questions, _ in json.loads(path.read_text(encoding="utf-8")):
            found["c3"] += ["\n".join([*passage, question["question"]]) for question in questions[:1]]
    for path in sorted(folder.glob("gsm8k/*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found["gsm8k"] += [json.loads(line)["question"] for line in file]
    return found


def trigrams(text: str) -> np.ndarray:
    """uint64 [n]: the set of a text's character 3-grams, sorted; three code points of 21 bits each, so exact."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    return np.unique(points[:-2] << np.uint64(42) | points[1:-1] << np.uint64(21) | points[2:])


def jaccard(one: str, other: str) -> float:
    first, second = trigrams(one), trigrams(other)
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


@njit
def _apart(grams, starts, holders, heads, sizes, bound, kept):
    """Set kept [documents]: greedily in order, those whose Jaccard with all that are kept before is under bound.

    grams [starts[d] : starts[d + 1]]: the numbers of document d's 3-grams; holders [heads[g] : heads[g + 1]]: the
    documents that hold 3-gram g, ascending: an inverted index.
    """
    shared = np.zeros(len(sizes), dtype=np.int32)
    for d in range(len(sizes)):
        shared[:d] = 0
        for g in grams[starts[d] : starts[d + 1]]:
            for other in holders[heads[g] : heads[g + 1]]:
                if other >= d:
                    break
                shared[other] += 1
        kept[d] = True
        for other in range(d):
            if kept[other] and shared[other] >= bound * (sizes[d] + sizes[other] - shared[other]):
                kept[d] = False
                break


def apart(texts: list[str], bound: float = APART) -> list[bool]:
    """Which texts stay if, in order, each with a Jaccard of `bound` or more with one that stays is left out. Exact."""
    sets = [trigrams(text) for text in texts]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    _, numbers = np.unique(np.concatenate(sets), return_inverse=True)
    documents = np.repeat(np.arange(len(sets), dtype=np.int32), sizes)
    holders = documents[np.argsort(numbers, kind="stable")]
    heads = np.concatenate([[0], np.cumsum(np.bincount(numbers))])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    kept = np.zeros(len(sets), dtype=np.bool_)
    _apart(numbers.astype(np.int64), starts, holders, heads, sizes, bound, kept)
    return kept.tolist()


def bare(text: str) -> str:
    """Letters, digits and hanzi alone, in one width and case: what questions are compared by."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def hanzi_share(text: str) -> float:
    return sum("\u4e00" <= c <= "\u9fff" for c in text) / max(1, len(text))


def is_prose(line: str) -> bool:
    """A line that is running Chinese text, without marks of any format, and that nobody should take away."""
    return (
        len(line) >= 15
        and hanzi_share(line) >= 0.7
        and line.rstrip()[-1] in "。！？；：”）"
        and line[0] not in "#|-*>`"
    )


def squeezed(text: str) -> str:
    return "".join(text.split())


# ------------------------------------------------------------------------------------------------ faults


def edited(rng: Random, text: str, percent: int, pool: str, kinds: int = 3) -> str:
    """The text with `percent` of its characters edited: in turn one replaced, one put before, one left out.

    The places are drawn without repetition; what comes in is drawn from `pool`, and differs from what it replaces.
    kinds: 1 replaces only. Of a share s that leaves a 3-gram whole with (1 - s)^3, and a Jaccard of .75 at a twentieth
    and .57 at a tenth; in turn it is (1 - 2s/3)^3 (1 - s/3)^2, .78 and .61, for what is put in breaks but two 3-grams.
    """
    characters = list(text)
    places = rng.sample(range(len(text)), round(len(text) * percent / 100))
    for turn, place in enumerate(places):
        new = rng.choice(pool)
        while new == text[place]:
            new = rng.choice(pool)
        characters[place] = (new, new + text[place], "")[turn % kinds]
    return "".join(characters)


def respaced(rng: Random, text: str) -> str:
    """The same text as another page lays it out: line ends, blank lines, spaces at the ends and starts of lines."""
    end = rng.choice(("\r\n", "\n\n", "\n \n", " \n", "\n\u3000\u3000"))
    return rng.choice(("", "\n", "\ufeff", " ")) + end.join(text.split("\n")) + rng.choice(("\n", "  ", "\r\n\r\n"))


def swapped(rng: Random, text: str) -> str:
    """The text with its lines, less the first, in another order."""
    first, *lines = [line for line in text.split("\n") if line.strip()]
    order = lines[:]
    while order == lines:
        rng.shuffle(order)
    return "\n".join([first, *order])


def windows_1252(data: bytes) -> str:
    """Bytes as browsers read them by that name: the five that it leaves undefined are controls (WHATWG Encoding)."""
    return "".join(bytes([b]).decode("cp1252") if b not in b"\x81\x8d\x8f\x90\x9d" else chr(b) for b in data)


def sprinkled(rng: Random, text: str) -> str:
    """Some of the characters, one in fifty to one in ten, as replacement characters: cut or lost bytes."""
    characters, share = list(text), rng.uniform(0.02, 0.1)
    for place in rng.sample(range(len(text)), max(3, round(share * len(text)))):
        characters[place] = rng.choice(("\ufffd", "\ufffd\ufffd", "\ufffd\ufffd\ufffd"))
    return "".join(characters)


MOJIBAKE: dict[str, Callable[[Random, str], str]] = {
    "UTF-8 as Latin-1": lambda rng, text: text.encode().decode("latin-1"),
    "UTF-8 as Windows-1252": lambda rng, text: windows_1252(text.encode()),
    "UTF-8 as GBK": lambda rng, text: text.encode().decode("gb18030", rng.choice(("replace", "ignore"))),
    "UTF-8 as Big5": lambda rng, text: text.encode().decode("big5", "replace"),
    "UTF-8 twice": lambda rng, text: text.encode().decode("latin-1").encode().decode("latin-1"),
    "GBK as Latin-1": lambda rng, text: text.encode("gb18030").decode("latin-1"),
    "GBK as Big5": lambda rng, text: text.encode("gb18030").decode("big5", "replace"),
    "GBK as UTF-8": lambda rng, text: text.encode("gb18030").decode("utf-8", "replace"),
    "GBK as UTF-8 as GBK": lambda rng, text: (
        text.encode("gb18030").decode("utf-8", "replace").encode().decode("gb18030", "replace")
    ),
    "replacement characters": sprinkled,
}

PUNCTUATION = {
    **{"，": ",", "。": ".", "？": "?", "！": "!", "：": ":", "；": ";", "（": "(", "）": ")", "“": '"', "”": '"'},
    **{",": "，", ".": "。", "?": "？", "!": "！", ":": "：", ";": "；", "(": "（", ")": "）", "、": "，", "'": "’"},
}


def other_punctuation(rng: Random, text: str) -> str:
    """Each mark in its other width, or left out; now and then one that was not there."""
    out = []
    for c in text:
        out.append(c if c not in PUNCTUATION else rng.choice((PUNCTUATION[c], PUNCTUATION[c], "")))
        if rng.random() < 0.03:
            out.append(rng.choice("，、·—“”…()"))
    return "".join(out)


def other_spacing(rng: Random, text: str) -> str:
    """Spaces and line breaks between the characters."""
    every = rng.choice((0.05, 0.3, 1.0))
    return "".join(c + (rng.choice((" ", " ", "\u3000", "\n", "\t")) if rng.random() < every else "") for c in text)


def other_width(rng: Random, text: str) -> str:
    """Letters, digits and signs of ASCII in full width, and the other way round."""
    return "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in text
    )


WAYS: dict[str, Callable[[Random, str], str]] = {
    "verbatim": lambda rng, text: text,
    "other punctuation": other_punctuation,
    "other spacing": other_spacing,
    "other width": other_width,
}


def put_in(rng: Random, text: str, blocks: Iterable[str]) -> str:
    """The text with each block on lines of its own, somewhere between two of its lines."""
    lines = text.split("\n")
    for block in blocks:
        lines.insert(rng.randint(1, len(lines)), block)
    return "\n".join(lines)


def after_sentence(rng: Random, text: str, sentence: str) -> str:
    """The text with a sentence added to one of its lines of prose, or on a line of its own after one."""
    lines = text.split("\n")
    full = [i for i, line in enumerate(lines) if line.strip()]
    place = rng.choice([i for i in full if is_prose(lines[i])] or full)  # what was added before may have left no prose
    stops = [found.end() for found in re.finditer("。", lines[place])] or [len(lines[place])]
    at = rng.choice(stops)
    lines[place] = rng.choice((lines[place] + "\n" + sentence, lines[place][:at] + sentence + lines[place][at:]))
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ planting


class Sources:
    """Real documents that are far from one another, each given out once."""

    def __init__(self, texts: list[str]) -> None:
        self._left = texts

    def take(self, count: int, fits: Callable[[str], bool] = lambda text: True) -> list[str]:
        """The first `count` that fit, which then are gone. Raises ValueError where there are too few."""
        chosen = []
        left = []
        for text in self._left:
            (chosen if len(chosen) < count and fits(text) else left).append(text)
        if len(chosen) < count:
            raise ValueError(f"{len(chosen)} of the real documents fit, {count} are needed")
        self._left = left
        return chosen


def plant(texts: list[str], questions: dict[str, list[str]], seed: int, rest: int = REST) -> Planted:
    """The planted corpus of a seed; the same for the same texts, questions and seed.

    texts: real documents, at least twice as many as are planted. questions: by benchmark. Raises ValueError where there
    are too few.
    """
    rng = Random(seed)
    asked = _questions(rng, questions)
    blocks = {bare(text)[i : i + BLOCK] for text in asked.values() for i in range(0, len(bare(text)), BLOCK)}
    blocks = {block for block in blocks if len(block) == BLOCK}
    wanted = rest + _sources_needed()
    # One in 14 is near another in the corpus that this was written for: an eighth more than needed is plenty.
    drawn = rng.sample(texts, min(len(texts), wanted + wanted // 8))
    free = [text for text in drawn if len(text) >= BLOCK and not _holds_any(bare(text), blocks)]
    real = [text for text, stays in zip(free, apart(free), strict=True) if stays]
    if len(real) < wanted:
        raise ValueError(f"{len(real)} of {len(texts)} documents are far from one another, {wanted} are needed")

    remaining = [Document(f"rest-{i:05d}", "rest", text) for i, text in enumerate(real[:rest])]
    sources = Sources(real[rest:])
    documents = [
        *remaining,
        *_copies(rng, remaining),
        *_garbled(rng, sources),
        *_personal(rng, sources),
        *_pages(rng, sources),
        *_with_questions(rng, sources, asked),
        *_lists(rng),
    ]
    rng.shuffle(documents)
    benchmarks = [(f"{name}-{i:05d}", name, text) for (name, i), text in asked.items()]
    return Planted(documents, benchmarks)


def _sources_needed() -> int:
    return EACH * len(MOJIBAKE) + PERSONAL + 3 * PAGES + QUESTIONS * len(WAYS) * 2 + 500


def _holds_any(text: str, blocks: set[str]) -> bool:
    return any(text[i : i + BLOCK] in blocks for i in range(len(text) - BLOCK + 1))


def _questions(rng: Random, questions: dict[str, list[str]]) -> dict[tuple[str, int], str]:
    """Questions that are planted, and as many that are not, by (benchmark, number): long enough to be compared."""
    seen, fit = set(), {}
    for name, texts in questions.items():
        fit[name] = []
        for i, text in enumerate(texts):
            if len(mark := bare(text)) >= BLOCK and mark not in seen:
                seen.add(mark)
                fit[name].append((i, text))
    each = 4 * QUESTIONS
    drawn = {
        name: rng.sample(found, min(each * (3 if name == "cmmlu" else 1), len(found))) for name, found in fit.items()
    }
    return {(name, i): text for name, found in drawn.items() for i, text in found}


def _copies(rng: Random, originals: list[Document]) -> Iterator[Document]:
    pool = "".join(rng.sample("".join(document.text for document in originals[:200]), 5000))
    pool = "".join(filter(str.isalnum, pool))
    left = originals[:]
    rng.shuffle(left)

    def some(kind: str, change: Callable[[str], str], fits: Callable[[str], bool] = bool) -> Iterator[Document]:
        chosen = [document for document in left if fits(document.text)][:EACH]
        for number, document in enumerate(chosen):
            left.remove(document)
            yield Document(f"{slug(kind)}-{number:05d}", kind, change(document.text), parent=document.id)

    yield from some("copy", lambda text: text)
    yield from some("copy, other spacing", lambda text: respaced(rng, text))
    for percent in EDITED:
        yield from some(f"edited {percent} %", lambda text, percent=percent: edited(rng, text, percent, pool))
        yield from some(f"replaced {percent} %", lambda text, percent=percent: edited(rng, text, percent, pool, 1))
    yield from some("swapped paragraphs", lambda text: swapped(rng, text), lambda t: len({*t.split("\n")} - {""}) >= 5)


def _garbled(rng: Random, sources: Sources) -> Iterator[Document]:
    for way, garble in MOJIBAKE.items():
        kind = f"mojibake: {way}"
        for i, text in enumerate(sources.take(EACH, lambda text: hanzi_share(text) >= 0.5)):
            yield Document(f"{slug(kind)}-{i:05d}", kind, garble(rng, text), original=text)


def _personal(rng: Random, sources: Sources) -> Iterator[Document]:
    def fits(text: str) -> bool:
        return sum(map(is_prose, text.split("\n"))) >= 8

    for i, text in enumerate(sources.take(PERSONAL, fits)):
        planted: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        for personal, table in ((True, wordings.PERSONAL), (False, wordings.DECOYS)):
            for kind, (make, patterns) in table.items():
                it = make(rng)
                while it in text:
                    it = make(rng)
                text = after_sentence(rng, text, wordings.sentence(rng, rng.choice(patterns), it))
                planted[personal].append((("personal: " if personal else "stays: ") + kind, it))
        yield Document(f"personal-{i:05d}", "personal", text, gone=tuple(planted[True]), kept=tuple(planted[False]))


def _pages(rng: Random, sources: Sources) -> Iterator[Document]:
    def fits(text: str) -> bool:
        lines = text.split("\n")
        return sum(len(line) for line in lines if is_prose(line)) >= 300 and not set(text) & set("<>&")

    for i, body in enumerate(sources.take(PAGES, fits)):
        parts = {kind: make(rng) for kind, make in wordings.PAGE_PARTS.items()}
        own = {line.strip() for line in body.split("\n")}
        gone = tuple((f"page: {kind}", line) for kind, lines in parts.items() for line in lines if line not in own)
        inside = rng.choice(("share bar", "related links", "comments bar"))
        before = [line for kind in ("cookie notice", "navigation") for line in parts[kind]]
        after = [line for kind in parts if kind not in (inside, "navigation", "cookie notice") for line in parts[kind]]
        if rng.random() < 0.3:  # notices that float stand at either end of the text
            before, after = parts["navigation"], after + parts["cookie notice"]
        text = "\n".join([*before, put_in(rng, body, ["\n".join(parts[inside])]), *after])
        yield Document(f"page-{i:05d}", "page", text, body=body, gone=gone)
    for i, body in enumerate(sources.take(PAGES, fits)):
        whole = i % 2 == 0
        kind = "html: page" if whole else "html: fragment"
        make = wordings.html_page if whole else wordings.html_fragment
        text = make(rng, [line for line in body.split("\n") if line.strip()])
        gone = tuple((kind, mark) for mark in wordings.HTML_REMAINS if mark in text)
        yield Document(f"{slug(kind)}-{i:05d}", kind, text, body=body, gone=gone)
    for i, body in enumerate(
        sources.take(PAGES, lambda text: fits(text) and not re.search(r"^(---|\+\+\+)|!\[", text))
    ):
        front, head, middle = wordings.front_matter(rng), wordings.badges(rng), wordings.badges(rng)
        gone = tuple(
            (f"markdown: {kind}", line)
            for kind, lines in (("front matter", front), ("badges", [*head, *middle]))
            for line in lines
        )
        text = "\n".join([*front, "", *head, "", put_in(rng, body, middle)])
        yield Document(f"markdown-{i:05d}", "markdown", text, body=body, gone=gone)


def _with_questions(rng: Random, sources: Sources, asked: dict[tuple[str, int], str]) -> Iterator[Document]:
    short = [key for key, text in asked.items() if len(bare(text)) < 32]
    long = [key for key, text in asked.items() if len(bare(text)) >= 32]
    rng.shuffle(short)
    rng.shuffle(long)
    for way, change in WAYS.items():
        for size, keys in (("short", short), ("long", long)):
            kind = f"question, {size}: {way}"
            for i, text in enumerate(sources.take(QUESTIONS)):
                while True:
                    question = asked[keys.pop()]
                    block = change(rng, question)
                    if way == "verbatim" or block != question:
                        break
                if way != "other spacing" and rng.random() < 0.5:
                    block = rng.choice(("例题：", "1.", "【单选】", "问：", "Question: ")) + block
                text = put_in(rng, text, [block]) if rng.random() < 0.8 else text + "\n" + block
                yield Document(f"{slug(kind)}-{i:05d}", kind, text, question=question)


def _lists(rng: Random) -> Iterator[Document]:
    for name in wordings.ROWS:
        for i in range(EACH):
            yield Document(f"list-{slug(name)}-{i:05d}", f"list: {name}", wordings.machine_list(rng, name))


def slug(kind: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")


# ------------------------------------------------------------------------------------------------ judging


def judge(planted: Planted, train: dict[str, str], validation: dict[str, str]) -> list[Row]:
    """What was found of each kind, in the order of planting's first of each kind.

    train, validation: the texts that came out, by id. A copy is found if it and its original are not both there; what
    is garbled, if it is gone or as good as its original; a machine list, if it is gone. Of pages and personal data each
    planted line or string is counted by itself. A document with a question counts unless it is held out; it is found if
    it is gone or no longer holds the question. The rest is kept if it is there, or its copy.
    """
    rows: dict[str, Row] = {}
    after = train | validation
    families: dict[str, list[str]] = defaultdict(list)
    for document in planted.documents:
        families[document.parent or document.id].append(document.id)

    def count(kind: str, document: Document, fault: str, excerpt: str = "") -> None:
        row = rows.setdefault(kind, Row(kind))
        row.planted += 1
        if fault:
            row.missed.append((document.id, fault, excerpt))

    for document in planted.documents:
        text = after.get(document.id)
        gone = text is None
        if document.kind == "rest":
            lost = not any(member in after for member in families[document.id])
            count("rest", document, "lost" if lost else "", document.text)
        elif document.parent:
            both = not gone and document.parent in after
            share = (
                f"both are there, Jaccard {jaccard(document.text, _text(planted, document.parent)):.2f}" if both else ""
            )
            count(document.kind, document, share, document.text)
        elif document.original:
            mended = not gone and _is_mended(text, document.original)
            count(document.kind, document, "" if gone or mended else "garbled", text or "")
        elif document.question:
            if document.id not in validation:
                holds = not gone and bare(document.question) in bare(text)
                count(document.kind, document, "holds it" if holds else "", document.question)
        elif document.kind.startswith("list: "):
            count(document.kind, document, "" if gone else "is there", text or "")
        for kind, mark in document.gone:
            left = None if gone else _remains(kind, mark, text)
            count(kind, document, "" if left is None else "is there", f"{mark} … {left}")
        for kind, mark in document.kept:
            there = not gone and squeezed(mark) in squeezed(text)
            count(kind, document, "" if there else "document is gone" if gone else "is gone", mark)
        if document.body:
            share = 0.0 if gone else _kept_share(document.body, text)
            count(
                f"stays: text of {document.kind}",
                document,
                "" if share >= 0.9 else f"{share:.0%} is there",
                document.text,
            )
    return sorted(rows.values(), key=lambda row: (row.kind != "rest", row.kind))


def _is_mended(text: str, original: str) -> bool:
    """Whether a text says what the original says, if perhaps not all of it: the pipeline leaves out lines and marks.

    Of its 3-grams of hanzi .97 stand in the original: where characters are merely left out, one in fifty or more, what
    is joined over the gaps does not. Half of the original's are there, and no replacement character.
    """

    def hanzi(text: str) -> set[str]:
        runs = re.findall("[\u4e00-\u9fff]+", text)
        return {run[i : i + 3] for run in runs for i in range(len(run) - 2)}

    now, before = hanzi(text), hanzi(original)
    shared = len(now & before)
    return "\ufffd" not in text and shared >= 0.97 * len(now) and shared >= 0.5 * len(before)


def _text(planted: Planted, name: str) -> str:
    return next(document.text for document in planted.documents if document.id == name)


def _remains(kind: str, mark: str, text: str) -> str | None:
    """Where a planted string still stands in a text: its line; None where it is gone.

    Of personal data also its telling part alone: the last eight digits of a number, what stands before the @. A short
    line of a page ("分享") must only be gone as a line of its own.
    """
    lines = text.split("\n")
    if kind.startswith("page: ") and len(mark) < 8:
        return next((line for line in lines if line.strip() == mark.strip()), None)
    if kind.startswith("personal: ") and "@" in mark:
        marks = [mark, mark.split("@")[0] + "@"]
    elif kind.startswith("personal: ") and "ip" not in kind.split():
        number = re.sub(r"\D", "", mark)
        marks = [mark, number, number[-8:]]
    else:
        marks = [mark.strip()]
    return next((line for line in lines for one in marks if one in line), None)


def _kept_share(body: str, text: str) -> float:
    """The share of the characters in a body's lines of prose that are still there."""
    lines = [squeezed(line) for line in body.split("\n") if is_prose(line)]
    there = squeezed(text)
    return sum(len(line) for line in lines if line in there) / sum(map(len, lines))


def table(rows: list[Row]) -> str:
    width = max(len(row.kind) for row in rows)
    head = f"{'kind':{width}}  planted  found  share"
    return "\n".join(
        [
            head,
            *(
                f"{row.kind:{width}}  {row.planted:7d}  {row.planted - len(row.missed):5d}  {row.recall:.3f}"
                for row in rows
            ),
        ]
    )


def bar(kind: str) -> float:
    """The least share that must be found (of the rest and of what stays: kept) of a kind; 0 where it is only measured."""
    return BARS.get(kind, 0.95)


# ------------------------------------------------------------------------------------------------ running


def write(planted: Planted, raw: Path) -> None:
    """The tables of data/raw: the corpus, the benchmarks, and a few conversations and articles that nothing is said of."""
    from woodblock.tables import parquet

    corpus = (
        {"id": d.id, "group": d.id, "source": "planted", "title": "", "weight": 1.0, "text": d.text}
        for d in planted.documents
    )
    parquet.write(raw / "corpus", corpus, parquet.CORPUS, part_characters=8_000_000)
    questions = ({"id": i, "benchmark": name, "text": text} for i, name, text in planted.benchmarks)
    parquet.write(raw / "benchmarks", questions, parquet.BENCHMARKS)
    turns = [(f"{city}在哪里？请简单说一说。", f"{city}是中国的一座城市，交通便利。") for city in wordings.CITIES]
    conversations = (
        {
            "id": f"talk-{i}",
            "source": "planted",
            "messages": [{"role": r, "content": c} for r, c in zip(("user", "assistant"), turn, strict=True)],
        }
        for i, turn in enumerate(turns)
    )
    parquet.write(raw / "instructions", conversations, parquet.INSTRUCTIONS)
    articles = (
        {
            **{
                "id": f"{city}-{n}",
                "law": f"{city}市测试条例",
                "chapter": "第一章",
                "article": f"第{n}条",
                "number": n,
            },
            **{"status": "现行有效", "text": f"第{n}条　在{city}从事{theme}活动的，应当遵守本条例第{n}条的规定。"},
        }
        for city in wordings.CITIES
        for n, theme in enumerate(wordings.THEMES[:10], 1)
    )
    parquet.write(raw / "documents", articles, parquet.DOCUMENTS)


def run(planted: Planted, project: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Run the stages clean and dedup as commands in a project (tests/support/projects.py); the texts of train and validation."""
    import shutil

    from woodblock.run import graph
    from woodblock.tables import parquet

    stages = graph.load(ROOT / "dvc.yaml")
    write(planted, project.folder / "data/raw")
    for name in ("clean", "dedup"):
        shutil.copy(ROOT / f"src/{name}.py", project.folder / f"src/{name}.py")
        project.run(*shlex.split(stages[name].cmd))
    out = project.folder / "data/dedup"
    return tuple(
        {row["id"]: row["text"] for row in parquet.stream(out / split, ["id", "text"])}
        for split in ("train", "validation")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="JSONL of {text}, or a tar archive with one")
    parser.add_argument("--benchmarks", type=Path, default=BENCHMARKS, help="folder with cmmlu/, c3/ and gsm8k/")
    parser.add_argument("--rest", type=int, default=REST, help="real documents that must stay")
    parser.add_argument("--examples", type=int, default=3, help="missed ones shown of each kind")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT / "src")]
    from conftest import stand_in_project

    planted = plant(
        list(read_corpus(arguments.corpus)), read_questions(arguments.benchmarks), arguments.seed, arguments.rest
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = judge(planted, *run(planted, stand_in_project(Path(folder) / "project")))
    for row in rows:
        for name, fault, excerpt in row.missed[: arguments.examples]:
            print(f"{row.kind} | {name} | {fault} | {excerpt[:300]!r}")
    print(table(rows))


if __name__ == "__main__":
    main()
