"""The typed form of params.yaml: every key, its type and its bounds, checked at once before any work starts.

There are no defaults here: what a run used stands in params.yaml, and nowhere else. This module accepts or refuses
values, and puts the numbers of woodblock.base.sizes where the block pretrain says auto; so pretrain names that one among its
deps, and no stage this one.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from woodblock.base import sizes
from woodblock.base.errors import UserError

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]


def _or_auto(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """What `check` takes, or the word auto. One sentence for what is neither, where a union would make two errors."""
    if value == sizes.AUTO:
        return value
    try:
        return check(value)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise PydanticCustomError("or_auto", "{said}, or auto", {"said": said}) from None


CountOrAuto = Annotated[Positive, WrapValidator(_or_auto)]
RateOrAuto = Annotated[Rate, WrapValidator(_or_auto)]

BYTE_PIECES, SPECIAL_PIECES = 256, 6


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


# What a record's fields are called here; `columns` says what the data set calls them.
Column = Literal[
    "text", "title", "messages", "prompt", "response", "instruction", "input", "output", "history", "system"
]


class Source(Block):
    url: Annotated[str, Field(pattern=r"^(pypi|hf|ms|https?|file)://.+")]
    licence: str
    format: Literal["laws", "chapters", "dialogues", "articles"] | None = None  # None: by inspection
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    columns: dict[Column, Annotated[str, Field(min_length=1)]] | None = None
    name: Annotated[str, Field(min_length=1)] | None = None
    member: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_records: Positive | None = None


class Download(Block):
    shard_chars: Positive
    corpus: Annotated[list[Source], Field(min_length=1)]
    instructions: list[Source]
    documents: list[Source]
    benchmarks: list[Source]


class Clean(Block):
    simplified: bool
    languages: Annotated[list[Annotated[str, Field(pattern=r"^[a-z]{2}$")]], Field(min_length=1)]
    min_han: Share
    min_chars: Count
    max_top_ngram: Share
    max_repeated_ngrams: Share
    max_repeated_lines: Share
    max_longest_run: Share
    max_templated: Share
    min_variety: Annotated[float, Field(ge=0)]
    max_digits: Share
    max_symbols: Share
    max_punctuation: Share
    min_punctuation: Share
    min_stops: Share
    max_list_line: Annotated[float, Field(ge=0)]
    max_links: Share
    personal_data: list[Literal["mobile", "email", "id_card", "bank_card", "ip"]]
    quality_chars: Positive
    max_bits: Rate
    weight_by_quality: Annotated[float, Field(ge=0)]


class Dedup(Block):
    ngram: Annotated[int, Field(ge=1, le=16)]
    bands: Positive
    rows: Positive
    threshold: Annotated[float, Field(gt=0, le=1)]
    edited: Annotated[float, Field(gt=0, le=1)]
    copied: Share
    paragraph_chars: Positive
    paragraph_documents: Annotated[int, Field(ge=2)]
    overlap_chars: Annotated[int, Field(ge=12)]
    validation_share: Annotated[float, Field(gt=0, lt=1)]


class Tokenizer(Block):
    vocab_size: Annotated[int, Field(gt=BYTE_PIECES + SPECIAL_PIECES, lt=2**31)]
    character_coverage: Annotated[float, Field(ge=0.98, le=1)]  # what SentencePiece accepts
    max_chars: Positive


class Pack(Block):
    shard_tokens: Positive


class Model(Block):
    depth: Annotated[int, Field(ge=1, le=1000)] | None
    parameters: Annotated[int, Field(ge=1, le=10**13)] | None
    dim: Positive | None
    layers: Positive | None
    heads: Positive | None
    kv_heads: Positive | None
    hidden_dim: Positive | None
    qk_norm: bool
    context: Annotated[int, Field(ge=8)]
    rope_theta: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    rope_scaling: Literal["linear", "yarn", "llama3"] | None
    rope_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    norm_eps: Rate
    init_std: Rate

    @model_validator(mode="after")
    def rope_stretches(self) -> Model:
        if (self.rope_scaling is None) != (self.rope_factor == 1):
            raise ValueError(
                f"model.rope_scaling: {self.rope_scaling or 'null'} does not go with model.rope_factor: "
                f"{self.rope_factor}; null goes with 1.0, linear, yarn and llama3 with more"
            )
        stretched_from = self.context / self.rope_factor
        if stretched_from < 8 or not stretched_from.is_integer():
            fits = [f for f in range(2, 65) if self.context % f == 0 and self.context // f >= 8]
            raise ValueError(
                f"model.rope_factor: {self.rope_factor} does not divide model.context: {self.context} into a context of "
                f"8 tokens or more; use one of {fits[:4]}, or another context"
            )
        return self

    @model_validator(mode="after")
    def heads_divide(self) -> Model:
        sizes.shape(self, BYTE_PIECES)  # that its size is given in one way
        if self.dim is None:
            return self
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            fits = [h for h in range(1, self.dim + 1) if self.dim % h == 0 and (self.dim // h) % 2 == 0]
            near = sorted(fits, key=lambda h: abs(h - self.heads))[:4]
            raise ValueError(
                f"model.heads: {self.heads} does not divide model.dim: {self.dim} into heads of even size; "
                f"use one of {sorted(near)}"
            )
        if self.heads % self.kv_heads:
            fits = [k for k in range(1, self.heads + 1) if self.heads % k == 0]
            raise ValueError(
                f"model.kv_heads: {self.kv_heads} does not divide model.heads: {self.heads}; use one of {fits}"
            )
        return self


class Training(Block):
    """What pretraining and fine-tuning share: one loop, one optimizer."""

    optimizer: Literal["muon", "adamw", "adam"]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_share: Share
    decay_share: Share
    final_lr_share: Share
    schedule: Literal["wsd", "cosine"]
    clip: Rate
    validate_every: Positive
    checkpoint_every: Positive


class Train(Block):
    """Where training is computed; a run that was broken off under other values goes on under these."""

    devices: CountOrAuto
    shard: bool
    compile: bool


class Pretrain(Training):
    """Where its size decides, each is a number once the params are checked (Params.size_decides)."""

    tokens: CountOrAuto
    batch_tokens: CountOrAuto
    micro_batch_tokens: CountOrAuto
    learning_rate: RateOrAuto
    matrix_learning_rate: RateOrAuto
    document_mask: bool
    samples_every: Count
    baseline_tokens: Positive


class Sft(Training):
    batch_tokens: Positive
    micro_batch_tokens: Positive
    learning_rate: Rate
    matrix_learning_rate: Rate
    article_examples: Count
    well_known_laws: list[str]
    given_repeats: Positive
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    epochs: Positive
    max_tokens: Positive
    system: str
    prompts: Positive
    max_new_tokens: Positive
    no_repeat_ngram: Count


class Benchmark(Block):
    tasks: Annotated[
        list[Literal["validation", "continuation", "source_law", "source_law_verbatim"]], Field(min_length=1)
    ]
    questions_per_group: Annotated[int, Field(ge=4, le=40)]  # questions come in fours
    questions: Annotated[int, Field(ge=4)]
    batch_tokens: Positive
    bootstrap: Annotated[int, Field(ge=100)]


class RagIndex(Block):
    k1: Rate
    b: Share


class RagEval(Block):
    queries: Positive
    answers: Positive
    passages: Annotated[int, Field(ge=1, le=10)]
    max_new_tokens: Positive


class Report(Block):
    title: str


class Params(Block):
    threads: Positive
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
    def sizes_fit(self) -> Params:
        context = self.model.context
        for name, block in (("pretrain", self.pretrain), ("sft", self.sft)):
            for key in ("batch_tokens", "micro_batch_tokens"):
                if (tokens := getattr(block, key)) % context:
                    near = max(1, round(tokens / context)) * context
                    raise ValueError(
                        f"{name}.{key}: {tokens} is not a multiple of model.context: {context}; {near} would do"
                    )
            if block.batch_tokens % block.micro_batch_tokens:
                raise ValueError(
                    f"{name}.batch_tokens: {block.batch_tokens} is not a multiple of "
                    f"{name}.micro_batch_tokens: {block.micro_batch_tokens}; make the second a divisor"
                )
            if block.warmup_share + block.decay_share > 1:
                raise ValueError(
                    f"{name}.warmup_share + {name}.decay_share: {block.warmup_share} + {block.decay_share} "
                    "is over 1; the two are shares of one run"
                )
        if self.pretrain.tokens < self.pretrain.batch_tokens:
            raise ValueError(
                f"pretrain.tokens: {self.pretrain.tokens} is less than one batch; "
                f"at least pretrain.batch_tokens: {self.pretrain.batch_tokens} would do"
            )
        if self.sft.max_tokens > context:
            raise ValueError(f"sft.max_tokens: {self.sft.max_tokens} is over model.context: {context}; lower it")
        return self


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file.

    Raises UserError, in one line that names key, value and what would do, for a file that is missing, is no YAML,
    or holds an unknown key, a missing key, a wrong type or an impossible value.
    """
    return check(read(path), str(path))


