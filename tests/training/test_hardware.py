"""Peaks come from the table or from a measurement; operations from what a batch really holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import small_models
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from woodblock.models import kernels
from woodblock.models.configuration import flops, flops_per_token
from woodblock.training import conversations, hardware


def test_peaks_of_known_gpus(monkeypatch):
    for name, peak, of in (
        ("NVIDIA H100 80GB HBM3", 989e12, "H100"),
        ("NVIDIA H100 PCIe", 756e12, "H100 PCIe"),
        ("NVIDIA H200", 989e12, "H200"),
        ("NVIDIA H20", 148e12, "H20"),
        ("NVIDIA A100-SXM4-80GB", 312e12, "A100"),
        ("NVIDIA L40S", 362e12, "L40S"),
        ("NVIDIA GeForce RTX 4090", 165e12, "RTX 4090"),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        assert hardware.peak_flops(torch.device("cuda", 0)) == (peak, f"data sheet of {of}, bf16")


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA RTX A1000",
        "NVIDIA RTX A4000 Laptop GPU",
        "NVIDIA A10G",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "GRID A100-10C",
        "NVIDIA GB200",
    ],
)
def test_another_card_is_measured_though_its_name_has_that_of_a_known_one(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    monkeypatch.setattr(torch, "mm", lambda left, right: None)
    monkeypatch.setattr(torch, "ones", lambda *size, **kind: None)
    monkeypatch.setattr(hardware, "_synchronise", lambda device: None)
    _, how = hardware.peak_flops(torch.device("cuda", 0))
    assert how.startswith("measured, products of 4096 x 4096 in ")


def test_the_peak_of_a_cpu_is_measured():
    peak, how = hardware.peak_flops(torch.device("cpu"))
    assert 1e7 < peak < 1e14 and how == "measured, products of 1024 x 1024 in float32"
    assert hardware.memory_mb(torch.device("cpu")) > 50


def counted(model, *arguments):
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.loss(*arguments).backward()
    return counter.get_total_flops()


def test_the_operations_of_a_batch_are_those_of_its_real_positions_and_targets(monkeypatch):
    """As torch counts them for each conversation by itself, without padding; torch counts attention's masked half too."""
    monkeypatch.setattr(kernels, "LONGEST", 0)  # torch's counter knows no operations of the kernels for CPUs
    model = small_models.model(vocab_size=40)
    lengths, replies = (3, 9, 16), (1, 4, 16)
    rows = []
    for length, reply in zip(lengths, replies, strict=True):
        ids, targets = np.arange(length) % 40, np.arange(length) % 40
        targets[: length - reply] = -1
        rows.append((ids, targets))
    batch = conversations.padded(rows, 0)
    assert batch[0].shape == (3, 16)
    assert hardware.sequences(batch) == (sum(lengths), sum(replies), sum(length**2 for length in lengths))
    alone = sum(counted(model, *map(torch.from_numpy, (ids[None], targets[None]))) for ids, targets in rows)
    config = model.config
    masked_half = 6 * config.layers * config.dim * sum(length**2 for length in lengths)
    assert flops(config, *hardware.sequences(batch)) == alone - masked_half
    full = 3 * 16 * flops_per_token(config, 16)
    assert flops(config, *hardware.sequences(batch)) < 0.6 * full, "what a full window would have taken"


def test_attention_is_counted_within_documents():
    ids = torch.zeros(2, 8, dtype=torch.long)
    numbers = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2, 2, 2]])
    assert hardware.sequences((ids, ids)) == (16, 16, 128)
    assert hardware.sequences((ids, ids, numbers)) == (16, 16, 9 + 25 + 64)
