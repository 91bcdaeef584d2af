"""A live log of training, to look at while a model trains.

It is .woodblock/watch/<stage>.csv, with rates and memory. It is not an output; the curve that a stage keeps has no rates
and no memory. `python -m woodblock.training.watch` prints its last rows; with `--follow` (`make watch`) it also prints new
rows; with `--tensorboard FOLDER` it writes them as TensorBoard's events.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.base.files import write_text

FOLDER = Path(".woodblock/watch")
COLUMNS = ("step", "tokens", "loss", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "memory_mb", "seconds")


class Log:
    """The live log of a run: a row every few steps. A run that continues removes the rows after its checkpoint."""

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read(path) if float(row["step"]) <= step]
        write_text(path, "".join(",".join(row) + "\r\n" for row in [COLUMNS, *(row.values() for row in kept)]))
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)

    def add(self, **row: float) -> None:
        self.writer.writerow([f"{row[name]:.8g}" for name in COLUMNS])
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a live log. Rows that a kill cut short are left out; a file with other columns gives no rows."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(line.replace("\0", "") for line in file)
        if tuple(next(rows, ())) != COLUMNS:
            return []
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS) and _all_numbers(row)]


def _all_numbers(row: list[str]) -> bool:
    try:
        return all(cell == cell.strip() and not math.isnan(float(cell)) for cell in row)
    except ValueError:
        return False


def follow(path: Path, seconds: float = 2.0) -> Iterator[dict[str, str]]:
    """The rows of a log as they are written, without end. Rows that a continued run writes again are given again."""
    seen = -1.0
    while True:
        rows = read(path)
        if rows and float(rows[-1]["step"]) < seen:
            seen = -1.0
        for row in rows:
            if float(row["step"]) > seen:
                seen = float(row["step"])
                yield row
        time.sleep(seconds)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.training.watch", description="Look at a training run.")
    parser.add_argument("stage", nargs="?", default="pretrain")
    parser.add_argument("--rows", type=int, default=10, help="how many of the last rows to print")
    parser.add_argument("--follow", action="store_true", help="also print new rows, until Ctrl-C")
    parser.add_argument(
        "--tensorboard", type=Path, metavar="FOLDER", help="write TensorBoard's events instead of printing"
    )
    given = parser.parse_args(arguments)
    path = FOLDER / f"{given.stage}.csv"
    written = read(path)
    if not written and not given.follow:
        raise UserError(f"{path} has no rows yet; they appear with the first steps of {given.stage}")
    rows: Iterable[dict[str, str]] = follow(path) if given.follow else written
    if given.tensorboard:
        _to_tensorboard(rows, given.tensorboard)
        return
    print(",".join(COLUMNS), flush=True)
    for row in rows if given.follow else written[-given.rows :]:
        print(",".join(row.values()), flush=True)


def _to_tensorboard(rows: Iterable[dict[str, str]], folder: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("tensorboard is not installed; pip install tensorboard, or read the CSV itself") from None
    writer = SummaryWriter(str(folder))
    for row in rows:
        for name in COLUMNS[1:]:
            writer.add_scalar(name, float(row[name]), int(float(row["step"])))
        writer.flush()
    writer.close()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass
