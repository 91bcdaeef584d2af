"""Generation with a key–value cache: greedy, in batches of prompts of any lengths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch

from woodblock.base.errors import UserError
from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.models.kv_cache import Cache


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: list[list[int]],
    max_new_tokens: int,
    stop_id: int,
    no_repeat_ngram: int = 0,
    batch_size: int = 32,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """The greedy continuation of each prompt: the most likely token each time, up to stop_id, which is included.

    no_repeat_ngram: no sequence of so many tokens comes twice in a reply (0: no such limit). Without it, greedy decoding
    makes a small model repeat itself without end (Holtzman et al. 2020; the rule is from Paulus et al. 2018). Only the
    reply counts, not the prompt, unlike in transformers: an answer with sources should quote what it was given.

    A reply has at most max_new_tokens tokens, and fewer where the model's context ends. Prompts of similar length share a
    batch. on_done is called with the number of prompts of each finished batch. Raises UserError for a prompt that fills
    the context, since there is no room for a reply.
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
        batch = [prompts[i] for i in chosen]
        for i, reply in zip(chosen, _batch(model, batch, max_new_tokens, stop_id, no_repeat_ngram), strict=True):
            replies[i] = reply
        on_done(len(chosen))
    return replies


class Repeats:
    """The tokens that would complete an n-gram of a reply a second time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.reply: list[int] = []
        self.after: defaultdict[tuple[int, ...], set[int]] = defaultdict(
            set
        )  # the n-gram's first tokens → its last ones

    def add(self, token: int) -> None:
        self.reply.append(token)
        if self.size and len(self.reply) >= self.size:
            self.after[tuple(self.reply[-self.size : -1])].add(token)

    def banned(self) -> list[int]:
        if not self.size or len(self.reply) < self.size:
            return []
        return sorted(self.after.get(tuple(self.reply[len(self.reply) - self.size + 1 :]), ()))


def _batch(
    model: Transformer, prompts: list[list[int]], max_new_tokens: int, stop_id: int, no_repeat_ngram: int
) -> list[list[int]]:
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
        replies = [Repeats(no_repeat_ngram) for _ in prompts]
        for _ in range(max_new_tokens):
            logits = model.logits(hidden)  # [rows left, vocabulary]
            for place, row in enumerate(rows.tolist()):
                logits[place, replies[row].banned()] = float("-inf")
            chosen = logits.argmax(dim=-1)
            for row, token in zip(rows.tolist(), chosen.tolist(), strict=True):
                replies[row].add(token)
            going = (chosen != stop_id) & (cache.lengths < room)
            if not going.any():
                break
            if not going.all():  # rows that have ended are not computed any more
                rows, chosen = rows[going], chosen[going]
                cache = cache.take(going)
            hidden = model.hidden(chosen[:, None], cache)[:, 0]
            cache.lengths = cache.lengths + 1
    return [one.reply for one in replies]
