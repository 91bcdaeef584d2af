"""The whole of params.yaml as one type, and the checks across its blocks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from woodblock.base import sizes
from woodblock.run.settings.cleaning import Clean, Dedup, check_limits
from woodblock.run.settings.common import Block, Count, Positive
from woodblock.run.settings.evaluation import Benchmark, RagEval, RagIndex, Report
from woodblock.run.settings.model import Model
from woodblock.run.settings.sources import Download
from woodblock.run.settings.tokens import Pack, Tokenizer
from woodblock.run.settings.training import CountOrAuto, Pretrain, Sft, Train


class Params(Block):
    threads: Positive
    processes: CountOrAuto
    seed: Count
    device: Literal["auto", "cpu", "cuda", "mps"]
    mirror: str | Annotated[list[str], Field(min_length=1)] | None
    download: Download
    clean: Clean
    dedup: Dedup
    tokenizer: Tokenizer
    pack: Pack
    model: Model
    train: Train
    pretrain: Pretrain
    sft: Sft
    benchmark: Benchmark
    rag_index: RagIndex
    rag_eval: RagEval
    report: Report

    @model_validator(mode="after")
    def size_decides(self) -> Params:
        sizes.shape(self.model, self.tokenizer.vocab_size)
        return self.model_copy(update={"pretrain": self.pretrain.model_copy(update=sizes.pretraining(self))})

    @model_validator(mode="after")
    def there_is_a_corpus(self) -> Params:
        if not self.download.corpus:
            raise ValueError(
                "download.corpus: [] is not possible; a model is always pretrained on a corpus, so name at least one source"
            )
        return self

    @model_validator(mode="after")
    def limits_of_sources_are_possible(self) -> Params:
        for role in ("corpus", "instructions", "documents", "benchmarks"):
            for number, source in enumerate(getattr(self.download, role)):
                key = f"download.{role}.{number}.limits"
                check_limits(source.limits, key)
                if source.limits is not None and role in ("documents", "benchmarks"):
                    raise ValueError(
                        f"{key}: {source.limits!r} has no effect, since {role} are not filtered; remove it"
                    )
                if source.weight != 1 and role in ("documents", "benchmarks"):
                    raise ValueError(
                        f"download.{role}.{number}.weight: {source.weight!r} has no effect, since no model is trained on "
                        f"{role}; remove it"
                    )
        return self

    @model_validator(mode="after")
    def sizes_fit(self) -> Params:
        context = self.model.context
        for name, block in (("pretrain", self.pretrain), ("sft", self.sft)):
            for key in ("batch_tokens", "micro_batch_tokens"):
                if (tokens := getattr(block, key)) % context:
                    near = max(1, round(tokens / context)) * context
                    raise ValueError(
                        f"{name}.{key}: {tokens} is not a multiple of model.context: {context}; use {near}"
                    )
            if block.batch_tokens % block.micro_batch_tokens:
                raise ValueError(
                    f"{name}.batch_tokens: {block.batch_tokens} is not a multiple of "
                    f"{name}.micro_batch_tokens: {block.micro_batch_tokens}; choose a micro_batch_tokens that divides "
                    "batch_tokens"
                )
            if block.warmup_share + block.decay_share > 1:
                raise ValueError(
                    f"{name}.warmup_share + {name}.decay_share: {block.warmup_share} + {block.decay_share} "
                    "are together over 1; lower one of them"
                )
        if self.pretrain.tokens < self.pretrain.batch_tokens:
            raise ValueError(
                f"pretrain.tokens: {self.pretrain.tokens} is less than one batch; "
                f"use at least pretrain.batch_tokens: {self.pretrain.batch_tokens}"
            )
        if self.sft.max_tokens > context:
            raise ValueError(
                f"sft.max_tokens: {self.sft.max_tokens} is larger than model.context: {context}; lower sft.max_tokens"
            )
        return self
