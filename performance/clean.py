"""Measure the stages clean and dedup beside datatrove's filter and MinHash: python performance/clean.py

Ours run as commands, from data/raw (made by the stage download, untimed) to data/dedup, over the whole corpus: repair,
filters, quality, personal data, exact and near-duplicates, paragraphs, decontamination, split. datatrove runs its
GopherRepetitionFilter and its MinHash over words of its Chinese tokenizer, on documents drawn evenly from the same
corpus, since all of it would take minutes. The two alternate; medians are reported. Both may compile and fill their
caches before, on a few documents. MB are 10^6 bytes of the texts in UTF-8; memory is the sum over all processes.

--times 10 measures ours alone, on the corpus and on ten times the corpus: in each further copy the hanzi are exchanged
for others that are about as frequent, so that no copy is a duplicate of another (but what is not Chinese is: such
documents go as duplicates).
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
CORPUS = SHARED / "mirror/ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"
INSTRUCTIONS = SHARED / "mirror/BelleGroup/train_3.5M_CN/train_3.5M_CN.json"
LICENCE = "the sources' own; nothing is kept"
PEER = ROOT / ".woodblock" / "peer"

sys.path.insert(0, str(ROOT / "src"))
from woodblock.base.progress import say, track  # noqa: E402
from woodblock.run import graph  # noqa: E402
from woodblock.tables import parquet  # noqa: E402

EVERY = 0.2  # seconds between two looks at the memory
WARM = 300  # documents on which both warm up
ALIKE = 64  # hanzi, next to each other in frequency, among which a copy's are exchanged


@dataclass
class Measured:
    """A command that has ended: its wall time in seconds, the peak of its processes' memory in MB, what it printed."""

    seconds: float
    peak_mb: float
    output: str


def measure(command: list[str], folder: Path) -> Measured:
    """Run a command in a session of its own; raises SystemExit with what it printed if it fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        peak, ended = [0.0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended))
        watcher.start()
        try:
            code = process.wait()
        finally:
            ended.set()
            watcher.join()
        seconds = time.perf_counter() - start
        output.seek(0)
        printed = output.read()
    if code:
        raise SystemExit(f"{shlex.join(command)}: exit code {code}\n{printed[-4000:]}")
    return Measured(seconds, peak[0], printed)


def _watch(session: int, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(EVERY):
        peak[0] = max(peak[0], _memory(session))


def _memory(session: int) -> float:
    """MB that the processes of a session hold, what they share counted once; 0 on systems without /proc."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[3]) == session:
                rollup = stat.with_name("smaps_rollup").read_text(encoding="utf-8")
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
    return total * 1024 / 1e6


# ------------------------------------------------------------------------------------------------ the corpus


def read(path: Path) -> Iterator[str]:
    """The texts of a JSONL file, or of the one in a tar archive."""
    if ".tar" in path.suffixes:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield from (json.loads(line)["text"] for line in archive.extractfile(member))
    else:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line)["text"] for line in file)


