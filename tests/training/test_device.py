import logging
from pathlib import Path

import pytest
import torch

from medvid.config.task import TrainOptions
from medvid.errors import ResourceError
from medvid.training.device import describe_device, make_fabric, resolve_accelerator
from medvid.training.optimizers.options import AdamWOptions

OPTIONS = TrainOptions(steps=1, batch_size=1, optimizer=AdamWOptions(lr=0.1))


def test_that_there_is_slurm_is_nothing_to_warn_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than in a job; warnings are errors in tests."""
    (tmp_path / "srun").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_device(make_fabric(options("cpu"))).startswith("1 x CPU")


def options(accelerator: str) -> TrainOptions:
    return OPTIONS.model_copy(update={"accelerator": accelerator})


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(False, False, "cpu"), (True, False, "cuda"), (True, True, "cuda"), (False, True, "cpu")],
)
def test_auto_takes_what_medvid_was_tested_on_and_says_what_it_leaves(
    cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    with caplog.at_level(logging.INFO, "medvid"):
        assert resolve_accelerator(options("auto")) == chosen
    assert ("--set train.accelerator=mps" in caplog.text) is (mps and not cuda)


def test_mps_is_taken_where_it_is_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_accelerator(options("mps")) == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="'mps'"):
        resolve_accelerator(options("mps"))
