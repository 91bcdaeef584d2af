"""Index each article as one passage, for BM25 over characters and character bigrams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from woodblock.retrieval.bm25 import Index
from woodblock.run.stage import run_stage
from woodblock.tables import parquet


def rag_index(params: Any, documents: Path, out: Path) -> dict[str, Any]:
    index = Index.build(parquet.read(documents), params.rag_index.k1, params.rag_index.b)
    index.save(out)
    return {
        "passages": len(index.passages),
        "vocabulary": len(index.terms),
        "postings": len(index.weights) + int(np.count_nonzero(index.rows)),
        "bytes": sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
    }


if __name__ == "__main__":
    run_stage(rag_index)
