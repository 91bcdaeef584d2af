"""Questions of benchmarks: a file of any shape becomes one row for each question, whose texts stand apart from each other.

Records nest in many ways: SQuAD has questions in paragraphs in articles, C3 lists a dialogue and its questions, RACE has
one list of questions and one of options beside an article, others are a table by columns. `questions_of` walks through
them. What stands above several questions (a passage) belongs to each of them.

A field's name says what it is (or `columns` says it): a question, its options, its answer, or what says nothing about a
question: ids, subjects, sources. Everything else is taken for text that is asked about: passages, sentences, pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from woodblock.run.settings.sources import Column, Source
from woodblock.sources.inspection import Rows, Tally, beginning_of, encodable, inspected
from woodblock.sources.known_files import Fetched
from woodblock.sources.records import BadRecord

SHORTEST_TEXT = 4  # characters: labels and numbers say nothing about a question
SHORTEST_ANSWER = 16  # characters: shorter answers are names and numbers, which innocent texts have too
LABEL = 10  # characters: a shorter text in a list of records may be a label of the text above it
LABEL_LETTERS = 7  # letters: a shorter question is a label too (cause, effect), and something else is asked about
DEEPEST = 40  # levels of nesting that are looked through for questions; what is deeper is one field


class Role(Enum):
    """What a field is to a question."""

    QUESTION = "question"
    OPTION = "option"
    ANSWER = "answer"
    TEXT = "text"
    NOTHING = "nothing"


Leaf = tuple[Role, str]
Roles = Callable[[str], Role]

_WORDS = {
    Role.OPTION: "choice option candidate ending distractor opa opb opc opd sol",
    Role.ANSWER: "answer label target output response solution rationale explanation completion reference gold correct "
    "reply ideal exp cop score span",
    Role.QUESTION: "question query problem prompt stem instruction ask",
    Role.NOTHING: "id idx index subject category topic level difficulty genre type source split lang language license "
    "licence url uri link title keyword tag version name task domain date year author phenomenon metadata meta role from "
    "speaker format feature hash uuid uid qid guid unnamed",
}
_BY_WORD = {word: role for role, words in _WORDS.items() for word in words.split()}
_LAST_WORDS = frozenset(
    ["id", "idx", "index", "key", "type", "url", "num", "number", "count", "start", "end", "hash"]
)  # question_id, answerKey
_OPTION_LETTERS = frozenset("abcdefgh")
_CHINESE = (
    (Role.OPTION, ("选项", "候选")),
    (Role.ANSWER, ("答案", "解析", "回答", "标签")),
    (Role.NOTHING, ("题型", "学科", "科目", "类别", "类型", "来源", "难度", "编号", "序号", "年份", "标题")),
    (Role.QUESTION, ("问题", "题目", "题干", "提问", "题面")),
)
_TALK = frozenset(("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "history"))
_NAMED = {"question": Role.QUESTION, "choices": Role.OPTION, "answer": Role.ANSWER, "passage": Role.TEXT} | {
    "prompt": Role.QUESTION,
    "instruction": Role.QUESTION,
    "response": Role.ANSWER,
    "output": Role.ANSWER,
}  # our names of columns; the others are text
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\x00-\x7f]+")
_PLACE_IN_FILE = re.compile(r", (?:line|record|row) \d+$")
_ASKED = (Role.QUESTION, Role.TEXT)
_BLANK = re.compile(r"\n\s*\n")


def questions(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Yield {"text"} for each question of a benchmark: its texts, one block for each, with an empty line between blocks.

    The first line of a block is what is asked: a question, a sentence, a passage. The lines after it belong to it in this
    order: the options of a question, or its answer. tally counts records without any text.

    A record without any of the columns that `columns` names is bad.
    """
    columns = source.columns or {}
    roles = _roles(columns)
    for where, record in inspected(source.model_copy(update={"columns": None}), fetched, tally, work):
        is_file = not _PLACE_IN_FILE.search(where)
        asked = _of_text(record["text"]) if is_file else questions_of(record, roles)
        for leaves in asked:
            if columns and all(role == Role.NOTHING for role, _ in leaves):
                wanted = ", ".join(map(repr, columns.values()))
                bad = BadRecord(f"the record has none of {wanted}", "correct columns in params.yaml")
                tally.refuse(where, bad, beginning_of(record))
                continue
            if blocks := _blocks(leaves):
                yield {"text": encodable("\n\n".join(blocks), tally)}
            else:
                tally.dropped["no_text"] += 1


def _of_text(text: str) -> Iterator[list[Leaf]]:
    """The questions of a text file: what stands between empty lines or, without these, each line."""
    blocks = [block for block in _BLANK.split(text.replace("\r\n", "\n")) if block.strip()]
    if len(blocks) < 2:
        blocks = [line for line in text.splitlines() if line.strip()]
    for block in blocks:
        first, *others = [line for line in block.split("\n") if line.strip()]
        yield [(Role.QUESTION, first), *((Role.OPTION, line) for line in others)]


