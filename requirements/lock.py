"""Resolve requirements/packages.in and write one lock a group: `make lock`.

pip resolves all the packages together, from scratch, for the interpreter that runs this; a package then goes into the
first group that needs it. What other supported systems need besides stands in packages.in with its marker: a package
that one of them needs and that is not there is an error, which names it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent
SYSTEMS = [
    {"sys_platform": platform, "platform_system": system, "platform_machine": machine, "python_version": version}
    for platform, system, machine in (
        ("linux", "Linux", "x86_64"),
        ("linux", "Linux", "aarch64"),
        ("darwin", "Darwin", "arm64"),
    )
    for version in ("3.11", "3.12", "3.13")
]
# On Linux torch asks for CUDA's packages, each at an exact version: its own pin is theirs too.
PINNED_BY_TORCH = re.compile(r"^(nvidia-|cuda-|triton$)")


def groups(text: str) -> dict[str, list[Requirement]]:
    """The groups of packages.in, in its order, with the requirements of each."""
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if heading := re.match(r"# group (\w+)", line):
            current = found.setdefault(heading[1], [])
        elif line and not line.startswith("#"):
            current.append(Requirement(line))
    return found


def resolve(packages: Path) -> dict[str, dict]:
    """pip's own resolution: canonical name → metadata of the release that it chose."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(report), "-r", str(packages)], check=True)
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in chosen}


def needed(requirement: Requirement, chosen: dict[str, dict], system: dict[str, str]) -> set[str]:
    """Names of all that a requirement brings on a system, itself included."""
    names: set[str] = set()
    queue = [(requirement, frozenset({""}))]
    seen = set()
    while queue:
        item, wanted_by = queue.pop()
        name = canonicalize_name(item.name)
        environment = {**default_environment(), **system}
        applies = item.marker is None or any(item.marker.evaluate({**environment, "extra": e}) for e in wanted_by)
        key = (name, frozenset(item.extras))
        if not applies or key in seen or PINNED_BY_TORCH.match(name):
            continue
        seen.add(key)
        names.add(name)
        if name not in chosen:
            where = f"{system['sys_platform']} {system['platform_machine']}, Python {system['python_version']}"
            sys.exit(f"error: {name} is needed on {where} and not here; add it to packages.in with its marker")
        extras = frozenset({"", *item.extras})
        queue += [(Requirement(text), extras) for text in chosen[name].get("requires_dist", [])]
    return names


def main() -> None:
    packages = FOLDER / "packages.in"
    by_group = groups(packages.read_text(encoding="utf-8"))
    chosen = resolve(packages)
    taken: set[str] = set()
    for group, requirements in by_group.items():
        found = {n for r in requirements for system in SYSTEMS for n in needed(r, chosen, system)}
        lines = [f"# Written by `make lock` from packages.in, group {group}."]
        # +cpu and the like name a build of one index: the same release elsewhere bears no such name.
        lines += [f"{name}=={chosen[name]['version'].split('+')[0]}" for name in sorted(found - taken)]
        (FOLDER / f"{group}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{group}: {len(found - taken)} packages")
        taken |= found
    if left := set(chosen) - taken:
        sys.exit(f"error: {', '.join(sorted(left))}: in no group")


if __name__ == "__main__":
    main()
