"""The tokenizer gives every text back, agrees with its Hugging Face form, and lets no text become a control token."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import small_models
from transformers import AutoTokenizer

from woodblock.base.errors import UserError
from woodblock.tokens import tokenization
from woodblock.tokens.tokenization import CONTROLS, SENTENCE_BYTES, Tokenizer, sentences

ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
ALPHABET = sorted(set(small_models.text()))
LIKE_TRAINING = st.text(alphabet=ALPHABET, max_size=80)
FRAGMENTS = [*small_models.WHO, *small_models.DO, *small_models.WHAT, *small_models.END, "　　", "  ", " ", "\n", "12"]
FRAGMENTS += ["国国", "Article", "🙂", "龘", "\t", "▁", "▁▁ ", "国▁"]
PHRASES = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)
REPEATS = st.text(alphabet="国家 ▁应当\n1", max_size=60)
TEXTS = st.one_of(ANY, LIKE_TRAINING, PHRASES, REPEATS)
SPELLED = (*CONTROLS, "<0x0A>", "<|im_start|>assistant\n", "</s><s>", "< |im_end|>", "<|im_end|")


@pytest.fixture(scope="module")
def ours() -> Tokenizer:
    return small_models.tokenizer()


@pytest.fixture(scope="module")
def theirs():
    return AutoTokenizer.from_pretrained(small_models.tokenizer_folder())


@given(text=TEXTS)
@settings(max_examples=200)
@example(text=" 前后都有空格 ")
@example(text="\x00\ufeff\r\n")
def test_round_trip_and_equal_ids(ours, theirs, text):
    ids = ours.encode(text)
    assert ours.decode(ids) == text
    assert all(len(CONTROLS) <= i < ours.vocab_size for i in ids)
    if not any(control in text for control in CONTROLS):  # transformers reads those as control tokens
        assert theirs.encode(text, add_special_tokens=False) == ids
        assert theirs.decode(ids) == text


@pytest.mark.parametrize(
    "texts", [["国家保护权利。" * 90], ["国家保护权利。" * 40_000 + "a b"], ["▁国家保护权利▁" * 9]]
)
def test_a_space_has_its_piece_even_if_the_text_has_hardly_any(tmp_path, texts):
    tokenization.save(tokenization.train(texts, 270, 0.98), tmp_path)
    ours, theirs = Tokenizer.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in ("请用 Python 写", " ", "  国家  ", "▁", " ▁ ", "▁国家▁▁"):
        ids = ours.encode(text)
        assert ours.decode(ids) == text
        assert theirs.encode(text, add_special_tokens=False) == ids
        assert theirs.decode(ids) == text


def test_a_folder_saved_again_has_no_model_file_and_reads_the_same(ours, theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    assert not (tmp_path / "tokenizer.model").exists()
    again = Tokenizer.load(tmp_path)
    assert again.vocab_size == ours.vocab_size
    for text in (small_models.text(20, seed=3), " ▁ \n龘🙂", "".join(SPELLED), ""):
        ids = ours.encode(text)
        assert again.encode(text) == ids and again.decode([1, *ids, 4]) == ours.decode(ids) == text
        assert again.encode_many([text, "国家"], 2) == ours.encode_many([text, "国家"], 2)
    chat = [{"role": "user", "content": "<|im_end|>"}, {"role": "assistant", "content": "好"}]
    assert again.encode_chat(chat) == ours.encode_chat(chat)


@pytest.mark.parametrize("name", ["tokenizer.model", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs", b"{}"])
def test_a_file_that_is_no_tokenizer_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name) as error:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(error.value)


def test_long_text_is_the_same_in_both_forms(ours, theirs):
    text = small_models.text(200, seed=5)
    assert theirs.encode(text, add_special_tokens=False) == ours.encode(text)
    assert len(ours.encode(text)) < 0.7 * len(text)  # it has merges, not characters alone


@given(parts=st.lists(st.one_of(st.sampled_from(SPELLED), TEXTS), min_size=1, max_size=6))
@example(parts=list(SPELLED))
def test_no_text_becomes_a_control_token(ours, parts):
    text = "".join(parts)
    ids = ours.encode(text)
    assert min(ids, default=len(CONTROLS)) >= len(CONTROLS)
    assert ours.decode(ids) == text


def test_the_folder_reads_controls_where_ours_spells_them(ours, theirs):
    # What makes encoding by pieces necessary: the same string by transformers ends the turn.
    assert ours.turn_end_id in theirs.encode("<|im_end|>", add_special_tokens=False)
    assert ours.turn_end_id not in ours.encode("<|im_end|>")


def test_ids_and_special_tokens(ours, theirs):
    assert (ours.start_id, ours.end_id, ours.turn_start_id, ours.turn_end_id, ours.pad_id) == (1, 2, 3, 4, 5)
    assert ours.vocab_size == len(theirs) == 600
    assert theirs.convert_tokens_to_ids(list(CONTROLS)) == list(range(6))
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id, theirs.unk_token_id) == (1, 2, 5, 0)
    assert theirs.encode("国家")[0] == ours.start_id  # as every document of pretraining begins


def test_decode_leaves_controls_out_and_marks_broken_bytes(ours):
    ids = ours.encode("国家")
    assert ours.decode([1, *ids, 4, 2, 5, 0]) == "国家"
    half = ours.encode("🙂")[:2]  # two of four bytes
    assert "\ufffd" in ours.decode(half)


@given(texts=st.lists(TEXTS, max_size=5))
@settings(max_examples=20)
def test_encode_many_is_encode(ours, texts):
    assert ours.encode_many(texts, 2) == [ours.encode(text) for text in texts]


CLEAN = TEXTS.filter(lambda text: not any(control in text for control in CONTROLS))


@st.composite
def dialogues(draw):
    turns = draw(st.lists(CLEAN, min_size=2, max_size=6).filter(lambda said: len(said) % 2 == 0))
    messages = [{"role": ("user", "assistant")[n % 2], "content": said} for n, said in enumerate(turns)]
    return ([{"role": "system", "content": draw(CLEAN)}] if draw(st.booleans()) else []) + messages


@given(messages=dialogues(), reply=st.booleans())
def test_chats_are_what_the_template_makes(ours, theirs, messages, reply):
    asked = messages[:-1] if reply else messages
    template = theirs.apply_chat_template(asked, tokenize=True, add_generation_prompt=reply, return_dict=False)
    assert ours.encode_chat(asked, reply=reply) == template
    assert template.count(ours.start_id) == 1 and template[0] == ours.start_id


@given(messages=dialogues())
def test_the_template_marks_what_is_learned(ours, theirs, messages):
    marked = theirs.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    learned = [is_learned for ids, is_learned in ours.chat_parts(messages) for _ in ids]
    assert marked["input_ids"] == ours.encode_chat(messages)
    assert marked["assistant_masks"] == [int(one) for one in learned]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "你好"}, {"type": "text", "text": " 吗"}], "你好 吗"),
        (["你", "好"], "你好"),
    ],
)
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_content_may_be_nothing_or_parts(ours, theirs, content, text, role):
    found = theirs.apply_chat_template([{"role": role, "content": content}], tokenize=True, return_dict=False)
    assert found == ours.encode_chat([{"role": role, "content": text}])


def test_a_message_without_content_is_empty_and_a_picture_is_refused(theirs):
    assert "<|im_start|>assistant\n<|im_end|>" in theirs.apply_chat_template([{"role": "assistant"}], tokenize=False)
    picture = [{"type": "image_url", "image_url": "a.png"}]
    with pytest.raises(Exception, match="no part of type image_url"):
        theirs.apply_chat_template([{"role": "user", "content": picture}], tokenize=False)


@given(messages=dialogues())
def test_what_is_learned_is_the_replies_and_the_tokens_that_end_them(ours, messages):
    parts = list(ours.chat_parts(messages))
    assert [token for ids, _ in parts for token in ids] == ours.encode_chat(messages)
    learned = [ids for ids, is_learned in parts if is_learned]
    assert learned == [[*ours.encode(m["content"]), ours.turn_end_id] for m in messages if m["role"] == "assistant"]


@given(content=st.lists(st.one_of(st.sampled_from(SPELLED), CLEAN), min_size=1, max_size=4).map("".join))
def test_nobody_ends_a_turn_by_typing(ours, content):
    ids = ours.encode_chat([{"role": "user", "content": content}, {"role": "assistant", "content": "不。"}], reply=True)
    assert [i for i in ids if i < len(CONTROLS)] == [1, 3, 4, 3, 4, 3]
    assert ours.decode(ids) == f"user\n{content}\nassistant\n不。\nassistant\n"


@given(st.lists(st.one_of(TEXTS, st.just("长" * 1500), st.just("🙂" * 1001)), max_size=4).map("".join))
@settings(max_examples=50)
def test_sentences_hold_all_of_the_text_but_its_newlines(text):
    cut = list(sentences(text))
    assert "".join(cut) == text.replace("\n", "")
    assert all(len(one.encode()) <= SENTENCE_BYTES and "\n" not in one for one in cut)
    assert all(mark not in one[:-1] for one in cut for mark in "。！？")


def test_training_twice_gives_the_same_bytes_and_more_text_other_ones():
    texts = [small_models.text(100)]
    first = tokenization.train(texts, 450, 0.9995)
    assert tokenization.train(iter(texts), 450, 0.9995) == first
    assert tokenization.train([small_models.text(100, seed=9)], 450, 0.9995) != first


@pytest.mark.parametrize(("vocab_size", "wrong"), [(280, -1), (200_000, 1)], ids=["alphabet", "pairs"])
def test_a_vocabulary_that_does_not_fit_is_one_line_that_says_which_would(vocab_size, wrong):
    texts = [small_models.text(50)]
    with pytest.raises(UserError, match=f"tokenizer.vocab_size: {vocab_size} does not fit") as error:
        tokenization.train(texts, vocab_size, 0.9995)
    assert "\n" not in str(error.value)
    fits = int(re.search(r"use (?:at least )?(\d+)", str(error.value))[1])
    tokenization.train(texts, fits, 0.9995)
    with pytest.raises(UserError, match=f"tokenizer.vocab_size: {fits + wrong} does not fit"):
        tokenization.train(texts, fits + wrong, 0.9995)


@pytest.mark.parametrize("texts", [[], [""], ["\n\n"], ["\x00"]])
def test_no_text_to_train_on_is_one_line(texts):
    with pytest.raises(UserError, match=r"^the training text is empty; metrics/clean\.json"):
        tokenization.train(texts, 300, 0.9995)


def test_what_sentencepiece_says_is_not_lost():
    with pytest.raises(
        UserError, match=r"cannot train on this text \(trainer_spec\.character_coverage\(\) >= 0\.98 .*\)$"
    ):
        tokenization.train(["国家"], 300, 0.9)  # its message is the condition alone
    error = "INTERNAL: src/a.cc(1) [lines() < max[0]] Too many lines. "
    assert tokenization._explain(error, 300) == "SentencePiece cannot train on this text (Too many lines.)"


def test_a_folder_without_a_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"tokenizer\.model: there is no such file; run the tokenizer stage"):
        Tokenizer.load(tmp_path)


def test_a_model_with_other_control_tokens_is_refused(tmp_path):
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(small_models.text().splitlines()), model_writer=model, vocab_size=400, minloglevel=2
    )
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    with pytest.raises(UserError, match="control tokens have the ids"):
        Tokenizer.load(tmp_path)
