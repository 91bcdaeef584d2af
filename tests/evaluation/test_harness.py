"""Our log-likelihoods against lm-eval's own, and lm-eval run end to end."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from support import small_models

from woodblock.base.errors import UserError
from woodblock.evaluation import harness
from woodblock.evaluation.harness import Choice
from woodblock.models import hugging_face
from woodblock.tokens import tokenization

CONTEXT = 48
CLAUSES = (
    "国家保护自然人的合法权益，",
    "任何组织不得侵犯。",
    "违反规定的，",
    "依法承担责任；",
    "本法所称机关，是指行政机关。",
)


def text(rng, clauses):
    return "".join(rng.choice(CLAUSES) for _ in range(clauses))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A random Llama with grouped queries and a tokenizer trained here, as a Hugging Face folder."""
    root, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(1)
    tokenization.save(tokenization.train([text(rng, 20) for _ in range(50)], 330, 1.0), root / "tokenizer")
    vocab_size = tokenization.Tokenizer.load(root / "tokenizer").vocab_size
    shape = {"dim": 32, "hidden_dim": 64, "context": CONTEXT, "init_std": 0.2}
    hugging_face.save(small_models.model(1, vocab_size=vocab_size, **shape), root / "tokenizer", root / "model")
    return root / "model"


@pytest.fixture(scope="module")
def scored(saved):
    return harness.HarnessModel(*hugging_face.load(saved, torch.device("cpu")), batch_tokens=200)


def instances(kind, arguments):
    return [Instance(request_type=kind, doc={}, arguments=args, idx=0) for args in arguments]


def pairs():
    """Four continuations a context, a context of its own, an empty one, and some too long for the model."""
    rng = np.random.default_rng(2)
    contexts = [text(rng, n) for n in (1, 2, 2, 3, 1, 4, 5, 9)]
    shared = [(context, text(rng, n)) for context in contexts for n in (1, 1, 2, 2)]
    return [*shared, *((text(rng, 1 + n % 4), text(rng, 1)) for n in range(8)), ("", text(rng, 1))]


def test_loglikelihoods_equal_those_of_lm_eval(saved, scored):
    requests = instances("loglikelihood", pairs())
    reference = HFLM(pretrained=str(saved), device="cpu", batch_size=4, add_bos_token=True)
    ours, theirs = scored.loglikelihood(requests), reference.loglikelihood(requests, disable_tqdm=True)
    assert len(requests) == 41
    np.testing.assert_allclose([ll for ll, _ in ours], [ll for ll, _ in theirs], atol=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_rolling_loglikelihoods_equal_those_of_lm_eval(saved, scored):
    rng = np.random.default_rng(3)
    requests = instances("loglikelihood_rolling", [(text(rng, n),) for n in (1, 3, 8, 30)])
    reference = HFLM(pretrained=str(saved), device="cpu", batch_size=4, add_bos_token=False)
    theirs = reference.loglikelihood_rolling(requests, disable_tqdm=True)
    np.testing.assert_allclose(scored.loglikelihood_rolling(requests), theirs, atol=1e-3)


def test_a_shared_context_changes_no_score(scored):
    encode = scored.tok_encode
    together = [(encode(context), encode(rest, add_special_tokens=False)) for context, rest in pairs()[:32]]
    alone = [scored.score([pair])[0][0] for pair in together]
    np.testing.assert_allclose([ll for ll, _ in scored.score(together)], alone, atol=1e-4)


def test_batches_keep_within_the_budget(scored):
    encode = scored.tok_encode
    rows = harness.share([(encode(c), encode(r, add_special_tokens=False)) for c, r in pairs()], CONTEXT)
    batches = list(scored._batches(rows))
    assert sorted(one.request for batch in batches for row in batch for one in row.passes) == list(range(len(pairs())))
    assert all(max(row.width for row in batch) * len(batch) <= 200 or len(batch) == 1 for batch in batches)
    assert len(batches) < len(rows)


ids = st.lists(st.integers(0, 9), min_size=1, max_size=12)


@given(st.lists(st.tuples(ids, st.lists(st.integers(0, 9), min_size=1, max_size=6)), max_size=8))
@settings(max_examples=200, deadline=None)
def test_sharing_keeps_every_id(pairs):
    """Whatever is shared: prefix and ids are the pair without its last id, cut on the left to the context."""
    seen = {}
    for row in harness.share(pairs, max_length=10):
        for one in row.passes:
            seen[one.request] = row.prefix + one.ids, one.targets
    for number, (context, continuation) in enumerate(pairs):
        assert seen[number] == ([*context, *continuation][-11:-1], continuation)


def test_a_part_without_ids_is_an_error():
    with pytest.raises(ValueError, match="at least one id each"):
        harness.share([([1], [])], 10)
    with pytest.raises(UserError, match=r"more than model\.context: 10; raise"):
        harness.share([([1], [2] * 11)], 10)


def test_a_generating_task_is_refused(scored):
    request = Instance(request_type="generate_until", doc={}, arguments=("", {}), idx=0, metadata=("gsm8k", 0, 1))
    with pytest.raises(UserError, match="gsm8k generates text"):
        scored.generate_until([request])


def test_evaluate_runs_lm_eval_on_local_tasks(scored, tmp_path, capsys):
    context, rests = "国家保护自然人的合法权益，", ("任何组织不得侵犯。", "违反规定的，依法承担责任；")
    answers = (0, 1, 1)
    texts = ["任何组织不得侵犯。" * 9, "违反规定的，"]
    tasks = [
        harness.choice_task("rests", "own", [Choice((context,), rests, answer) for answer in answers]),
        harness.choice_task("contexts", "own", [Choice(rests, (context,), answer) for answer in answers]),
        harness.text_task("texts", "own", texts),
    ]
    outcomes = harness.evaluate(scored, tasks, tmp_path)
    for name, pairs in (
        ("rests", [(context, rest) for rest in rests]),
        ("contexts", [(rest, context) for rest in rests]),
    ):
        outcome = outcomes[name]
        expected = [ll for ll, _ in scored.loglikelihood(instances("loglikelihood", pairs))]
        sizes = [len(continuation.encode()) for _, continuation in pairs]
        best = int(np.argmax(np.array(expected) / sizes))
        assert outcome.sizes == [sizes] * 3
        np.testing.assert_allclose(outcome.loglikelihoods, [expected] * 3, atol=1e-4)
        assert outcome.chosen == [best] * 3
        assert outcome.values == [float(answer == best) for answer in answers]
        assert outcome.value == pytest.approx(np.mean(outcome.values))
    nats = -sum(row[0] for row in outcomes["texts"].loglikelihoods)
    size = sum(len(text.encode()) for text in texts)
    assert outcomes["texts"].value == pytest.approx(nats / np.log(2) / size)
    assert capsys.readouterr().err == ""
