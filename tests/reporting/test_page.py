"""The page: whole from a small finished run, well-formed, the same every time, and made of what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.hand_made_run import MODELS, ROOT, STAGES, write_json
from support.html_page import Page

from woodblock.base.errors import UserError
from woodblock.reporting import finished_run, page


def test_page_nests_and_loads_nothing(html):
    page = Page(html)
    assert page.loads == []
    assert "url(" not in html and "@import" not in html and "<script" not in html
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_each_section_has_a_template_of_its_name_which_the_page_includes():
    sections = {path.stem for path in Path(page.__file__).with_name("sections").glob("[!_]*.py")}
    templates = {path.name.removesuffix(".html.j2") for path in page.TEMPLATES.glob("*.html.j2")}
    assert templates == sections | {"page", "macros"}
    whole = (page.TEMPLATES / "page.html.j2").read_text(encoding="utf-8")
    assert sorted(re.findall(r'include "(.*)\.html\.j2"', whole)) == sorted(sections)


def test_drawings_are_xml_and_say_what_they_show(html):
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) >= 8
    for drawing in drawings:
        element = ElementTree.fromstring(drawing)
        assert element.get("role") == "img" and element.get("aria-label")


def test_same_run_same_bytes_whatever_the_hash_seed(root, html):
    script = (
        "import pathlib, sys; from woodblock.run import graph; from woodblock.reporting import finished_run, page;"
        "stages = graph.load(sys.argv[1]);"
        "sys.stdout.write(page.render(finished_run.read(stages, pathlib.Path(sys.argv[2])), 'Woodblock & co'))"
    )
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, "-c", script, ROOT / "dvc.yaml", root], env=environment, capture_output=True, check=True
        )
        assert done.stdout.decode() == html


def test_the_lead_counts_all_stages(html):
    assert f"by {len(STAGES)} stages." in html


def test_parts_that_a_preset_lacks_are_said(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    for table in ("data/sft/generations", "results/benchmark/questions", "results/rag_eval/answers"):
        shutil.rmtree(tmp_path / table)
    scores = json.loads((tmp_path / "metrics/benchmark.json").read_text())
    for model in MODELS:
        del scores[model]["source_law"]
    write_json(tmp_path / "metrics/benchmark.json", scores)
    (tmp_path / "curves/pretrain.csv").write_text(
        "step,tokens,train_loss,learning_rate,grad_norm,val_bpb\n1,512,8.3,0.1,1,\n2,1024,8.2,0.0,1,\n"
    )
    (tmp_path / "curves/sft.csv").write_text("step,tokens,train_loss,learning_rate,grad_norm,val_loss\n1,512,8,0,1,7\n")
    text = Page(page.render(finished_run.read(STAGES, tmp_path), "x")).text
    assert "Not asked in this run: source_law" in text
    for part in ("no validation score", "no generated replies", "no answers", "no benchmark questions"):
        assert part in text


def test_what_an_empty_role_switched_off_is_said_in_place_of_the_section(root, tmp_path):
    shutil.copytree(root, tmp_path / "run")
    here = tmp_path / "run"
    for stage in ("sft", "rag_index", "rag_eval"):
        write_json(here / f"metrics/{stage}.json", {"switched_off": f"the role of {stage} is empty"})
    for folder in ("data/sft", "results/rag_eval"):
        shutil.rmtree(here / folder)
    (here / "curves/sft.csv").write_text("step,val_loss\n")
    scores = json.loads((here / "metrics/benchmark.json").read_text())
    kept = {name: value for name, value in scores.items() if name != "sft"}
    write_json(here / "metrics/benchmark.json", kept | {"switched_off": {"source_law": "no law", "sft": "no talk"}})
    html = page.render(finished_run.read(STAGES, here), "part")
    Page(html)
    assert "Switched off: the role of sft is empty." in html and "Switched off: the role of rag_eval is empty." in html
    assert "Switched off: source law (no law)." in html and "Switched off: sft (no talk)." in html
    assert "The curve has no loss" not in html and "recall@k: share" not in html


def test_metrics_that_are_all_missing_leave_a_page(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "metrics").iterdir():
        file.write_text("{}")
    Page(page.render(finished_run.read(STAGES, tmp_path), "x"))


@pytest.mark.parametrize(
    "name", ["timings/pack.json", "metrics/clean.json", "lineage/sft.json", "data/raw/manifest.json"]
)
def test_a_record_that_cannot_be_read_is_an_error_in_one_line(root, tmp_path, name):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"{name} cannot be read; run snakemake, or dvc repro, to make it again"):
        finished_run.read(STAGES, tmp_path)
