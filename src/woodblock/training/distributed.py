"""Several ranks in one training run: the rows of a batch are divided, gradients are added, weights are whole or sharded.

A rank is a process that torchrun started, with a device of its own (run/ranks.py). The batch of a step is the same for
any number of ranks; each takes some of its rows. Losses are summed and divided by the targets of the whole batch. So the
gradient is the same too, except for rounding. Every rank has all the weights (data parallelism), or a part of each
(fully_shard of PyTorch; Zhao et al. 2023), which gathers them layer by layer. Checkpoints have them whole, so a run on N
ranks can continue on M.

gloo connects ranks on a CPU, NCCL those on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from woodblock.base.errors import UserError
from woodblock.models import devices
from woodblock.models.decoder import Transformer
from woodblock.run import ranks

if TYPE_CHECKING:
    from collections import defaultdict

    from torch.distributed.tensor import DTensor

BUCKET = 16_000_000  # gradients summed in one message: enough for the link's full speed, and only a small copy
PATIENCE = timedelta(minutes=30)  # how long a rank waits for the others: only rank 0 makes samples and checkpoints


class Place(Protocol):
    """What the block `train` of params.yaml says about ranks: how many share a run, and whether each has only a part of
    the weights."""

    devices: int | str
    shard: bool


@dataclass(frozen=True)
class World:
    """The ranks that share a run, and which one this process is."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leader(self) -> bool:
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """The sum of the values over all ranks, in every rank; in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def share_out(self, items: Sequence[Any], numbers: Callable[[list[Any]], list[float]]) -> list[float]:
        """numbers(items), one number for each item. Each rank computes a share of them, and gets all of them."""
        found = torch.zeros(len(items), dtype=torch.float64)
        found[self.rank :: self.size] = torch.tensor(numbers(list(items[self.rank :: self.size])), dtype=torch.float64)
        if self.size > 1:  # NCCL only knows tensors on a GPU
            found = self.add_up(found.to(self.device)).cpu()
        return found.tolist()

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier()


def device_of_rank(name: str) -> torch.device:
    """The device with a name of params.yaml for this rank. Of several ranks on a machine, each has its own GPU.

    On a CPU they share its threads. Raises UserError for a device that is not there.
    """
    device = devices.pick_device(name)
    if device.type == "cuda":
        number = int(os.environ.get("LOCAL_RANK", 0))
        if number >= torch.cuda.device_count():
            there = torch.cuda.device_count()
            raise UserError(
                f"rank {ranks.rank()} has no GPU: this machine has only {there}; start at most {there} processes"
            )
        torch.cuda.set_device(number)
        device = torch.device("cuda", number)
    return device


def rank_count(wanted: int | str, device: torch.device) -> int:
    """How many ranks share a run: as many as torchrun started, or without torchrun as train.devices says.

    auto means every GPU, and one rank on other devices. Raises UserError for more devices than there are.
    """
    if ranks.size() > 1:
        return ranks.size()
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if wanted == "auto":
        return there
    if device.type == "cuda" and int(wanted) > there:
        raise UserError(f"train.devices: {wanted}, but this machine has {there} GPUs; use {there} or auto")
    if device.type == "mps" and int(wanted) > 1:
        raise UserError(f"train.devices: {wanted}, but an Apple GPU (mps) counts as one device; set it to 1")
    return int(wanted)


def check_batch(batch_tokens: int, context: int, count: int) -> None:
    """Raises UserError, which names possible sizes, if `count` ranks cannot share the windows of a batch evenly."""
    if (rows := batch_tokens // context) % count:
        near = sorted({max(1, rows // count) * count, (rows // count + 1) * count})
        raise UserError(
            f"pretrain.batch_tokens: {batch_tokens} makes {rows} windows of model.context: {context}, which "
            f"{count} ranks (train.devices) cannot share evenly; "
            f"use {' or '.join(str(rows * context) for rows in near)}"
        )


@contextmanager
def join(device: torch.device) -> Iterator[World]:
    """Connect to the other ranks, if torchrun started any."""
    if ranks.size() == 1:
        yield World(device)
        return
    ranks.end_with_the_stage()
    on_gpu = device.type == "cuda"
    if not on_gpu:
        mates = int(os.environ.get("LOCAL_WORLD_SIZE", ranks.size()))
        torch.set_num_threads(max(1, torch.get_num_threads() // mates))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE, device_id=device if on_gpu else None)
    yield World(device, ranks.rank(), ranks.size())
    dist.destroy_process_group()  # not after an error: the others may be waiting for this one


def rows_of(world: World, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """This rank's rows of the tensors [B, …] of a batch. Every rank gets equally many: rows without targets are added.

    batch: ids, targets (below 0: none), and other tensors with one row for each of these.
    """
    if world.size == 1:
        return batch
    shares = []
    for place, tensor in enumerate(batch):
        if missing := -len(tensor) % world.size:
            tensor = torch.cat([tensor, torch.full_like(tensor[:1], -1 if place == 1 else 0).expand(missing, -1)])
        shares.append(tensor.tensor_split(world.size)[world.rank])
    return tuple(shares)


def add_gradients(world: World, model: nn.Module) -> None:
    """Sum the gradients over the ranks. Those of sharded weights are summed already."""
    if world.size == 1 or is_sharded(model):
        return
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    first = 0
    while first < len(gradients):
        last, size = first, 0
        while last < len(gradients) and (last == first or size + gradients[last].numel() <= BUCKET):
            size += gradients[last].numel()
            last += 1
        some = gradients[first:last]
        summed = world.add_up(torch.cat([gradient.flatten() for gradient in some]))
        parts = summed.split([gradient.numel() for gradient in some])
        torch._foreach_copy_(some, [part.view_as(g) for part, g in zip(parts, some, strict=True)])
        first = last


def is_sharded(model: nn.Module) -> bool:
    return any(_is_shard(weight) for weight in model.parameters())


def shard(model: Transformer, world: World) -> None:
    """Keep only a part of every weight on each rank. In place; call it before the optimizers are built."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(world.device.type, (world.size,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
        register_fsdp_forward_method(layer, "by_hand")  # weights are whole in it, as in forward
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "loss")


