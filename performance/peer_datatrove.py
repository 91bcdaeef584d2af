"""datatrove's side of performance/clean.py, run with the Python of its own environment.

python performance/peer_datatrove.py INPUT WORK WORKERS cleans and deduplicates the JSON lines in INPUT's files, one file
a task, the way of its own examples: GopherRepetitionFilter, then the four steps of MinHash. Prints one JSON object: the
documents read, dropped by the filter and dropped as duplicates, and the seconds of each step.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.logging import logger
from datatrove.utils.typeshelper import Languages

LANGUAGE = Languages.mandarin_chinese  # words by spaCy with jieba


def lines(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl"))


def writer(folder: Path) -> JsonlWriter:
    return JsonlWriter(str(folder), output_filename="${rank}.jsonl", compression=None)


def main() -> None:
    given, work, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    tasks = len(list(given.glob("*.jsonl")))
    config = MinhashConfig()  # 14 bands of 8 hashes of word 5-grams
    filtered, signatures, buckets, removed, kept = (work / name for name in ("filtered", "sigs", "dups", "ids", "kept"))
    steps = {
        "filter": (
            [JsonlReader(str(given)), GopherRepetitionFilter(language=LANGUAGE), writer(filtered)],
            tasks,
        ),
        "signatures": ([JsonlReader(str(filtered)), MinhashDedupSignature(str(signatures), config, LANGUAGE)], tasks),
        "buckets": ([MinhashDedupBuckets(str(signatures), str(buckets), config=config)], config.num_buckets),
        "cluster": ([MinhashDedupCluster(str(buckets), str(removed), config)], 1),
        "write": ([JsonlReader(str(filtered)), MinhashDedupFilter(str(removed)), writer(kept)], tasks),
    }
    logger.remove()  # a line a task and step, with the host's name
    seconds = {}
    for name, (pipeline, parallel) in steps.items():
        start = time.perf_counter()
        LocalPipelineExecutor(pipeline, tasks=parallel, workers=workers, logging_dir=str(work / "logs" / name)).run()
        seconds[name] = round(time.perf_counter() - start, 2)
    read, unrepeated, unique = lines(given), lines(filtered), lines(kept)
    result = {"read": read, "dropped_filter": read - unrepeated, "dropped_duplicates": unrepeated - unique}
    print(json.dumps({**result, "seconds": seconds}))


if __name__ == "__main__":
    main()
