"""The loss in chunks is that of plain cross-entropy, and so is its gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from support import small_models
from support.small_models import ids


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows", [1, 300])
def test_loss_and_gradient_are_those_of_cross_entropy(masked, rows, known):
    """300 rows of 12 make more than one of the chunks in which the loss is taken."""
    model = small_models.model(context=12)
    tokens = ids(model, rows, 13)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    if masked:
        targets[torch.rand(targets.shape, generator=torch.Generator().manual_seed(1)) < 0.6] = -1
    loss = model.loss(inputs, targets, count=int((targets >= 0).sum()) if known else None)
    (loss / 3).backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    wanted = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum")
    (wanted / 3).backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-3)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=2e-4 * float(weight.grad.abs().max()))


def test_a_part_of_a_batch_without_targets_adds_nothing():
    model = small_models.model()
    tokens = ids(model, 1, 8)
    loss = model.loss(tokens, torch.full_like(tokens, -1))
    loss.backward()
    assert float(loss.detach()) == 0 and all((weight.grad == 0).all() for weight in model.parameters())


def test_loss_without_gradients_is_the_same():
    model = small_models.model()
    tokens = ids(model, 2, 20)
    with torch.no_grad():
        quiet = model.loss(tokens[:, :-1], tokens[:, 1:])
    assert quiet == model.loss(tokens[:, :-1], tokens[:, 1:])
