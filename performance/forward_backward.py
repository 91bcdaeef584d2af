"""One side of the forward and backward pass of performance/pretrain.py: python performance/forward_backward.py JOB.json
ours|hf

One loss of all positions of 8 rows, and its gradients; no optimizer. A process of its own for each side, so that neither
meets what the other left in malloc or in torch's threads: `alternate` has them take the same batches in turn.

Prints the MB of resident memory that a pass adds at its peak, weights not counted, as a JSON object. Then answers each
line of its input, the number of a batch, by [seconds, loss].
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import race
import torch
from race import Job

from woodblock.base.progress import track
from woodblock.models.decoder import Transformer
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training import loop

SIDES = ("ours", "hf")
ROWS, WARM_UP, TIMES = 8, 5, 40


def alternate(path: Path) -> dict[str, Any]:
    """Have both sides take the batches of a job in turn; medians over TIMES turns, the ratio's of the turns' ratios.

    Raises SystemExit where their losses differ by more than 1e-3 nats, or a side ends.
    """
    running = {side: _start(path, side) for side in SIDES}
    said = {f"{side}_step_mb": _answer(process, side) for side, process in running.items()}
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    turns = WARM_UP + TIMES
    for turn in track(range(turns), "forward and backward", "turns", turns):
        losses = {}
        for side in sorted(SIDES, reverse=bool(turn % 2)):
            print(turn, file=running[side].stdin, flush=True)
            took, losses[side] = _answer(running[side], side)
            seconds[side].append(took)
        if abs(losses["ours"] - losses["hf"]) > 1e-3:
            raise SystemExit(f"the two models do not agree: losses of {losses['ours']:.5f} and {losses['hf']:.5f}")
    for process in running.values():
        process.stdin.close()
        process.wait()
    ours, theirs = (seconds[side][WARM_UP:] for side in SIDES)
    tokens, ratios = ROWS * Job.load(str(path)).config().context, [b / a for a, b in zip(ours, theirs, strict=True)]
    quarters = statistics.quantiles(ratios, n=4)
    return said | {
        "fwd_bwd_tokens_per_second": tokens / statistics.median(ours),
        "hf_fwd_bwd_tokens_per_second": tokens / statistics.median(theirs),
        "fwd_bwd_vs_hf": statistics.median(ratios),
        "fwd_bwd_vs_hf_quartiles": [quarters[0], quarters[2]],
    }


def _start(path: Path, side: str) -> Any:
    command = [sys.executable, __file__, str(path), side]
    return subprocess.Popen(
        command, env=race.environment(side), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _answer(process: Any, side: str) -> Any:
    if not (line := process.stdout.readline()):
        raise SystemExit(f"forward and backward: the side {side} ended with exit code {process.wait()}")
    return json.loads(line)


# ------------------------------------------------------------------------------------------------ a side


def serve(job: Job, side: str) -> None:
    config = job.config()
    windows = packing.Windows(packing.Packed(job.prepared / "packed", "train"), config.context, job.seed)
    batches = torch.from_numpy(windows.batch(0, (WARM_UP + TIMES) * ROWS)).view(WARM_UP + TIMES, ROWS, -1)
    take = a_pass(job, side)
    print(json.dumps(step_mb(take, batches)), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        loss = take(batches[int(line)])
        print(json.dumps([time.perf_counter() - started, loss]), flush=True)


def a_pass(job: Job, side: str) -> Callable[[torch.Tensor], float]:
    """A side's forward and backward pass over windows [rows, context + 1]; it returns the mean loss in nats."""
    model = Transformer(job.config()).initialise(job.seed)

    def ours(tokens: torch.Tensor) -> float:
        count = tokens[:, 1:].numel()
        loss = loop.accumulate(model, (tokens[:, :-1], tokens[:, 1:]), count, count)
        model.zero_grad(set_to_none=True)
        return float(loss) / count

    if side == "ours":
        return ours
    from peer_trainer import their_model  # transformers takes seconds to load, and our side has no use for it

    theirs = their_model(model, Tokenizer.load(job.prepared / "tokenizer")).train()

    def hf(tokens: torch.Tensor) -> float:
        targets = tokens[:, 1:].contiguous()
        loss = theirs(input_ids=tokens[:, :-1], labels=targets, shift_labels=targets, use_cache=False).loss
        loss.backward()
        theirs.zero_grad(set_to_none=True)
        return float(loss.detach())

    return hf


def step_mb(take: Callable[[torch.Tensor], float], batches: torch.Tensor) -> float:
    """MB of resident memory that a pass adds at its peak, after one on a few tokens; NaN without Linux's /proc."""
    take(batches[0, :1, :9])
    if not (clear := Path("/proc/self/clear_refs")).exists():
        return float("nan")
    clear.write_text("5")  # sets the peak to what is held now (proc(5))
    before = status("VmRSS")
    for tokens in batches[:3]:
        take(tokens)
    return status("VmHWM") - before


def status(field: str) -> float:
    """MB of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


if __name__ == "__main__":
    serve(Job.load(sys.argv[1]), sys.argv[2])
