"""Run the stages clean and dedup on a planted corpus, in a scratch project."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from support.planted.definitions import Planted
from support.planted.made_up import CITIES, THEMES
from support.projects import ROOT, Project


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
    turns = [(f"{city}在哪里？请简单说一说。", f"{city}是中国的一座城市，交通便利。") for city in CITIES]
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
            "id": f"{city}-{n}",
            "law": f"{city}市测试条例",
            "chapter": "第一章",
            "article": f"第{n}条",
            "number": n,
            "status": "现行有效",
            "text": f"第{n}条　在{city}从事{theme}活动的，应当遵守本条例第{n}条的规定。",
        }
        for city in CITIES
        for n, theme in enumerate(THEMES[:10], 1)
    )
    parquet.write(raw / "documents", articles, parquet.DOCUMENTS)


def run(planted: Planted, project: Project) -> tuple[dict[str, str], dict[str, str]]:
    """Run the stages clean and dedup as commands in a project; returns the texts of train and of validation, by id."""
    from woodblock.run import graph
    from woodblock.tables import parquet

    stages = graph.load(ROOT / "dvc.yaml")
    write(planted, project.folder / "data/raw")
    for name in ("clean", "dedup"):
        shutil.copy(ROOT / f"src/{name}.py", project.folder / f"src/{name}.py")
        project.run(*shlex.split(stages[name].cmd))
    out = project.folder / "data/dedup"
    train, validation = (
        {row["id"]: row["text"] for row in parquet.stream(out / split, ["id", "text"])}
        for split in ("train", "validation")
    )
    return train, validation
