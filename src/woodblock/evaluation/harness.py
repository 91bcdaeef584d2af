"""lm-eval over our own models: lm-eval makes the requests and the scores, this module the log-likelihoods.

`HarnessModel` is what lm-eval calls a model. It gives the same log-likelihoods as lm-eval's own HFLM for the same folder
(a test compares them). What several choices have in common it reads only once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import lm_eval.api.task
import numpy as np
import torch
import torch.nn.functional as F
import yaml
from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from torch import Tensor

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress
from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.models.kv_cache import Cache
from woodblock.tokens.tokenization import Tokenizer


@dataclass(frozen=True)
class Pass:
    """One sequence to read: `ids` come after the row's prefix; the last len(targets) positions predict `targets`."""

    request: int
    ids: list[int]
    targets: list[int]


@dataclass(frozen=True)
class Row:
    """Passes with a common prefix. A single pass has an empty prefix: it is read at once."""

    prefix: list[int]
    passes: list[Pass]

    @property
    def width(self) -> int:
        return len(self.prefix) + max(len(one.ids) for one in self.passes)


class HarnessModel(TemplateLM):  # type: ignore[misc]  # lm-eval has no types
    """A Transformer and its Tokenizer as a model of lm-eval.

    A context begins with the start token, as every document does in pretraining. batch_tokens: the most ids in a forward
    pass, padding included.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, batch_tokens: int, name: str = "lm-eval") -> None:
        super().__init__()
        self.model, self.tokenizer, self.batch_tokens, self.name = model, tokenizer, batch_tokens, name
        self.max_length = model.config.context

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.end_id

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without context: the start token. lm-eval's default is the end token, but no text that
        the model was trained on begins after one."""
        return self.tokenizer.start_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        ids = self.tokenizer.encode(string)
        return ids if add_special_tokens is False else [self.tokenizer.start_id, *ids]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        scores: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return scores

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """Log-likelihood of whole texts in nats, with a start token before each and no end token after it.

        The windows are lm-eval's: `context` targets in each, without overlap; the last one starts early enough to fill the
        context.
        """
        pairs, owners = [], []
        for number, request in enumerate(requests):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0], add_special_tokens=False),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for window in windows:
                pairs.append(make_disjoint_window(window))
                owners.append(number)
        sums = [0.0] * len(requests)
        for owner, (loglikelihood, _) in zip(owners, self.score(pairs), strict=True):
            sums[owner] += loglikelihood
        return sums

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        raise UserError(
            f"{requests[0].task_name} generates text, but the benchmark can only score choices and whole texts; remove the "
            "task, or run it with lm-eval's hf model"
        )

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        return self.score([(context, continuation) for _, context, continuation in requests])

    @torch.no_grad()
    def score(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        """For each (context ids, continuation ids): the continuation's log-likelihood in nats, and whether it is greedy.

        Both parts have at least one id. A pair that is longer than the model's context loses ids at its start.
        """
        results: list[tuple[float, bool]] = [(0.0, False)] * len(pairs)
        progress = Progress(self.name, len(pairs), "requests")
        for batch in self._batches(share(pairs, self.max_length)):
            for one, result in self._score_batch(batch):
                results[one.request] = result
            progress.advance(sum(len(row.passes) for row in batch))
        progress.close()
        return results

    def _batches(self, rows: list[Row]) -> Iterator[list[Row]]:
        """Batches of rows with equally many passes and similar lengths. The longest come first: if memory is too small,
        it fails early."""
        rows = sorted(rows, key=lambda row: (-len(row.passes), -len(row.prefix), -row.width, row.passes[0].request))
        start = 0
        while start < len(rows):
            end, width = start, 0
            while end < len(rows) and len(rows[end].passes) == len(rows[start].passes):
                width = max(width, rows[end].width)
                if end > start and width * (end + 1 - start) > self.batch_tokens:
                    break
                end += 1
            yield rows[start:end]
            start = end

    def _score_batch(self, rows: list[Row]) -> Iterator[tuple[Pass, tuple[float, bool]]]:
        cache = self._read_prefixes(rows) if rows[0].prefix else None
        for turn in range(len(rows[0].passes)):
            # Each turn writes its keys and values after the prefixes, over those of the turn before.
            passes = [row.passes[turn] for row in rows]
            ids, targets = self._pad(passes)
            wanted = targets >= 0
            with autocast(ids.device):
                logits = self.model.logits(self.model.hidden(ids, cache)[wanted])
            losses = F.cross_entropy(logits, targets[wanted], reduction="none").cpu().double()
            greedy = (logits.argmax(dim=-1) == targets[wanted]).cpu()
            sizes = [len(one.targets) for one in passes]
            for one, loss, hits in zip(passes, losses.split(sizes), greedy.split(sizes), strict=True):
                yield one, (-float(loss.sum()), bool(hits.all()))

    def _read_prefixes(self, rows: list[Row]) -> Cache:
        """The keys and values of the rows' prefixes, with room after them for the longest pass."""
        prefixes = [row.prefix for row in rows]
        weight = self.model.embed_tokens.weight
        width = max(map(len, prefixes))
        room = width + max(len(one.ids) for row in rows for one in row.passes)
        cache = Cache(self.model.config, len(rows), room, weight)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        for row, prefix in zip(ids, prefixes, strict=True):
            row[: len(prefix)] = torch.tensor(prefix)
        with autocast(weight.device):
            self.model.hidden(ids.to(weight.device), cache)
        cache.lengths = torch.tensor([len(prefix) for prefix in prefixes], device=weight.device)
        return cache

    def _pad(self, passes: list[Pass]) -> tuple[Tensor, Tensor]:
        """ids and targets [rows, width], padded on the right, which causal attention does not see; −1: no target."""
        shape = len(passes), max(len(one.ids) for one in passes)
        ids, targets = torch.zeros(shape, dtype=torch.long), torch.full(shape, -1, dtype=torch.long)
        for row, one in enumerate(passes):
            length = len(one.ids)
            ids[row, :length] = torch.tensor(one.ids)
            targets[row, length - len(one.targets) : length] = torch.tensor(one.targets)
        device = self.model.embed_tokens.weight.device
        return ids.to(device), targets.to(device)


def share(pairs: Sequence[tuple[list[int], list[int]]], max_length: int) -> list[Row]:
    """Gather pairs (context, continuation) with the same context into rows, which read it once.

    The common prefix is the context without its last id: that id predicts the first id of each continuation.
    """
    groups: dict[tuple[int, ...], list[Pass]] = {}
    rows = []
    for number, (context, continuation) in enumerate(pairs):
        if not context or not continuation:
            raise ValueError("a context and a continuation need at least one id each")
        if len(continuation) > max_length:
            raise UserError(
                f"a choice has {len(continuation)} tokens, more than model.context: {max_length}; raise model.context, or "
                "lower MAX_UNIT in evaluation/questions.py"
            )
        whole = [*context, *continuation]
        if len(whole) > max_length + 1:
            rows.append(Row([], [Pass(number, whole[-(max_length + 1) : -1], continuation)]))
        else:
            tail = [context[-1], *continuation[:-1]]
            groups.setdefault(tuple(context), []).append(Pass(number, tail, continuation))
    for shared, passes in groups.items():
        if len(passes) > 1:
            rows.append(Row(list(shared[:-1]), passes))
        else:
            (only,) = passes
            rows.append(Row([], [Pass(only.request, [*shared[:-1], *only.ids], only.targets)]))
    return rows


@dataclass(frozen=True)
class Choice:
    """A question for lm-eval: which context and continuation belong together?

    Either one context has several continuations, or several contexts have one continuation. The model chooses the pair
    with the highest log-likelihood per byte of the continuation.
    """

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    answer: int

    @property
    def sizes(self) -> list[int]:
        """For each pair, the bytes of its continuation."""
        return [len(text.encode()) for text in self.continuations] * len(self.contexts)


@dataclass(frozen=True)
class Task:
    """A task for lm-eval: its configuration, its documents, and for each of their requests the bytes that it predicts.

    It is written like lm-eval's own tasks: as a YAML file, with its documents as JSON lines beside it. benchmark: the
    name under which training text is kept free of its questions.
    """

    name: str
    benchmark: str
    config: dict[str, Any]
    metric: str
    documents: list[dict[str, Any]]
    sizes: list[list[int]]

    def write(self, folder: Path) -> None:
        data = folder.resolve() / f"{self.name}.jsonl"
        lines = (json.dumps(document, ensure_ascii=False, sort_keys=True) + "\n" for document in self.documents)
        data.write_text("".join(lines), encoding="utf-8")
        config = {
            "task": self.name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder.resolve() / "cache")},
            "test_split": "test",
            "target_delimiter": "",  # Chinese puts no space between context and continuation
            "num_fewshot": 0,
            **self.config,
        }
        path = folder / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


