"""Answers with their sources: retrieve articles, put them before the question, let the model answer.

This is retrieval-augmented generation (Lewis et al. 2020) in its simplest form. An answer always has the articles that
the model was given, whatever the model says. Its text is checked against them, since a small model invents articles.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from woodblock.base.errors import UserError
from woodblock.inference.generation import generate
from woodblock.models.decoder import Transformer
from woodblock.retrieval.bm25 import Index, normalize
from woodblock.sources.statutes import short_name
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training.instructions import ends_sentence, grounded_question, opening_of_reply

NOTHING_FOUND = "没有找到相关的法律条文。"
CUT_MARK = "……（下文略）"

# Where a text may be cut, best first: after a sentence, after a clause, anywhere.
_ENDS = (re.compile(r"[。！？；\n]"), re.compile(r"[，、：]"), re.compile(r""))
_CITATION = re.compile(r"(?:《[^《》]+》\s*)?第[零〇一二三四五六七八九十百千万\d]+条(?:规定)?[：:]?")
_MENTION = re.compile(r"(?:《([^《》]+)》\s*)?(第[零〇一二三四五六七八九十百千万]+条)")


@dataclass(frozen=True)
class Source:
    """An article that was given to the model. text: as it was given, so shortened if `cut` is true."""

    law: str
    article: str
    text: str
    score: float
    cut: bool


@dataclass(frozen=True)
class Answer:
    """A model's answer with the articles that it was given, best first.

    stopped: whether its end token came. begun: the words that were written for it, which its text begins with; what they
    name is not the model's merit.
    """

    question: str
    text: str
    sources: tuple[Source, ...]
    stopped: bool
    begun: str = ""

    @property
    def own(self) -> str:
        """What the model itself wrote."""
        return self.text.removeprefix(self.begun)

    def ended(self) -> bool:
        """Whether the answer ended by itself, and after a sentence."""
        return self.stopped and ends_sentence(self.text)

    def cites(self) -> bool:
        """Whether the model's own words name an article that was given."""
        return any(self._is_source(*mention) for mention in mentions(self.own))

    def invents(self) -> bool:
        """Whether the text names an article that was not given, and that neither the question nor the articles name."""
        given = normalize("\n".join([self.question, *(source.text for source in self.sources)]))
        return not all(
            self._is_source(law, article) or (article in given and short_name(law) in given)
            for law, article in mentions(self.text)
        )

    def grounded(self, sources: Sequence[Source] | None = None) -> float:
        """The share of the model's character bigrams that are in the given articles: 0 to 1; 0 for an empty text.

        Citations do not count, since articles do not cite themselves. sources: other articles than those that were given.
        """
        pairs = _pairs(_CITATION.sub("", self.own))
        given = sum((_pairs(source.text) for source in (self.sources if sources is None else sources)), Counter())
        return (pairs & given).total() / max(1, pairs.total())

    def f1(self) -> float:
        """F1 between the model's characters and those of the given articles, as in CMRC 2018 (Cui et al. 2019); citations
        do not count."""
        said, given = Counter(_CITATION.sub("", self.own)), Counter("".join(source.text for source in self.sources))
        return 2 * (said & given).total() / max(1, said.total() + given.total())

    def record(self) -> dict[str, Any]:
        """The answer as plain data, with all that is known about it."""
        return {
            "question": self.question,
            "answer": self.text,
            "sources": [asdict(source) for source in self.sources],
            "cites": self.cites(),
            "invents": self.invents(),
            "stopped": self.stopped,
            "ended": self.ended(),
            "grounded": self.grounded(),
            "f1": self.f1(),
        }

    def _is_source(self, law: str, article: str) -> bool:
        return any(
            article == source.article and (not law or short_name(law) == normalize(short_name(source.law)))
            for source in self.sources
        )


def mentions(text: str) -> list[tuple[str, str]]:
    """The articles that a text names, as (law or "", article). A law counts if it stands in 《》 right before the article.

    >>> mentions("《劳动法》第36条和第三条")
    [('劳动法', '第三十六条'), ('', '第三条')]
    """
    return _MENTION.findall(normalize(text))


