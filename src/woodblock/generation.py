"""Generation with a key–value cache: greedy, in batches of prompts of any lengths."""

from __future__ import annotations

from collections.abc import Callable

import torch

from woodblock.errors import UserError
from woodblock.model import Cache, Transformer, autocast


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: list[list[int]],
    max_new_tokens: int,
    stop_id: int,
    batch_size: int = 32,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """The most likely continuation of each prompt, token by token, up to and with stop_id.

    A reply has max_new_tokens tokens at most, and fewer where the model's context ends. Prompts of similar length share a
    batch; on_done is called with the number of prompts that a finished batch held. Raises UserError for a prompt that
    fills the context, since there is no room for a reply.
    """
    context = model.config.context
    if full := [len(prompt) for prompt in prompts if len(prompt) >= context]:
        raise UserError(
            f"a prompt of {full[0]} tokens fills model.context: {context}; shorten it, or raise model.context"
        )
    replies: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        for i, reply in zip(chosen, _batch(model, [prompts[i] for i in chosen], max_new_tokens, stop_id), strict=True):
            replies[i] = reply
        on_done(len(chosen))
    return replies


def _batch(model: Transformer, prompts: list[list[int]], max_new_tokens: int, stop_id: int) -> list[list[int]]:
    device = model.embed_tokens.weight.device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    width = int(lengths.max())
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    room = min(model.config.context, width + max_new_tokens)
    cache = Cache(model.config, len(prompts), room, model.embed_tokens.weight)
    rows = torch.arange(len(prompts), device=device)
    with autocast(device):
        hidden = model.hidden(ids.to(device), cache)[rows, lengths - 1]
        cache.lengths = lengths.clone()
        replies: list[list[int]] = [[] for _ in prompts]
        for _ in range(max_new_tokens):
            chosen = (hidden @ model.embed_tokens.weight.T).argmax(dim=-1)  # [rows left]
            for row, token in zip(rows.tolist(), chosen.tolist(), strict=True):
                replies[row].append(token)
            going = (chosen != stop_id) & (cache.lengths < room)
            if not going.any():
                break
            if not going.all():  # rows that have ended cost nothing more
                rows, chosen = rows[going], chosen[going]
                cache = cache.take(going)
            hidden = model.hidden(chosen[:, None], cache)[:, 0]
            cache.lengths = cache.lengths + 1
    return replies
