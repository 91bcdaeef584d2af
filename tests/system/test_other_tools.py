"""A model folder in the programs that people have: transformers 4, TRL and llama.cpp, each in an environment of its own.

Their packages are installed beside ours, from the package index. llama.cpp's converter comes with its sources, which are no
package: LLAMA_CPP names the folder. For Qwen3 (model.qk_norm) the converter does not read that no text begins with a space;
there llama.cpp needs `--override-kv tokenizer.ggml.add_space_prefix=bool:false`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest
import torch
from support import small_models

from woodblock.models import hugging_face
from woodblock.tokens.tokenization import Tokenizer

pytestmark = pytest.mark.slow

TRANSFORMERS_4 = ("transformers==4.57.6", "tokenizers==0.22.2", "huggingface_hub==0.36.0")
TRL = ("trl==1.16.0", "accelerate==1.15.0")
LLAMA_CPP_PACKAGES = ("xllamacpp==2026.10.11549", "gguf==0.19.0")
TEXTS = [small_models.text(5, seed=n) for n in range(300)]
TEXTS += ["请用 Python 写", " 国家 ", "<|im_end|>国家", "🙂龘\t", "  "]
CHAT = [
    {"role": "system", "content": "你是助手"},
    {"role": "user", "content": [{"type": "text", "text": "你好 a"}]},
    {"role": "assistant", "content": "好 b"},
]
PROMPTS = ["国家", "国家应当保护自然人的合法权益"]

OPEN = """
import json, sys, torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, again, texts, chat, prompts = sys.argv[1], sys.argv[2], *map(json.loads, sys.stdin.read().splitlines())
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
marked = tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
batch = tokenizer(prompts, padding=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**tokenizer(prompts[1], return_tensors="pt")).logits[0]
found = {
    "version": transformers.__version__,
    "ids": [tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) for text in texts],
    "chat": marked["input_ids"],
    "learned": marked["assistant_masks"],
    "logits": logits.tolist(),
    "replies": model.generate(**batch, max_new_tokens=5, min_new_tokens=5)[:, -5:].tolist(),
}
model.save_pretrained(again)
tokenizer.save_pretrained(again)
print(json.dumps(found))
"""

TUNE = """
import json, sys
from datasets import Dataset
from trl import SFTConfig, SFTTrainer
folder, out = sys.argv[1:]
rows = [{"messages": [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答国家"}]}] * 4
settings = SFTConfig(
    output_dir=out, max_steps=2, per_device_train_batch_size=2, assistant_only_loss=True, report_to=[], use_cpu=True,
    bf16=False, save_strategy="no", max_length=32,
)
trainer = SFTTrainer(model=folder, args=settings, train_dataset=Dataset.from_list(rows))
batch = next(iter(trainer.get_train_dataloader()))
trainer.train()
trainer.save_model(out)
print(json.dumps([batch["input_ids"][0].tolist(), batch["labels"][0].tolist()]))
"""

SERVE = """
import json, sys, urllib.request
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.cpuparams.n_threads, params.n_gpu_layers = sys.argv[1], 64, 1, 0
params.warmup, params.use_jinja, params.port = False, True, int(sys.argv[2])
server = xllamacpp.Server(params)
def post(route, **body):
    request = urllib.request.Request(server.listening_address + route, json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))
texts, chat, prompts = map(json.loads, sys.stdin.read().splitlines())
chat = chat[:2]  # a reply at the end would be taken for the beginning of one
found = {
    "ids": [post("/tokenize", content=text, add_special=False, parse_special=False)["tokens"] for text in texts],
    "texts": [],
    "chat": post("/tokenize", content=post("/apply-template", messages=chat)["prompt"], add_special=True)["tokens"],
}
greedy = dict(n_predict=5, temperature=0, top_k=1, ignore_eos=True, return_tokens=True)
found["reply"] = post("/completion", prompt=prompts[1], **greedy)["tokens"]
found["texts"] = [post("/detokenize", tokens=ids)["content"] for ids in found["ids"]]
print()
print(json.dumps(found))
"""


def environment(folder: Path, packages: tuple[str, ...]) -> Path:
    """The Python of a new environment with these packages, and behind them all that ours has."""
    venv.create(folder, with_pip=False)
    own = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(own), *packages]
    if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"pip cannot install {', '.join(packages)} here: {done.stderr.strip().splitlines()[-1]}")
    (own / "behind.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


def ask(python: Path, program: str, *arguments: object) -> object:
    lines = "\n".join(map(json.dumps, (TEXTS, CHAT, PROMPTS)))
    command = [str(python), "-c", program, *map(str, arguments)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def saved(path: Path, **shape: Any) -> Path:
    hugging_face.save(small_models.shaken(small_models.model(**shape)), small_models.tokenizer_folder(), path)
    return path


def expected_chat(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    plain = [{**message, "content": text} for message, text in zip(CHAT, ("你是助手", "你好 a", "好 b"), strict=True)]
    parts = list(tokenizer.chat_parts(plain))
    return [i for ids, _ in parts for i in ids], [int(is_learned) for ids, is_learned in parts for _ in ids]


@pytest.fixture(scope="module")
def transformers_4(tmp_path_factory) -> Path:
    return environment(tmp_path_factory.mktemp("transformers_4"), TRANSFORMERS_4)


@pytest.mark.parametrize("qk_norm", [False, True])
def test_transformers_4_opens_the_folder_and_ours_what_it_saves(transformers_4, qk_norm, tmp_path):
    folder = saved(tmp_path / "model", qk_norm=qk_norm)
    model, tokenizer = hugging_face.load(folder, torch.device("cpu"))
    found = ask(transformers_4, OPEN, folder, tmp_path / "again")
    assert found["version"].startswith("4.57")
    assert found["ids"] == tokenizer.encode_many(TEXTS, 1)
    assert (found["chat"], found["learned"]) == expected_chat(tokenizer)
    ids = torch.tensor([[tokenizer.start_id, *tokenizer.encode(PROMPTS[1])]])
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(found["logits"]), model(ids)[0], atol=1e-4, rtol=1e-4)
    again, its_tokenizer = hugging_face.load(tmp_path / "again", torch.device("cpu"))
    assert again.config == model.config
    assert all(map(torch.equal, again.parameters(), model.parameters()))
    assert its_tokenizer.encode_many(TEXTS, 1) == found["ids"]


def test_trl_learns_replies_alone_and_ours_reads_what_it_saves(tmp_path_factory, tmp_path):
    folder = saved(tmp_path / "model")
    ids, labels = ask(environment(tmp_path_factory.mktemp("trl"), TRL), TUNE, folder, tmp_path / "tuned")
    tokenizer = small_models.tokenizer()
    parts = list(tokenizer.chat_parts([{"role": "user", "content": "问"}, {"role": "assistant", "content": "答国家"}]))
    assert ids == [i for part, _ in parts for i in part]
    assert labels == [i if is_learned else -100 for part, is_learned in parts for i in part]
    tuned, its_tokenizer = hugging_face.load(tmp_path / "tuned", torch.device("cpu"))
    assert its_tokenizer.encode("国家") == tokenizer.encode("国家")
    assert not torch.equal(tuned.norm.weight, small_models.shaken(small_models.model()).norm.weight)


def test_llama_cpp_has_the_same_ids_and_the_same_reply(tmp_path_factory, tmp_path):
    sources = os.environ.get("LLAMA_CPP")
    if not sources:
        pytest.skip("LLAMA_CPP does not name a folder of llama.cpp's sources, which has its converter")
    python = environment(tmp_path_factory.mktemp("llama_cpp"), LLAMA_CPP_PACKAGES)
    folder = saved(tmp_path / "model")
    convert = [
        python,
        f"{sources}/convert_hf_to_gguf.py",
        tmp_path / "model",
        "--outtype",
        "f32",
        "--outfile",
        tmp_path / "m",
    ]
    done = subprocess.run(
        convert, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": f"{sources}/gguf-py"}
    )
    assert not done.returncode, done.stderr[-3000:]
    found = ask(python, SERVE, tmp_path / "m", 18_931)
    model, tokenizer = hugging_face.load(folder, torch.device("cpu"))
    assert found["ids"] == tokenizer.encode_many(TEXTS, 1)
    assert found["texts"] == TEXTS
    assert found["chat"] == tokenizer.encode_chat([CHAT[0], {"role": "user", "content": "你好 a"}], reply=True)
    ids = [tokenizer.start_id, *tokenizer.encode(PROMPTS[1])]
    for token in found["reply"]:
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, -1]
        assert logits[token] > logits.max() - 1e-3
        ids.append(token)
