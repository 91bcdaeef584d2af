"""The library beneath the stages of Woodblock.

Importing it fixes the number of threads, before NumPy, torch or a tokenizer can read it from the environment:
Snakemake sets OMP_NUM_THREADS to a rule's threads and DVC does not, and the last bits of a trained model
depend on it. The number is `threads` in params.yaml; without that file (a notebook, say) nothing is set.
It also says where numba keeps what it compiled.
"""

import hashlib
import os
import re
from importlib.util import cache_from_source
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def _set_threads() -> None:
    # A regular expression and not a YAML parser: a malformed file must reach the check that explains it.
    path = Path("params.yaml")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if found := re.search(r"^threads:\s*(\d+)", text, re.MULTILINE):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, found[1]))
    # Threads that wait spin for some microseconds, then sleep. By default OpenMP's threads spin on and on. While another
    # process needed a core, that made the default model eight times slower (210 against 1,602 tokens/s). Without any
    # spinning the model is a quarter slower on free cores (6,299 against 8,538 tokens/s).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Stages read only local folders. Only `download` reaches a hub, through a client of its own.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


def _set_cache_of_kernels() -> None:
    """Let numba cache compiled functions in a folder named by the digest of all files that have some.

    numba itself notices a change in a function's own file, but none in another file whose functions it calls. So after an
    update it would go on with old code.
    """
    package = Path(__file__).parent
    contents = (path.read_bytes() for path in sorted(package.rglob("*.py")))
    digest = hashlib.sha256(b"".join(content for content in contents if b"njit" in content)).hexdigest()
    cache = Path(cache_from_source(__file__)).parent / f"kernels-{digest[:12]}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:  # a folder that may only be read; then numba uses one in the user's home
        cache = Path.home() / ".cache" / "woodblock" / cache.name
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))


_set_threads()
_set_cache_of_kernels()
