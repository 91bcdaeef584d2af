"""Fine-tuning asks held-out prompts evenly, and measures replies as they are."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest
from support import small_models

import sft
from woodblock.base.errors import UserError
from woodblock.tables import parquet
from woodblock.training.conversations import Conversation


def held_out(counts: dict[str, int]) -> list[Conversation]:
    """Conversations task after task, as they are collected."""
    return [
        Conversation(f"{task}-{n}", task, "validation", [{"role": "user", "content": f"国家{task}{n}"}])
        for task, count in counts.items()
        for n in range(count)
    ]


def with_replies(conversations):
    return [
        Conversation(c.id, c.task, c.split, [*c.messages, {"role": "assistant", "content": "应当。"}])
        for c in conversations
    ]


def settings(**changes):
    return SimpleNamespace(**{"prompts": 20, "system": "", "max_new_tokens": 4, "no_repeat_ngram": 0, **changes})


@pytest.mark.parametrize("scale", [1, 2])
def test_prompts_are_asked_evenly_over_the_tasks(scale):
    """Of 39 prompts and of 78, 20 are asked: neither is a multiple."""
    shares = {"given": 9 * scale, "which_law": 12 * scale, "exists": 18 * scale}
    asked = with_replies(held_out(shares))
    replies = sft.reply_to(small_models.model(context=64), small_models.tokenizer(), asked, settings())
    assert len(replies) == 20 and replies["id"].is_unique
    counts = Counter(replies["task"])
    for task, count in shares.items():
        assert abs(counts[task] - 20 * count / (39 * scale)) <= 1, task


def test_fewer_prompts_than_wanted_are_all_asked_and_reported_as_they_are(tmp_path):
    asked = with_replies(held_out({"given": 3}))
    replies = sft.reply_to(small_models.model(context=64), small_models.tokenizer(), asked, settings())
    assert replies["id"].tolist() == ["given-0", "given-1", "given-2"]
    assert replies["prompt"].tolist() == [c.prompt for c in asked]
    assert set(replies["reference"]) == {"应当。"}
    parquet.write(tmp_path / "t", replies.to_dict("records"), sft.GENERATIONS)
    assert parquet.read(tmp_path / "t")["reply"].tolist() == replies["reply"].tolist()


def test_prompts_without_room_are_passed_over_and_others_asked_in_their_place():
    asked = with_replies(held_out({"given": 4}))
    long = Conversation("long", "given", "validation", [{"role": "user", "content": "国" * 80}, *asked[0].messages[1:]])
    mixed = [long, *asked[:2], long, *asked[2:]]
    replies = sft.reply_to(small_models.model(context=64), small_models.tokenizer(), mixed, settings(prompts=4))
    assert replies["id"].tolist() == [c.id for c in asked]
    with pytest.raises(UserError, match=r"none of 1 held-out prompts leaves room .* sft.max_new_tokens: 4") as error:
        sft.reply_to(small_models.model(context=64), small_models.tokenizer(), [long], settings())
    assert "\n" not in str(error.value)


def test_measures():
    replies = pd.DataFrame(
        {
            "reply": ["好。", "", "不知道", "  "],
            "reference": ["好。", "一二三四", "一二", "一二三四五六"],
            "stopped": [True, True, False, True],
            "ended": [True, False, False, False],
        }
    )
    assert sft.measure(replies) == {
        "prompts": 4,
        "stops": 0.25,
        "breaks_off": 0.5,
        "references_end": 0.25,
        "empty": 0.5,
        "median_reply_chars": 2.0,
        "median_reference_chars": 3.0,
        "length_ratio": pytest.approx(2 / 3),
        "exact": 0.25,
    }


def test_examples_are_of_training_articles_alone(tmp_path):
    messages = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好！"}]
    parquet.write(tmp_path / "given", [{"id": "1", "source": "试", "messages": messages}], parquet.INSTRUCTIONS)
    rows = [
        {"id": f"{law}{n}", "law": law, "chapter": "", "article": f"第{name}条", "number": n, "status": "现行有效"}
        | {"text": f"{law}的条文应当依法公布，并自公布之日起施行，编号{n}。", "split": split}
        for law, split, count in (("甲乙丙法", "train", 3), ("丁戊己法", "train", 2), ("庚辛壬法", "validation", 3))
        for n, name in list(enumerate("一二三", start=1))[:count]
    ]
    parquet.write(tmp_path / "documents", rows, parquet.SPLIT_DOCUMENTS)
    chosen = SimpleNamespace(validation_share=0.2, article_examples=40, well_known_laws=["甲乙丙法"])
    found = sft.collect(tmp_path / "given", tmp_path / "documents", chosen, seed=1)
    assert {"given", "recite_given", "recite_known", "exists"} <= {c.task for c in found}
    assert not any("庚辛壬" in m["content"] for c in found for m in c.messages)
    assert len({c.id for c in found}) == len(found)
    none = SimpleNamespace(validation_share=0.2, article_examples=0, well_known_laws=[])
    assert [c.id for c in sft.collect(tmp_path / "given", tmp_path / "documents", none, seed=1)] == ["1"]
