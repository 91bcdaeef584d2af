"""The training loop, one for pretraining and fine-tuning: accumulate, clip, step; validate; save; resume.

Batch b depends only on its number. So a run that was killed continues from its last checkpoint with the same batches, and
ends with the same bits. The loop waits for a GPU only at every tenth step, where it reads ten losses. How often they are
read changes no result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd
import torch
from torch import Tensor

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress, say
from woodblock.models.configuration import flops
from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.run import ranks
from woodblock.training import checkpoint, distributed, divergence, hardware, overfitting, threads, watch
from woodblock.training import optimizer as optimizers
from woodblock.training.distributed import World
from woodblock.training.prefetch import ahead, pinned

Batch = tuple[Tensor, ...]  # ids, targets and, if attention stays within documents, the documents' numbers; [B, T] each
LOG_EVERY = 10  # steps for each row of the live log


class Settings(optimizers.Settings, Protocol):
    micro_batch_tokens: int
    clip: float
    keep: str  # best: the weights with the lowest validation score; last
    validate_every: int
    checkpoint_every: int


class Place(distributed.Place, Protocol):
    """The block `train` of params.yaml: on how many devices a run is computed, and how."""

    compile: bool


@dataclass
class Task:
    """What is trained on.

    batch(step): the arguments of the model's loss, on the CPU; targets below 0 do not count. steps: of the optimizer.
    validate(model, world): numbers for the curve, by name; the one named `score` is the better the lower it is.
    describe(step): what a step's batch consists of, for errors. sample(model): texts for a reader, taken every
    samples_every steps (0: never). about: lines to print at the start.
    """

    batch: Callable[[int], Batch]
    steps: int
    validate: Callable[[Transformer, World], dict[str, float]]
    describe: Callable[[int], str]
    sample: Callable[[Transformer], list[str]] | None = None
    samples_every: int = 0
    about: Sequence[str] = ()
    score: str = "val_loss"


@dataclass
class Position:
    """How far a run has come; kept in its checkpoints."""

    step: int = 0
    tokens: int = 0
    flops: int = 0  # of the model, without those that padding took
    seconds: float = 0.0  # spent in steps, also in those before the run was killed
    rows: list[dict[str, float]] = field(default_factory=list)  # of the curve
    since: list[list[float]] = field(default_factory=list)  # loss, targets, norm of each step after the last row
    samples: list[dict[str, Any]] = field(default_factory=list)  # step and texts
    trend: dict[str, Any] = field(default_factory=lambda: vars(divergence.Trend()))
    best_step: int = 0  # of the validation with the lowest score; 0: none yet
    best_score: float = math.inf
    peak: float = math.nan  # of all devices together, in FLOP/s, as measured by the rank that saved


@dataclass
class Result:
    """The results of a run. model: with whole weights, those that are kept; it is the given model, unless that was sharded.
    kept_step: the step that they are of. rise: by which share the last validation is above the best one."""

    model: Transformer
    curve: pd.DataFrame
    samples: list[dict[str, Any]]
    tokens: int
    rates: dict[str, float]  # tokens_per_second, flops_per_second, mfu_percent
    kept_step: int
    rise: float


class Journal(Protocol):
    """The name of a run, what it depends on, and the places of its checkpoints and its live log (stage.Run)."""

    name: str
    identity: checkpoint.Identity
    work: Path

    @property
    def log(self) -> Path: ...


def train(model: Transformer, task: Task, settings: Settings, place: Place, journal: Journal) -> Result:
    """Train in place, on the model's device and as many others as `place` says.

    The curve has a row for each validation: step, tokens (positions trained so far), train_loss (nats a target, the mean
    since the last row), learning_rate, grad_norm (before clipping, also a mean) and the task's numbers. If settings.keep is
    best, the model ends with the weights of the best validation; a line says so if this was not the last one. Checkpoints
    are kept in the journal's folder. SIGTERM and Ctrl-C end a run after the present step, with a checkpoint, as
    KeyboardInterrupt. Raises UserError if the loss is not finite or has diverged (divergence.Trend), naming the step, its
    batch and the last checkpoint; and if a GPU's memory is full, with what can be done.
    """
    device = model.embed_tokens.weight.device
    if ranks.size() == 1 and not ranks.only_helps():
        _say_what_begins(task, journal)
        if (count := distributed.rank_count(place.devices, device)) > 1:
            _train_in_ranks(model, count, journal.work)
    with ranks.interruption() as interruption, distributed.join(device) as world:
        loop = _Loop(model, task, settings, place, journal, world, interruption)
        loop.run()
        trained = distributed.whole_model(loop.model, world)
        leave_compiled(trained)
    if interruption.asked:  # it came after the last step was saved: the next run only writes the results
        raise KeyboardInterrupt
    if ranks.only_helps():
        raise ranks.RankDone(journal.name)
    position = loop.position
    kept_step = loop.give_back_best(trained)
    verdict = overfitting.judge(position.rows, task.score)
    if said := overfitting.in_words(verdict, journal.name, task.score, settings.keep):
        say(f"{journal.name}: {said}")
    curve = pd.DataFrame(position.rows)
    return Result(trained, curve, position.samples, position.tokens, loop.rates(), kept_step, verdict.rise)


def _say_what_begins(task: Task, journal: Journal) -> None:
    for line in task.about:
        say(f"{journal.name}: {line}")
    if not (journal.work / checkpoint.NEWEST).exists():
        for line in checkpoint.others(journal.work, journal.identity):
            say(f"{journal.name}: {line}; this run starts from the beginning")


def _train_in_ranks(model: Transformer, count: int, work: Path) -> None:
    """Start ranks that train up to the last checkpoint. Meanwhile this process leaves its GPU to them."""
    device = model.embed_tokens.weight.device
    model.cpu()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    ranks.launch(count, work)
    model.to(device)


class Share(NamedTuple):
    """A rank's share of a batch: its rows, and of the whole batch the numbers of targets, positions and operations."""

    rows: Batch
    targets: int
    positions: int
    flops: int


