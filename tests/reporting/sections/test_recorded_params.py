"""The params on the page: as recorded, with a number where auto stood."""

from __future__ import annotations

import json
import shutil

import yaml
from support.hand_made_run import STAGES, write_json

from woodblock.reporting import finished_run
from woodblock.reporting.sections import recorded_params


def test_settings_that_were_auto_are_shown_as_numbers(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "lineage/pretrain.json"
    record = json.loads(file.read_text())
    record["params"] |= {"pretrain.tokens": "auto", "pretrain.learning_rate": "auto"}
    write_json(file, record | {"resolved": {"pretrain.tokens": 123456, "pretrain.learning_rate": 1e-05}})
    blocks = recorded_params.params_as_yaml(finished_run.read(STAGES, tmp_path))
    pretrain, sft = (next(text for text in blocks if text.startswith(f"{block}:")) for block in ("pretrain", "sft"))
    assert "\n  tokens: 123456  # auto\n" in pretrain and "\n  learning_rate: 1.0e-05  # auto\n" in pretrain
    assert pretrain.count("auto") == 2 and "auto" not in sft
    assert yaml.safe_load(pretrain)["pretrain"]["tokens"] == 123456
