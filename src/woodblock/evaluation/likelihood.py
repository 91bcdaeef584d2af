"""Likelihood of held-out text: bits per byte over whole documents, read in windows that overlap by half."""

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

    nll: summed negative log-likelihood in nats, of the text's tokens and of its end tokens. size: the text's UTF-8 bytes.
    An end token adds no bytes, so a model must also predict where a text ends. Models with different tokenizers can be
    compared. Raises ValueError for an empty text. Source: Gao et al. 2020, The Pile, section 3.1.
    """
    if size <= 0:
        raise ValueError("bits per byte of an empty text")
    return nll / math.log(2) / size


@dataclass(frozen=True)
class Window:
    """The model reads ids; its last len(targets) positions predict targets."""

    ids: Integers
    targets: Integers


def windows(document: Integers, context: int) -> Iterator[Window]:
    """Cut a document (start token … end token) into windows of at most `context` ids.

    Every token after the start token is a target exactly once, also the end token. The first window predicts up to
    `context` targets. Each further window moves by half a context and predicts only the new half. So after the first half
    window, every target has at least context / 2 tokens before it.
    """
    if len(document) < 2:
        raise ValueError("a document has at least a start and an end token")
    done = min(context, len(document) - 1)  # targets predicted so far
    yield Window(document[:done], document[1 : done + 1])
    while done < len(document) - 1:
        new = min(context // 2, len(document) - 1 - done)
        end = done + new
        yield Window(document[max(0, end - context) : end], document[done + 1 : end + 1])
        done = end


@dataclass(frozen=True)
class HeldOut:
    """The windows of a split's documents, and for each window its bytes and its source.

    bytes [n]: a window has a part of its document's bytes, in proportion to its targets (so it is a float). source [n]: a
    place in sources, which are sorted names.
    """

    windows: list[Window]
    bytes: npt.NDArray[np.float64]
    source: npt.NDArray[np.int32]
    sources: list[str]

    def stratified_sample(self, count: int) -> Integers:
        """The numbers of about `count` windows, in order, taken from every source at even distances.

        A source gets its share of `count`, rounded down, but at least one window. The choice depends only on the windows.
        """
        chosen = []
        for number in range(len(self.sources)):
            own = np.flatnonzero(self.source == number)
            wanted = max(1, min(len(own), count * len(own) // len(self.windows)))
            chosen.append(own[(np.arange(wanted) * 2 + 1) * len(own) // (2 * wanted)])
        return np.sort(np.concatenate(chosen))

    def bits_per_byte(self, sums: Sequence[float], chosen: Integers | None = None) -> tuple[float, dict[str, float]]:
        """Bits per byte of the split, and by source, from the summed nats of the chosen windows (None: all windows).

        For the split, sources are weighted by their bytes in the whole split. So it is an estimate of the split's value,
        however many windows of each source were chosen; with all windows it is exact. Raises ValueError for a source
        without a chosen window.
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
    """All windows of all documents of a packed split; each document starts at its start token."""
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

    Windows are batched by length, with at most batch_tokens ids (padding included) in a forward pass. ids are padded on
    the right, which causal attention does not see.
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
            logits = model.logits(hidden[mask])
        losses = torch.zeros(mask.shape, dtype=torch.float64, device="cpu")
        losses[mask.cpu()] = torch.nn.functional.cross_entropy(logits, wanted[mask], reduction="none").cpu().double()
        for i, total in zip(chosen, losses.sum(dim=1).tolist(), strict=True):
            sums[i] = total
    return sums
