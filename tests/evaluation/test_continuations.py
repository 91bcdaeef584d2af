"""What the model said as it trained is written for readers, and the report reads it back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from woodblock.evaluation.continuations import Document, as_markdown, from_markdown

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\\|`#*_ \n\r\u2028\x85"), max_size=30)


def test_continuations_are_written_for_readers():
    taken = [{"step": 10, "texts": ["一|二\n三", "<a>"]}, {"step": 20, "texts": ["", "*b*"]}]
    assert as_markdown(taken, ["如 此", "# `那`"]).splitlines() == [
        "# How the model went on, greedily, as it trained",
        *("", "## 如 此", "", "| step | continuation |", "| ---: | :--- |", r"| 10 | 一\|二 三 |", "| 20 |  |"),
        *("", r"## \# \`那\`", "", "| step | continuation |", "| ---: | :--- |", r"| 10 | \<a\> |", r"| 20 | \*b\* |"),
    ]
    assert "`pretrain.samples_every` is 0" in as_markdown([], ["如此"])


@given(
    st.integers(1, 3).flatmap(
        lambda count: st.tuples(
            st.lists(TEXTS, min_size=count, max_size=count),
            st.lists(st.lists(TEXTS, min_size=count, max_size=count), max_size=3),
        )
    )
)
def test_what_was_written_is_read_back(case):
    prompts, by_step = case
    samples = [{"step": 10 * number, "texts": texts} for number, texts in enumerate(by_step)]
    wanted = [
        Document(plain(prompt), [(sample["step"], plain(sample["texts"][place])) for sample in samples])
        for place, prompt in enumerate(prompts if samples else [])
    ]
    assert from_markdown(as_markdown(samples, prompts)) == wanted


def plain(text: str) -> str:
    return " ".join(text.split())
