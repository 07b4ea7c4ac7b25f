import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

TASK = """\
name: mine
dataset: {name: nifti, root: data, labels: [background, organ], patch: {size: [16, 16, 16]}}
backbone: {name: unetr, img_size: [16, 16, 16], hidden_size: 12, num_heads: 2, mlp_dim: 12, num_layers: 4, taps: [1, 2]}
head: {name: unetr_decoder}
train: {steps: 1, batch_size: 1, optimizer: {name: adamw, lr: 1e-4}}
"""


@pytest.fixture(autouse=True)
def _task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BTCV_ROOT", raising=False)
    Path("task.yaml").write_text(TASK)


def write_cases(count: int) -> None:
    for folder, dtype in (("images", np.int16), ("labels", np.uint8)):
        Path("data", folder).mkdir(parents=True)
        for number in range(count):
            content = np.arange(18**3).reshape(18, 18, 18) % 2
            volume = nibabel.Nifti1Image(content.astype(dtype), np.eye(4))
            nibabel.save(volume, Path("data", folder, f"case{number}.nii.gz"))


def test_a_task_without_its_data_runs_on_the_demo_and_check_says_so(platform: Any, task_file: Path) -> None:
    code, out, _ = platform("check", task_file)
    config, plugins, parts, data, *_ = out.splitlines()
    assert code == 0
    assert config == f"config  ok  {task_file} is valid: task 'unetr_btcv'"
    assert "backbone unetr of medvid " in plugins
    assert "a class per voxel" in parts
    assert "the data folder does not exist: the demo data is used" in data
    assert "as asked: the demo data is used" in platform("check", task_file, "--demo").out


def test_real_data_is_opened(platform: Any) -> None:
    write_cases(5)
    before = sorted(Path().rglob("*"))
    code, out, _ = platform("check", "task.yaml", "--set", "train.accelerator=cpu", "--set", "train.precision=fp32")
    assert code == 0
    *before_memory, memory = out.splitlines()
    assert before_memory[-3:] == [
        "data    ok  data: 4 train, 1 validation cases",
        "data    ok  5 of 5 cases were opened and can be used",
        "device  ok  1 x CPU, fp32",
    ]
    assert re.fullmatch(
        r"memory  ok  about \d+\.\d GiB for a training step \(activations \d+\.\d GiB, weights and optimizer "
        r"\d+\.\d GiB\), \d+\.\d GiB free",
        memory,
    )
    assert sorted(Path().rglob("*")) == before


def test_what_a_run_would_trip_over_is_found(platform: Any) -> None:
    write_cases(5)
    whole = Path("data/images/case1.nii.gz").read_bytes()
    Path("data/images/case1.nii.gz").write_bytes(whole[:100])
    nibabel.save(nibabel.Nifti1Image(np.full((18, 18, 18), 7, np.uint8), np.eye(4)), Path("data/labels/case3.nii.gz"))
    code, _, err = platform("check", "task.yaml", "--all")
    assert code == 4
    assert "error[DATA]: 2 of 5 opened cases cannot be used:" in err
    assert "case case1: " in err
    assert "case case3 has label 7" in err


def test_only_as_many_cases_are_opened_as_there_is_time_for(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvid.cli.check.SECONDS", 0.0)
    write_cases(5)
    code, out, _ = platform("check", "task.yaml")
    assert code == 0
    assert "data    ok  1 of 5 cases were opened and can be used; for the others: --all, or platform data check" in out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there_is_exit_6(platform: Any) -> None:
    write_cases(2)
    result = platform("check", "task.yaml", "--set", "train.accelerator=cuda")
    assert result.code == 6
    assert "train.accelerator is 'cuda', but torch" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.yaml"], 2, "error[CONFIG]: there is no task file and no recipe 'gone.yaml'"),
        (["task.yaml"], 4, "error[DATA]: dataset.root, the folder of 'nifti', does not exist: data"),
        (["task.yaml", "--demo"], 2, "error[CONFIG]: task.yaml:2:11: dataset.name: data set 'nifti' has no demo data"),
        (["task.yaml", "--set", "backbone.name=unter"], 2, "did you mean 'unetr'?"),
        (["task.yaml", "--set", "train.stepz=1"], 2, "error[CONFIG]: --set train.stepz=1: train.stepz: unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(platform: Any, arguments: list[str], code: int, message: str) -> None:
    result = platform("check", *arguments)
    assert result.code == code
    assert message in result.err


def test_parts_that_do_not_fit_are_refused(platform: Any) -> None:
    write_cases(2)
    result = platform("check", "task.yaml", "--set", "backbone.img_size=[32, 32, 32]")
    assert result.code == 2
    assert "backbone 'unetr' cannot take these volumes: img_size is [32, 32, 32]" in result.err


def test_a_task_that_needs_an_unlisted_plugin_is_exit_3(platform: Any, third_party: Any) -> None:
    third_party.install("ext", "raise AssertionError('imported')")
    result = platform("check", "task.yaml", "--set", "backbone={name: wavelet}")
    assert result.code == 3
    assert "plugin ext of ext 1.0 is installed, not enabled: platform plugins add ext" in result.err


def test_an_unusable_allow_list_is_exit_3_for_those_who_need_more_than_ours(platform: Any, task_file: Path) -> None:
    assert platform("check", task_file, "--plugins", "gone.toml").code == 0
    result = platform("check", "task.yaml", "--set", "backbone={name: wavelet}", "--plugins", "gone.toml")
    assert result.code == 3
    assert "only builtin plugins are loaded: gone.toml cannot be read" in result.err
