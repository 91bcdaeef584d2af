"""Plant faults with a seed, run the stages, print the table of what was found.

`PYTHONPATH=src:tests python -m support.planted --seed 7 --corpus FILE`; --help lists the other options.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from support.planted.definitions import SIZES
from support.planted.judging import judge, table
from support.planted.planting import plant
from support.planted.real_documents import BENCHMARKS, CORPUS, read_corpus, read_questions
from support.planted.running import run
from support.projects import stand_in_project


def main() -> None:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m support.planted", description=about)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="JSONL of {text}, or a tar archive with one")
    parser.add_argument("--benchmarks", type=Path, default=BENCHMARKS, help="folder with cmmlu/, c3/ and gsm8k/")
    parser.add_argument("--rest", type=int, default=SIZES.rest, help="real documents that must stay")
    parser.add_argument("--examples", type=int, default=3, help="missed ones shown of each kind")
    arguments = parser.parse_args()
    texts, questions = list(read_corpus(arguments.corpus)), read_questions(arguments.benchmarks)
    planted = plant(texts, questions, arguments.seed, replace(SIZES, rest=arguments.rest))
    with tempfile.TemporaryDirectory() as folder:
        rows = judge(planted, *run(planted, stand_in_project(Path(folder) / "project")))
    for row in rows:
        for name, fault, excerpt in row.missed[: arguments.examples]:
            print(f"{row.kind} | {name} | {fault} | {excerpt[:300]!r}")
    print(table(rows))


if __name__ == "__main__":
    main()
