"""Likelihood of held-out text: bits per byte over whole documents, in windows that leave no token without context."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.tokens.packing import Packed

Integers = npt.NDArray[np.int64]


def bits_per_byte(nll: float, size: float) -> float:
    """Bits per byte of text.

    nll: summed negative log-likelihood in nats, of the text's tokens and of its end tokens. size: the text's UTF-8 bytes;
    the end token counts none, so a model pays for ending in time and tokenizers of any vocabulary compare.
    Raises ValueError for an empty text. Source: Gao et al. 2020, The Pile, section 3.1.
    """
    if size <= 0:
        raise ValueError("bits per byte of an empty text")
    return nll / math.log(2) / size


@dataclass(frozen=True)
class Window:
    """ids are read; the last len(targets) positions predict targets."""

    ids: Integers
    targets: Integers


def windows(document: Integers, context: int) -> Iterator[Window]:
    """Cut a document (start token … end token) into windows of at most `context` ids.

    Every token after the start token is a target exactly once, the end token among them. The first window predicts up to
    `context` targets from the start token on; each further one moves by half a context and predicts the half that is new,
    so every target but those of the first half-window is read after at least context / 2 tokens.
    """
    if len(document) < 2:
        raise ValueError("a document holds a start and an end token at least")
    done = min(context, len(document) - 1)  # targets predicted so far
    yield Window(document[:done], document[1 : done + 1])
    while done < len(document) - 1:
        new = min(context // 2, len(document) - 1 - done)
        end = done + new
        yield Window(document[max(0, end - context) : end], document[done + 1 : end + 1])
        done = end


@dataclass(frozen=True)
class HeldOut:
    """The windows of a split's documents: of each its share of its document's bytes and its source.

    bytes [n] is float: a document's bytes are shared out by targets, so those of all its windows add up to its size.
    source [n] counts in sources, which are sorted names.
    """

    windows: list[Window]
    bytes: npt.NDArray[np.float64]
    source: npt.NDArray[np.int32]
    sources: list[str]

    def stratified_sample(self, count: int) -> Integers:
        """Numbers of about `count` windows, in order, taken from every source at even distances.

        A source has its share of them, rounded down, and one at least; so they are less than `count` and one a source.
        Which ones depends on nothing but the windows.
        """
        chosen = []
        for number in range(len(self.sources)):
            own = np.flatnonzero(self.source == number)
            wanted = max(1, min(len(own), count * len(own) // len(self.windows)))
            chosen.append(own[(np.arange(wanted) * 2 + 1) * len(own) // (2 * wanted)])
        return np.sort(np.concatenate(chosen))

    def bits_per_byte(self, sums: Sequence[float], chosen: Integers | None = None) -> tuple[float, dict[str, float]]:
        """Bits per byte of all, and by source, from the summed nats of the chosen windows (all, where none are chosen).

        The figure of all weighs the sources by their bytes in the whole split: it estimates the split, however many of
        each source's windows were chosen, and is its exact value when all were. Raises ValueError where a source has
        none among them.
        """
        chosen = np.arange(len(self.windows)) if chosen is None else np.asarray(chosen)
        source, nats = self.source[chosen], np.asarray(sums, dtype=np.float64)
        by_source, whole = {}, np.bincount(self.source, self.bytes)
        for number, name in enumerate(self.sources):
            own = source == number
            if not own.any():
                raise ValueError(f"no window of {name} was chosen")
            by_source[name] = bits_per_byte(math.fsum(nats[own]), math.fsum(self.bytes[chosen[own]]))
        overall = math.fsum(bpb * size for bpb, size in zip(by_source.values(), whole, strict=True))
        return overall / math.fsum(whole), by_source


def held_out(packed: Packed, context: int) -> HeldOut:
    """All windows of all documents of a packed split, each read from its start token on."""
    pieces, sizes, numbers = [], [], []
    for number in range(len(packed.bytes)):
        document = packed.document(number)
        own = list(windows(document, context))
        pieces += own
        sizes += [int(packed.bytes[number]) * len(piece.targets) / (len(document) - 1) for piece in own]
        numbers += [number] * len(own)
    return HeldOut(pieces, np.asarray(sizes), np.asarray(packed.source)[numbers], packed.sources)


@torch.no_grad()
def nll(model: Transformer, pieces: Iterable[Window], batch_tokens: int) -> list[float]:
    """Summed negative log-likelihood in nats of each window's targets, in the windows' order.

    Windows are batched by length, at most batch_tokens ids (padding counted) a forward pass; ids are padded on the right,
    where causal attention does not look.
    """
    pieces = list(pieces)
    device = model.embed_tokens.weight.device
    order = sorted(range(len(pieces)), key=lambda i: (-len(pieces[i].ids), i))
    sums = [0.0] * len(pieces)
    while order:
        width = len(pieces[order[0]].ids)
        chosen, order = order[: max(1, batch_tokens // width)], order[max(1, batch_tokens // width) :]
        ids = np.zeros((len(chosen), width), dtype=np.int64)
        targets = np.full((len(chosen), width), -1, dtype=np.int64)
        for row, i in enumerate(chosen):
            length, new = len(pieces[i].ids), len(pieces[i].targets)
            ids[row, :length] = pieces[i].ids
            targets[row, length - new : length] = pieces[i].targets
        wanted = torch.from_numpy(targets).to(device)
        mask = wanted >= 0
        with autocast(device):
            hidden = model.hidden(torch.from_numpy(ids).to(device))
            logits = hidden[mask] @ model.embed_tokens.weight.T
        losses = torch.zeros(mask.shape, dtype=torch.float64, device="cpu")
        losses[mask.cpu()] = (
            torch.nn.functional.cross_entropy(logits.float(), wanted[mask], reduction="none").cpu().double()
        )
        for i, total in zip(chosen, losses.sum(dim=1).tolist(), strict=True):
            sums[i] = total
    return sums
