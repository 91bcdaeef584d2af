"""The memory of training is what torch allocates for it, and what is said to fit does fit."""

from __future__ import annotations

import re
import tracemalloc
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models
from support.measured_memory import NARROW, peak_bytes, two_steps

from woodblock.base.errors import UserError
from woodblock.models import kernels
from woodblock.models.configuration import Config
from woodblock.tables import parquet
from woodblock.training import conversations, hardware, memory

WIDE = {"dim": 256, "layers": 2, "heads": 4, "kv_heads": 4, "hidden_dim": 704, "vocab_size": 3000, "qk_norm": True}


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(
    ("shape", "context", "tokens", "kind"),
    [
        (NARROW, 64, 64, "muon"),  # most is Muon's step
        (NARROW, 64, 64, "adamw"),  # most is weights and state
        (NARROW, 256, 512, "adamw"),  # most is what layers keep
        (WIDE, 64, 256, "muon"),
        (WIDE, 64, 64, "adam"),
    ],
)
def test_memory_of_training_is_what_torch_allocates(shape, context, tokens, kind, by_hand, monkeypatch):
    config = small_models.config(context=context, **shape)
    if not by_hand:
        monkeypatch.setattr(kernels, "LONGEST", 0)
    assert memory.training_bytes(config, tokens, kind, "cpu") == pytest.approx(
        peak_bytes(lambda: two_steps(config, tokens, kind)), rel=0.15
    )


@settings(max_examples=50)
@given(
    room=st.integers(0, 10**9),
    kind=st.sampled_from(["muon", "adamw", "adam"]),
    device=st.sampled_from(["cpu", "cuda"]),
    qk_norm=st.booleans(),
)
def test_the_largest_micro_batch_fits_and_one_more_token_does_not(room, kind, device, qk_norm):
    config = small_models.config(dim=128, layers=4, qk_norm=qk_norm)
    tokens = memory.largest_micro_batch(config, room, kind, device)
    assert tokens == 0 or memory.training_bytes(config, tokens, kind, device) <= room
    assert memory.training_bytes(config, tokens + 1, kind, device) > room


def asked(batch=4096, micro=2048, kind="adamw"):
    return SimpleNamespace(optimizer=kind, batch_tokens=batch, micro_batch_tokens=micro)


