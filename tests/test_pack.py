"""The stage pack: each document once, with its source and weight; held-out documents without a weight."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import small_models

import pack
from woodblock import packing, tables
from woodblock.tokenization import Tokenizer


def written(folder: Path, documents: list[tuple[str, str, float]]) -> Path:
    """A table of documents: source, text, weight."""
    row = {"group": "甲", "title": "", "quality": -1.0}
    rows = [
        {"id": f"{source}-{n}", **row, "source": source, "weight": weight, "text": text}
        for n, (source, text, weight) in enumerate(documents)
    ]
    tables.write(folder, rows, tables.CLEANED)
    return folder


@pytest.fixture
def corpus() -> list[tuple[str, str, float]]:
    texts = [small_models.text(lines=n, seed=n) for n in range(1, 7)]
    return [(("乙", "甲")[n % 2], text, (1.0, 2.5)[n % 2]) for n, text in enumerate(texts)]


def packed(folder: Path, corpus: list[tuple[str, str, float]]) -> dict:
    params = SimpleNamespace(threads=1, pack=SimpleNamespace(shard_tokens=100))
    train, validation = written(folder / "train", corpus), written(folder / "validation", corpus[:3])
    return pack.pack(params, small_models.tokenizer_folder(), train, validation, folder / "packed", None)


def test_every_document_comes_back_as_it_was(tmp_path, corpus):
    metrics = packed(tmp_path, corpus)
    tokenizer = Tokenizer.load(small_models.tokenizer_folder())
    for split, documents in (("train", corpus), ("validation", corpus[:3])):
        found = packing.Packed(tmp_path / "packed", split)
        assert metrics[f"{split}_documents"] == len(documents)
        assert metrics[f"{split}_tokens"] == len(found)
        assert metrics[f"{split}_bytes"] == sum(len(text.encode()) for _, text, _ in documents)
        texts = []
        for number, source in enumerate(found.source):
            start, *ids, end = found.document(number).tolist()
            assert (start, end) == (tokenizer.start_id, tokenizer.end_id)
            texts.append((found.sources[source], tokenizer.decode(ids)))
            assert found.bytes[number] == len(texts[-1][1].encode())
        assert sorted(texts) == sorted((source, text) for source, text, _ in documents)


def test_a_weight_is_how_often_a_pass_reads_a_source_and_held_out_text_has_none(tmp_path, corpus):
    packed(tmp_path, corpus)
    train, validation = (packing.Packed(tmp_path / "packed", split).entry for split in ("train", "validation"))
    assert train["sources"]["乙"]["pass_tokens"] == train["sources"]["乙"]["tokens"]
    assert train["sources"]["甲"]["pass_tokens"] == round(2.5 * train["sources"]["甲"]["tokens"])
    assert validation["pass_tokens"] == validation["tokens"]


def test_batches_of_documents_do_not_show(tmp_path, corpus, monkeypatch):
    packed(tmp_path / "a", corpus)
    monkeypatch.setattr(pack, "DOCUMENTS_AT_ONCE", 2)
    packed(tmp_path / "b", corpus)
    for file in sorted((tmp_path / "a/packed").iterdir()):
        assert file.read_bytes() == (tmp_path / "b/packed" / file.name).read_bytes()
