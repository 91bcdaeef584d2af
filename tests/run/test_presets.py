"""Presets: params.yaml is the default one, and comes back byte for byte."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import params, presets

NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def test_the_committed_params_are_the_default_preset(target: Path) -> None:
    assert presets.apply("statutes", target, ROOT / "presets") == []


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_and_back_is_the_same_bytes(name: str, target: Path) -> None:
    before = target.read_bytes()
    presets.apply(name, target, ROOT / "presets")
    after = params.read(target)
    for path, value in presets.values(name, ROOT / "presets").items():
        assert params.leaf(after, path) == value
    assert target.read_text().count("#") == before.decode().count("#"), "comments are kept"
    presets.apply("statutes", target, ROOT / "presets")
    assert target.read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("setting", "lines"),
    [
        ("seed=17", ["seed: 17"]),
        ("mirror=file:///m", ["mirror: file:///m"]),
        ("model.norm_eps=1e-6", ["  norm_eps: 1e-06"]),
        ("model.rope_theta=20000.0", ["  rope_theta: 20000.0"]),
        ("clean.languages=[zh,en]", ["  - en"]),
        ("report.title='no'", ["  title: no"]),
    ],
)
def test_an_experiment_changes_the_lines_of_its_value_alone(name: str, setting: str, lines: list[str], target) -> None:
    """By DVC's own writer, in the file that a preset left."""
    from dvc.utils.hydra import apply_overrides

    presets.apply(name, target, ROOT / "presets")
    before = target.read_text(encoding="utf-8").splitlines()
    apply_overrides(target, [setting])
    after = target.read_text(encoding="utf-8").splitlines()
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert [line[2:].split("#")[0].rstrip() for line in changes if line[0] == "+"] == lines
    assert len(before) == len(after) - ("[" in setting), "no line is gone"
    assert params.load(target)


def test_the_committed_params_are_in_dvcs_form(target: Path) -> None:
    text = target.read_text(encoding="utf-8")
    assert presets.in_dvcs_form(text) == text


def test_presets_do_not_depend_on_each_other(target: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(target, tmp_path / "other.yaml"))
    for name in ("book", "tiny"):
        presets.apply(name, target, ROOT / "presets")
    presets.apply("tiny", other, ROOT / "presets")
    assert target.read_bytes() == other.read_bytes()


def test_no_preset_changes_the_machine() -> None:
    for name in NAMES:
        assert not {"threads", "processes", "device", "mirror", "seed"} & set(presets.values(name, ROOT / "presets"))


def test_the_books_model_has_the_books_size() -> None:
    model = {path.removeprefix("model."): v for path, v in presets.values("book", ROOT / "presets").items()}
    dim, hidden, layers, vocab = model["dim"], model["hidden_dim"], model["layers"], model["tokenizer.vocab_size"]
    attention = 2 * dim * dim + 2 * dim * (dim * model["kv_heads"] // model["heads"])
    assert vocab * dim + layers * (attention + 3 * dim * hidden + 2 * dim) + dim == 215_127_040


@pytest.mark.parametrize(
    ("overlay", "says"),
    [("threads: 4\n", "threads is not in presets/statutes.yaml"), ("model: {heads: 7}\n", "model.heads: 7")],
)
def test_a_preset_that_will_not_do_changes_nothing(tmp_path: Path, target: Path, overlay: str, says: str) -> None:
    folder = Path(shutil.copytree(ROOT / "presets", tmp_path / "presets"))
    (folder / "bad.yaml").write_text(overlay)
    before = target.read_bytes()
    with pytest.raises(UserError, match=says) as caught:
        presets.apply("bad", target, folder)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["params.yaml", "presets"]


def test_the_three_lines_of_the_docs_are_a_preset(tmp_path: Path, target: Path) -> None:
    folder = Path(shutil.copytree(ROOT / "presets", tmp_path / "presets"))
    text = (ROOT / "docs/stages.md").read_text(encoding="utf-8")
    (lines,) = (block.split("```")[0] for block in text.split("```yaml\n")[1:] if "depth" in block.split("```")[0])
    assert lines.count("\n") == 3
    (folder / "depth.yaml").write_text(lines)
    before = target.read_bytes()
    changed = presets.apply("depth", target, folder)
    assert "model.depth" in changed and "pretrain.tokens" in changed
    assert params.read(target)["pretrain"]["batch_tokens"] == "auto"
    assert params.load(target).pretrain.batch_tokens == 32_768
    presets.apply("statutes", target, folder)
    assert target.read_bytes() == before


def test_the_table_of_the_docs_is_the_rules(target: Path) -> None:
    values = params.read(target)
    values["model"] |= dict.fromkeys(("dim", "layers", "heads", "kv_heads", "hidden_dim"))
    ruled = ("tokens", "batch_tokens", "learning_rate", "matrix_learning_rate")
    values["pretrain"] |= dict.fromkeys((*ruled, "micro_batch_tokens"), "auto")
    table = (ROOT / "docs/pretraining.md").read_text(encoding="utf-8").split("| `model.depth` |")[1].splitlines()[2:]
    for line in table:
        depth, *numbers = (float(cell.replace(",", "")) for cell in line.strip("|").split("|"))
        values["model"]["depth"] = int(depth)
        pretrain = params.check(values).pretrain
        assert [getattr(pretrain, name) for name in ruled] == numbers
    assert len(table) == 4


def test_an_unknown_preset_is_answered_with_the_list(target: Path) -> None:
    with pytest.raises(UserError, match=r"there is no preset 'nope'; choose one of book, book-mini, statutes, tiny"):
        presets.apply("nope", target, ROOT / "presets")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


@given(value=scalars | st.lists(scalars, max_size=4))
def test_values_survive_being_written(value: Any) -> None:
    text = "a:                          # first\n  b: 1                      # second # third\n# of c\nc: 2\n"
    written = presets.put(text, {"a.b": value})
    assert params.parse(written) == {"a": {"b": value}, "c": 2}
    assert "# second # third\n" in written and "\n# of c\nc: 2\n" in written


records = st.lists(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), scalars, min_size=1), min_size=1)


