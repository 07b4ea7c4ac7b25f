"""Inference on a GPU: the host waits once per case and label map, as a device without memory shows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from medvid.data.grid import Grid
from medvid.evaluation.inference import sliding_window, window_layout
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.evaluation.inference.views import LoadedViews
from medvid.evaluation.inference.window_layout import importance_map
from medvid.evaluation.inference.windows import LoadedVoxels
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import make_evaluator

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU without memory needs there to be none")

HOST = make_host()
LABELS = ("background", "one", "two")
CUDA = torch.device("cuda")


class Copies(TorchDispatchMode):
    """Counts copies from the device to the host. Reading a value raises, as there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        source = next((value for value in args if isinstance(value, Tensor)), None)
        is_copy = isinstance(result, Tensor) and source is not None and source.device.type == "cuda"
        self.count += is_copy and result.device.type == "cpu"
        return result


@pytest.fixture
def copies() -> Iterator[Copies]:
    with FakeTensorMode(allow_non_fake_inputs=True), Copies() as found:
        yield found


def on_cuda(model: nn.Module) -> InferenceModel:
    return InferenceModel(Fabric(accelerator="cpu"), model)


class Case:
    """A scan whose files have other voxels than what the model sees."""

    id = "a"
    grid = Grid((20, 18, 9), (0.8, 0.8, 3.0), (14, 12, 12), (1.2, 1.2, 2.2), (0, 1, 2),
                (0.8 / 1.2, 0.8 / 1.2, 3.0 / 2.2), (0.0, 0.1, 0.2))  # fmt: skip


@pytest.mark.parametrize("protocol", ["medvid", "unetr", "transunet"])
@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("size", [(8, 8, 8), (16, 12)])
def test_a_scan_is_waited_for_once_per_label_map(
    copies: Copies, protocol: str, final: bool, size: tuple[int, ...]
) -> None:
    axes, convolution = ("volume", nn.Conv3d) if len(size) == 3 else ("image", nn.Conv2d)
    target = TargetInfo("voxel", "class", LABELS)
    scoring = make_evaluator(HOST, InputInfo(axes, 1, size), target, protocol=protocol)
    scan = LoadedVoxels(Case(), torch.empty(1, *Case.grid.prepared_shape))  # type: ignore[arg-type]
    [inferred] = scoring.inference.infer(on_cuda(convolution(1, 3, 3, padding=1, device="cuda")), [scan], final=final)
    assert copies.count == len({inferred.scored, inferred.native} if final else {inferred.scored})


def test_videos_that_share_batches_are_waited_for_once(copies: Copies) -> None:
    target = TargetInfo("case", "class", LABELS)
    scoring = make_evaluator(HOST, InputInfo("video", 3, (4, 8, 8)), target, clips=5)
    assert scoring.inference.cases_at_once(CUDA) == 3
    model = on_cuda(nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 8 * 8, 3, device="cuda")))
    loaded = [LoadedViews(Case(), torch.empty(5, 3, 4, 8, 8)) for _ in range(7)]  # type: ignore[arg-type]
    inferred = scoring.inference.infer(model, loaded, final=True)
    assert [one.answer.device.type for one in inferred] == ["cpu"] * 7
    assert copies.count == 1


def test_scores_that_the_device_has_no_room_for_are_on_the_host(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Conv3d(1, 3, 3, padding=1, device="cuda")

    def devices(free: float) -> set[str]:
        monkeypatch.setattr(sliding_window, "free_memory", lambda _: free)
        stream = stream_scores(
            model, torch.empty(1, 16, 12, 20), (8, 8, 8), overlap=0.5, blending="gaussian", window_batch=4
        )
        return {slab.device.type for slab in stream}

    needed = 2 * 4 * (3 + 1) * 16 * 12 * 8 / sliding_window.BUFFER_SHARE
    assert devices(needed) == {"cuda"}
    assert copies.count == 0
    assert devices(needed - 1) == {"cpu"}
    assert copies.count == 6  # batches: 3 x 2 windows at each of 4 places along the last axis, by fours


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # in MONAI
@pytest.mark.parametrize("blending", ["gaussian", "constant"])
@pytest.mark.parametrize("size", [(96, 96, 96), (8, 6, 9), (5, 9, 7), (30, 21), (224, 224, 1), (128,)])
def test_windows_are_weighted_as_in_monai(size: tuple[int, ...], blending: Any) -> None:
    from monai.data import compute_importance_map

    expected = compute_importance_map(size, mode=blending, sigma_scale=window_layout.SIGMA_SCALE)
    np.testing.assert_array_equal(importance_map(size, blending, torch.device("cpu")), expected)
