"""Compare a finished run with reference/statutes.json: `make verify`; with --write, make it the reference.

On a machine of the reference's kind (system, processor capability as torch sees it, device, versions) every output must
have the reference's bytes. On another machine the bits of trained models differ, and their metrics a little. There the
metrics of stages that do not use torch must be equal, and the others within a tolerance of
RELATIVE x |reference| + ABSOLUTE.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from woodblock.base.errors import UserError
from woodblock.base.files import read_json, write_text
from woodblock.base.progress import say
from woodblock.run import graph, lineage, params
from woodblock.run.params import by_path

REFERENCE = Path("reference/statutes.json")
PACKAGES = ("lm_eval", "numpy", "pandas", "pyarrow", "sentencepiece", "tokenizers", "torch", "transformers")
RELATIVE, ABSOLUTE = 0.05, 0.05
MACHINE_PARAMS = ("mirror", *graph.OF_NO_STAGE)  # they belong to a machine and shape no output

Difference = tuple[str, Any, Any]  # what, in the reference, here


def machine() -> dict[str, Any]:
    """What the bits of a trained model depend on besides commit and params."""
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": ".".join(platform.python_version_tuple()[:2])}
        | {package: metadata.version(package) for package in PACKAGES},
    }


def finished() -> dict[str, Any]:
    """The run on disk: machine, params, sha256 of every output that is kept, metrics.

    Raises UserError where a stage has not run with the present dvc.yaml and params.yaml.
    """
    stages = graph.load()
    values = params.read()
    params.check(values)
    for name, reason in lineage.stale_stages(stages, values).items():
        raise UserError(f"{name} is not finished: {reason}; run snakemake --cores 8, or dvc repro")
    outputs: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    for stage in stages.values():
        made = (lineage.read(stage.name) or {})["outs"]
        outputs |= {path: sha for path, sha in made.items() if path not in graph.SHOWS_TIMES}
        for out in (o for o in stage.outs if o.startswith("metrics/")):
            metrics[stage.name] = json.loads(Path(out).read_text(encoding="utf-8"))
    settings = {path: value for path, value in by_path(values).items() if path not in MACHINE_PARAMS}
    return {"machine": machine(), "params": settings, "outputs": outputs, "metrics": metrics}


def compare(reference: dict[str, Any], run: dict[str, Any], trained: set[str]) -> list[Difference]:
    """The differences that are not allowed: of bytes on machines of one kind, otherwise of metrics beyond the tolerance.

    trained: the stages that use torch. Raises UserError where the two runs had different params.
    """
    wanted, found = reference["params"], run["params"]
    for path in sorted(set(wanted) | set(found)):
        if wanted.get(path) != found.get(path):
            raise UserError(
                f"{path} is {found.get(path)!r} here and {wanted.get(path)!r} in the reference, so the two runs cannot be "
                "compared; run make preset NAME=statutes"
            )
    if reference["machine"] == run["machine"]:
        wanted, found = reference["outputs"], run["outputs"]
        return [
            (p, wanted.get(p), found.get(p)) for p in sorted(set(wanted) | set(found)) if wanted.get(p) != found.get(p)
        ]
    differences = []
    for stage in sorted(set(reference["metrics"]) | set(run["metrics"])):
        wanted, found = by_path(reference["metrics"].get(stage, {})), by_path(run["metrics"].get(stage, {}))
        for path in sorted(set(wanted) | set(found)):
            if not _close(wanted.get(path), found.get(path), stage in trained):
                differences.append((f"{stage}: {path}", wanted.get(path), found.get(path)))
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


def _close(wanted: Any, found: Any, trained: bool) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(_close(w, f, trained) for w, f in zip(wanted, found, strict=True))
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (wanted, found))
    if not (trained and numbers):
        return bool(wanted == found)
    return bool(abs(wanted - found) <= RELATIVE * abs(wanted) + ABSOLUTE)


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
        if not REFERENCE.is_file():
            raise UserError(f"{REFERENCE}: there is no such file; git checkout {REFERENCE}")
        if (reference := read_json(REFERENCE)) is None:
            raise UserError(f"{REFERENCE}: cannot be read; git checkout {REFERENCE}")
        run = finished()
        differences = compare(reference, run, shaped_by_torch(graph.load()))
    except UserError as error:
        sys.exit(f"error: verify: {error}")
    same = reference["machine"] == run["machine"]
    what = f"{len(run['outputs'])} outputs, byte for byte" if same else "metrics, within the tolerance"
    if not same:
        say(table([d for d in _machines(reference["machine"], run["machine"])]))
        say("the reference comes from a machine of another kind: the metrics are compared, not the bytes")
    if differences:
        print(table(differences))
        sys.exit(f"error: verify: {len(differences)} of the {what} differ from {REFERENCE}")
    say(f"verify: {what}: as in {REFERENCE}")


def _machines(wanted: dict[str, Any], found: dict[str, Any]) -> list[Difference]:
    first, second = by_path(wanted), by_path(found)
    return [(p, first.get(p), second.get(p)) for p in sorted(set(first) | set(second)) if first.get(p) != second.get(p)]


if __name__ == "__main__":
    main()