@settings(max_examples=30)
@given(value=records, other=records)
@example(value=[{"no": "no", "null": None}], other=[{"on": True}])  # keys that YAML 1.1 takes for other than text
def test_lists_of_mappings_are_replaced_whole(value: Any, other: Any) -> None:
    text = "a:\n  b:                        # what it is\n    - x: 1\n      y: 2\n    - x: 3\n  d: 4\n\nc: 2\n"
    written = presets.put(text, {"a.b": value})
    assert params.parse(written) == {"a": {"b": value, "d": 4}, "c": 2}
    assert presets.put(presets.put(text, {"a.b": other}), {"a.b": value}) == written


OLD = """\
download:
  corpus:                   # text to pretrain on
  - url: file://old.jsonl
    # the second half of 2024
    sha256: aa

# at the left, as an editor leaves it
    weight: 3.0
    columns: {text: body,
      title: head}   # its own names
  # - url: file://left-out.jsonl
  instructions: []          # to fine-tune on
"""


@pytest.mark.parametrize(
    "entry", [{"url": "u"}, {"url": "u", "columns": {"text": "内容", "title": "a: b"}, "limits": {}}]
)
def test_nothing_of_an_old_source_is_left_whatever_stands_inside_it(entry: dict[str, Any]) -> None:
    written = presets.put(OLD, {"download.corpus": [entry]})
    assert params.parse(written) == {"download": {"corpus": [entry], "instructions": []}}
    for comment in ("# text to pretrain on", "  # - url: file://left-out.jsonl\n", "# to fine-tune on"):
        assert comment in written
    formed = presets.in_dvcs_form(written)
    assert params.parse(formed) == params.parse(written) and presets.in_dvcs_form(formed) == formed


def test_a_preset_replaces_a_source_with_columns_and_a_comment_inside(target: Path) -> None:
    before = target.read_bytes()
    text = target.read_text(encoding="utf-8").replace(
        "    format: laws\n", "    format: laws\n    # pinned in May\n    weight: 2.5\n    columns: {text: body}\n", 1
    )
    target.write_text(text, encoding="utf-8")
    presets.apply("book", target, ROOT / "presets")
    (source,) = params.read(target)["download"]["corpus"]
    assert set(source) == {"url", "licence"}
    presets.apply("statutes", target, ROOT / "presets")
    assert target.read_bytes() == before


nested = st.dictionaries(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    min_size=1,
)


@settings(max_examples=25, deadline=None)
@given(value=st.lists(nested, min_size=1, max_size=3))
def test_values_of_any_depth_are_written_and_replaced(value: Any) -> None:
    text = "a:\n  b:                        # what it is\n  - x: 1\n  d: 4\n\nc: 2\n"
    written = presets.put(text, {"a.b": value})
    assert params.parse(written) == {"a": {"b": value, "d": 4}, "c": 2}
    assert presets.put(presets.put(written, {"a.b": [{"x": 1}]}), {"a.b": value}) == written