class _Loop:
    """A run in one rank."""

    def __init__(
        self,
        model: Transformer,
        task: Task,
        settings: Settings,
        place: Place,
        journal: Journal,
        world: World,
        interruption: ranks.Interruption,
    ) -> None:
        self.model, self.task, self.settings, self.journal, self.world = model, task, settings, journal, world
        self.interruption, self.device = interruption, model.embed_tokens.weight.device
        state = checkpoint.load(journal.work, journal.identity, journal.name)
        self._check_same_start(state["position"]["step"] if state else 0)
        if state:
            model.load_state_dict(state["model"])
        if place.shard and world.size > 1:
            distributed.shard(model, world)
        self.steppers = _optimizers(model, settings)
        self.position, self.saved = Position(), 0
        self.best: dict[str, Tensor] = {}  # the weights of the best validation, on the CPU of the leader
        if state:
            for stepper, saved in zip(self.steppers, state["optimizers"], strict=True):
                distributed.load_optimizer(stepper, saved)
            self.position = Position(**state["position"])
            self.saved = self.position.step
            if settings.keep == "best" and self.position.best_step and world.leader:
                self.best = {name: weight.clone() for name, weight in (state["best"] or state["model"]).items()}
            torch.set_rng_state(state["random"])
        self.unread: list[tuple[Tensor, int, Tensor]] = []  # loss, targets, norm; a GPU may still be computing them
        self.unlogged: list[list[float]] = []  # loss, targets, norm, tokens
        self.clock = time.perf_counter()
        self.log: watch.Log | None = None
        self.compiled = False
        if self.position.step < task.steps:
            if self.position.step and world.leader:
                say(f"{journal.name}: goes on after step {self.position.step} of {task.steps}")
            self.compiled = place.compile and has_compiler(self.device)
            if self.compiled:
                compile_layers(model)

    def _check_same_start(self, step: int) -> None:
        steps = self.world.add_up(torch.tensor([step, step * step], device=self.device))
        if self.world.size * int(steps[1]) != int(steps[0]) ** 2:
            raise UserError(
                f"the processes found different checkpoints in {self.journal.work}; all machines must use the same shared "
                "project folder"
            )

    def run(self) -> None:
        task, settings, position = self.task, self.settings, self.position
        if position.step >= task.steps:
            return
        if self.world.leader:
            peak, how = hardware.peak_flops(self.device)
            position.peak = peak * self.world.size
            say(f"{self.journal.name}: MFU is of {position.peak / 1e12:.3g} TFLOP/s ({how})")
            self.log = watch.Log(self.journal.log, position.step)
        progress = Progress(self.journal.name, task.steps, "steps", done=position.step) if self.world.leader else None
        self.clock = time.perf_counter()
        read_every = 1 if self.device.type == "cpu" else 10
        for batch in self._batches():
            self._step(batch)
            step, last = position.step, position.step == task.steps
            shown = last or step % settings.validate_every == 0
            sampled = task.samples_every != 0 and (last or step % task.samples_every == 0)
            kept = last or step % settings.checkpoint_every == 0
            if shown or sampled or kept or step % read_every == 0:
                stopped = self._read()
                if shown or sampled:
                    self._look(shown, sampled)
                if kept or stopped:
                    self._save()
                if stopped:
                    raise KeyboardInterrupt
                self.clock = time.perf_counter()
            if progress:
                progress.advance(note=self._note())
        if progress:
            progress.close()
        if self.log:
            # Measured again: what else the machine did at the start must not make the run look faster than it was.
            position.peak = max(position.peak, hardware.peak_flops(self.device)[0] * self.world.size)
            self.log.close()

    def _batches(self) -> Iterator[Share]:
        """This rank's share of each batch that is left. For a GPU the next ones are made while it computes."""
        left = range(self.position.step, self.task.steps)
        return ahead(self._share, left) if self.device.type == "cuda" else map(self._share, left)

    def _share(self, step: int) -> Share:
        batch = self.task.batch(step)
        count = int((batch[1] >= 0).sum())
        if not count:
            raise UserError(
                f"{self.journal.name}, step {step}: the batch ({self.task.describe(step)}) has no token to learn from; "
                "look at these data"
            )
        rows = distributed.rows_of(self.world, batch)
        if self.device.type == "cuda":
            rows = pinned(tuple(tensor.contiguous() for tensor in rows))
        return Share(rows, count, batch[0].numel(), flops(self.model.config, *hardware.sequences(batch)))

    def _step(self, batch: Share) -> None:
        """One step of the optimizers, on this rank's rows of the batch."""
        position, settings = self.position, self.settings
        self.share = optimizers.learning_rate_share(position.step, self.task.steps, settings)
        for group in (group for stepper in self.steppers for group in stepper.param_groups):
            group["lr"] = self.share * group["peak"]
        try:
            loss = accumulate(self.model, batch.rows, batch.targets, settings.micro_batch_tokens)
            norm = update(self.model, self.steppers, settings.clip, self.world)
        except torch.OutOfMemoryError:  # only of a GPU; on a CPU the system kills the process instead
            raise UserError(self._out_of_memory()) from None
        position.step, position.tokens = position.step + 1, position.tokens + batch.positions
        position.flops += batch.flops
        self.unread.append((loss, batch.targets, norm))

    def _out_of_memory(self) -> str:
        """The message. A smaller micro-batch rounds differently, so it is another run; another train.shard is not."""
        name, tokens, context = self.journal.name, self.settings.micro_batch_tokens, self.model.config.context
        windows = tokens // context
        fewer = next((n for n in range(windows // 2, 0, -1) if windows % n == 0), None)  # so that it divides the batch
        smaller = (
            f"lower it to {fewer * context}, which starts a new run" if fewer else "it is one window, the smallest"
        )
        return (
            f"the GPU's memory is full at step {self.position.step}, with {name}.micro_batch_tokens: {tokens}; {smaller}; "
            f"with train.shard: true and train.devices: 2 or more, each GPU has only a part of the weights; {self._stands()}"
        )

    def _stands(self) -> str:
        if self.saved:
            return f"the checkpoint of step {self.saved} is in {self.journal.work}"
        return "there is no checkpoint yet"

    def _read(self) -> bool:
        """Read the losses of the steps since the last reading; returns whether somebody asked the run to end."""
        losses = torch.stack([loss for loss, _, _ in self.unread])
        asked = torch.full_like(losses[:1], float(self.interruption.asked))
        numbers = self.world.add_up(torch.cat([losses, asked])).tolist()  # here the CPU waits for the GPU
        norms = torch.stack([norm for _, _, norm in self.unread]).tolist()
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        self.position.seconds += seconds
        first = self.position.step - len(self.unread)
        for place, (loss, (_, count, _), norm) in enumerate(zip(numbers[:-1], self.unread, norms, strict=True)):
            self._check(first + place, loss / count, norm)
            self.position.since.append([loss, count, norm])
            self.unlogged.append([loss, count, norm])
        self.unread.clear()
        if self.log and (len(self.unlogged) >= LOG_EVERY or self.position.step == self.task.steps):
            self._add_row(self.log)
        return bool(numbers[-1])

    def _check(self, step: int, loss: float, norm: float) -> None:
        trend = divergence.Trend(**self.position.trend)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"loss {loss}, gradient norm {norm} at step {step}"
        elif trend.add(loss):
            what = (
                f"the loss has diverged: {loss:.3f} nats at step {step}, over {divergence.STRAYED} times its running mean "
                f"of {trend.mean:.3f} for {trend.strayed} steps"
            )
        else:
            self.position.trend = vars(trend)
            return
        name = self.journal.name
        raise UserError(
            f"{what}; the batch was {self.task.describe(step)}; {self._stands()}; try a lower {name}.learning_rate "
            f"({self.settings.learning_rate}) or {name}.matrix_learning_rate ({self.settings.matrix_learning_rate})"
        )

    def _add_row(self, log: watch.Log) -> None:
        losses, counts, norms = zip(*self.unlogged, strict=True)
        rates = self.rates()
        log.add(
            step=self.position.step,
            tokens=self.position.tokens,
            loss=sum(losses) / sum(counts),
            learning_rate=self.share * self.settings.learning_rate,
            grad_norm=sum(norms) / len(norms),
            memory_mb=hardware.memory_mb(self.device),
            seconds=self.position.seconds,
            tokens_per_second=rates["tokens_per_second"],
            mfu=rates["mfu_percent"] / 100,
        )
        self.unlogged.clear()

    def rates(self) -> dict[str, float]:
        """Rates over all steps so far. MFU: model FLOPs utilisation, of the peak of all devices (Chowdhery et al. 2022)."""
        seconds = max(self.position.seconds, 1e-9)
        return {
            "tokens_per_second": self.position.tokens / seconds,
            "flops_per_second": self.position.flops / seconds,
            "mfu_percent": 100 * self.position.flops / seconds / self.position.peak,
        }

    def _note(self) -> str:
        if not self.position.since:
            return ""
        loss, count, _ = self.position.since[-1]
        return f"loss {loss / count:.3f}, {self.rates()['tokens_per_second']:,.0f} tokens/s"

    def _look(self, shown: bool, sampled: bool) -> None:
        """Add a row to the curve, and samples."""
        model = distributed.whole_model(self.model, self.world).eval()
        # Layers are compiled for the shape of a training batch. Each other shape would be compiled again.
        with torch.compiler.set_stance("force_eager") if self.compiled else nullcontext():
            if shown:
                figures = self.task.validate(model, self.world)
                self.position.rows.append(self._row(figures))
                self.position.since.clear()
                self._compare(model, figures[self.task.score])
            if sampled and self.task.sample and self.world.leader:
                self.position.samples.append({"step": self.position.step, "texts": self.task.sample(model)})
        self.world.wait()
        model.train()

    def _compare(self, model: Transformer, score: float) -> None:
        """Note whether this validation is the best so far, and keep a copy of its weights."""
        position = self.position
        if not score < position.best_score:
            return
        position.best_step, position.best_score = position.step, score
        if self.settings.keep == "best" and self.world.leader and position.step < self.task.steps:
            self.best = overfitting.copied(model)

    def give_back_best(self, model: Transformer) -> int:
        """Give the whole model the weights that are kept, if they are not the last ones; returns their step."""
        position = self.position
        if self.settings.keep != "best" or position.best_step in (0, position.step):
            return position.step
        model.load_state_dict(self.best)
        return position.best_step

    def _row(self, figures: dict[str, float]) -> dict[str, float]:
        losses, counts, norms = zip(*self.position.since, strict=True)
        row = {
            "step": self.position.step,
            "tokens": self.position.tokens,
            "train_loss": sum(losses) / sum(counts),
            "learning_rate": self.share * self.settings.learning_rate,
            "grad_norm": sum(norms) / len(norms),
            **figures,
        }
        return {key: round(value, 6) for key, value in row.items()}

    def _save(self) -> None:
        # No layer draws random numbers now. The generator's state is kept in case one does later.
        state = {
            "model": distributed.whole_state(dict(self.model.state_dict())),
            "optimizers": [distributed.whole_state(stepper.state_dict()) for stepper in self.steppers],
            "best": {} if self.position.best_step == self.position.step else self.best,
            "position": vars(self.position),
            "random": torch.get_rng_state(),
        }
        if self.world.leader:
            checkpoint.save(self.journal.work, self.journal.identity, state)
        self.saved = self.position.step
        self.world.wait()


def accumulate(model: Transformer, batch: Batch, count: int, micro_batch_tokens: int) -> Tensor:
    """Add the gradient of a batch's mean loss to the weights' gradients; returns the summed loss in nats, on the device.

    batch: ids and targets [B, T] on the CPU, and the other arguments of the model's loss. count: the targets of the whole
    batch; these rows may be a part of it. Rows are computed micro_batch_tokens at a time, and weighted by their targets.
    So the gradient is that of the batch's mean, however the batch was cut.
    """
    device = model.embed_tokens.weight.device
    rows = max(1, micro_batch_tokens // batch[0].shape[1])
    # Sharded gradients are averaged over the ranks when they are gathered; the others are summed.
    sharded = distributed.is_sharded(model)
    scale = (ranks.size() if sharded else 1) / count
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    total = torch.zeros((), device=device)
    for part in zip(*(tensor.split(rows) for tensor in batch), strict=True):
        if device.type == "cpu" and not sharded:
            total += threads.backward(model.loss, weights, part, scale)
            continue
        counted = int((part[1] >= 0).sum())  # costs nothing here; the model would have to wait for the device
        with autocast(device):
            loss = model.loss(*(tensor.to(device, non_blocking=True) for tensor in part), count=counted)
        (loss * scale).backward()
        total += loss.detach()
    return total


def update(model: Transformer, steppers: Sequence[distributed.Stepper], clip: float, world: World) -> Tensor:
    """Sum the gradients over the ranks, clip them, take a step, and clear them; returns their norm before clipping."""
    distributed.add_gradients(world, model)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def _optimizers(model: Transformer, settings: Settings) -> Sequence[distributed.Stepper]:
    steppers = optimizers.build(model, settings)
    if distributed.is_sharded(model):
        return [distributed.OnWholeMatrices(s) if isinstance(s, optimizers.Muon) else s for s in steppers]
    return steppers


def has_compiler(device: torch.device) -> bool:
    """Whether layers are compiled there; a CPU has kernels written by hand."""
    return device.type == "cuda"


def compile_layers(model: Transformer) -> None:
    """Let torch.compile fuse the operations of a layer between its products.

    All layers have the same code, so it is compiled once for all: this takes seconds at the start, and minutes for the
    model as a whole.
    """
    for layer in model.layers:
        layer.compile()


def leave_compiled(model: Transformer) -> None:
    """Undo compile_layers. Scores and replies have other shapes than batches; each would be compiled by itself."""
    for layer in model.layers:
        layer._compiled_call_impl = None
