"""A text, tokenizers and models small enough for tests, and one thread: two are slower on a machine that is busy."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import torch

from woodblock.models.configuration import Config
from woodblock.models.decoder import Transformer
from woodblock.tokens import tokenization
from woodblock.tokens.tokenization import Tokenizer

torch.set_num_threads(1)

WHO = (
    "国家",
    "县级以上人民政府",
    "经营者",
    "消费者",
    "学校",
    "劳动者",
    "用人单位",
    "任何单位和个人",
    "主管部门",
    "当事人",
)
MUST = ("应当", "可以", "不得", "有权", "有义务", "必须依法")
DO = ("保护", "公布", "登记", "检查", "申请", "报告", "建立", "拒绝", "修改", "承担")
WHAT = ("环境", "合同", "责任", "档案", "信息", "证书", "制度", "财产", "水源", "图书馆", "费用", "安全生产")
END = ("。", "，并自收到之日起十五日内答复。", "；法律另有规定的，依照其规定。", "，违者处二百元罚款。", "！", "？")


def sentence(draw: Random) -> str:
    return "".join(draw.choice(part) for part in (WHO, MUST, DO, WHAT, END))


def text(lines: int = 300, seed: int = 0) -> str:
    """Sentences in the manner of statutes, some with digits, Latin letters, spaces and indents."""
    draw = Random(seed)
    made = []
    for number in range(lines):
        line = "".join(sentence(draw) for _ in range(draw.randint(1, 3)))
        made.append(line if number % 7 else f"　　{number} Article {number // 7}: {line} (see user, assistant)")
    return "\n".join(made)


@functools.cache
def tokenizer_model(vocab_size: int = 600) -> bytes:
    return tokenization.train([text()], vocab_size, 0.9995)


@functools.cache
def tokenizer_folder(vocab_size: int = 600) -> Path:
    """A folder written by the pipeline's own code; removed with the process."""
    kept = tempfile.TemporaryDirectory(prefix="woodblock-")
    _kept.append(kept)
    tokenization.save(tokenizer_model(vocab_size), Path(kept.name))
    return Path(kept.name)


_kept: list[tempfile.TemporaryDirectory] = []


def tokenizer(vocab_size: int = 600) -> Tokenizer:
    return Tokenizer.load(tokenizer_folder(vocab_size))


SHAPES = [
    {"heads": 4, "kv_heads": 2},
    {"heads": 4, "kv_heads": 4},
    {"heads": 4, "kv_heads": 1, "layers": 3, "rope_theta": 500.0, "norm_eps": 1e-3},
    {"heads": 1, "kv_heads": 1, "dim": 8, "hidden_dim": 24, "layers": 1},
    {"heads": 4, "kv_heads": 2, "qk_norm": True},
    {"heads": 4, "kv_heads": 1, "qk_norm": True, "norm_eps": 1e-3, "rope_scaling": "linear", "rope_factor": 2.0},
]


def config(**changes: Any) -> Config:
    """A small shape; init_std is wide, so that random models have opinions."""
    shape = {"vocab_size": 600, "dim": 32, "layers": 2, "heads": 4, "kv_heads": 2, "hidden_dim": 48, "context": 32}
    return Config(**{**shape, "init_std": 0.3, **changes})


def model(seed: int = 0, **changes: Any) -> Transformer:
    """A random model in evaluation mode; in no layer is anything left at zero, as training would begin with."""
    made = Transformer(config(**changes)).initialise(seed).eval()
    draw = torch.Generator().manual_seed(seed + 1000)
    with torch.no_grad():
        for weight in made.parameters():
            if not weight.any():
                weight.normal_(0.0, made.config.init_std / (2 * made.config.layers) ** 0.5, generator=draw)
    return made


def ids(model: Transformer, rows: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random ids [rows, length] of the model's vocabulary."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.config.vocab_size, (rows, length), generator=draw)


def shaken(model: Transformer, seed: int = 0) -> Transformer:
    """The model with norms that are not all one, so that a norm at the wrong place shows."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.copy_(0.5 + torch.rand(weight.shape, generator=draw))
    return model
