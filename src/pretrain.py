"""Pretrain from random weights; score the result and n-gram baselines in bits per byte of the validation documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from woodblock.base import sizes
from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.evaluation import continuations, likelihood
from woodblock.evaluation.ngram import KneserNey
from woodblock.inference import generation
from woodblock.models import devices, hugging_face
from woodblock.models.configuration import Config, count_parameters
from woodblock.models.decoder import Transformer, document_numbers
from woodblock.run.stage import Run, run_stage
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training import distributed, loop, memory, overfitting

CURVE_WINDOWS = 64  # validation windows for each point of the curve: enough to show the trend, and scored quickly
SAMPLES, PROMPT_TOKENS, SAMPLE_TOKENS = 3, 16, 48
BASELINES = {"unigram": 1, "bigram": 2, "trigram": 3}


def pretrain(
    params: Any, packed: Path, tokenizer: Path, out: Path, curve: Path, samples: Path, run: Run
) -> dict[str, Any]:
    context = params.model.context
    train, validation = packing.Packed(packed, "train"), packing.Packed(packed, "validation")
    config = configure(params.model, train, tokenizer)
    windows = packing.Windows(train, context, params.seed)
    settings, warnings = overfitting.within_epochs(params, run, windows)
    devices.make_deterministic()
    device = distributed.device_of_rank(params.device)
    distributed.check_batch(settings.batch_tokens, context, distributed.rank_count(params.train.devices, device))
    memory.check(config, settings, params.train, context, device, "pretrain")
    model = Transformer(config).initialise(params.seed).to(device)
    rows, start_id = settings.batch_tokens // context, Tokenizer.load(tokenizer).start_id

    def batch(step: int) -> loop.Batch:
        tokens = torch.from_numpy(windows.batch(step * rows, rows))
        ids, targets = tokens[:, :-1], tokens[:, 1:]
        return (ids, targets, document_numbers(ids, start_id)) if settings.document_mask else (ids, targets)

    held_out = likelihood.held_out(validation, context)
    some = held_out.stratified_sample(CURVE_WINDOWS)

    def validate(model: Transformer, world: distributed.World) -> dict[str, float]:
        chosen = [held_out.windows[i] for i in some]
        sums = world.share_out(chosen, lambda share: likelihood.nll(model, share, settings.micro_batch_tokens))
        whole, by_source = held_out.bits_per_byte(sums, some)
        named = {f"val_bpb_{source}": bpb for source, bpb in by_source.items()} if len(by_source) > 1 else {}
        return {"val_bpb": whole, **named}

    def describe(step: int) -> str:
        first = step * rows
        return f"windows {first} to {first + rows - 1}, of {named_documents(windows, first, rows)}"

    steps = max(1, settings.tokens // settings.batch_tokens)
    epochs = settings.tokens / windows.tokens_per_pass
    sample = Sampler(validation, Tokenizer.load(tokenizer), context)
    task = loop.Task(
        batch,
        steps,
        validate,
        describe,
        sample=sample,
        samples_every=settings.samples_every,
        about=[
            *warnings,
            f"{count_parameters(config):,} parameters, {epochs:.2f} epochs, {steps:,} steps of {settings.batch_tokens:,} "
            f"tokens, {rates(settings)}",
        ],
        score="val_bpb",
    )
    result = loop.train(model, task, settings, params.train, run)
    model = result.model
    result.curve.to_csv(curve, index=False)
    samples.write_text(continuations.as_markdown(result.samples, sample.prompts), encoding="utf-8")
    hugging_face.save(model, tokenizer, out)
    run.rates = result.rates

    say("pretrain: scoring the validation documents")
    sums = likelihood.nll(model.eval(), held_out.windows, settings.micro_batch_tokens)
    val_bpb, by_source = held_out.bits_per_byte(sums)
    return {
        "val_bpb": val_bpb,
        "val_bpb_by_source": by_source,
        **baselines(train, validation, config.vocab_size, settings.baseline_tokens),
        "parameters": count_parameters(config),
        "tokens": result.tokens,
        "epochs": result.tokens / windows.tokens_per_pass,
        "steps": steps,
        "kept_step": result.kept_step,
        "rise_after_best": result.rise,
        "validation_bytes": int(validation.bytes.sum()),
    }


def rates(settings: Any) -> str:
    """The peak learning rates in words, with the weights that each is for."""
    if settings.optimizer != "muon":
        return f"learning rate {settings.learning_rate}"
    return f"learning rates {settings.matrix_learning_rate} (matrices) and {settings.learning_rate} (the rest)"


def named_documents(windows: packing.Windows, first: int, count: int, most: int = 8) -> str:
    """The numbers of the packed documents in `count` training windows from `first` on; `most` of them are named."""
    found: set[int] = set()
    for number in range(first, first + count):
        starts, stops = zip(*windows.pieces(number), strict=True)
        begins = np.searchsorted(windows.packed.starts, starts, side="right") - 1
        ends = np.searchsorted(windows.packed.starts, np.asarray(stops) - 1, side="right")
        for begin, end in zip(begins, ends, strict=True):
            found.update(range(int(begin), int(end)))
    some = ", ".join(str(number) for number in sorted(found)[:most])
    return f"documents {some}" + (f" and {len(found) - most} more" if len(found) > most else "")


class Sampler:
    """Continues the beginnings of some validation documents greedily; the same documents at every call."""

    def __init__(self, validation: packing.Packed, tokenizer: Tokenizer, context: int) -> None:
        """Take documents at even distances. A prompt is at most PROMPT_TOKENS long, and at most half of the context."""
        self.tokenizer = tokenizer
        count = min(SAMPLES, len(validation.bytes))
        documents = [validation.document(i * len(validation.bytes) // count) for i in range(count)]
        most = min(PROMPT_TOKENS, context // 2)
        self.ids = [document[: min(most, len(document) - 1)].tolist() for document in documents]
        self.prompts = [tokenizer.decode(ids[1:]) for ids in self.ids]

    def __call__(self, model: Transformer) -> list[str]:
        replies = generation.generate(model, self.ids, SAMPLE_TOKENS, self.tokenizer.end_id)
        return [self.tokenizer.decode(reply) for reply in replies]


def configure(shape: Any, train: packing.Packed, tokenizer: Path) -> Config:
    """The model's configuration. Raises UserError where the tokens were made with another tokenizer."""
    vocab_size = Tokenizer.load(tokenizer).vocab_size
    if train.index["vocab_size"] != vocab_size:
        raise UserError(
            f"data/packed was made for a vocabulary of {train.index['vocab_size']} pieces, but {tokenizer} has "
            f"{vocab_size}; run pack again"
        )
    if train.index["tokenizer_sha256"] != (found := digest(tokenizer / "tokenizer.model")):
        raise UserError(
            "data/packed was made with another tokenizer of the same size (sha256 "
            f"{train.index['tokenizer_sha256'][:12]}…); the one in {tokenizer} is {found[:12]}…; run pack again"
        )
    names = ("qk_norm", "context", "rope_theta", "rope_scaling", "rope_factor", "norm_eps", "init_std")
    numbers: dict[str, Any] = sizes.shape(shape, vocab_size) | {name: getattr(shape, name) for name in names}
    return Config(vocab_size=vocab_size, **numbers)


def baselines(train: packing.Packed, validation: packing.Packed, vocab_size: int, limit: int) -> dict[str, float]:
    """Bits per byte of interpolated Kneser–Ney unigram, bigram and trigram, on the same validation tokens as the model's.

    They are counted on at most about `limit` training tokens, from documents taken evenly over the corpus; baseline_tokens
    is how many. Where the corpus is larger, that is less than the model reads.
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
    return {**scores, "baseline_tokens": len(tokens)}


if __name__ == "__main__":
    run_stage(pretrain, scores={"val_bpb": "val_bpb"}, in_ranks=True)
