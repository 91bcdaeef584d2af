"""Work by shards: the same results whatever the number of processes, restarted by shard, spread by portions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from woodblock.base.errors import UserError
from woodblock.run import shards

SRC = Path(shards.__file__).parents[2]
TASKS = {f"part-{n}": n for n in range(5)}


def square(task: int, folder: Path) -> dict[str, int]:
    with (folder.parents[1] / "ran.log").open("a") as log:
        log.write(f"{task}\n")
    (folder / "square.txt").write_text(str(task * task))
    return {"square": task * task}


def fails_at_three(task: int, folder: Path) -> dict[str, int]:
    if task == 3:
        raise UserError("shard three is not what it should be")
    return square(task, folder)


def dies(task: int, folder: Path) -> dict[str, int]:
    os._exit(9)


def ran(folder: Path) -> list[int]:
    log = folder / "ran.log"
    return sorted(map(int, log.read_text().split())) if log.exists() else []


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_tasks(tmp_path, workers):
    done = shards.work(square, TASKS, tmp_path / "work", workers, "test")
    assert done == {name: {"square": n * n} for name, n in TASKS.items()}
    assert list(done) == list(TASKS)
    assert [(tmp_path / "work" / name / "square.txt").read_text() for name in TASKS] == ["0", "1", "4", "9", "16"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_keeps_what_is_finished_and_the_next_run_does_the_rest(tmp_path, workers):
    with pytest.raises(UserError, match="shard three"):
        shards.work(fails_at_three, TASKS, tmp_path / "work", workers, "test")
    before = ran(tmp_path)
    assert 3 not in before and before
    finished = [name for name in TASKS if (tmp_path / "work" / name / "done.json").exists()]
    assert not (tmp_path / "work/part-3").exists()
    shards.work(square, TASKS, tmp_path / "work", workers, "test")
    again = ran(tmp_path)
    assert all(again.count(TASKS[name]) == 1 for name in finished)
    assert set(again) == set(range(5))


def test_a_killed_worker_is_an_error_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"a worker process was killed.*shard_chars") as caught:
        shards.work(dies, TASKS, tmp_path / "work", 2, "test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_map_in_order_gives_results_in_the_order_of_the_tasks(workers):
    assert list(shards.map_in_order(abs, [-3, 2, -1], workers)) == [3, 2, 1]


def test_a_worker_killed_within_map_in_order_is_the_same_error():
    with pytest.raises(UserError, match=r"a worker process was killed.*shard_chars"):
        list(shards.map_in_order(os._exit, [9], 2))
    assert list(shards.map_in_order(abs, [-3], 2)) == [3]


FORKS = """
import multiprocessing, signal, sys
from woodblock.run import shards
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as run_stage does
loaded = []
def ready():
    loaded.append(len(loaded))
def found(task):
    return loaded
shards.warm(2, ready)
assert list(shards.map_in_order(found, [1, 2], 2)) == [[0], [0]], "loaded once, before the fork"
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGTERM])
def test_forked_processes_have_what_was_loaded_and_end_with_the_one_that_forked_them(signal_):
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, cwd=SRC, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        children = [int(word) for word in process.stdout.readline().split()]
        assert len(children) == 2 and all(Path(f"/proc/{child}").exists() for child in children)
        process.send_signal(signal_)
        assert process.stdout.read() == ""  # until every process that holds the other end has gone
    assert process.returncode


def test_what_was_left_half_done_is_done_anew(tmp_path):
    (tmp_path / "work/part-2").mkdir(parents=True)
    (tmp_path / "work/part-2/junk").write_text("of a killed run")
    (tmp_path / "work/.part-1.partial").mkdir()
    (tmp_path / "work/.part-1.partial/junk").write_text("of a killed run")
    shards.work(square, TASKS, tmp_path / "work", 1, "test")
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == list(TASKS)
    assert sorted(path.name for path in (tmp_path / "work/part-2").iterdir()) == ["done.json", "square.txt"]


DAMAGES = {
    "empty": lambda shard: (shard / "done.json").write_bytes(b""),
    "cut": lambda shard: (shard / "done.json").write_bytes(b'{"result": {"squ'),
    "garbage": lambda shard: (shard / "done.json").write_bytes(b"\x00\xff\x80"),
    "no record": lambda shard: (shard / "done.json").write_bytes(b'["square"]'),
    "of an older version": lambda shard: (shard / "done.json").write_bytes(b'{"square": 4}'),
    "a file of no bytes": lambda shard: (shard / "square.txt").write_bytes(b""),
    "a file is gone": lambda shard: (shard / "square.txt").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_shard_that_a_power_cut_damaged_is_done_again(tmp_path, capsys, damage):
    wanted = shards.work(square, TASKS, tmp_path / "work", 1, "test")
    damage(tmp_path / "work/part-2")
    capsys.readouterr()
    assert shards.work(square, TASKS, tmp_path / "work", 1, "test") == wanted
    assert ran(tmp_path) == [0, 1, 2, 2, 3, 4]
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert said == [f"test: {tmp_path}/work/part-2 is damaged; done again"]
    assert (tmp_path / "work/part-2/square.txt").read_text() == "4"


def test_two_processes_that_do_one_shard_leave_one_whole(tmp_path, monkeypatch):
    """Portions of two divisions (1/2 and 1/4) share shards. The one that comes second finds the shard finished."""

    def slow(task, folder):
        if task == 1 and not (tmp_path / "work/part-1").exists():
            monkeypatch.setenv(shards.PORTION, "2/5")
            with pytest.raises(shards.PortionDone):  # meanwhile another process does this shard and no other
                shards.work(square, TASKS, tmp_path / "work", 1, "test")
            monkeypatch.delenv(shards.PORTION)
            assert folder.is_dir(), "a portion removes nothing of another process"
        return square(task, folder)

    done = shards.work(slow, TASKS, tmp_path / "work", 1, "test")
    assert done == {name: {"square": n * n} for name, n in TASKS.items()}
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == list(TASKS)


def test_portions_do_each_shard_once_and_the_stage_finds_them(tmp_path, monkeypatch):
    for portion in ("1/2", "2/2"):
        monkeypatch.setenv(shards.PORTION, portion)
        with pytest.raises(shards.PortionDone):
            shards.work(square, TASKS, tmp_path / "work", 1, "test")
    assert ran(tmp_path) == list(range(5))
    monkeypatch.delenv(shards.PORTION)
    assert shards.work(square, TASKS, tmp_path / "work", 1, "test")["part-4"] == {"square": 16}
    assert ran(tmp_path) == list(range(5))


@pytest.mark.parametrize("portion", ["3/2", "0/2", "half", "1/", "-1/2"])
def test_a_portion_that_is_none_is_an_error(tmp_path, monkeypatch, portion):
    monkeypatch.setenv(shards.PORTION, portion)
    with pytest.raises(UserError, match="2/4 for the second of four"):
        shards.work(square, TASKS, tmp_path / "work", 1, "test")
    assert not ran(tmp_path)


def test_a_file_is_placed_and_stays(tmp_path):
    (tmp_path / "a").write_text("text")
    shards.place(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "text"
