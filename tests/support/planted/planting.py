"""Plant faults of every kind among real documents, by a seed."""

from __future__ import annotations

from random import Random

from support.planted.benchmark_questions import BLOCK, WAYS, drawn_questions, planted_questions
from support.planted.copies import planted_copies
from support.planted.definitions import SIZES, Document, Planted, Sizes
from support.planted.machine_lists import planted_lists
from support.planted.mojibake import MOJIBAKE, planted_mojibake
from support.planted.page_markup import planted_html, planted_markdown
from support.planted.page_parts import planted_pages
from support.planted.personal_data import planted_personal_data
from support.planted.real_documents import Supply, apart
from support.planted.text_functions import bare


def plant(texts: list[str], questions: dict[str, list[str]], seed: int, sizes: Sizes = SIZES) -> Planted:
    """The planted corpus of a seed; the same for the same texts, questions and seed.

    texts: real documents, at least twice as many as are planted. questions: by benchmark. Raises ValueError where there
    are too few.
    """
    rng = Random(seed)
    asked = drawn_questions(rng, questions, sizes)
    blocks = {bare(text)[i : i + BLOCK] for text in asked.values() for i in range(0, len(bare(text)), BLOCK)}
    blocks = {block for block in blocks if len(block) == BLOCK}
    wanted = sizes.rest + _documents_needed(sizes)
    # One in 14 is near another in the corpus that this was written for: an eighth more than needed is plenty.
    drawn = rng.sample(texts, min(len(texts), wanted + wanted // 8))
    free = [text for text in drawn if len(text) >= BLOCK and not _holds_any(bare(text), blocks)]
    real = [text for text, stays in zip(free, apart(free), strict=True) if stays]
    if len(real) < wanted:
        raise ValueError(f"{len(real)} of {len(texts)} documents are far from one another, {wanted} are needed")

    remaining = [Document(f"rest-{i:05d}", "rest", text) for i, text in enumerate(real[: sizes.rest])]
    supply = Supply(real[sizes.rest :])
    documents = [
        *remaining,
        *planted_copies(rng, remaining, sizes),
        *planted_mojibake(rng, supply, sizes),
        *planted_personal_data(rng, supply, sizes),
        *planted_pages(rng, supply, sizes),
        *planted_html(rng, supply, sizes),
        *planted_markdown(rng, supply, sizes),
        *planted_questions(rng, supply, asked, sizes),
        *planted_lists(rng, sizes),
    ]
    rng.shuffle(documents)
    benchmarks = [(f"{name}-{i:05d}", name, text) for (name, i), text in asked.items()]
    return Planted(documents, benchmarks)


def _documents_needed(sizes: Sizes) -> int:
    needed = sizes.each * len(MOJIBAKE) + sizes.personal + 3 * sizes.pages + sizes.questions * len(WAYS) * 2
    return needed + 500


def _holds_any(text: str, blocks: set[str]) -> bool:
    return any(text[i : i + BLOCK] in blocks for i in range(len(text) - BLOCK + 1))