def whole_model(model: Transformer, world: World) -> Transformer:
    """The model itself; for a sharded one a copy with whole weights, in every rank and in the same mode."""
    if not is_sharded(model):
        return model
    copy = Transformer(model.config).to(world.device).train(model.training)
    with torch.no_grad():
        for weight, part in zip(copy.parameters(), model.parameters(), strict=True):
            weight.copy_(cast("DTensor", part).full_tensor())
    return copy


def whole_state(state: Any) -> Any:
    """A state (dictionaries, lists and tensors) with every sharded tensor whole. All ranks must call it."""
    if isinstance(state, dict):
        return {key: whole_state(value) for key, value in state.items()}
    if isinstance(state, list):
        return [whole_state(value) for value in state]
    return state.full_tensor().cpu() if _is_shard(state) else state


def load_optimizer(stepper: Stepper, state: dict[str, Any]) -> None:
    """Load an optimizer's whole state. What belongs to a sharded weight is sharded in the same way.

    Whether a step is one kernel stays as it was built here: the state may come from a run on another device.
    """
    built = [{"fused": group["fused"]} if "fused" in group else {} for group in stepper.param_groups]
    groups = [{**saved, **here} for saved, here in zip(state["param_groups"], built, strict=True)]
    stepper.load_state_dict({**state, "param_groups": groups})
    for weight, values in stepper.state.items():
        for name, value in values.items():
            if not isinstance(value, Tensor):
                continue
            values[name] = _part_of(value, weight) if _is_part_for(value, weight) else value.clone()


class OnWholeMatrices:
    """The steps of an optimizer that needs whole matrices, such as Muon, for sharded weights.

    It goes matrix by matrix: weight, gradient and state are gathered, every rank takes the same step, and each keeps its
    part. This costs three gathers a step, and every rank does all the work. It saves memory.
    """

    def __init__(self, stepper: torch.optim.Optimizer) -> None:
        self.stepper = stepper

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.stepper.param_groups

    @property
    def state(self) -> Any:
        return self.stepper.state

    def state_dict(self) -> dict[str, Any]:
        return self.stepper.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stepper.load_state_dict(state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.stepper.zero_grad(set_to_none=set_to_none)

    @torch.no_grad()
    def step(self) -> None:
        groups, states = self.stepper.param_groups, self.stepper.state
        for group in groups:
            for weight in group["params"]:
                self._step(group, weight, states)
        self.stepper.param_groups, self.stepper.state = groups, states

    def _step(self, group: dict[str, Any], weight: DTensor, states: defaultdict[Tensor, Any]) -> None:
        whole = nn.Parameter(weight.full_tensor())
        whole.grad = cast("DTensor", weight.grad).full_tensor()
        known = {name: value.full_tensor() if _is_shard(value) else value for name, value in states[weight].items()}
        self.stepper.param_groups = [{**group, "params": [whole]}]
        self.stepper.state = type(states)(dict)
        self.stepper.state[whole] = known
        self.stepper.step()
        weight.to_local().copy_(_part_of(whole.detach(), weight).to_local())
        after = self.stepper.state[whole]
        states[weight] = {n: _part_of(v, weight) if _is_part_for(v, weight) else v for n, v in after.items()}


Stepper = torch.optim.Optimizer | OnWholeMatrices


def _is_shard(value: Any) -> bool:
    # A DTensor is recognised by its method: importing its class takes a second, which a run with one rank can save.
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")


def _is_part_for(value: Any, weight: Tensor) -> bool:
    """Whether a whole tensor of an optimizer's state must be sharded like its weight."""
    return isinstance(value, Tensor) and _is_shard(weight) and not _is_shard(value) and value.shape == weight.shape


def _part_of(whole: Tensor, weight: Any) -> Any:
    """The part of a whole tensor, equal in all ranks, that has the place of the weight's part; nothing is sent."""
    from torch.distributed.tensor import DTensor, Replicate

    mesh = weight.device_mesh
    everywhere = DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
    part = everywhere.redistribute(mesh, weight.placements)
    return DTensor.from_local(
        part.to_local().clone(), mesh, weight.placements, run_check=False, shape=whole.shape, stride=whole.stride()
    )
