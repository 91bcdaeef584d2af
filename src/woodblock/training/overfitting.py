"""Text that is read too often: how many epochs are too many, which weights of a run are kept, and whether it overfitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from woodblock.base import sizes
from woodblock.models.decoder import Transformer
from woodblock.tokens.packing import Windows

# Up to four epochs, text that is read again is worth almost as much as new text. After that it is worth less and less, and
# after about sixteen hardly anything (Muennighoff et al. 2023, Scaling Data-Constrained Language Models, section 6).
EPOCHS = 4
RISE = 0.01  # the validation loss is over its minimum by more than this share: more than the curve's noise


class Chosen(Protocol):
    """The run of a stage: the params that say auto, with the numbers that are used for them (stage.Run)."""

    chosen: dict[str, Any]


class Budget:
    """The block pretrain of the params with some other numbers."""

    def __init__(self, block: Any, numbers: Mapping[str, Any]) -> None:
        self._block, self._numbers = block, dict(numbers)

    def __getattr__(self, name: str) -> Any:
        return self._numbers[name] if name in self._numbers else getattr(self._block, name)


def within_epochs(params: Any, run: Chosen, windows: Windows) -> tuple[Any, list[str]]:
    """The block pretrain with a budget that fits the text, and lines to say about it.

    Where pretrain.tokens is auto, the budget is at most pretrain.max_epochs epochs (null: no limit). Batch and rates that
    are auto follow from the smaller budget, and are noted in run.chosen. A budget that is given stays. Whatever it is, a
    line says so if it is more than EPOCHS epochs.
    """
    block, lines, text = params.pretrain, [], int(windows.lengths.sum())
    own = {path.removeprefix("pretrain."): value for path, value in run.chosen.items() if path.startswith("pretrain.")}
    most = block.max_epochs and int(block.max_epochs * text)
    if most and "tokens" in own and block.tokens > most:
        asked = Budget(block, dict.fromkeys(own, sizes.AUTO))
        numbers = sizes.pretraining(Budget(params, {"pretrain": asked}), most)
        run.chosen.update({f"pretrain.{name}": number for name, number in numbers.items()})
        lines.append(
            f"tokens: auto stops at {block.max_epochs:g} epochs of the text (pretrain.max_epochs): "
            f"{numbers['tokens']:,} tokens instead of {block.tokens:,}"
        )
        block = Budget(block, numbers)
    return block, lines + repeats(block.tokens, windows)


def repeats(tokens: int, windows: Windows) -> list[str]:
    """A line if training reads its text, or the text of one source, more than EPOCHS times."""
    text = int(windows.lengths.sum())
    epochs = tokens / text
    reads = tokens / windows.tokens_per_pass * windows.taken / windows.lengths
    most = int(reads.argmax())
    if max(epochs, float(reads[most])) <= EPOCHS * (1 + 1e-9):
        return []
    name = windows.packed.entry["streams"][most]["source"]
    source = f", that of {name} {reads[most]:.1f} times" if reads[most] > 1.05 * epochs else ""
    return [
        f"{tokens:,} tokens are {epochs:.1f} epochs: the text is read {epochs:.1f} times{source}. After {EPOCHS} epochs, "
        f"text that is read again teaches less and less, and the model may overfit (Muennighoff et al. 2023). Add text, or "
        f"lower pretrain.tokens to {EPOCHS * text:,}"
    ]


@dataclass(frozen=True)
class Verdict:
    """What the curve of a run says: where the validation loss was lowest, and how far it rose after that, as a share."""

    step: int
    last: int
    lowest: float
    final: float
    training_fell: bool

    @property
    def rise(self) -> float:
        share = self.final / self.lowest - 1
        return share if math.isfinite(share) else 0.0


def judge(rows: Sequence[Mapping[str, float]], score: str) -> Verdict:
    """The verdict on a curve (loop.train) by its column `score`; values that are no numbers do not count."""
    last = rows[-1]
    best = min((row for row in rows if math.isfinite(row[score])), key=lambda row: row[score], default=last)
    fell = last["train_loss"] < best["train_loss"]
    return Verdict(int(best["step"]), int(last["step"]), best[score], last[score], fell)


def in_words(verdict: Verdict, name: str, score: str, keep: str) -> str:
    """The verdict in a line; an empty text where the last validation was the best."""
    if verdict.step == verdict.last:
        return ""
    kept = f"the weights of step {verdict.step:,} are kept ({name}.keep: best)"
    if keep != "best":
        kept = (
            f"the last weights are kept ({name}.keep: {keep}); with best, they would be those of step {verdict.step:,}"
        )
    if verdict.rise <= RISE:
        what = f"{score} was lowest"
    elif verdict.training_fell:
        what = f"the model overfitted: the training loss fell further, but {score} was lowest"
    else:
        what = f"the model got worse: {score} was lowest"
    return (
        f"{what} after step {verdict.step:,}, at {verdict.lowest:.3f}, and is {verdict.final:.3f} after the last, step "
        f"{verdict.last:,}; {kept}"
    )


def copied(model: Transformer) -> dict[str, Tensor]:
    """The model's weights, as they are now, on the CPU."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in model.state_dict().items()}
