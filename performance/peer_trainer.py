"""The Hugging Face Trainer's side of performance/pretrain.py: python performance/peer_trainer.py JOB.json

The same model from the same first weights (LlamaForCausalLM, or Qwen3ForCausalLM where woodblock's has QK-norm; SDPA
attention), on the same packed windows in the same order and batches, under transformers.Trainer with its own AdamW and
its own schedule, warm-up and half a cosine, which follows the share of the budget that is spent. Not compiled. Prints
one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prepared
import race
import torch
from race import Clock, Job
from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

from woodblock.models import hugging_face
from woodblock.models.decoder import Transformer
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer


def their_model(ours: Transformer, tokenizer: Tokenizer) -> Any:
    """transformers' model of the shape and the weights of ours."""
    values = hugging_face.hf_config(ours.config, tokenizer)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    model.model.load_state_dict(ours.state_dict())
    return model


class Rows(torch.utils.data.IterableDataset):
    """Woodblock's windows in their order, as transformers' models take them."""

    def __init__(self, windows: packing.Windows) -> None:
        self.windows = windows

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        number = 0
        while True:
            tokens = torch.from_numpy(self.windows[number])
            # The targets are given shifted: of a window of context + 1 tokens, all the context's positions learn.
            yield {"input_ids": tokens[:-1], "labels": tokens[1:], "shift_labels": tokens[1:]}
            number += 1


class Timed(TrainerCallback):
    """Counts the Trainer's steps on the clock, and stops it when the budget is spent."""

    def __init__(self, clock: Clock, batch_tokens: int) -> None:
        self.clock, self.batch_tokens = clock, batch_tokens

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock.step(self.batch_tokens)
        control.should_training_stop = not self.clock.more()


class ByShare(Trainer):
    """The Trainer with its cosine schedule over the share of the budget: the number of steps is not known before."""

    def __init__(self, clock: Clock, warmup_share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clock, self.warmup_share = clock, warmup_share

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        optimizer = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda _: race.cosine(self.clock.share(), self.warmup_share, 0.0)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler


def train(job: Job, work: str) -> dict[str, Any]:
    logging.set_verbosity_error()
    config, settings = job.config(), job.settings
    windows = packing.Windows(packing.Packed(job.prepared / "packed", "train"), config.context, job.seed)
    tokenizer = Tokenizer.load(job.prepared / "tokenizer")
    clock = Clock(job, lambda: {name: weight for name, weight in model.model.state_dict().items()})
    model = their_model(Transformer(config).initialise(job.seed), tokenizer)
    arguments = TrainingArguments(
        output_dir=work,
        per_device_train_batch_size=settings["batch_tokens"] // config.context,
        max_steps=10**9,  # the clock stops it
        learning_rate=settings["learning_rate"],
        adam_beta2=settings["beta2"],
        weight_decay=settings["weight_decay"],
        max_grad_norm=1.0,
        seed=job.seed,
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        remove_unused_columns=False,  # it would take shift_labels out
    )
    trainer = ByShare(
        clock,
        settings["warmup_share"],
        model=model,
        args=arguments,
        train_dataset=Rows(windows),
        callbacks=[Timed(clock, settings["batch_tokens"])],
    )
    trainer.train()
    trained = clock.finish()
    return race.report(trained, clock.snapshots, race.Score(config, *prepared.held_out_of_woodblock(job.prepared)))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(train(Job.load(sys.argv[1]), str(Path(scratch)))))
