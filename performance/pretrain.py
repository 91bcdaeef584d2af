"""Measure pretraining beside others on two CPU cores: python performance/pretrain.py

Three programs train 6.0 M parameters in fp32 on the same text, for so many seconds each, in turn, each time in a fresh
process: ours; the same model under the Hugging Face Trainer (peer_trainer.py); and the book's recipe (peer_book.py).
Tokenizers of 6,144 pieces and packed tokens are made beforehand, from the training part alone; all after that counts,
building the model, any compilation and each step, but not scoring. Weights are kept at the points of the curve and
scored afterwards. Then the forward and backward pass is measured beside transformers' Llama (forward_backward.py).
Prints a table and, last, one JSON object; --plot draws bits per byte against seconds.

Finished runs are kept in .woodblock/performance/pretrain.jsonl; --resume takes those of the same code and settings from
there. --only ours --seconds 120 --rounds 1 is a quick look, --only fwd_bwd the passes alone; --tokens 150000 budgets by
tokens, for trials on a busy machine; --set ours.learning_rate=0.03 changes a setting.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

# ------------------------------------------------------------------------------------------------ settings

SETTINGS: dict[str, dict[str, Any]] = {
    # Of ours and of the Trainer's, of 6,144 pieces: the share of the text's characters that have a piece of their own.
    # 0.99 gives them 2,225 pieces and 3.71 bytes a token on the held-out documents, the pipeline's 0.9995 4,562 and 3.44.
    "tokenizer": {"character_coverage": 0.99},
    # The model of ours and of the Trainer's; as woodblock.models.configuration.Config has it.
    "model": {"dim": 256, "layers": 6, "heads": 4, "kv_heads": 2, "hidden_dim": 704, "context": 256},
    # As the block pretrain of params.yaml.
    "ours": {
        "batch_tokens": 2048,
        "document_mask": False,  # attention within documents alone
        "optimizer": "muon",
        "learning_rate": 0.03,  # of AdamW: embeddings and norms
        "matrix_learning_rate": 0.006,  # of Muon: matrices
        "weight_decay": 0.0,
        "warmup_share": 0.02,
        "schedule": "wsd",
        "decay_share": 0.6,
        "final_lr_share": 0.0,
        "clip": 1.0,
    },
    "hf": {"batch_tokens": 2048, "learning_rate": 2e-3, "beta2": 0.999, "weight_decay": 0.0, "warmup_share": 0.02},
    # The book's batch of 64 × 8 rows of 512 tokens would make five steps in 600 s here.
    "book": {"rows": 1, "accumulate": 8, "learning_rate": 2e-4},
}
SEED = 1

# ------------------------------------------------------------------------------------------------ running

sys.path.insert(0, str(Path(__file__).parent))
import forward_backward  # noqa: E402
import prepared  # noqa: E402
import race  # noqa: E402
from prepared import ROOT  # noqa: E402
from race import TARGET, Job  # noqa: E402

from woodblock.base.digests import digest  # noqa: E402
from woodblock.base.progress import say  # noqa: E402
from woodblock.models.configuration import Config, count_parameters  # noqa: E402
from woodblock.reporting import charts  # noqa: E402

HOME = ROOT / ".woodblock" / "performance"
SCRIPTS = {"ours": "our_trainer.py", "hf": "peer_trainer.py", "book": "peer_book.py"}
NAMES = {"ours": "woodblock", "hf": "Hugging Face Trainer", "book": "the book's recipe"}
SHORT = {"ours": "woodblock", "hf": "Trainer", "book": "the book"}
OUR_MODULES = (
    "model",
    "kernels",
    "fused",
    "threads",
    "optimizer",
    "packing",
    "training",
    "distributed",
    "likelihood",
)  # what a run of ours depends on
PACKAGES = ("torch", "transformers", "accelerate", "numpy")


def job(program: str, settings: dict[str, Any], made: Path, scratch: Path, budget: dict[str, Any]) -> Job:
    model = settings["model"] | ({"context": prepared.BOOK_TOKENS - 1} if program == "book" else {})
    return Job(program, model, settings.get(program, {}), made, scratch, SEED, **budget)


def run(script: str, given: Job) -> dict[str, Any]:
    """Run a script in a process of its own; returns the JSON object that it prints last."""
    given.scratch.mkdir(parents=True, exist_ok=True)
    given.save(given.scratch / "job.json")
    command = [sys.executable, str(Path(__file__).with_name(script)), str(given.scratch / "job.json")]
    # Ours compiles in every round: nothing that an earlier one compiled is found.
    environment = race.environment(given.program) | {"NUMBA_CACHE_DIR": str(given.scratch / "compiled")}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{script} ended with exit code {done.returncode}; finished runs are kept, --resume goes on")
    return json.loads(done.stdout.splitlines()[-1])


def key(given: Job) -> str:
    """What a run's figures depend on, but for the machine and the hour."""
    files = [Path(__file__).with_name(SCRIPTS[given.program]), Path(race.__file__)]
    files += [ROOT / "src/woodblock" / f"{name}.py" for name in OUR_MODULES] if given.program == "ours" else []
    values = {name: value for name, value in vars(given).items() if name not in ("prepared", "scratch")}
    parts = [given.prepared.name, json.dumps(values, sort_keys=True), *map(digest, files)]
    return hashlib.sha256("\n".join([*parts, *map(metadata.version, PACKAGES)]).encode()).hexdigest()[:16]


