"""Peaks come from the table or from a measurement."""

from __future__ import annotations

import pytest
import torch

from woodblock.training import hardware


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