def write(path: Path, texts: Iterable[str]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return path


def megabytes(texts: Iterable[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def systematic_sample(texts: list[str], size_mb: float) -> list[str]:
    """Every k-th of the texts: about so many MB of them, from all over the corpus."""
    step = max(1, round(megabytes(texts) / size_mb))
    return texts[::step]


def copies(texts: list[str], times: int) -> Iterator[str]:
    """The texts, and so many copies in other hanzi that there are `times` of each."""
    yield from texts
    counts = Counter(c for text in texts for c in text if "\u4e00" <= c <= "\u9fff")
    hanzi = sorted(counts, key=lambda c: (-counts[c], c))
    for copy in range(1, times):
        rng = Random(copy)
        exchanged: dict[int, str] = {}
        for start in range(0, len(hanzi), ALIKE):
            alike = hanzi[start : start + ALIKE]
            exchanged |= {ord(c): other for c, other in zip(alike, rng.sample(alike, len(alike)), strict=True)}
        yield from (text.translate(exchanged) for text in texts)


# ------------------------------------------------------------------------------------------------ the two sides


class Ours:
    """A project in a folder of its own, with the stages of this checkout and its params but for the sources."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers
        for name in ("src", "requirements"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copy(ROOT / "dvc.yaml", folder)
        self.stages = graph.load(ROOT / "dvc.yaml")

    def stage(self, name: str) -> Measured:
        return measure([sys.executable, *shlex.split(self.stages[name].cmd)[1:]], self.folder)

    def download(self, corpus: Path) -> None:
        """Make data/raw from a corpus and a few conversations. No benchmarks: datatrove's side has no decontamination."""
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["processes"] = self.workers
        params["dedup"]["validation_share"] = 0.02  # as in presets/book-mini.yaml, which reads this corpus
        params["download"] |= {
            "corpus": [{"url": corpus.as_uri(), "licence": LICENCE}],
            "instructions": [{"url": INSTRUCTIONS.as_uri(), "max_records": WARM, "licence": LICENCE}],
            "documents": [],
            "benchmarks": [],
        }
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.stage("download")

    def run(self) -> dict[str, Any]:
        """Clean and deduplicate what data/raw holds; seconds, MB of memory and documents."""
        for folder in ("data/clean", "data/dedup", "results", ".woodblock"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        clean, dedup = self.stage("clean"), self.stage("dedup")
        for took in (line for done in (clean, dedup) for line in done.output.splitlines() if " took " in line):
            say(took)
        data = self.folder / "data"
        read = parquet.count(data / "raw/corpus")
        kept = sum(parquet.count(data / "dedup" / split) for split in ("train", "validation"))
        cleaned = parquet.count(data / "clean/corpus")
        return {
            **{
                "seconds": clean.seconds + dedup.seconds,
                "clean_seconds": clean.seconds,
                "dedup_seconds": dedup.seconds,
            },
            **{"peak_mb": max(clean.peak_mb, dedup.peak_mb), "clean_peak_mb": clean.peak_mb, "read": read},
            **{"dropped_clean": read - cleaned, "dropped_dedup": cleaned - kept},
        }


class Theirs:
    """datatrove, with the Python of its own environment, over files of JSON lines."""

    def __init__(self, folder: Path, python: Path, workers: int) -> None:
        self.folder, self.python, self.workers = folder, python, workers

    def run(self, texts: list[str]) -> dict[str, Any]:
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "in").mkdir(parents=True)
        tasks = 2 * self.workers  # so that one long document does not leave the others waiting
        for task in range(tasks):
            write(self.folder / f"in/{task:05d}.jsonl", texts[task::tasks])
        script = Path(__file__).with_name("peer_datatrove.py")
        done = measure([str(self.python), str(script), "in", "out", str(self.workers)], self.folder)
        said = json.loads(done.output.splitlines()[-1])
        return {
            **{"seconds": done.seconds, "peak_mb": done.peak_mb, "read": said["read"]},
            **{"dropped_clean": said["dropped_filter"], "dropped_dedup": said["dropped_duplicates"]},
        }


def peer_python(given: Path | None) -> Path:
    """The Python that has datatrove: the one given, or that of an environment made from requirements.txt."""
    if given:
        return given
    pins, made, python = Path(__file__).with_name("requirements.txt"), PEER / "made.txt", PEER / "bin/python"
    if not made.exists() or made.read_text() != pins.read_text():
        say(f"installing datatrove into {PEER}")
        shutil.rmtree(PEER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", pins], check=True)
        made.write_text(pins.read_text())
    return python


# ------------------------------------------------------------------------------------------------ comparisons


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def line(name: str, size_mb: float, run: dict[str, Any]) -> str:
    return (
        f"{name:22} {size_mb / run['seconds']:7.2f} MB/s  {run['seconds']:7.1f} s of {size_mb:7.1f} MB  "
        f"{run['read']:7,.0f} documents, dropped {run['dropped_clean']:,.0f} and {run['dropped_dedup']:,.0f}  "
        f"peak {run['peak_mb']:,.0f} MB"
    )


def compare(texts: list[str], scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    sample, size = systematic_sample(texts, arguments.sample_mb), megabytes(texts)
    theirs = Theirs(scratch / "theirs", peer_python(arguments.peer_python), arguments.workers)
    ours = warm(texts, scratch, arguments.workers)
    theirs.run(systematic_sample(texts, size * WARM / 10 / len(texts)))
    ours.download(write(scratch / "corpus.jsonl", texts))
    runs: dict[str, list[dict[str, Any]]] = {"woodblock": [], "datatrove": []}
    for turn in track(range(max(arguments.rounds, arguments.peer_rounds)), "clean and dedup", "rounds"):
        if turn < arguments.rounds:
            runs["woodblock"].append(ours.run())
        if turn < arguments.peer_rounds:
            runs["datatrove"].append(theirs.run(sample))
    sizes = {"woodblock": size, "datatrove": megabytes(sample)}
    for name, done in runs.items():
        for number, run in enumerate(done, 1):
            say(line(f"{name} {number}", sizes[name], run))
        print(line(name, sizes[name], median(done)))
    mine, other = median(runs["woodblock"]), median(runs["datatrove"])
    return {
        "mb_per_s": round(size / mine["seconds"], 2),
        "datatrove_mb_per_s": round(sizes["datatrove"] / other["seconds"], 3),
        **{f"{key}": round(value, 1) for key, value in mine.items()},
        **{f"datatrove_{key}": round(value, 1) for key, value in other.items()},
        **{"mb": round(size, 1), "datatrove_mb": round(sizes["datatrove"], 1), "workers": arguments.workers},
    }


def grow(texts: list[str], scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    ours = warm(texts, scratch, arguments.workers)
    said: dict[str, Any] = {"times": arguments.times, "workers": arguments.workers}
    for times in (1, arguments.times):
        corpus = write(scratch / "corpus.jsonl", copies(texts, times))
        size = megabytes(read(corpus))
        ours.download(corpus)
        done = ours.run()
        print(line(f"woodblock {times} x", size, done), flush=True)
        end = "" if times == 1 else f"_{times}x"
        said |= {f"mb_per_s{end}": round(size / done["seconds"], 2), f"mb{end}": round(size, 1)}
        said |= {f"{key}{end}": round(value, 1) for key, value in done.items()}
    return said


def warm(texts: list[str], scratch: Path, workers: int) -> Ours:
    """A project whose kernels are compiled."""
    ours = Ours(scratch / "ours", workers)
    ours.download(write(scratch / "few.jsonl", texts[:: max(1, len(texts) // WARM)]))
    say(f"compiled and warm after {ours.run()['seconds']:.1f} s on {WARM} documents")
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="JSONL of {text}, or a tar archive with one")
    parser.add_argument("--workers", type=int, default=2, help="processes of either side")
    parser.add_argument("--rounds", type=int, default=3, help="of ours")
    parser.add_argument("--peer-rounds", type=int, default=2, help="of datatrove's")
    parser.add_argument("--sample-mb", type=float, default=20.0, help="size of datatrove's sample")
    parser.add_argument("--peer-python", type=Path, help="a Python that has datatrove (default: one is made)")
    parser.add_argument("--times", type=int, help="measure ours alone, also on so many times the corpus")
    arguments = parser.parse_args()
    texts = list(read(arguments.corpus))
    with tempfile.TemporaryDirectory() as folder:
        figures = (grow if arguments.times else compare)(texts, Path(folder), arguments)
    print(json.dumps(figures, sort_keys=True))


if __name__ == "__main__":
    main()
