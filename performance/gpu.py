"""Tokens a second and MFU of the book's model on one GPU: PYTHONPATH=src python performance/gpu.py

215,127,040 parameters, sequences of 512, steps of 262,144 tokens as the book's (64 × 8 × 512), bf16 products over fp32
weights; each step with clipping and optimizers, batches copied from pinned memory meanwhile. First a sweep of the
micro-batch with compiled layers, then the fastest of them without compilation, compiled as a whole, and with attention
held within documents. Prints a table and, last, one JSON object. MFU is of model FLOPs
(woodblock.models.configuration.flops_per_token) against the card's dense bf16 peak by its data sheet, or against measured
products where the card is not in the table.

It needs torch and NumPy and nothing else. Where there is no GPU it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from woodblock.models.configuration import Config, count_parameters, flops_per_token
from woodblock.models.decoder import Transformer, document_numbers
from woodblock.models.devices import autocast
from woodblock.training import hardware, optimizer

BOOK = Config(vocab_size=6144, dim=1024, layers=18, heads=16, kv_heads=8, hidden_dim=2752, context=512)
BATCH_TOKENS = 64 * 8 * 512
DOCUMENT_TOKENS = 400  # of a document, on average: what the book's 512 characters make
WARM_UP, TIMED = 3, 10  # steps
START_ID = 1
SETTINGS = SimpleNamespace(learning_rate=1e-3, matrix_learning_rate=1e-3, weight_decay=0.1, clip=1.0)


@dataclass(frozen=True)
class Variant:
    rows: int  # sequences a forward pass
    compile: str = "layers"  # each layer, sharing their code; whole; or none
    documents: bool = False  # attention within documents
    optimizer: str = "muon"


@dataclass(frozen=True)
class Measured:
    tokens_per_second: float  # median over steps
    mfu: float
    optimizer_share: float  # of a step's time: clipping and optimizers
    memory_mb: float  # the most that tensors held at once


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def batches(config: Config, device: torch.device, batch_tokens: int) -> Iterator[torch.Tensor]:
    """Endless windows [rows, context + 1] of random ids, in which documents begin at random; pinned where there is a GPU."""
    draw = torch.Generator().manual_seed(1)
    shape = batch_tokens // config.context, config.context + 1
    while True:
        ids = torch.randint(2, config.vocab_size, shape, generator=draw)
        ids[torch.rand(shape, generator=draw) < 1 / DOCUMENT_TOKENS] = START_ID
        yield ids.pin_memory() if device.type == "cuda" else ids


def compile_as(model: Transformer, how: str) -> None:
    """In place. The loss takes its own chunks and stays as it is."""
    if how == "layers":
        for layer in model.layers:
            layer.compile()
    elif how == "whole":
        model.hidden = torch.compile(model.hidden)


def accumulate(model: Transformer, tokens: torch.Tensor, variant: Variant, device: torch.device) -> torch.Tensor:
    """The gradient of a batch's mean loss, in parts of variant.rows; returns the loss without waiting for it."""
    total, count = torch.zeros((), device=device), tokens[:, 1:].numel()
    for part in tokens.split(variant.rows):
        part = part.to(device, non_blocking=True)
        ids, targets = part[:, :-1], part[:, 1:]
        documents = document_numbers(ids, START_ID) if variant.documents else None
        with autocast(device):
            loss = model.loss(ids, targets, documents, count=targets.numel()) / count
        loss.backward()
        total += loss.detach()
    return total