def read(path: Path | str = "params.yaml") -> dict[str, Any]:
    """The params file as a plain dictionary, unchecked. Raises UserError where there is none or it is no YAML."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file here; run from the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = f" line {mark.line + 1}:" if (mark := getattr(error, "problem_mark", None)) else ""
        what = getattr(error, "problem", None) or str(error)
        raise UserError(f"{path}:{where} not valid YAML ({what}); mend it, or git checkout {path}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds {type(values).__name__}, not a mapping of keys; git checkout {path}")
    return values


def check(values: dict[str, Any], name: str = "params.yaml") -> Params:
    """Check values against the schema; where they say auto in the block pretrain, the result has numbers.

    Raises UserError, as `load` does.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{name}: {_one_line(error)}") from None


def resolved(values: dict[str, Any], params: Params) -> dict[str, Any]:
    """The values of a params file with numbers where they say auto in the block pretrain, as in the checked `params`."""
    return {**values, "pretrain": params.pretrain.model_dump()}


def _one_line(error: ValidationError) -> str:
    """The first thing that is wrong, in a line; the rest is counted."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    value = first["input"]
    match first["type"]:
        case "extra_forbidden":
            text = f"{key}: {value!r} is an unknown key{_suggestion(first['loc'])}"
        case "missing":
            text = f"{key} is missing; git diff params.yaml shows what went"
        case "value_error":
            text = str(first["ctx"]["error"])
        case _:
            text = f"{key}: {value!r} will not do; {first['msg'][0].lower()}{first['msg'][1:]}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return re.sub(r"(?<=//)[^/?#\s]*@", "", text + more)  # a url's user and password are shown nowhere


def _suggestion(location: tuple[int | str, ...]) -> str:
    fields: dict[str, Any] = Params.model_fields
    for part in location[:-1]:
        annotation = fields[part].annotation if part in fields else None
        fields = getattr(annotation, "model_fields", {})
    if close := difflib.get_close_matches(str(location[-1]), fields, n=1):
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(fields)}" if fields else "; remove it"


class Declared:
    """The params that a stage declares in dvc.yaml, and no others.

    Reading an undeclared one raises AttributeError: a stage that used it would not rerun when it changed.
    """

    def __init__(self, params: BaseModel, leaves: list[str], prefix: str = "") -> None:
        self._params, self._leaves, self._prefix = params, leaves, prefix

    def __getattr__(self, name: str) -> Any:
        path = f"{self._prefix}{name}"
        value = getattr(self._params, name)
        if path in self._leaves:
            return value
        if any(leaf.startswith(f"{path}.") for leaf in self._leaves):
            return Declared(value, self._leaves, f"{path}.")
        raise AttributeError(f"{path} is not among the params that dvc.yaml declares for this stage")


def leaf(values: dict[str, Any], path: str) -> Any:
    """The value at a dotted path of a params dictionary. Raises UserError for a path that it does not hold."""
    for part in path.split("."):
        if not isinstance(values, dict) or part not in values:
            raise UserError(f"dvc.yaml: {path} is no key of params.yaml; name one that it holds")
        values = values[part]
    return values