def answer(
    questions: Sequence[str],
    index: Index,
    model: Transformer,
    tokenizer: Tokenizer,
    *,
    passages: int,
    max_new_tokens: int,
    system: str = "",
    no_repeat_ngram: int = 0,
    cite_first: bool = True,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Answer]:
    """Answer questions from the best `passages` articles that the index finds for each.

    Articles that are too long for the model's context are cut at the end of a sentence, and marked. If no article is
    found, the answer is NOTHING_FOUND, without the model. system: the system prompt of the model's fine-tuning;
    no_repeat_ngram: see `generate`. cite_first: begin the reply for the model with the citation of the best article, in
    the words of its fine-tuning. So the model only quotes and need not copy a number, which small models do badly.
    on_done is called with the number of questions that were answered. Raises UserError for a question that does not fit
    the context.
    """
    found = retrieve(questions, index, passages)
    room = model.config.context - max_new_tokens
    asked = [place for place, sources in enumerate(found) if sources]
    openings = {place: opening_of_reply(asdict(found[place][0])) if cite_first else "" for place in asked}
    prompts = []
    for place in asked:
        opening = tokenizer.encode(openings[place])
        found[place], prompt = fit(questions[place], found[place], tokenizer, room - len(opening), system)
        prompts.append([*prompt, *opening])
    on_done(len(questions) - len(asked))
    stop = tokenizer.turn_end_id
    texts = generate(model, prompts, max_new_tokens, stop, no_repeat_ngram=no_repeat_ngram, on_done=on_done)
    replies = dict(zip(asked, texts, strict=True))
    answers = []
    for place, (question, sources) in enumerate(zip(questions, found, strict=True)):
        reply = replies.get(place)
        text = NOTHING_FOUND if reply is None else (openings[place] + tokenizer.decode(reply)).strip()
        stopped = reply is None or reply[-1:] == [stop]
        answers.append(Answer(question, text, tuple(sources), stopped, openings.get(place, "")))
    return answers


def retrieve(questions: Sequence[str], index: Index, passages: int) -> list[list[Source]]:
    """The best articles for each question, as many as asked for or fewer."""
    ids, scores = index.search(questions, passages)
    law, article, text = (index.passages[name] for name in ("law", "article", "text"))
    return [
        [
            Source(law.iloc[place], article.iloc[place], text.iloc[place], score=round(score, 4), cut=False)
            for place, score in zip(row.tolist(), row_scores.tolist(), strict=True)
            if place >= 0
        ]
        for row, row_scores in zip(ids, scores, strict=True)
    ]


def fit(
    question: str, sources: Sequence[Source], tokenizer: Tokenizer, room: int, system: str = ""
) -> tuple[list[Source], list[int]]:
    """The prompt of a question with its articles in at most `room` tokens: (articles as they are in it, its ids).

    If it is longer, all articles are cut to the same length, the largest that fits. Raises UserError if it does not fit
    even with the shortest articles.
    """

    def prompt(limit: int) -> tuple[list[Source], list[int]]:
        kept = [_cut(source, limit) for source in sources]
        given = [{"law": source.law, "article": source.article, "text": source.text} for source in kept]
        messages = [{"role": "user", "content": grounded_question(question, given)}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        return kept, tokenizer.encode_chat(messages, reply=True)

    longest = max(len(source.text) for source in sources)
    kept, ids = prompt(longest)
    if len(ids) <= room:
        return kept, ids
    low, high = 1, longest  # low may fit, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(prompt(middle)[1]) <= room else (low, middle)
    kept, ids = prompt(low)
    if len(ids) > room:
        raise UserError(
            f"the question ({len(question)} characters) and its articles take {len(ids)} tokens, but only {room} fit before "
            "the reply; shorten the question, or lower rag_eval.max_new_tokens or rag_eval.passages"
        )
    return kept, ids


def _cut(source: Source, limit: int) -> Source:
    """The source with at most `limit` characters of its text, and CUT_MARK after them if it was longer."""
    if len(source.text) <= limit:
        return source
    head = source.text[:limit]
    ends = next(found for end in _ENDS if (found := [match.end() for match in end.finditer(head)]))
    return Source(source.law, source.article, head[: ends[-1]].rstrip() + CUT_MARK, source.score, cut=True)


def _pairs(text: str) -> Counter[str]:
    return Counter(text[i : i + 2] for i in range(len(text) - 1))