def choice_task(name: str, benchmark: str, asked: Sequence[Choice]) -> Task:
    """A multiple-choice task. Its questions are all of one kind: with one context each, or one continuation each."""
    if all(len(one.contexts) == 1 for one in asked):
        documents = [{"text": one.contexts[0], "choices": one.continuations, "answer": one.answer} for one in asked]
        columns, metric = {"doc_to_text": "text", "doc_to_choice": "choices", "doc_to_target": "answer"}, "acc_bytes"
    else:
        # If doc_to_text is an integer, lm-eval takes the choices for contexts, as in Winogrande. Then acc compares per byte
        # too, since the same bytes follow all contexts.
        documents = [{"text": one.continuations[0], "choices": one.contexts, "answer": one.answer} for one in asked]
        columns, metric = {"doc_to_text": "answer", "doc_to_choice": "choices", "doc_to_target": "text"}, "acc"
    config = {
        "output_type": "multiple_choice",
        **columns,
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True}],
    }
    return Task(name, benchmark, config, metric, documents, [one.sizes for one in asked])


def text_task(name: str, benchmark: str, texts: Sequence[str]) -> Task:
    """A task that predicts whole texts, measured in bits per byte over all of them."""
    metric = "bits_per_byte"
    config = {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "text",
        "metric_list": [{"metric": metric, "aggregation": metric, "higher_is_better": False}],
    }
    documents = [{"text": text} for text in texts]
    return Task(name, benchmark, config, metric, documents, [[len(text.encode())] for text in texts])


