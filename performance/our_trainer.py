"""Woodblock's side of performance/pretrain.py: python performance/our_trainer.py JOB.json

Model, packed windows, optimizers and training step are those of the stage pretrain. Its loop counts steps; here, where
the budget may be seconds, the schedule is a function of the share of the budget that is spent. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import prepared
import race
import torch
from race import Clock, Job

from woodblock.models import devices
from woodblock.models.decoder import Transformer, document_numbers
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training import loop, optimizer
from woodblock.training.distributed import World

SCHEDULE_STEPS = 1_000_000  # the schedule's function takes steps: of so many, as many as the share says


def train(job: Job) -> dict[str, object]:
    settings = SimpleNamespace(**job.settings)
    config = job.config()
    devices.make_deterministic()
    start_id = Tokenizer.load(job.prepared / "tokenizer").start_id
    windows = packing.Windows(packing.Packed(job.prepared / "packed", "train"), config.context, job.seed)
    world = World(torch.device("cpu"))
    rows = settings.batch_tokens // config.context
    clock = Clock(job, lambda: model.state_dict())
    model = Transformer(config).initialise(job.seed)
    steppers = optimizer.build(model, settings)
    while clock.more():
        rate = optimizer.learning_rate_share(round(clock.share() * SCHEDULE_STEPS), SCHEDULE_STEPS, settings)
        for group in (group for stepper in steppers for group in stepper.param_groups):
            group["lr"] = rate * group["peak"]
        tokens = torch.from_numpy(windows.batch(clock.steps * rows, rows))
        batch = tokens[:, :-1], tokens[:, 1:]
        if settings.document_mask:
            batch = *batch, document_numbers(batch[0], start_id)
        count = batch[1].numel()
        loss = loop.accumulate(model, batch, count, settings.batch_tokens)
        loop.update(model, steppers, settings.clip, world)
        clock.step(count, float(loss) / count)
    trained = clock.finish()
    return race.report(trained, clock.snapshots, race.Score(config, *prepared.held_out_of_woodblock(job.prepared)))


if __name__ == "__main__":
    print(json.dumps(train(Job.load(sys.argv[1]))))
