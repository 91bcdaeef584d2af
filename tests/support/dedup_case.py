"""A small run of the stage dedup: its inputs, made by hand or drawn at random, and its outputs."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import dedup
from woodblock.base.digests import digest
from woodblock.run.stage import Run
from woodblock.tables import parquet
from woodblock.tables.texts import held_out

SETTINGS = {
    "ngram": 3,
    "bands": 24,
    "rows": 3,
    "threshold": 0.5,
    "edited": 0.5,
    "copied": 1.0,
    "paragraph_chars": 12,
    "paragraph_documents": 3,
    "overlap_chars": 16,
    "validation_share": 0.3,
}
OUTPUTS = ("train", "validation", "instructions", "documents", "decontamination.json", "results")


def sentence(chance: random.Random, length: int) -> str:
    return "".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(length))


def document(number: int, text: str, group: str | None = None, quality: float = 0.0) -> dict[str, object]:
    return {
        "id": f"d{number}",
        "group": group or f"组{number}",
        "source": "试",
        "title": "题",
        "weight": 1.0,
        "text": text,
        "quality": quality,
    }


def talk(number: int, *said: str, system: str = "") -> dict[str, object]:
    messages = [{"role": ["user", "assistant"][n % 2], "content": text} for n, text in enumerate(said)]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"id": f"c{number}", "source": "试", "messages": messages}


def article(law: str, number: int, text: str) -> dict[str, object]:
    where = {"id": f"{law}{number}", "law": law, "chapter": "", "article": f"第{number}条", "number": number}
    return {**where, "status": "现行有效", "text": text}


class Case:
    """The inputs of one run of the stage; what is not given is empty."""

    def __init__(self, folder: Path, part_characters: int = 3000) -> None:
        self.folder, self.part_characters = folder, part_characters
        self.rows: dict[str, list] = {name: [] for name in ("corpus", "instructions", "documents", "benchmarks")}
        self.settings, self.min_chars = dict(SETTINGS), 10

    def run(self, out: str = "out", processes: int = 1, work: str | None = None) -> dict:
        """Run the stage; its outputs are in self.folder / out."""
        columns = (parquet.CLEANED, parquet.INSTRUCTIONS, parquet.DOCUMENTS, parquet.BENCHMARKS)
        inputs = [self.folder / f"{self.part_characters}-{name}" for name in self.rows]
        for path, rows, schema in zip(inputs, self.rows.values(), columns, strict=True):
            if not path.exists():
                parquet.write(path, rows, schema, self.part_characters)
        params = SimpleNamespace(
            seed=1,
            clean=SimpleNamespace(min_chars=self.min_chars, personal_data=["mobile", "email"]),
            dedup=SimpleNamespace(**self.settings),
        )
        (self.folder / out).mkdir()
        run = Run("dedup", "test", self.folder / (work or f"work-{out}"), processes)
        self.counts = dedup.dedup(params, *inputs, *(self.folder / out / name for name in OUTPUTS), run=run)
        return self.counts

    def table(self, name: str, out: str = "out") -> list[dict]:
        return list(parquet.stream(self.folder / out / name))

    def ids(self, name: str) -> list[str]:
        return [row["id"] for row in self.table(name)]


def groups(split: str, number: int, share: float = SETTINGS["validation_share"]) -> list[str]:
    """Names of groups that are on one side."""
    names = (f"{split}{n}" for n in range(10_000))
    return [name for name in names if held_out(name, share) == (split == "validation")][:number]


def corpus(case: Case, seed: int = 4, documents: int = 120) -> random.Random:
    """Documents of their own, copies with and without edits, shared paragraphs, and some that are held out."""
    chance = random.Random(seed)
    shared = [sentence(chance, 20) for _ in range(4)]
    for number in range(documents):
        lines = [sentence(chance, chance.randrange(30, 90)) for _ in range(3)]
        if number and chance.random() < 0.3:
            characters = list(chance.choice(case.rows["corpus"])["text"])
            for place in chance.sample(range(len(characters)), len(characters) // 50):
                characters[place] = "改"
            lines = "".join(characters).split("\n")
        if chance.random() < 0.3:
            lines.insert(1, chance.choice(shared))
        case.rows["corpus"].append(document(number, "\n".join(lines), quality=chance.choice([0.1, 0.2])))
    case.rows["instructions"] = [talk(n, sentence(chance, 9), sentence(chance, 30)) for n in range(30)]
    case.rows["instructions"] += case.rows["instructions"][:5]
    case.rows["documents"] = [article(f"第{n}法", m, sentence(chance, 40)) for n in range(15) for m in range(3)]
    asked = [chance.choice(case.rows["corpus"])["text"][:40] for _ in range(3)]
    case.rows["benchmarks"] = [{"id": f"q{n}", "benchmark": "问", "text": text} for n, text in enumerate(asked)]
    return chance


def digests(case: Case, out: str) -> dict[str, str]:
    return {name: digest(case.folder / out / name) for name in OUTPUTS}


def filled(case: Case, texts: list[str], qualities: list[float] | None = None) -> None:
    """The texts in groups of training, and a document apart that is held out."""
    for number, (text, group) in enumerate(zip(texts, groups("train", len(texts)), strict=True)):
        case.rows["corpus"].append(document(number, text, group, qualities[number] if qualities else 0.0))
    text = sentence(random.Random(99), 60)
    case.rows["corpus"].append(document(len(texts), text, groups("validation", 1)[0]))
