"""Models as plain Hugging Face folders: they load with AutoModelForCausalLM, and with nothing of ours installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_to_bytes

from woodblock.base.errors import UserError
from woodblock.base.files import read_json
from woodblock.models.configuration import Config, RopeScaling
from woodblock.models.decoder import Transformer
from woodblock.models.rotary_positions import LLAMA3_ROTATIONS, YARN_ROTATIONS
from woodblock.tokens import tokenization
from woodblock.tokens.tokenization import Tokenizer

TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "chat_template.jinja")
PREFIX, WEIGHTS, SHARDS = "model.", "model.safetensors", "model.safetensors.index.json"


def hf_config(config: Config, tokenizer: Tokenizer) -> dict[str, Any]:
    """The config.json that makes transformers build the same model."""
    rope = rope_parameters(config)
    kind, architecture = ("qwen3", "Qwen3ForCausalLM") if config.qk_norm else ("llama", "LlamaForCausalLM")
    return {
        "architectures": [architecture],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "hidden_size": config.dim,
        "intermediate_size": config.hidden_dim,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.context,
        "rope_parameters": rope,
        "rope_theta": config.rope_theta,  # here and in rope_scaling for readers older than transformers 5
        **({"rope_scaling": {k: v for k, v in rope.items() if k != "rope_theta"}} if config.rope_scaling else {}),
        "rms_norm_eps": config.norm_eps,
        "initializer_range": config.init_std,
        "hidden_act": "silu",
        "attention_bias": False,
        **({"use_sliding_window": False} if config.qk_norm else {"mlp_bias": False}),
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": [tokenizer.end_id, tokenizer.turn_end_id],
        "pad_token_id": tokenizer.pad_id,
        "dtype": "float32",
    }


def rope_parameters(config: Config) -> dict[str, Any]:
    """The rotary settings with the names of transformers 5. Its default constants are written too."""
    named = {"rope_type": config.rope_scaling or "default", "rope_theta": config.rope_theta}
    if config.rope_scaling:
        named["factor"] = config.rope_factor
    if config.rope_scaling in ("yarn", "llama3"):
        named["original_max_position_embeddings"] = config.rope_context
    if config.rope_scaling == "yarn":
        named["beta_fast"], named["beta_slow"] = YARN_ROTATIONS
    if config.rope_scaling == "llama3":
        named["high_freq_factor"], named["low_freq_factor"] = LLAMA3_ROTATIONS
    return named


def save(model: Transformer, tokenizer_folder: Path, out: Path) -> None:
    """Write a model folder: config, weights in fp32, the tokenizer's files with the model's context, generation config."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(tokenizer_folder)
    for path in (tokenizer_folder / name for name in TOKENIZER_FILES):
        if path.is_file():  # a folder that transformers saved has no tokenizer.model
            shutil.copyfile(path, out / path.name)
    settings = json.loads((tokenizer_folder / tokenization.SETTINGS_FILE).read_text(encoding="utf-8"))
    tokenization.write_settings({**settings, "model_max_length": model.config.context}, out)
    weights = {PREFIX + name: w.detach().float().cpu().contiguous() for name, w in model.state_dict().items()}
    # safetensors' own save_file lets nobody but the owner read the file.
    (out / WEIGHTS).write_bytes(save_to_bytes(weights, metadata={"format": "pt"}))
    _write_json(out / "config.json", hf_config(model.config, tokenizer))
    generation = {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": [tokenizer.end_id, tokenizer.turn_end_id],
        "pad_token_id": tokenizer.pad_id,
        "do_sample": False,
        "max_length": model.config.context,  # prompt and reply; without it, transformers stops after 20 tokens
    }
    _write_json(out / "generation_config.json", generation)


def read_config(folder: Path) -> Config:
    """Our Config from a folder's config.json, also from one that transformers 4 or 5 saved.

    Raises UserError where there is none, or for a model that we do not have.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; run the stage that makes it, or dvc checkout")
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: cannot be read; run the stage that makes it, or dvc checkout")
    if values.get("model_type") not in ("llama", "qwen3") or not values.get("tie_word_embeddings"):
        raise UserError(
            f"{path}: the model type is {values.get('model_type')}, tie_word_embeddings is "
            f"{values.get('tie_word_embeddings')}; only Llama and Qwen3 with tied embeddings can be read"
        )
    rope = read_rope(values)
    config = Config(
        vocab_size=values["vocab_size"],
        dim=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        kv_heads=values["num_key_value_heads"],
        hidden_dim=values["intermediate_size"],
        context=values["max_position_embeddings"],
        rope_theta=rope["rope_theta"],
        norm_eps=values["rms_norm_eps"],
        init_std=values["initializer_range"],
        qk_norm=values["model_type"] == "qwen3",
        rope_scaling=None if rope["rope_type"] == "default" else rope["rope_type"],
        rope_factor=rope.get("factor", 1.0),
    )
    known = config.rope_scaling in (None, *get_args(RopeScaling))
    head_dim = values.get("head_dim") or config.head_dim
    if not known or head_dim != config.head_dim or rope != rope_parameters(config):
        raise UserError(
            f"{path}: this pipeline cannot use its head_dim or rope_parameters; run the stage that makes the folder again"
        )
    return config


def read_rope(values: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings of a config.json with the names of transformers 5; what is null there is left out."""
    rope = values.get("rope_parameters") or {"rope_type": "default", **(values.get("rope_scaling") or {})}
    rope.setdefault("rope_theta", values.get("rope_theta"))
    return {name: value for name, value in rope.items() if value is not None}


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """A folder's weights by name, from one file or from shards. Raises OSError and SafetensorError as safetensors does."""
    if not (folder / WEIGHTS).exists() and (folder / SHARDS).is_file():
        names = json.loads((folder / SHARDS).read_text(encoding="utf-8"))["weight_map"].values()
        return {name: weight for file in sorted(set(names)) for name, weight in load_file(folder / file).items()}
    return load_file(folder / WEIGHTS)


def load(folder: Path, device: torch.device) -> tuple[Transformer, Tokenizer]:
    """The model of a folder, on a device and in evaluation mode, with its tokenizer.

    Raises UserError for a file that is missing or damaged, and for weights that are missing, unknown or of another shape:
    no weight is made up silently.
    """
    folder, tokenizer = Path(folder), Tokenizer.load(folder)
    config = read_config(folder)
    model = Transformer(config)
    try:
        weights = read_weights(folder)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder}/model.safetensors cannot be read ({type(error).__name__}); run the stage that makes it again, or dvc "
            f"checkout {folder}"
        ) from error
    wanted = {PREFIX + name: weight.shape for name, weight in model.state_dict().items()}
    found = {name: weight.shape for name, weight in weights.items()}
    if wanted != found:
        odd = sorted(set(wanted.items()) ^ set(found.items()), key=lambda item: item[0])[0][0]
        raise UserError(
            f"{folder}/model.safetensors does not match config.json; the first difference is {odd}; run the stage that "
            "makes the folder again"
        )
    model.load_state_dict({name.removeprefix(PREFIX): weight for name, weight in weights.items()})
    return model.to(device).eval(), tokenizer


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
