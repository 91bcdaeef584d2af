"""params.yaml is checked at once, and what is wrong with it is said in one line."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import code, params
from woodblock.run.params import by_path
from woodblock.run.settings.sources import Source

VALUES = params.read(ROOT / "params.yaml")
# Sizes of its own, so that tuning the default changes no message.
VALUES["model"] |= {"dim": 160, "layers": 4, "heads": 5, "kv_heads": 5, "hidden_dim": 384, "context": 512}
VALUES["model"] |= {"depth": None, "parameters": None, "rope_scaling": None, "rope_factor": 1.0}
for block in ("pretrain", "sft"):
    VALUES[block] |= {"batch_tokens": 4096, "micro_batch_tokens": 4096}
VALUES["sft"]["max_tokens"] = 512


def changed(path: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(VALUES)
    *blocks, key = path.split(".")
    block = values
    for part in blocks:
        block = block[part]
    block[key] = value
    return values


def message(values: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        params.check(values)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_committed_params_will_do() -> None:
    assert params.load(ROOT / "params.yaml").threads >= 1


@pytest.mark.parametrize(
    ("path", "value", "names"),
    [
        ("sft.lerning_rate", 0.1, ["sft.lerning_rate", "0.1", "learning_rate"]),
        ("modle", {}, ["modle", "did you mean model"]),
        ("zzz", 1, ["zzz", "known here", "threads"]),
        ("model.heads", 7, ["model.heads", "7", "160", "use one of"]),
        ("model.kv_heads", 3, ["model.kv_heads", "3", "use one of [1, 5]"]),
        ("model.dim", "160", ["model.dim", "'160'", "valid integer"]),
        ("model.heads", None, ["model.heads is null", "dim, layers, heads, kv_heads, hidden_dim"]),
        ("model.depth", 4, ["model.depth, model.dim", "null for the others"]),
        ("model.rope_scaling", "ntk", ["model.rope_scaling", "'ntk'", "'linear', 'yarn' or 'llama3'"]),
        ("model.rope_scaling", "yarn", ["model.rope_scaling: yarn", "model.rope_factor: 1.0", "more than 1.0"]),
        ("model.rope_factor", 2.0, ["model.rope_scaling: null", "model.rope_factor: 2.0", "null needs 1.0"]),
        ("model.dim", 0, ["model.dim", "0", "greater than or equal to 1"]),
        ("tokenizer.vocab_size", 200, ["tokenizer.vocab_size", "200", "greater than 262"]),
        ("pretrain.batch_tokens", 4000, ["pretrain.batch_tokens", "4000", "512", "use 4096"]),
        (
            "pretrain.micro_batch_tokens",
            2560,
            ["pretrain.batch_tokens", "2560", "choose a micro_batch_tokens that divides"],
        ),
        ("pretrain.tokens", 10, ["pretrain.tokens", "10", "4096"]),
        ("pretrain.tokens", "atuo", ["pretrain.tokens", "'atuo'", "valid integer, or auto"]),
        ("pretrain.batch_tokens", -512, ["pretrain.batch_tokens", "-512", "greater than or equal to 1, or auto"]),
        ("pretrain.micro_batch_tokens", None, ["pretrain.micro_batch_tokens", "None", "valid integer, or auto"]),
        ("pretrain.learning_rate", -0.1, ["pretrain.learning_rate", "-0.1", "greater than 0, or auto"]),
        ("pretrain.matrix_learning_rate", "Auto", ["pretrain.matrix_learning_rate", "'Auto'", "valid number, or auto"]),
        ("sft.learning_rate", "auto", ["sft.learning_rate", "'auto'", "valid number"]),
        ("train.devices", "all", ["train.devices", "'all'", "valid integer, or auto"]),
        ("pretrain.warmup_share", 0.9, ["pretrain.warmup_share", "0.9", "over 1"]),
        ("pretrain.optimizer", "sgd", ["pretrain.optimizer", "'sgd'", "'muon', 'adamw' or 'adam'"]),
        ("sft.max_tokens", 1024, ["sft.max_tokens", "1024", "model.context"]),
        ("device", "gpu", ["device", "'gpu'", "'cuda'"]),
        ("seed", None, ["seed", "None", "valid integer"]),
        ("download.corpus", [], ["download.corpus", "[]", "name at least one source"]),
        ("benchmark.questions_per_group", 41, ["benchmark.questions_per_group", "41", "40"]),
        ("threads", True, ["threads", "True"]),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, names: list[str]) -> None:
    text = message(changed(path, value))
    assert text.startswith("params.yaml: ")
    for name in names:
        assert name in text


def test_a_factor_that_leaves_no_context_is_named() -> None:
    values = copy.deepcopy(VALUES)
    values["model"] |= {"rope_scaling": "linear", "rope_factor": 3.0}
    assert "model.rope_factor: 3.0 does not divide model.context: 512" in message(values)
    assert "use one of [2, 4, 8, 16]" in message(values)
    values["model"]["rope_factor"] = 4.0
    params.check(values)


def test_a_size_in_place_of_a_shape() -> None:
    values = copy.deepcopy(VALUES)
    values["model"] |= dict.fromkeys(("dim", "layers", "heads", "kv_heads", "hidden_dim"))
    assert "given by none" in message(values)
    values["model"]["parameters"] = 1000
    assert "model.parameters: 1000 is less than the smallest model has" in message(values)
    values["model"]["parameters"] = 6_000_000
    assert params.check(values).model.dim is None


RULED = ("tokens", "batch_tokens", "micro_batch_tokens", "learning_rate", "matrix_learning_rate")


def of_depth(depth: int) -> dict[str, Any]:
    values = copy.deepcopy(VALUES)
    values["model"] |= dict.fromkeys(("dim", "layers", "heads", "kv_heads", "hidden_dim")) | {"depth": depth}
    values["pretrain"] |= dict.fromkeys(RULED, "auto")
    return values


@pytest.mark.parametrize("depth", [1, 4, 40])
def test_a_depth_alone_settles_how_it_is_pretrained(depth: int) -> None:
    values = of_depth(depth)
    checked = params.check(values)
    numbers = {name: getattr(checked.pretrain, name) for name in RULED}
    assert "auto" not in numbers.values()
    assert checked.pretrain.clip == VALUES["pretrain"]["clip"]
    resolved = params.resolved(values, checked)
    assert {name: resolved["pretrain"][name] for name in RULED} == numbers
    assert values == of_depth(depth), "what the file says is what the engines compare"
    assert params.check(resolved) == checked
    assert params.resolved(VALUES, params.check(VALUES)) == VALUES


def test_numbers_that_the_rule_finds_are_checked_as_others_are() -> None:
    values = of_depth(4)
    values["pretrain"]["tokens"] = 100
    assert "pretrain.tokens: 100 is less than one batch; use at least pretrain.batch_tokens: 512" in message(values)
    values = of_depth(4)
    values["pretrain"]["batch_tokens"] = 4000
    assert "pretrain.batch_tokens: 4000 is not a multiple of model.context: 512; use 4096" in message(values)
    values = of_depth(4)
    values["pretrain"]["micro_batch_tokens"] = 3 * 512
    assert "is not a multiple of pretrain.micro_batch_tokens: 1536" in message(values)


@given(path=st.sampled_from(sorted(by_path(VALUES))), value=st.integers() | st.floats() | st.none())
def test_anything_beside_a_depth_is_taken_or_refused_in_one_line(path: str, value: Any) -> None:
    values = of_depth(3)
    *blocks, key = path.split(".")
    block = values
    for part in blocks:
        block = block[part]
    block[key] = value
    try:
        params.check(values)
    except UserError as error:
        assert len(str(error).splitlines()) == 1


def test_a_source_that_is_wrong_is_named() -> None:
    values = copy.deepcopy(VALUES)
    values["download"]["corpus"][0]["url"] = "ftp://x"
    assert "download.corpus.0.url" in message(values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0.0},
        {"weight": float("inf")},
        {"columns": {"body": "text"}},
        {"format": "jsonl"},
        {"url": "ftp://a/b"},
    ],
)
def test_a_source_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Source(**{"url": "file://a", "licence": "none", **wrong})


def test_an_error_shows_no_password() -> None:
    values = changed("download.corpus", [{"url": "ftp://user:secret@host/a", "licence": "none"}])
    text = message(values)
    assert "ftp://host/a" in text and "secret" not in text


def test_a_missing_key_is_named() -> None:
    values = copy.deepcopy(VALUES)
    del values["clean"]["min_chars"]
    assert "clean.min_chars is missing" in message(values)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1: not valid YAML"),
        ("- 1\n", "contains a list"),
        ("", "it is empty"),
        ("a: b: c\n", "line 1"),
        ("a: 1\na: 2\n", 'line 2: not valid YAML .found duplicate key "a"'),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_params_file(tmp_path, text: str, says: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        params.load(file)
    assert "\n" not in str(caught.value)


def test_numbers_and_words_are_those_of_yaml_1_2(tmp_path) -> None:
    """As DVC reads and writes them: its writer gives 1e-05 for a small learning rate."""
    file = tmp_path / "params.yaml"
    file.write_text("{a: 1e-05, b: 2E3, c: no, d: off, e: true, f: null}")
    assert params.read(file) == {"a": 1e-5, "b": 2000.0, "c": "no", "d": "off", "e": True, "f": None}


def test_no_file(tmp_path) -> None:
    with pytest.raises(UserError, match="there is no such file here; run from the project's root"):
        params.load(tmp_path / "params.yaml")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(path=st.sampled_from(sorted(by_path(VALUES))), value=anything)
def test_anything_is_taken_or_refused_in_one_line(path: str, value: Any) -> None:
    try:
        params.check(changed(path, value))
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        assert path.split(".")[0] in str(error)


def test_of_the_settings_those_of_the_sources_alone_are_code_of_a_stage() -> None:
    folder = ROOT / "src" / "woodblock" / "run" / "settings"
    files = {f"run/settings/{file.name}" for file in folder.glob("*.py") if file.name != "__init__.py"}
    assert files - set(code.BENEATH) == {"run/settings/common.py", "run/settings/sources.py"}


def test_undeclared_params_cannot_be_read() -> None:
    declared = params.Declared(params.check(VALUES), ["seed", "model.dim"])
    assert (declared.seed, declared.model.dim) == (VALUES["seed"], VALUES["model"]["dim"])
    for read in (lambda: declared.threads, lambda: declared.model.heads, lambda: declared.sft):
        with pytest.raises(AttributeError, match="not among the params that"):
            read()


@pytest.mark.parametrize("limits", [None, "none", {"max_digits": 0.5}, {"max_bits": None, "languages": ["zh", "en"]}])
def test_a_source_may_have_limits_of_its_own(limits: Any) -> None:
    values = copy.deepcopy(VALUES)
    values["download"]["corpus"][1]["limits"] = limits
    assert params.check(values).download.corpus[1].limits == limits


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({"max_digit": 0.5}, ["download.corpus.1.limits.max_digit: 0.5", "did you mean max_digits?"]),
        ({"zzz": 0.5}, ["download.corpus.1.limits.zzz", "known here: languages, min_han"]),
        ({"max_digits": 1.5}, ["download.corpus.1.limits.max_digits: 1.5", "less than or equal to 1"]),
        ({"max_digits": "0.5"}, ["download.corpus.1.limits.max_digits: '0.5'", "valid number"]),
        ({"quality_chars": 5}, ["download.corpus.1.limits.quality_chars", "no limit of clean that a source can have"]),
        ({}, ["download.corpus.1.limits: {}", "write none, or limits of clean"]),
        ("some", ["download.corpus.1.limits: 'some'", "write none, or limits of clean"]),
        (0.5, ["download.corpus.1.limits: 0.5", "write none, or limits of clean"]),
    ],
)
def test_limits_of_a_source_that_cannot_be_are_an_error_in_one_line(limits: Any, names: list[str]) -> None:
    values = copy.deepcopy(VALUES)
    values["download"]["corpus"][1]["limits"] = limits
    text = message(values)
    assert all(name in text for name in names), text


def test_limits_where_nothing_is_filtered_are_an_error() -> None:
    values = copy.deepcopy(VALUES)
    values["download"]["documents"][0]["limits"] = "none"
    assert "download.documents.0.limits: 'none' has no effect, since documents are not filtered" in message(values)


def test_a_set_of_limits_may_have_a_name_of_yaml(tmp_path: Any) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    named = iter(["&tables {max_digits: 0.5}", "*tables"])
    text = re.sub(r"(?m)^( *)- url:", lambda it: f"{it[1]}- limits: {next(named)}\n{it[1]}  url:", text, count=2)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    sources = params.load(tmp_path / "params.yaml").download.corpus
    assert [source.limits for source in sources] == [{"max_digits": 0.5}] * 2
