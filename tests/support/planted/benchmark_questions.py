"""Questions of benchmarks in documents: word for word, and in other punctuation, spacing and width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from support.planted.definitions import Document, Sizes, slug
from support.planted.real_documents import Supply
from support.planted.text_functions import bare, put_in

BLOCK = 12  # characters: a real document that holds so many of a planted question in a row is not used
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


def drawn_questions(rng: Random, questions: dict[str, list[str]], sizes: Sizes) -> dict[tuple[str, int], str]:
    """Questions that are planted, and as many that are not, by (benchmark, number): long enough to be compared."""
    seen, fit = set(), {}
    for name, texts in questions.items():
        fit[name] = []
        for i, text in enumerate(texts):
            if len(mark := bare(text)) >= BLOCK and mark not in seen:
                seen.add(mark)
                fit[name].append((i, text))
    each = 4 * sizes.questions
    drawn = {
        name: rng.sample(found, min(each * (3 if name == "cmmlu" else 1), len(found))) for name, found in fit.items()
    }
    return {(name, i): text for name, found in drawn.items() for i, text in found}


def planted_questions(
    rng: Random, supply: Supply, asked: dict[tuple[str, int], str], sizes: Sizes
) -> Iterator[Document]:
    """Documents with a question each: short and long ones, in each way."""
    short = [key for key, text in asked.items() if len(bare(text)) < 32]
    long = [key for key, text in asked.items() if len(bare(text)) >= 32]
    rng.shuffle(short)
    rng.shuffle(long)
    for way, change in WAYS.items():
        for size, keys in (("short", short), ("long", long)):
            kind = f"question, {size}: {way}"
            for i, text in enumerate(supply.take(sizes.questions)):
                while True:
                    question = asked[keys.pop()]
                    block = change(rng, question)
                    if way == "verbatim" or block != question:
                        break
                if way != "other spacing" and rng.random() < 0.5:
                    block = rng.choice(("例题：", "1.", "【单选】", "问：", "Question: ")) + block
                text = put_in(rng, text, [block]) if rng.random() < 0.8 else text + "\n" + block
                yield Document(f"{slug(kind)}-{i:05d}", kind, text, question=question)
