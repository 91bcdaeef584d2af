"""Pretrain from random weights; score the result and n-gram baselines in bits per byte of the validation documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from woodblock import folder, likelihood, packing, training
from woodblock.errors import UserError
from woodblock.model import Config, Transformer, count_parameters
from woodblock.ngram import KneserNey
from woodblock.progress import say
from woodblock.stage import Run, run_stage
from woodblock.tokenization import Tokenizer

CURVE_WINDOWS = 64  # validation windows behind each point of the curve: enough to see it fall, quick enough to do often
BASELINES = {"unigram": 1, "bigram": 2, "trigram": 3}


def pretrain(params: Any, packed: Path, tokenizer: Path, out: Path, curve: Path, run: Run) -> dict[str, Any]:
    settings, context = params.pretrain, params.model.context
    train, validation = packing.Packed(packed, "train"), packing.Packed(packed, "validation")
    config = configure(params.model, train, tokenizer)
    folder.make_deterministic()
    model = Transformer(config).initialise(params.seed).to(folder.pick_device(params.device))
    windows = packing.Windows(train, context, params.seed)
    rows = settings.batch_tokens // context

    def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = torch.from_numpy(windows.batch(step * rows, rows))
        return tokens[:, :-1], tokens[:, 1:]

    pieces, sizes = validation_windows(validation, context)
    some = np.linspace(0, len(pieces) - 1, min(CURVE_WINDOWS, len(pieces))).astype(int)
    bytes_per_target = sizes / sum(len(piece.targets) for piece in pieces)

    def validate() -> float:
        chosen = [pieces[i] for i in some]
        size = bytes_per_target * sum(len(piece.targets) for piece in chosen)
        return likelihood.bits_per_byte(sum(likelihood.nll(model, chosen, settings.micro_batch_tokens)), size)

    task = training.Task(batch, max(1, settings.tokens // settings.batch_tokens), context, validate, "val_bpb")
    say(
        f"pretrain: {count_parameters(config):,} parameters, {task.steps:,} steps, "
        f"{settings.tokens / len(train):.2f} epochs"
    )
    result = training.train(model, task, settings, name="pretrain", key=run.key, work=run.work)
    result["curve"].to_csv(curve, index=False)
    folder.save(model, tokenizer, out)
    run.rates = {key: result[key] for key in ("tokens_per_second", "flops_per_second")}

    say("pretrain: scoring the validation documents")
    model.eval()
    val_bpb = likelihood.bits_per_byte(sum(likelihood.nll(model, pieces, settings.micro_batch_tokens)), sizes)
    return {
        "val_bpb": val_bpb,
        **baselines(train, validation, config.vocab_size, settings.baseline_tokens),
        "parameters": count_parameters(config),
        "tokens": result["tokens"],
        "epochs": result["tokens"] / len(train),
        "validation_bytes": sizes,
    }


def configure(shape: Any, train: packing.Packed, tokenizer: Path) -> Config:
    """The model's configuration. Raises UserError where the tokens were made with another tokenizer."""
    vocab_size = Tokenizer.load(tokenizer).vocab_size
    if train.index["vocab_size"] != vocab_size:
        raise UserError(
            f"data/packed holds ids of {train.index['vocab_size']} pieces, {tokenizer} has {vocab_size}; run pack again"
        )
    names = ("dim", "layers", "heads", "kv_heads", "hidden_dim", "context", "rope_theta", "norm_eps", "init_std")
    return Config(vocab_size=vocab_size, **{name: getattr(shape, name) for name in names})


def validation_windows(validation: packing.Packed, context: int) -> tuple[list[likelihood.Window], int]:
    """All windows of all validation documents, and the documents' bytes."""
    documents = range(len(validation.bytes))
    pieces = [piece for i in documents for piece in likelihood.windows(validation.document(i), context)]
    return pieces, int(validation.bytes.sum())


def baselines(train: packing.Packed, validation: packing.Packed, vocab_size: int, limit: int) -> dict[str, float]:
    """Bits per byte of interpolated Kneser–Ney unigram, bigram and trigram, on the same validation tokens.

    They count at most about `limit` training tokens, in documents taken evenly over the corpus.
    """
    share = min(1.0, limit / len(train))
    documents = np.arange(len(train.bytes))
    chosen = documents[np.floor((documents + 1) * share) > np.floor(documents * share)]
    chosen = chosen if len(chosen) else documents[:1]
    texts = [train.document(number) for number in chosen]
    tokens, starts = np.concatenate(texts), np.cumsum([0, *map(len, texts[:-1])])
    held_out, held_out_starts = validation.tokens(0, len(validation)), validation.starts[:-1]
    scores = {}
    for name, order in BASELINES.items():
        say(f"pretrain: {name} baseline")
        model = KneserNey(tokens, starts, order, vocab_size)
        nll = model.nll(held_out, np.asarray(held_out_starts))
        scores[f"{name}_bpb"] = likelihood.bits_per_byte(nll, int(validation.bytes.sum()))
    return scores


if __name__ == "__main__":
    run_stage(pretrain)
