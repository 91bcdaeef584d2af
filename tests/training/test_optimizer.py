"""Muon orthogonalises, and steps as torch's own does; schedules begin, stay and end where they say."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import small_models

from woodblock.training import distributed, optimizer
from woodblock.training.optimizer import Muon, build, learning_rate_share, orthogonalise


def settings(**changes):
    values = {"optimizer": "muon", "learning_rate": 0.004, "matrix_learning_rate": 0.02, "weight_decay": 0.1}
    values |= {"warmup_share": 0.1, "decay_share": 0.5, "final_lr_share": 0.0, "schedule": "wsd"}
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize("shape", [(3, 24, 16), (3, 40, 16), (2, 16, 40), (1, 32, 32)])
def test_orthogonalised_matrices_keep_their_directions_and_lose_their_scales(shape):
    draw = torch.Generator().manual_seed(0)
    gradients = torch.randn(shape, generator=draw) * torch.tensor([1e-4, 1.0, 1e3])[: shape[0], None, None]
    found = orthogonalise(gradients)
    assert found.shape == gradients.shape and found.dtype == gradients.dtype
    for matrix, original in zip(found, gradients, strict=True):
        u, s, vt = torch.linalg.svd(original, full_matrices=False)
        # Directions are kept: in the basis of the original's singular vectors, what is found is diagonal.
        inside = u.T @ matrix @ vt.T
        diagonal = inside.diagonal()
        assert (inside - diagonal.diag()).abs().max() < 1e-3
        # Values within a hundredth of the largest, which five steps reach, come near 1.
        reached = diagonal[s > 0.05 * s[0]]
        assert len(reached) > len(s) / 2 and reached.min() > 0.6 and reached.max() < 1.3


def test_one_matrix_does_not_touch_its_neighbours_in_the_stack():
    draw = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 8, 12, generator=draw)
    together = orthogonalise(gradients)
    for alone, one in zip(gradients, together, strict=True):
        torch.testing.assert_close(orthogonalise(alone[None])[0], one, atol=1e-5, rtol=1e-4)
    assert (orthogonalise(torch.zeros(1, 4, 4)) == 0).all()  # no gradient, no update, no NaN


def weights_after(steps: int, make, seed: int = 0) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.nn.Parameter(torch.randn(shape, generator=draw)) for shape in ((24, 16), (24, 16), (16, 40))]
    stepper = make(weights)
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=draw)
        stepper.step()
    return [weight.detach() for weight in weights]


def test_muon_steps_as_torchs_own():
    steps, lr, decay = 4, 0.02, 0.1
    start = weights_after(0, lambda w: Muon(w, lr, decay))
    ours = weights_after(steps, lambda w: Muon(w, lr, decay))
    theirs = weights_after(
        steps, lambda w: torch.optim.Muon(w, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    )
    for before, one, other in zip(start, ours, theirs, strict=True):
        moved, wanted = one - before, other - before
        # Theirs orthogonalises in bf16: a hundredth or two apart, where a wrong momentum or scale is many.
        assert float((moved - wanted).norm() / wanted.norm()) < 0.03
        assert float(wanted.norm()) > 0.1


def test_muon_is_its_formula():
    """Written out in float64: momentum, Nesterov, five steps of the quintic, decay, scale."""

    class Plain:
        def __init__(self, weights):
            self.weights, self.momenta = weights, [torch.zeros_like(w, dtype=torch.double) for w in weights]

        @torch.no_grad()
        def step(self):
            for weight, momentum in zip(self.weights, self.momenta, strict=True):
                gradient = weight.grad.double()
                momentum.mul_(0.95).add_(gradient, alpha=0.05)
                x = 0.05 * gradient + 0.95 * momentum
                x = x / x.norm()
                for _ in range(5):
                    x = 3.4445 * x - 4.7750 * (x @ x.T @ x) + 2.0315 * (x @ x.T @ x @ x.T @ x)
                weight.mul_(1 - 0.02 * 0.1).sub_(0.02 * 0.2 * max(weight.shape) ** 0.5 * x)

    for found, wanted in zip(weights_after(5, lambda w: Muon(w, 0.02, 0.1)), weights_after(5, Plain), strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-4, rtol=1e-3)


def test_an_update_is_as_large_as_adams():
    before, after = weights_after(0, lambda w: Muon(w, 1.0, 0.0)), weights_after(1, lambda w: Muon(w, 1.0, 0.0))
    for old, new in zip(before, after, strict=True):
        assert 0.1 < float((new - old).square().mean().sqrt()) < 0.3  # 0.2, as Adam's with its β


def test_every_weight_has_one_optimizer_and_the_right_one():
    model = small_models.model()
    names = {id(weight): name for name, weight in model.named_parameters()}
    muon, adam = build(model, settings())
    assert isinstance(muon, Muon) and isinstance(adam, torch.optim.AdamW)
    of_muon = {names[id(w)] for group in muon.param_groups for w in group["params"]}
    of_adam = [names[id(w)] for group in adam.param_groups for w in group["params"]]
    assert of_muon == {name for name in names.values() if name.endswith("proj.weight")}
    assert sorted([*of_muon, *of_adam]) == sorted(names.values())
    assert {group["peak"] for group in muon.param_groups} == {0.02}
    assert {group["peak"] for group in adam.param_groups} == {0.004}
    for kind, cls in (("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)):
        (only,) = build(model, settings(optimizer=kind))
        assert type(only) is cls
        held = [names[id(w)] for group in only.param_groups for w in group["params"]]
        assert sorted(held) == sorted(names.values())


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_norms_do_not_decay(kind):
    model = small_models.model()
    for stepper in build(model, settings(optimizer=kind)):
        for group in stepper.param_groups:
            is_norm = {weight.ndim == 1 for weight in group["params"]}
            assert is_norm == {group["weight_decay"] == 0.0}


@pytest.mark.parametrize("kind", ["muon", "adamw", "adam"])
def test_adam_is_one_kernel_on_cuda_alone(kind, monkeypatch):
    assert optimizer.fused(SimpleNamespace(is_cuda=True)) and not optimizer.fused(small_models.model().norm.weight)

    def chosen():
        return [s.param_groups[0].get("fused") for s in build(small_models.model(), settings(optimizer=kind))]

    assert chosen()[-1] is None
    monkeypatch.setattr(optimizer, "fused", lambda weight: True)
    assert chosen() == ([None, True] if kind == "muon" else [True])  # Muon is products, and has no such form


@pytest.mark.parametrize("kind", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("first", [True, False])
def test_a_state_goes_on_whether_or_not_the_step_is_one_kernel(kind, first, monkeypatch):
    """A run that was broken off on a GPU goes on on a CPU, and the other way round; a CPU has both forms of the step."""
    found = []
    for forms in ((False, False), (first, not first)):
        model, state = small_models.model(), None
        for part, form in enumerate(forms):
            monkeypatch.setattr(optimizer, "fused", lambda weight, form=form: form)
            steppers = build(model, settings(optimizer=kind))
            for stepper, saved in zip(steppers, state or [], strict=bool(state)):
                distributed.load_optimizer(stepper, saved)
            draw = torch.Generator().manual_seed(part)
            for _ in range(3):
                for weight in model.parameters():
                    weight.grad = torch.randn(weight.shape, generator=draw)
                for stepper in steppers:
                    stepper.step()
            assert bool(steppers[-1].param_groups[0]["fused"]) == form
            state = copy.deepcopy([stepper.state_dict() for stepper in steppers])
        assert {float(v["step"]) for v in state[-1]["state"].values()} == {6.0}
        found.append(list(model.parameters()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


SHARES = st.floats(0, 0.5)


@given(
    steps=st.integers(1, 300),
    warmup=SHARES,
    decay=SHARES,
    low=st.floats(0, 0.5),
    schedule=st.sampled_from(["wsd", "cosine"]),
)
def test_schedules_rise_stay_and_fall(steps, warmup, decay, low, schedule):
    chosen = settings(warmup_share=warmup, decay_share=decay, final_lr_share=low, schedule=schedule)
    shares = [learning_rate_share(step, steps, chosen) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    after = learning_rate_share(steps, steps, chosen)
    assert after == pytest.approx(low) and (shares[-1] >= after or round(warmup * steps) == steps)


def test_endpoints_of_schedules():
    wsd = settings(warmup_share=0.1, decay_share=0.4, final_lr_share=0.1)
    shares = [learning_rate_share(step, 100, wsd) for step in range(100)]
    assert shares[0] == pytest.approx(0.1) and shares[9] == 1.0  # ten steps up to the peak
    assert set(shares[9:61]) == {1.0} and shares[61] < 1
    assert shares[80] == pytest.approx(0.1 + 0.9 * 0.5) and shares[99] == pytest.approx(0.1 + 0.9 / 40)
    book = settings(warmup_share=0.0, final_lr_share=0.1, schedule="cosine")
    assert learning_rate_share(0, 1000, book) == 1.0
    assert learning_rate_share(500, 1000, book) == pytest.approx(0.55)
    assert learning_rate_share(999, 1000, book) == pytest.approx(0.1, abs=1e-4)


def test_the_module_holds_the_papers_coefficients():
    """They drive [0.05, 1] into about [0.7, 1.2]: checked as a scalar iteration."""
    a, b, c = optimizer.QUINTIC
    x = torch.linspace(0.05, 1, 500, dtype=torch.double)
    for _ in range(optimizer.NEWTON_SCHULZ_STEPS):
        x = a * x + b * x**3 + c * x**5
    assert x.min() > 0.65 and x.max() < 1.25
