"""Instructions made from statutes: five tasks in many phrasings, each reply grounded in an article's own words.

The tasks are: quote an article that is given; quote one of a well-known law from memory; name the law that a rule is
from; continue an article; say whether an article exists. A conversation's key names what it is about. So a split by key
keeps all phrasings about one article in the same split.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from woodblock.sources.statutes import article_name, cite, short_name

Article = Mapping[str, Any]  # law, article, number, text

CLAUSE = re.compile(r"[^，。；：！？\n]+[，。；：！？]?")
PASSAGE_CHARS = 160  # of an article in a prompt
REPLY_CHARS = 60  # of an article in a reply: so much a small model can learn to quote; but one whole sentence at least
CLAUSE_CHARS = (6, 30)
# A sentence goes on over line breaks: a list of items is one. It has its end, with the quotation marks and brackets there.
_CLOSING = r"[”’」』）》〉】)\]\"'*]*"
SENTENCE = re.compile(rf".+?[。！？!?…～]+{_CLOSING}", re.DOTALL)
SENTENCE_END = re.compile(rf"(?:[。！？!?…～.]{_CLOSING}|```)\s*$")

GROUNDED_FRAMES = (
    "根据下面的条文回答问题。\n{passages}\n问题：{question}",
    "条文：\n{passages}\n请依据条文回答：{question}",
    "请先读条文，再回答。\n{passages}\n{question}",
    "{passages}\n根据以上规定，{question}",
)
ARTICLE_QUESTIONS = (
    "{cite}是怎么规定的？",
    "{cite}讲了什么？",
    "{cite}的内容是什么？",
    "请说出{cite}。",
    "{short}{article}怎么说？",
    "{short}{article}有什么规定？",
)
RULE_QUESTIONS = (
    "“{clause}”是哪一条规定的？",
    "哪一条提到“{clause}”？",
    "关于“{clause}”，法律是怎么规定的？",
    "“{clause}”的依据是什么？",
)
LAW_QUESTIONS = (
    "“{text}”出自哪部法律？",
    "下面的规定在哪部法律里？\n{text}",
    "这是哪部法律的条文？\n{text}",
    "请指出这条规定所在的法律：{text}",
)
CONTINUATIONS = (
    "请接着写{cite}：{head}",
    "{cite}：{head}……后面是什么？",
    "把这一条补充完整。{cite}　{head}",
    "续写条文：{head}",
)
EXISTENCE_QUESTIONS = ("{cite}存在吗？", "《{law}》有{article}吗？", "有没有{cite}？", "{short}里有{article}吗？")


@dataclass(frozen=True)
class Example:
    """One conversation of two messages. key: the article that it is about. task: how it was made."""

    task: str
    key: str
    prompt: str
    reply: str

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": self.reply}]


def passage(article: Article) -> str:
    """An article in the form that a prompt has it."""
    return f"{cite(article['law'], article['article'])}　{article['text']}"


def grounded_question(question: str, passages: Sequence[Article], frame: str = GROUNDED_FRAMES[0]) -> str:
    """The user's message with the passages and the question. passages: dictionaries of law, article and text."""
    return frame.format(passages="\n".join(map(passage, passages)), question=question)


def opening_of_reply(article: Article) -> str:
    """The beginning of a reply that quotes an article: its citation."""
    return f"{cite(article['law'], article['article'])}规定："


def grounded_reply(article: Article, clause: str = "") -> str | None:
    """The reply: the citation of the article, then the beginning of its text, or the sentence with the clause that was
    asked about. It ends where a sentence ends, since a model that learns from replies which break off breaks off too.
    None where the article, as it is given, has no such sentence of at most PASSAGE_CHARS characters."""
    text = article["text"]
    if clause:
        said = next((s.strip() for s in SENTENCE.findall(text) if clause in s), "")
    else:
        said = whole_sentences(text, REPLY_CHARS)
    return opening_of_reply(article) + said if 0 < len(said) <= PASSAGE_CHARS else None


def whole_sentences(text: str, limit: int) -> str:
    """The beginning of a text up to the last end of a sentence within `limit` characters, but the first sentence at least;
    an empty text where no sentence ends."""
    said = ""
    for sentence in SENTENCE.findall(text):
        if said and len(said) + len(sentence) > limit:
            break
        said += sentence
    return said.strip()


def ends_sentence(text: str) -> bool:
    """Whether a text ends where a sentence does (or a block of code), and not at a comma, a semicolon or within a word."""
    return SENTENCE_END.search(text) is not None


def excerpt(text: str, limit: int = PASSAGE_CHARS) -> str:
    """The beginning of a text, up to the last end of a sentence (or else of a clause) within `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    for marks in ("。！？", "；：，"):
        if (end := max(head.rfind(mark) for mark in marks)) > 0:
            return head[: end + 1]
    return head


def clauses(text: str) -> list[str]:
    """The clauses of a text without their punctuation, if they are neither too short nor too long to ask about."""
    found = (clause.rstrip("，。；：！？") for clause in CLAUSE.findall(text))
    return [clause for clause in found if CLAUSE_CHARS[0] <= len(clause) <= CLAUSE_CHARS[1]]


def names(article: Article) -> dict[str, str]:
    law, number = article["law"], article["article"]
    return {"law": law, "article": number, "cite": cite(law, number), "short": short_name(law)}


def recite_given(article: Article, draw: Random) -> Example | None:
    """Question: what does this article say, or which article says this? The article's text is given."""
    given = {**article, "text": excerpt(article["text"])}
    found = clauses(given["text"])
    clause = draw.choice(found) if found and draw.random() < 0.5 else ""
    template = draw.choice(RULE_QUESTIONS if clause else ARTICLE_QUESTIONS)
    prompt = grounded_question(template.format(**names(article), clause=clause), [given], draw.choice(GROUNDED_FRAMES))
    reply = grounded_reply(given, clause)
    return _example("recite_given", article, prompt, reply) if reply else None


