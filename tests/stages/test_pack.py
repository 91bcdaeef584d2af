"""The stage pack: each document once, with its source and weight; held-out documents without a weight."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from support import small_models

import pack
from woodblock.base.errors import UserError
from woodblock.tables import parquet
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer

CONTEXT = 24


def written(folder: Path, documents: list[tuple[str, str, float]]) -> Path:
    """A table of documents: source, text, weight."""
    row = {"group": "甲", "title": "", "quality": -1.0}
    rows = [
        {"id": f"{source}-{n}", **row, "source": source, "weight": weight, "text": text}
        for n, (source, text, weight) in enumerate(documents)
    ]
    parquet.write(folder, rows, parquet.CLEANED)
    return folder


@pytest.fixture
def corpus() -> list[tuple[str, str, float]]:
    texts = [small_models.text(lines=n, seed=n) for n in range(1, 7)]
    return [(("乙", "甲")[n % 2], text, (1.0, 2.5)[n % 2]) for n, text in enumerate(texts)]


def packed(folder: Path, corpus: list[tuple[str, str, float]]) -> dict:
    params = SimpleNamespace(pack=SimpleNamespace(shard_tokens=100), model=SimpleNamespace(context=CONTEXT))
    train, validation = written(folder / "train", corpus), written(folder / "validation", corpus[:3])
    return pack.pack(
        params, small_models.tokenizer_folder(), train, validation, folder / "packed", SimpleNamespace(processes=2)
    )


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


def test_shares_are_what_counting_every_window_gives(tmp_path, corpus):
    metrics = packed(tmp_path, corpus)
    train = packing.Packed(tmp_path / "packed", "train")
    windows = packing.Windows(train, CONTEXT, 0)
    drawn = windows.batch(0, windows.per_pass)
    total = sum(entry["pass_tokens"] for entry in train.entry["sources"].values())
    assert (metrics["pass_tokens"], metrics["pass_windows"]) == (total, len(drawn))
    assert metrics["tail_tokens"] == total - drawn[:, 1:].size < CONTEXT
    assert metrics["tail_share"] == metrics["tail_tokens"] / total
    # A window of one document has no start token but at its beginning, and no joint in a source that is cut off.
    start_id = Tokenizer.load(small_models.tokenizer_folder()).start_id
    inside = (drawn[:, 1:] != start_id).all(axis=1)
    assert 0 < metrics["one_document_share"] == pytest.approx(inside.mean(), abs=2 / len(drawn))
    for split in ("train", "validation"):
        assert (metrics[f"{split}_padding_share"], metrics[f"{split}_cropped_share"]) == (0, 0)


def test_sources_have_figures_of_their_own(tmp_path, corpus):
    metrics = packed(tmp_path, corpus)
    for split, documents in (("train", corpus), ("validation", corpus[:3])):
        assert list(metrics[f"{split}_sources"]) == ["乙", "甲"]
        for name, found in metrics[f"{split}_sources"].items():
            own = [text for source, text, _ in documents if source == name]
            assert found["documents"] == len(own)
            assert found["tokens_per_document"] == found["tokens"] / len(own)
            assert found["tokens_per_byte"] == found["tokens"] / sum(len(text.encode()) for text in own)
        assert sum(found["tokens"] for found in metrics[f"{split}_sources"].values()) == metrics[f"{split}_tokens"]
    train = metrics["train_sources"]
    assert train["甲"]["pass_share"] == pytest.approx(2.5 * train["甲"]["tokens"] / metrics["pass_tokens"], abs=1e-3)
    assert train["甲"]["pass_share"] + train["乙"]["pass_share"] == pytest.approx(1)
    assert all(0 < found["one_document_share"] < 1 for found in train.values())


def test_padding_and_cropping_would_be_counted(tmp_path, corpus, monkeypatch):
    """Half of each document cut off, and a pad token put in its place, by a packer that is not ours."""
    pad, honest = Tokenizer.load(small_models.tokenizer_folder()).pad_id, packing.write

    def crop(folder, split, documents, **settings):
        spoiled = (d._replace(ids=[*d.ids[: len(d.ids) // 2 - 1], pad]) for d in documents)
        return honest(folder, split, spoiled, **settings)

    monkeypatch.setattr(packing, "write", crop)
    metrics = packed(tmp_path, corpus)
    assert metrics["train_padding_share"] == len(corpus) / metrics["train_tokens"]
    assert metrics["train_cropped_share"] == pytest.approx(0.5, abs=0.01)


def test_a_context_that_no_window_fits_is_an_error_here_already(tmp_path, corpus):
    with pytest.raises(UserError, match=r"too few for windows of model.context: 24; .* at most \d+$"):
        packed(tmp_path, [("甲", "短。", 1.0)])