def contest(
    programs: list[str], settings: dict[str, Any], made: dict[str, Path], arguments: argparse.Namespace
) -> list[Any]:
    """The runs of all rounds; programs alternate, and another one begins each round."""
    kept = HOME / "pretrain.jsonl"
    before = [json.loads(line) for line in kept.read_text().splitlines()] if arguments.resume and kept.exists() else []
    budget = {"seconds": None if arguments.tokens else arguments.seconds, "tokens": arguments.tokens}
    runs = []
    for turn in range(arguments.rounds):
        for program in programs[turn % len(programs) :] + programs[: turn % len(programs)]:
            with tempfile.TemporaryDirectory(dir=HOME) as scratch:
                given = job(program, settings, made[program], Path(scratch), budget)
                name = {"key": key(given), "round": turn + 1}
                found = next((old for old in reversed(before) if name.items() <= old.items()), None)
                if found is None:
                    say(f"round {turn + 1} of {arguments.rounds}: {NAMES[program]}")
                    found = run(SCRIPTS[program], given) | name
                    with kept.open("a") as file:
                        file.write(json.dumps(found) + "\n")
            say(f"round {turn + 1}: {NAMES[program]}: {found['bpb']:.3f} bits per byte")
            runs.append(found)
    return runs


def passes(settings: dict[str, Any], made: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=HOME) as scratch:
        given = job("ours", settings, made, Path(scratch), {"seconds": None, "tokens": 1})
        given.save(given.scratch / "job.json")
        return forward_backward.alternate(given.scratch / "job.json")


# ------------------------------------------------------------------------------------------------ results


def middle(values: list[float | None]) -> float | None:
    """The median, where None (never reached) is more than any number; None where that is the median."""
    found = statistics.median(math.inf if value is None else value for value in values)
    return None if math.isinf(found) else found