@dataclass(frozen=True)
class Outcome:
    """lm-eval's results for a task."""

    value: float  # the metric over all documents
    values: list[Any]  # the metric of each document
    loglikelihoods: list[list[float]]  # of each document's requests, in nats
    sizes: list[list[int]]  # bytes of what they predict

    @property
    def chosen(self) -> list[int]:
        """The request of each document with the largest log-likelihood per byte."""
        pairs = zip(self.loglikelihoods, self.sizes, strict=True)
        return [int(np.argmax(np.array(lls) / np.array(sizes))) for lls, sizes in pairs]


def evaluate(model: HarnessModel, tasks: Sequence[Task], folder: Path) -> dict[str, Outcome]:
    """Run lm-eval on tasks. folder: an empty one for the tasks' files; nothing in it is needed afterwards.

    What depends on the day or the machine in lm-eval's results (dates, hosts, paths, versions) is left out.
    """
    for task in tasks:
        task.write(folder)
    with _quiet():
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        # Not simple_evaluate: it adds facts about the machine, which takes seconds a call.
        results = evaluator.evaluate(
            lm=model, task_dict=manager.load([task.name for task in tasks]), bootstrap_iters=0, log_samples=True
        )
    outcomes = {}
    for task in tasks:
        samples = sorted(results["samples"][task.name], key=lambda sample: sample["doc_id"])
        outcomes[task.name] = Outcome(
            value=float(results["results"][task.name][f"{task.metric},none"]),
            values=[sample[task.metric] for sample in samples],
            loglikelihoods=[_loglikelihoods(sample["filtered_resps"]) for sample in samples],
            sizes=task.sizes,
        )
    return outcomes


def _loglikelihoods(responses: list[Any]) -> list[float]:
    """The log-likelihoods in lm-eval's responses: (log-likelihood, greedy) for a choice, a number for a whole text."""
    return [float(response[0] if isinstance(response, (tuple, list)) else response) for response in responses]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence lm-eval's own bars and notes: the stage shows its progress itself."""
    logger, bar = logging.getLogger("lm_eval"), lm_eval.api.task.tqdm
    level, bars = logger.level, datasets.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = lambda items, **_: items
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bar
        if bars:
            datasets.enable_progress_bars()