def _blocks(leaves: Iterable[Leaf]) -> list[str]:
    """The blocks of a question: see `questions`."""
    of: dict[Role, list[str]] = {role: [] for role in Role}
    for role, text in leaves:
        line = " ".join(text.split())
        if line and line not in of[role]:
            of[role].append(line)
    asked = sorted([*of[Role.QUESTION], *of[Role.TEXT]], key=lambda line: line.isascii() and len(line) < LABEL_LETTERS)
    asked = asked or [line for line in of[Role.NOTHING] if len(line) >= SHORTEST_TEXT]
    if not asked and not of[Role.OPTION]:
        asked = of[Role.ANSWER]
    head = "\n".join([*asked[:1], *of[Role.OPTION]])
    others = [line for line in asked[1:] if len(line) >= SHORTEST_TEXT]
    answers = [f"{asked[0]}\n{answer}" for answer in of[Role.ANSWER] if asked and len(answer) >= SHORTEST_ANSWER]
    blocks = [head, *others, *answers]
    return list(dict.fromkeys(blocks)) if any(len(block) >= SHORTEST_TEXT for block in blocks) else []


# --- what a field is --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def role_of(name: str) -> Role:
    """What a field is, by its name.

    >>> role_of("Question"), role_of("choice0"), role_of("answerKey"), role_of("sentence1")
    (<Role.QUESTION: 'question'>, <Role.OPTION: 'option'>, <Role.NOTHING: 'nothing'>, <Role.TEXT: 'text'>)
    """
    words = [word.lower() for word in _PART.findall(name)]
    if not name.strip():
        return Role.NOTHING  # a column of row numbers, as pandas writes it
    if len(words) == 1 and words[0] in _OPTION_LETTERS:
        return Role.OPTION
    if words and words[-1] in _LAST_WORDS:
        return Role.NOTHING
    found = {_BY_WORD.get(word) or _BY_WORD.get(word.removesuffix("s")) for word in words}
    found |= {role for word in words for role, parts in _CHINESE if any(part in word for part in parts)}
    return next((role for role in (*_WORDS, Role.QUESTION) if role in found), Role.TEXT)


def _roles(columns: Mapping[Column, str]) -> Roles:
    """The function that says what a field is: by `columns` if there are any, so that nothing else counts."""
    if not columns:
        return role_of
    given = {theirs: _NAMED.get(ours, Role.TEXT) for ours, theirs in columns.items()}
    return lambda name: given.get(name, Role.NOTHING)


# --- records into questions -------------------------------------------------------------------------------------------


def questions_of(
    value: Any, roles: Roles = role_of, above: tuple[Leaf, ...] = (), depth: int = 0
) -> Iterator[list[Leaf]]:
    """Yield the leaves (role, text) of each question in a record. above: the leaves that stand above all of them."""
    if isinstance(value, dict):
        value = _by_rows(value, roles)
    if depth < DEEPEST and (children := _children(value, roles)):
        own = tuple(_leaves(_without(value, children), roles))
        for child in children.values():
            for one in child if isinstance(child, list) and not _is_record(child) else [child]:
                yield from questions_of(one, roles, above + own, depth + 1)
    else:
        yield [*above, *_leaves(value, roles)]


def _children(value: Any, roles: Roles) -> dict[Any, Any]:
    """The parts of a value, by key or place, that have questions of their own; nothing if the value is one question."""
    if isinstance(value, list):
        parts = {place: part for place, part in enumerate(value) if isinstance(part, dict | list)}
        if asking := {place: part for place, part in parts.items() if _asks(part, roles)}:
            return asking
        return parts if _are_records(value) else {}
    if not isinstance(value, dict):
        return {}
    parts = {key: part for key, part in value.items() if isinstance(part, dict | list) and _may_hold(key)}
    if asking := {key: part for key, part in parts.items() if _holds_questions(part, roles)}:
        return asking
    if any(isinstance(part, str) and roles(str(key)) == Role.QUESTION for key, part in value.items()):
        return {}
    if lists := {key: part for key, part in parts.items() if _are_records(part) and _have_texts(part, roles)}:
        return lists
    records = [part for part in value.values() if isinstance(part, dict)]
    if len(records) == len(value) > 1 and all(record.keys() == records[0].keys() for record in records):
        return dict(value)  # by id: {"q1": {…}, "q2": {…}}
    return {key: part for key, part in parts.items() if isinstance(part, dict) and _children(part, roles)}


def _may_hold(key: Any) -> bool:
    """Whether a field may hold records with questions, by its name: options, answers and turns of a talk are none."""
    return str(key).lower() not in _TALK and role_of(str(key)) not in (Role.OPTION, Role.ANSWER)


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)


def _have_texts(records: Any, roles: Roles) -> bool:
    """Whether most records have a text, so that they are no mere labels of a text above them. The first ones tell."""
    first = records[:20]
    telling = (any(role in _ASKED and len(text) >= LABEL for role, text in _leaves(record, roles)) for record in first)
    return sum(telling) * 2 > len(first)


