"""A project with a prepared corpus of a few thousand tokens, in which the real pretrain stage takes seconds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support import small_models
from support.projects import ROOT

from woodblock.base.digests import digest
from woodblock.run import graph
from woodblock.tokens import packing

CONTEXT = 32
SHAPE = {"dim": 32, "layers": 2, "heads": 2, "kv_heads": 1, "hidden_dim": 64, "context": CONTEXT}
SETTINGS = {
    "batch_tokens": 8 * CONTEXT,
    "micro_batch_tokens": 4 * CONTEXT,
    "tokens": 40 * 8 * CONTEXT,
    "validate_every": 10,
    "checkpoint_every": 7,
    "samples_every": 20,
    "baseline_tokens": 1000,
}
OUTPUTS = (
    "models/base/model.safetensors",
    "curves/pretrain.csv",
    "results/pretrain/samples.md",
    "metrics/pretrain.json",
)


class SmallRun:
    """The project's folder, and what tests do there."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        """changes: of params.yaml by dotted path, written with two underscores for each dot (pretrain__clip=1.0)."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        stage = graph.load(ROOT / "dvc.yaml")["pretrain"]
        for name in (
            "dvc.yaml",
            "params.yaml",
            *(dep for dep in stage.deps if dep.startswith(("src/", "requirements/"))),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(ROOT / "src/woodblock", folder / "src/woodblock", dirs_exist_ok=True)
        shutil.copytree(small_models.tokenizer_folder(), folder / "models/tokenizer")
        self.pack()
        values = {f"model__{key}": value for key, value in SHAPE.items()}
        values |= {f"pretrain__{key}": value for key, value in SETTINGS.items()}
        values |= {"threads": 1, "device": "cpu", "tokenizer__vocab_size": 600, "sft__max_tokens": CONTEXT}
        for block in ("pretrain", "sft"):
            values |= {f"{block}__batch_tokens": 8 * CONTEXT, f"{block}__micro_batch_tokens": 4 * CONTEXT}
        self.set(**{**values, **changes})

    def pack(self, seed: int = 0) -> None:
        """Write the packed documents: lines in the manner of statutes, for training and for validation."""
        tokenizer, splits = small_models.tokenizer(), {}
        for split, lines in (("train", 300), ("validation", 60)):
            texts = small_models.text(lines, seed=seed + len(split)).split("\n")
            documents = (([tokenizer.start_id, *tokenizer.encode(t), tokenizer.end_id], len(t.encode())) for t in texts)
            splits[split] = packing.write(
                self.folder / "data/packed", split, documents, vocab_size=600, shard_tokens=5000
            )
        packing.write_index(
            self.folder / "data/packed",
            vocab_size=600,
            tokenizer_sha256=digest(self.folder / "models/tokenizer/tokenizer.model"),
            splits=splits,
        )

    def set(self, **changes: Any) -> None:
        path = self.folder / "params.yaml"
        text = path.read_text(encoding="utf-8")
        for name, value in changes.items():
            block, _, key = name.rpartition("__")
            start = re.search(rf"^{block}:", text, re.MULTILINE).end() if block else 0
            pattern = rf"^{'  ' if block else ''}{key}:[^#\n]*"
            text = text[:start] + re.sub(
                pattern, f"{'  ' if block else ''}{key}: {value} ", text[start:], count=1, flags=re.M
            )
        path.write_text(text, encoding="utf-8")

    @property
    def command(self) -> list[str]:
        """What follows `python` in the stage's command."""
        return graph.load(self.folder / "dvc.yaml")["pretrain"].cmd.split()[1:]

    def start(self, command: list[str] | None = None, **variables: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [sys.executable, *(command or self.command)],
            cwd=self.folder,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: int = 0, command: list[str] | None = None, **variables: str) -> str:
        """Run the stage to its end; returns what it said."""
        process = self.start(command, **variables)
        said = process.communicate(timeout=1800)[1]
        assert process.returncode == code, said
        return said

    def kill(self, moment: Callable[[], bool], after: float = 0.0, how: signal.Signals = signal.SIGKILL) -> str | None:
        """Start the stage, wait for a moment and so many seconds more, and end it; returns what it said, or None where
        it had finished before that."""
        process = self.start()
        while process.poll() is None and not moment():
            time.sleep(0.001)
        deadline = time.monotonic() + after
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        finished = process.poll() == 0
        process.send_signal(how)
        said = process.communicate(timeout=1800)[1]
        return None if finished else said

    @property
    def work(self) -> Path:
        folders = list((self.folder / ".woodblock/work").glob("pretrain-*"))
        return folders[0] if folders else self.folder / ".woodblock" / "work" / "none"

    def saved(self) -> int:
        """A number that changes with every checkpoint; 0 before the first."""
        try:
            return (self.work / "checkpoint.pt").stat().st_ino
        except OSError:
            return 0

    def outputs(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in OUTPUTS}