def recite_known(article: Article, draw: Random) -> Example | None:
    """Question: what does this article of a well-known law say? It must be known from memory."""
    prompt = draw.choice(ARTICLE_QUESTIONS).format(**names(article))
    reply = grounded_reply(article)
    return _example("recite_known", article, prompt, reply) if reply else None


def which_law(article: Article, draw: Random) -> Example | None:
    """Question: which law is this rule from?"""
    if article["law"] in article["text"] or short_name(article["law"]) in article["text"]:
        return None  # the answer would be in the question
    prompt = draw.choice(LAW_QUESTIONS).format(text=excerpt(article["text"]))
    return _example("which_law", article, prompt, f"这是《{article['law']}》的规定。")


def continue_article(article: Article, draw: Random) -> Example | None:
    """Question: how does this article continue? It is cut after a random punctuation mark."""
    text = whole_sentences(article["text"], PASSAGE_CHARS)
    if len(text) > PASSAGE_CHARS:
        return None
    # Not at the end of a paragraph: a reply does not begin with an empty line.
    cuts = [match.end() for match in re.finditer(r"[，。；：](?!\n)", text) if 8 <= match.end() <= len(text) - 8]
    if not cuts:
        return None
    cut = draw.choice(cuts)
    prompt = draw.choice(CONTINUATIONS).format(**names(article), head=text[:cut])
    return _example("continue", article, prompt, text[cut:])


def _example(task: str, article: Article, prompt: str, reply: str) -> Example:
    return Example(task, f"{article['law']}{article['article']}", prompt, reply)


def existence(articles: Sequence[Article], count: int, draw: Random) -> Iterator[Example]:
    """Question: does this article exist? Half of the answers are yes, and no question is asked twice.

    Each number is that of a random article. It is asked once about a law that has it and once about a law that does not,
    so the number alone does not tell the answer. A number that every law has is not used. Laws with gaps in their numbers
    are not used either (an amendment numbers its articles like the amended law): their last number is not the number of
    their articles.
    """
    held: dict[str, set[int]] = {}
    for article in articles:
        held.setdefault(article["law"], set()).add(article["number"])
    last = {law: len(found) for law, found in held.items() if found == set(range(1, len(found) + 1))}
    laws = sorted(law for law, number in last.items() if number > 1)
    numbers = [article["number"] for article in articles if article["law"] in last]
    askable = {n for n in set(numbers) if any(last[law] >= n for law in laws) and any(last[law] < n for law in laws)}
    numbers = [number for number in numbers if number in askable]
    wanted = count // 2
    asked: set[str] = set()
    for _ in range(3 * wanted if numbers else 0):
        if not wanted:
            break
        number, pair = draw.choice(numbers), []
        for exists in (True, False):
            law = draw.choice([law for law in laws if (last[law] >= number) is exists])
            about = {"law": law, "article": article_name(number)}
            prompt = draw.choice(EXISTENCE_QUESTIONS).format(**names(about))
            ending = f"《{law}》共有{last[law]}条。"
            reply = f"有。{ending}" if exists else f"没有。{ending}"
            pair.append(Example("exists", f"{law}{about['article']}", prompt, reply))
        prompts = {example.prompt for example in pair}
        if len(prompts) == 2 and not prompts & asked:  # both or neither, so that yes and no are equally frequent
            asked |= prompts
            wanted -= 1
            yield from pair


# Shares of the tasks. Half of all examples have a given text, as in answering with sources.
SHARES: dict[str, tuple[float, Callable[[Article, Random], Example | None]]] = {
    "recite_given": (0.5, recite_given),
    "recite_known": (0.1, recite_known),
    "which_law": (0.15, which_law),
    "continue": (0.15, continue_article),
}
EXISTENCE_SHARE = 0.1


def from_statutes(articles: Sequence[Article], count: int, well_known: Sequence[str], seed: int) -> list[Example]:
    """About `count` different examples from the articles of the training laws, drawn with the seed, task by task."""
    draw = Random(seed)
    articles = [article for article in articles if article["number"] >= 1]
    examples: dict[str, Example] = {}
    for task, (share, make) in SHARES.items():
        wanted = round(share * count)
        pool = [a for a in articles if task != "recite_known" or a["law"] in well_known]
        for _ in range(3 * wanted if pool else 0):  # some articles give none, and some draws repeat
            if wanted == 0:
                break
            example = make(draw.choice(pool), draw)
            if example is not None and example.prompt not in examples:
                examples[example.prompt] = example
                wanted -= 1
    return [*examples.values(), *existence(articles, round(EXISTENCE_SHARE * count), draw)]
