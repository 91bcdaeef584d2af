"""Our forward and backward pass beside transformers' Llama, for performance/pretrain.py:
python performance/forward_backward.py JOB.json speed|ours|hf

speed: tokens/s of both in turn, on the same batches of 8 rows. ours, hf: the memory that one step of one of them takes,
weights not counted, in a process of its own. One loss and its gradients, of all positions; no optimizer. Prints one JSON
object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peer_trainer import their_model
from race import Job

from woodblock import packing
from woodblock.model import Transformer
from woodblock.progress import say, track
from woodblock.tokenization import Tokenizer

ROWS, WARM_UP, TIMES = 8, 5, 30


def passes(job: Job) -> tuple[dict[str, Callable[[torch.Tensor], float]], torch.Tensor]:
    """Each side's forward and backward pass over windows [rows, context + 1], which returns the mean loss; and windows
    [WARM_UP + TIMES, ROWS, context + 1]."""
    config = job.config()
    windows = packing.Windows(packing.Packed(job.prepared / "packed", "train"), config.context, job.seed)
    batches = torch.from_numpy(windows.batch(0, (WARM_UP + TIMES) * ROWS)).view(WARM_UP + TIMES, ROWS, -1)
    ours = Transformer(config).initialise(job.seed)
    theirs = their_model(ours, Tokenizer.load(job.prepared / "tokenizer")).train()

    def our_pass(tokens: torch.Tensor) -> float:
        loss = ours.loss(tokens[:, :-1], tokens[:, 1:]) / tokens[:, 1:].numel()
        loss.backward()
        ours.zero_grad(set_to_none=True)
        return float(loss.detach())

    def their_pass(tokens: torch.Tensor) -> float:
        targets = tokens[:, 1:].contiguous()
        loss = theirs(input_ids=tokens[:, :-1], labels=targets, shift_labels=targets, use_cache=False).loss
        loss.backward()
        theirs.zero_grad(set_to_none=True)
        return float(loss.detach())

    return {"ours": our_pass, "hf": their_pass}, batches


def speed(job: Job) -> dict[str, float]:
    """Medians over TIMES turns in which each side takes the same batch; the ratio is the median of the turns' ratios."""
    sides, batches = passes(job)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn, tokens in enumerate(track(batches, "forward and backward", "turns", len(batches))):
        losses = {}
        for name in sorted(sides, reverse=bool(turn % 2)):
            started = time.perf_counter()
            losses[name] = sides[name](tokens)
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
        if abs(losses["ours"] - losses["hf"]) > 1e-3:
            raise SystemExit(f"the two models do not agree: losses of {losses['ours']:.5f} and {losses['hf']:.5f}")
    tokens = batches[0, :, 1:].numel()
    ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], seconds["hf"], strict=True)]
    quarters = statistics.quantiles(ratios, n=4)
    return {
        "fwd_bwd_tokens_per_second": tokens / statistics.median(seconds["ours"]),
        "hf_fwd_bwd_tokens_per_second": tokens / statistics.median(seconds["hf"]),
        "fwd_bwd_vs_hf": statistics.median(ratios),
        "fwd_bwd_vs_hf_quartiles": [quarters[0], quarters[2]],
    }


def memory(job: Job, name: str) -> dict[str, float]:
    """MB of resident memory that a step adds at its peak, after one on a few tokens; NaN without Linux's /proc."""
    sides, batches = passes(job)
    sides[name](batches[0, :1, :9])
    peak = float("nan")
    if (clear := Path("/proc/self/clear_refs")).exists():
        clear.write_text("5")  # sets the peak to what is held now (proc(5))
        before = status("VmRSS")
        for tokens in batches[:3]:
            sides[name](tokens)
        peak = status("VmHWM") - before
    return {f"{name}_step_mb": peak}


def status(field: str) -> float:
    """MB of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024 / 1e6


if __name__ == "__main__":
    given, what = Job.load(sys.argv[1]), sys.argv[2]
    say(f"forward and backward: {what}")
    print(json.dumps(speed(given) if what == "speed" else memory(given, what)))