def measure(config: Config, variant: Variant, device: torch.device, batch_tokens: int, timed: int) -> Measured:
    """Train a model of random weights for a few steps. Raises torch.OutOfMemoryError where it does not fit."""
    settings = SimpleNamespace(**vars(SETTINGS), optimizer=variant.optimizer)
    torch._dynamo.reset()  # what was compiled for the last variant holds its weights
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    model = Transformer(config).initialise(1).to(device)
    compile_as(model, variant.compile)
    steppers = optimizer.build(model, settings)
    made = batches(config, device, batch_tokens)
    tokens = [next(made) for _ in range(2)]  # made beforehand: a thread of the training loop does it meanwhile
    whole, updating, losses = [], [], []
    for step in range(WARM_UP + timed):
        synchronise(device)
        began = time.perf_counter()
        losses.append(accumulate(model, tokens[step % 2], variant, device))
        synchronise(device)  # once a step, to tell its two parts: a quarter of a second of work lies between
        middle = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        synchronise(device)
        ended = time.perf_counter()
        whole.append(ended - began)
        updating.append(ended - middle)
    if not all(torch.isfinite(loss) for loss in losses):
        raise SystemExit(f"{variant}: the loss is no number: {[float(loss) for loss in losses]}")
    seconds = statistics.median(whole[WARM_UP:])
    rate = tokens[0][:, 1:].numel() / seconds
    peak, _ = hardware.peak_flops(device)
    return Measured(
        rate,
        rate * flops_per_token(config, config.context) / peak,
        statistics.median(updating[WARM_UP:]) / seconds,
        hardware.memory_mb(device),
    )


def attempt(variant: Variant, device: torch.device, timed: int) -> Measured | None:
    """Measure and print a row of the table; None where it does not fit the memory."""
    name = f"| {variant.rows} × {BOOK.context} | {variant.compile} | {'yes' if variant.documents else 'no'} |"
    try:
        found = measure(BOOK, variant, device, BATCH_TOKENS, timed)
    except torch.OutOfMemoryError:
        print(f"{name} {variant.optimizer} | does not fit | | | |", flush=True)
        return None
    print(
        f"{name} {variant.optimizer} | {found.tokens_per_second:,.0f} | {found.mfu:.1%} | {found.optimizer_share:.1%} "
        f"| {found.memory_mb:,.0f} |",
        flush=True,
    )
    return found


def sweep(device: torch.device, rows: list[int], timed: int) -> dict[str, object]:
    print("| micro-batch | compiled | documents | optimizer | tokens/s | MFU | optimizers' share | MB |")
    print("|---|---|---|---|---|---|---|---|")
    tried = {variant: attempt(variant, device, timed) for variant in map(Variant, rows)}
    fits = {variant: found for variant, found in tried.items() if found}
    if not fits:
        raise SystemExit(f"not even {min(rows)} sequences fit this GPU's memory; give --rows a smaller number")
    best = max(fits, key=lambda variant: fits[variant].tokens_per_second)
    others = [
        Variant(best.rows, "none"),
        Variant(best.rows, "whole"),
        Variant(best.rows, documents=True),
        Variant(best.rows, optimizer="adamw"),
    ]
    fits |= {variant: found for variant in others if (found := attempt(variant, device, timed))}
    fastest = fits[best]
    return {
        "tokens_per_second": round(fastest.tokens_per_second),
        "mfu": round(fastest.mfu, 4),
        "micro_batch": best.rows,
        "memory_mb": round(fastest.memory_mb),
        "rows": [vars(variant) | vars(found) for variant, found in fits.items()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 32, 64, 128, 256], help="sequences a forward pass")
    parser.add_argument("--steps", type=int, default=TIMED, help="timed, of each row of the table")
    arguments = parser.parse_args()
    if wrong := [rows for rows in arguments.rows if rows < 1 or BATCH_TOKENS // BOOK.context % rows]:
        raise SystemExit(f"--rows {wrong[0]}: it must divide the {BATCH_TOKENS // BOOK.context} sequences of a step")
    if not torch.cuda.is_available():
        print(f"performance/gpu.py: torch {torch.__version__} finds no CUDA device here: nothing was measured")
        sys.exit(2)
    device = torch.device("cuda")
    peak, how = hardware.peak_flops(device)
    card = torch.cuda.get_device_name(device)
    print(f"{card}, torch {torch.__version__}, CUDA {torch.version.cuda}; peak {peak / 1e12:,.0f} TFLOP/s ({how})")
    print(f"{count_parameters(BOOK):,} parameters, {BATCH_TOKENS:,} tokens a step")
    said = sweep(device, arguments.rows, arguments.steps)
    print(json.dumps({"card": card, "torch": torch.__version__, "peak_tflops": peak / 1e12, **said}, sort_keys=True))


if __name__ == "__main__":
    main()
