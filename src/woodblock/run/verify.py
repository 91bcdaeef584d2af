"""Compare a finished run with reference/statutes.json: `make verify`; with --write, make it the reference.

On a machine of the reference's kind (system, processor, device, versions) every output must have the reference's bytes. On
another machine the bits of trained models differ, and their metrics a little. There three things are compared:

- the metrics of stages that do not use torch: they must be equal;
- the metrics of the other stages: within the tolerances of woodblock.run.tolerances;
- a sample of the weights of each model. Training from the same seed ends near the same weights on any processor. Another
  seed begins with other weights, and its model has nothing in common with the reference's, however alike their metrics are.
"""

from __future__ import annotations

import argparse
import base64
import json
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from woodblock.base.errors import UserError
from woodblock.base.files import write_text
from woodblock.base.progress import say
from woodblock.run import comparison, graph, lineage, params, tolerances
from woodblock.run.comparison import REFERENCE, differing

PACKAGES = ("lm_eval", "numpy", "pandas", "pyarrow", "sentencepiece", "tokenizers", "torch", "transformers")
SAMPLE = 32  # weights of each matrix
ALIKE = 0.5  # the least cosine of two models' samples; measured: over .99 between processors, .00 ± .03 between seeds

Difference = tuple[str, Any, Any]  # what, in the reference, here


def machine() -> dict[str, Any]:
    """What the bits of a trained model depend on besides commit and params."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": ".".join(platform.python_version_tuple()[:2])}
        | {package: metadata.version(package) for package in PACKAGES},
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The maker's numbers for the kind of processor, on Linux; elsewhere what the system calls it.

    Two makers' processors can have the same instructions, and yet be given different kernels by a library.
    """
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    keys = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
    found = [re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE) for key in keys]
    return " ".join(match[1] for match in found if match) or platform.processor()


def finished() -> dict[str, Any]:
    """The run on disk: machine, params, sha256 of every output that is kept, metrics, timings, a sample of the weights.

    Raises UserError where a stage has not run with the present dvc.yaml and params.yaml.
    """
    stages = graph.load()
    values = params.read()
    params.check(values)
    for name, reason in lineage.stale_stages(stages, values).items():
        raise UserError(f"{name} is not finished: {reason}; run snakemake --cores 8, or dvc repro")
    outputs: dict[str, str] = {}
    for name in stages:
        made = (lineage.read(name) or {})["outs"]
        outputs |= {path: sha for path, sha in made.items() if path not in graph.SHOWS_TIMES}
    return {
        "machine": machine(),
        "params": comparison.settings(values),
        "outputs": outputs,
        "metrics": comparison.by_stage("metrics", stages),
        "timings": comparison.by_stage("timings", stages),
        "weights": {path: sample(Path(path)) for path in outputs if list(Path(path).glob("*.safetensors"))},
    }


def sample(model: Path) -> str:
    """SAMPLE weights of each matrix of a model folder, at even distances, in units of the matrix's root mean square.

    They are half-precision floats in base64, matrix by matrix in the order of their names.
    """
    found = []
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in sorted(tensors.keys()):
                values = tensors.get_tensor(name).float()
                if values.ndim > 1:
                    places = torch.linspace(0, values.numel() - 1, SAMPLE).long()
                    scale = values.square().mean().sqrt().clamp(min=1e-12)
                    found.append((values.flatten()[places] / scale).numpy())
    return base64.b64encode(np.concatenate(found).astype("<f2").tobytes()).decode("ascii")


def likeness(first: str, second: str) -> float:
    """The cosine of two samples of weights: 1 for the same model, about 0 for models of two seeds or shapes."""
    one, other = (np.frombuffer(base64.b64decode(text), "<f2").astype(float) for text in (first, second))
    if len(one) != len(other):
        return 0.0
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


def compare(reference: dict[str, Any], run: dict[str, Any], trained: set[str]) -> list[Difference]:
    """The differences that are not allowed: of bytes on machines of one kind, otherwise of metrics and of weights.

    trained: the stages that use torch. Raises UserError where the two runs had different params.
    """
    wanted, found = reference["params"], run["params"]
    for path in differing(wanted, found):
        raise UserError(
            f"{path} is {found.get(path)!r} here and {wanted.get(path)!r} in the reference, so the two runs cannot be "
            "compared; run make preset NAME=statutes"
        )
    if reference["machine"] == run["machine"] or reference["outputs"] == run["outputs"]:
        wanted, found = reference["outputs"], run["outputs"]
        return [(path, wanted.get(path), found.get(path)) for path in differing(wanted, found)]
    differences = _of_weights(reference.get("weights", {}), run["weights"])
    for stage in sorted(set(reference["metrics"]) | set(run["metrics"])):
        if stage not in trained:
            wanted, found = (params.by_path(each["metrics"].get(stage, {})) for each in (reference, run))
            differences += [
                (f"{stage}: {path}", wanted.get(path), found.get(path)) for path in differing(wanted, found)
            ]
    # The trained stages together: the more numbers are compared, the more often one of them is far off by chance.
    of_models = ({s: m for s, m in each["metrics"].items() if s in trained} for each in (reference, run))
    for pair in tolerances.far(*of_models):
        stage, _, path = pair.path.partition(".")
        differences.append((f"{stage}: {path}" if path else stage, pair.wanted, pair.found))
    return differences


def _of_weights(wanted: dict[str, str], found: dict[str, str]) -> list[Difference]:
    differences: list[Difference] = []
    for path in sorted(set(wanted) | set(found)) if wanted else ():
        alike = likeness(wanted.get(path, ""), found.get(path, ""))
        say(f"{path}: its weights have a cosine of {alike:.3f} with the reference's (at least {ALIKE})")
        if alike < ALIKE:
            differences.append((f"{path}: cosine of the weights", 1.0, round(alike, 3)))
    return differences


def shaped_by_torch(stages: dict[str, graph.Stage]) -> set[str]:
    """The stages that depend on the pin of torch, themselves or through another."""
    found: set[str] = set()
    for name, stage in stages.items():
        if "requirements/torch.txt" in stage.deps or graph.upstream(stages, name) & found:
            found.add(name)
    return found


def table(differences: list[Difference]) -> str:
    """The differences in columns; hashes cut to their first 16 digits."""
    rows = [("what", "reference", "here"), *((w, *(_short(v) for v in values)) for w, *values in differences)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:16] if len(text) == 64 else text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.verify", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {REFERENCE} from the finished run")
    try:
        if parser.parse_args().write:
            text = json.dumps(finished(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
            write_text(REFERENCE, text)
            say(f"{REFERENCE}: written")
            return
        reference, run = comparison.reference(), finished()
        differences = compare(reference, run, shaped_by_torch(graph.load()))
    except UserError as error:
        sys.exit(f"error: verify: {error}")
    bytewise = reference["machine"] == run["machine"] or reference["outputs"] == run["outputs"]
    what = f"{len(run['outputs'])} outputs, byte for byte" if bytewise else "metrics and weights, within the tolerances"
    if not bytewise:
        before, now = params.by_path(reference["machine"]), params.by_path(run["machine"])
        say(table([(path, before.get(path), now.get(path)) for path in differing(before, now)]))
        say("the reference comes from a machine of another kind: metrics and weights are compared, not the bytes")
    if differences:
        print(table(differences))
        sys.exit(f"error: verify: {len(differences)} of the {what} differ from {REFERENCE}")
    say(f"verify: {what}: as in {REFERENCE}")


if __name__ == "__main__":
    main()