def _holds_questions(value: Any, roles: Roles, depth: int = 0) -> bool:
    """Whether a value has questions below itself: a list of records that ask, or an object that has one."""
    if depth > DEEPEST:
        return False
    if isinstance(value, list):
        return any(isinstance(part, dict | list) and _asks(part, roles, depth) for part in value)
    parts = (part for key, part in value.items() if isinstance(part, dict | list) and _may_hold(key))
    return any(_holds_questions(part, roles, depth + 1) for part in parts)


def _asks(value: Any, roles: Roles, depth: int = 0) -> bool:
    """Whether there is a field with a question in a value, at any depth."""
    if depth > DEEPEST:
        return False
    if isinstance(value, list):
        return any(_asks(part, roles, depth + 1) for part in value if isinstance(part, dict | list))
    if any(roles(str(key)) == Role.QUESTION and part for key, part in value.items()):
        return True
    parts = (part for key, part in value.items() if isinstance(part, dict | list) and _may_hold(key))
    return any(_asks(part, roles, depth + 1) for part in parts)


def _is_record(value: list[Any]) -> bool:
    """Whether a list is one record and no list of records: as in C3, it has texts and, beside them, questions."""
    return any(isinstance(part, str) or (_is_text(part) and len(part) > 0) for part in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _without(value: Any, children: Mapping[Any, Any]) -> Any:
    """A value without some of its parts."""
    if isinstance(value, list):
        return [part for place, part in enumerate(value) if place not in children]
    return {key: part for key, part in value.items() if key not in children}


def _by_rows(value: dict[Any, Any], roles: Roles) -> dict[Any, Any] | list[Any]:
    """A table by columns as a list of its rows; another object as it is.

    {"columns": [names], "data": [rows]} is one; so is an object in which all fields, or a field of questions and others,
    have a list (or an object by number) of the same length. What has another length belongs to each row.
    """
    names, data = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        return [dict(zip(map(str, names), row, strict=False)) for row in data]
    columns = {key: found for key, part in value.items() if (found := _column(part)) is not None}
    asked = [found for key, found in columns.items() if roles(str(key)) == Role.QUESTION]
    if asked:
        size = len(asked[0])
    elif len(columns) == len(value) > 1 and len({len(column) for column in columns.values()}) == 1:
        size = len(next(iter(columns.values())))
    else:
        return value
    columns = {key: column for key, column in columns.items() if len(column) == size}
    rest = _without(value, columns)
    rows = [{key: column[place] for key, column in columns.items()} for place in range(size)]
    return {**rest, "rows": rows} if rest else rows


def _column(value: Any) -> list[Any] | None:
    """The values of a column: a list that is no list of records, or an object whose keys count; None for anything else."""
    if isinstance(value, dict) and value and all(str(key).isdigit() for key in value):
        value = list(value.values())
    if isinstance(value, list) and value and not any(isinstance(part, dict) for part in value):
        return value
    return None


def _leaves(value: Any, roles: Roles) -> Iterator[Leaf]:
    """The texts of one question. Not recursive: JSON may nest deeper than Python's calls can.

    A name that says option or answer speaks for all that is below it. A list of texts is one text, unless it has options or
    answers.
    """
    if cells := _unnamed(value):
        yield from ((Role.QUESTION if place == 0 else Role.OPTION, cell) for place, cell in enumerate(cells))
        return
    stack: list[tuple[Role, Any]] = [(Role.TEXT, value)]
    while stack:
        role, value = stack.pop()
        if isinstance(value, str):
            yield role, value
        elif isinstance(value, int | float) and role == Role.OPTION and not isinstance(value, bool):
            yield role, str(value)
        elif isinstance(value, dict):
            below = [(_below(role, str(key), roles), part) for key, part in value.items()]
            stack.extend(reversed(below))
        elif role in _ASKED and value and _is_text(value):
            yield role, "\n".join(value)
        elif isinstance(value, list | tuple):
            stack.extend((role, part) for part in reversed(value))


def _unnamed(value: Any) -> list[str]:
    """The question and the options in a row without names of columns: it ends with the letter or number of the answer."""
    if isinstance(value, dict) and value and all(str(key).isdigit() for key in value):
        value = list(value.values())
    if not isinstance(value, list) or not all(isinstance(cell, str | int | float) for cell in value):
        return []
    cells = [str(cell) for cell in value]
    cells = cells[1:] if cells and cells[0].isdigit() else cells
    return cells[:-1] if len(cells) >= 4 and len(cells[-1].strip()) == 1 else []


def _below(above: Role, name: str, roles: Roles) -> Role:
    """What a field is, by its name and by what is above it."""
    role = roles(name)
    if above in (Role.OPTION, Role.ANSWER):
        return Role.NOTHING if role != above and role_of(name) in (Role.NOTHING, Role.ANSWER) else above
    return Role.QUESTION if above == Role.QUESTION and role == Role.TEXT else role