def test_what_cannot_fit_is_refused_with_what_would():
    config = small_models.config(context=64, **NARROW)
    need = memory.training_bytes(config, 2048, "adamw", "cpu")
    memory.check_room(
        config, asked(), 64, None, "cpu", memory.Parallelism(), "pretrain"
    )  # nothing is known of the machine
    memory.check_room(config, asked(), 64, need * 9 // 10, "cpu", memory.Parallelism(), "pretrain")  # it may just fit
    with pytest.raises(
        UserError, match=r"pretrain.micro_batch_tokens: 2048 needs about .* GiB, but only .* would fit"
    ) as error:
        memory.check_room(config, asked(), 64, need // 2, "cpu", memory.Parallelism(), "pretrain")
    assert "\n" not in str(error.value)
    fitting = int(re.search(r"(\d+) would fit", str(error.value))[1])
    assert fitting == 512  # the next that divides the batch, 1024, takes over half as much as 2048
    memory.check_room(config, asked(micro=fitting), 64, need // 2, "cpu", memory.Parallelism(), "pretrain")
    assert memory.training_bytes(config, fitting, "adamw", "cpu") <= need // 2
    assert memory.training_bytes(config, 1024, "adamw", "cpu") > need // 2
    with pytest.raises(UserError, match="no micro-batch would fit: make the model smaller"):
        memory.check_room(config, asked(), 64, 1000, "cpu", memory.Parallelism(), "sft")


def test_ranks_share_a_batch_a_cpu_and_perhaps_the_weights():
    config = small_models.config(context=64, **NARROW)
    fixed = memory.fixed_bytes(config, "adamw", "cuda")
    activations = memory.training_bytes(config, 2048, "adamw", "cuda") - fixed
    room = fixed // 2 + activations
    two = memory.Parallelism(2, shard=True)
    memory.check_room(config, asked(), 64, room, "cuda", two, "pretrain")  # each holds half of the weights
    with pytest.raises(UserError, match="in each of 2 ranks"):
        memory.check_room(config, asked(), 64, room // 2, "cuda", two, "pretrain")
    whole = memory.training_bytes(config, 2048, "adamw", "cpu")
    memory.check_room(config, asked(), 64, 2 * whole, "cpu", memory.Parallelism(2), "pretrain")
    with pytest.raises(UserError, match="in each of 2 ranks"):
        memory.check_room(config, asked(), 64, whole, "cpu", memory.Parallelism(2), "pretrain")


def test_a_stage_asks_for_its_ranks_and_a_rank_does_not(monkeypatch):
    config, cpu = small_models.config(context=64, **NARROW), torch.device("cpu")
    need = memory.training_bytes(config, 2048, "adamw", "cpu")
    monkeypatch.setattr(hardware, "free_memory", lambda device: need)
    place = SimpleNamespace(devices=1, shard=False)
    memory.check(config, asked(), place, 64, cpu, "pretrain")
    place.devices = 2
    with pytest.raises(UserError, match=r"sft.micro_batch_tokens: 2048 .* in each of 2 ranks"):
        memory.check(config, asked(), place, 64, cpu, "sft")
    monkeypatch.setenv("RANK", "1")
    memory.check(config, asked(), place, 64, cpu, "sft")


def test_a_large_model_on_a_small_gpu_is_refused():
    """The book's: 215 M parameters, of which AdamW makes 3.9 GB; a batch of 262,144 tokens would take over 130 GB."""
    book = Config(vocab_size=6144, dim=1024, layers=18, heads=16, kv_heads=8, hidden_dim=2752, context=512)
    assert memory.fixed_bytes(book, "adam", "cuda") == pytest.approx(18 * 215_127_040, rel=1e-3)
    sizes = asked(262144, 262144, "adam")
    with pytest.raises(UserError, match=r"262144 needs about 1\d\d GiB, but only 80 GiB .*; 131072 would fit"):
        memory.check_room(book, sizes, 512, 80 * 2**30, "cuda", memory.Parallelism(), "pretrain")


@pytest.mark.parametrize(("devices", "shard", "threads"), [(1, False, 4), (1, True, 4), (2, False, 2), (2, True, 1)])
def test_threads_count_where_they_take_rows_of_their_own(monkeypatch, devices, shard, threads):
    asked_of = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(memory, "check_room", lambda *arguments: asked_of.append(arguments[5]))
    place = SimpleNamespace(devices=devices, shard=shard)
    memory.check(small_models.model().config, None, place, 64, torch.device("cpu"), "pretrain")
    assert asked_of == [memory.Parallelism(devices, shard and devices > 1, threads)]


def table_of_conversations(folder, count, turns, lines):
    texts = [small_models.text(lines, seed=seed) for seed in range(20)]

    def said(number):
        return [
            {"role": role, "content": f"{texts[(number + 7 * turn) % 20]}{number}"}
            for turn in range(turns)
            for role in ("user", "assistant")
        ]

    columns = parquet.schema(id="string", messages="messages")
    parquet.write(folder, ({"id": f"given-{n}", "messages": said(n)} for n in range(count)), columns)
    return folder


@pytest.mark.parametrize(("count", "turns", "lines"), [(1000, 1, 1), (300, 1, 6), (200, 4, 2)])
def test_the_memory_of_conversations_is_estimated_within_a_factor_of_two(tmp_path, count, turns, lines):
    table = table_of_conversations(tmp_path / "given", count, turns, lines)
    tokenizer = small_models.tokenizer()
    tracemalloc.start()
    everything = [conversations.given(row["id"], row["messages"], 0.05) for row in parquet.stream(table)]
    encoded = conversations.encode(everything, tokenizer, "", 10**6)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(everything) == count and encoded
    assert 0.5 < memory.conversations_bytes(table) / held < 2


def test_conversations_that_do_not_fit_are_refused_with_their_number(tmp_path, monkeypatch):
    table, place = table_of_conversations(tmp_path / "given", 1000, 1, 1), SimpleNamespace(devices=1, shard=False)
    need, cpu = memory.conversations_bytes(table), torch.device("cpu")
    monkeypatch.setattr(hardware, "free_memory", lambda device: need)
    memory.check_conversations(table, place, cpu)
    place.devices = 4
    with pytest.raises(
        UserError, match=r"^sft holds all conversations in memory: 1,000 need .* in each of 4 ranks"
    ) as error:
        memory.check_conversations(table, place, cpu)
    assert "max_records" in str(error.value) and "\n" not in str(error.value)
    monkeypatch.setattr(hardware, "free_memory", lambda device: None)  # the system does not say
    memory.check_conversations(table, place, cpu)