def table(runs: list[dict[str, Any]], programs: list[str]) -> str:
    lines = [
        f"| program | rounds | bits per byte (range) | s to {TARGET} (each) | tokens/s | tokens trained | steps | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for program in programs:
        mine = [run for run in runs if run["program"] == program]
        bpb, tokens = [run["bpb"] for run in mine], middle([run["tokens"] for run in mine])
        reached = ", ".join("not" if (s := run["seconds_to_target"]) is None else f"{s:.0f}" for run in mine)
        rate, peak = (middle([run[name] for run in mine]) for name in ("tokens_per_second", "peak_mb"))
        lines.append(
            f"| {NAMES[program]} | {len(mine)} | {middle(bpb):.3f} ({min(bpb):.3f}–{max(bpb):.3f}) | {reached} "
            f"| {rate:,.0f} | {tokens:,.0f} | {middle([run['steps'] for run in mine]):,.0f} | {peak:,.0f} |"
        )
    return "\n".join(lines)


def figures(runs: list[dict[str, Any]], programs: list[str], budget: str) -> dict[str, Any]:
    """The JSON object's part of the runs: medians, and ranges where there are several rounds."""
    said: dict[str, Any] = {}
    for program in programs:
        mine = [run for run in runs if run["program"] == program]
        start = "" if program == "ours" else f"{program}_"
        bpb, reached = [run["bpb"] for run in mine], [run["seconds_to_target"] for run in mine]
        said[f"{start}bpb_{budget}"] = middle(bpb)
        said[f"{start}bpb_{budget}_range"] = [min(bpb), max(bpb)]
        said[f"{start}seconds_to_{TARGET}"] = middle(reached)
        said[f"{start}seconds_to_{TARGET}_each"] = reached
        for name in ("tokens_per_second", "tokens", "steps", "peak_mb"):
            said[f"{start}{name}"] = middle([run[name] for run in mine])
        if program == "book":
            said["book_padding_share"] = middle([run["padding_share"] for run in mine])
    return said


STYLE = """<style>
svg { background: #fff; font: 12px sans-serif } text { fill: #333 } .grid { stroke: #e5e5e5 } .axis { stroke: #888 }
.line { fill: none; stroke-width: 2 } .level, .leader { fill: none; stroke: #888; stroke-dasharray: 4 3 }
.line.series-1 { stroke: #1f77b4 } .line.series-2 { stroke: #d95f02 } .line.series-3 { stroke: #7a7a7a }
.dot.series-1 { fill: #1f77b4 } .dot.series-2 { fill: #d95f02 } .dot.series-3 { fill: #7a7a7a }
</style>"""


def plot(runs: list[dict[str, Any]], programs: list[str]) -> str:
    """An SVG file of bits per byte against seconds: of each program the run that ended in the middle."""
    lines = []
    for number, program in enumerate(programs, 1):
        mine = sorted((run for run in runs if run["program"] == program), key=lambda run: run["bpb"])
        seconds, _, bpb = zip(*mine[(len(mine) - 1) // 2]["curve"], strict=True)
        lines.append(charts.Series(SHORT[program], seconds, bpb, f"series-{number}", markers=True))
    unit = f"bits per byte of {race.CURVE_DOCUMENTS} of the {prepared.HELD_OUT} documents"
    svg = charts.line_chart("Bits per byte against training time", lines, "seconds", unit, [("to reach", TARGET)])
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace("<title>", f"{STYLE}<title>", 1)


def rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def changed(settings: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """The settings with changes such as ours.clip=0.5. Raises SystemExit for one that is not there."""
    settings = {block: dict(values) for block, values in settings.items()}
    for change in changes:
        name, _, value = change.partition("=")
        block, _, leaf = name.partition(".")
        fields = {"model": Config.__dataclass_fields__}.get(block, settings.get(block, {}))
        if leaf not in fields:
            raise SystemExit(f"--set {change}: {block} has {', '.join(fields) or 'nothing'}")
        settings[block][leaf] = yaml.safe_load(value)
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", type=Path, default=ROOT.parent / "shared/data/mirror", help="of the book's hubs")
    parser.add_argument("--seconds", type=float, default=600.0, help="of training, each program and round")
    parser.add_argument("--tokens", type=int, help="train on so many tokens instead")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[*SCRIPTS, "fwd_bwd"], action="append", help="(may be repeated)")
    parser.add_argument("--set", action="append", default=[], metavar="BLOCK.NAME=VALUE", help="change a setting")
    parser.add_argument(
        "--resume", action="store_true", help="take what was run before, with the same code and settings"
    )
    parser.add_argument("--plot", type=Path, help="an SVG to write")
    arguments = parser.parse_args()

    settings = changed(SETTINGS, arguments.set)
    chosen = arguments.only or [*SCRIPTS, "fwd_bwd"]
    programs = [program for program in SCRIPTS if program in chosen]
    HOME.mkdir(parents=True, exist_ok=True)
    of = {whose: "book" if whose == "book" else "ours" for whose in chosen}
    folders = {
        whose: prepared.prepare(whose, arguments.mirror.resolve(), HOME, **settings["tokenizer"])
        for whose in sorted(set(of.values()), reverse=True)
    }
    made = {whose: folders[part] for whose, part in of.items()}
    say(f"{count_parameters(Config(vocab_size=prepared.VOCABULARY, **settings['model'])):,} parameters")

    said: dict[str, Any] = {}
    if programs:
        budget = f"{arguments.tokens}_tokens" if arguments.tokens else f"{arguments.seconds:.0f}s"
        runs = contest(programs, settings, made, arguments)
        print(
            f"{budget.replace('_', ' ')} of training each; tokenizers and packed tokens made before and not counted; "
            f"bits per byte of {prepared.HELD_OUT} held-out documents; schedules follow the share of the budget that is "
            f"spent; the book's batch of 64 × 8 rows is {settings['book']['rows']} × {settings['book']['accumulate']}, and "
            "its text is tokenized before as well; MB are those of the process"
        )
        print(table(runs, programs))
        said |= figures(runs, programs, budget)
        if arguments.plot:
            arguments.plot.write_text(plot(runs, programs), encoding="utf-8")
    if "fwd_bwd" in chosen:
        said |= passes(settings, made["fwd_bwd"])
        print(
            f"forward and backward, 8 × {settings['model']['context']} tokens: "
            f"{said['fwd_bwd_tokens_per_second']:,.0f} tokens/s against {said['hf_fwd_bwd_tokens_per_second']:,.0f}: "
            f"{said['fwd_bwd_vs_hf']:.2f} times; a step takes {said['ours_step_mb']:,.0f} MB against "
            f"{said['hf_step_mb']:,.0f}"
        )
    print(json.dumps({name: rounded(value) for name, value in said.items()}, sort_keys=True))


if __name__ == "__main__":
    main()
