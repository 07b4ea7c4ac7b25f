import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import dense_patch_slices
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.evaluation.inference.window_layout import find_windows


class PeakMemory(TorchDispatchMode):
    """Measures the peak of all bytes alive in tensors that were made under it."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {value.untyped_storage().data_ptr() for value in args if isinstance(value, Tensor)}
        for value in result if isinstance(result, list | tuple) else [result]:
            storage = value.untyped_storage() if isinstance(value, Tensor) else None
            if storage is not None and storage.data_ptr() not in given:
                self._alive[storage.data_ptr()] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {pointer: entry for pointer, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def network(rank: int, labels: int = 3) -> nn.Module:
    """Sees its window's border, so that windows disagree where they overlap."""
    torch.manual_seed(0)
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[rank]
    return convolution(2, labels, 3, padding=1).eval()


SHAPES = [
    ((20, 17, 31), (8, 8, 8)),
    ((8, 8, 8), (8, 8, 8)),
    ((5, 20, 6), (8, 6, 9)),  # smaller than the window on two axes, by an odd number on both
    ((12, 9, 16), (5, 9, 7)),
    ((30, 21), (8, 10)),
    ((7, 40), (10, 8)),
]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # in MONAI
@pytest.mark.parametrize("blending", ["gaussian", "constant"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize(("shape", "size"), SHAPES)
@torch.inference_mode()
def test_joined_slabs_equal_monai(shape, size, overlap, blending):
    model, volume = network(len(shape)), torch.randn(2, *shape)
    slabs = list(stream_scores(model, volume, size, overlap=overlap, blending=blending, window_batch=3))
    expected = sliding_window_inference(volume[None], size, 3, model, overlap=overlap, mode=blending)[0]
    assert all(slab.shape[-1] > 0 for slab in slabs)
    torch.testing.assert_close(torch.cat(slabs, dim=-1), expected, atol=1e-5, rtol=1e-5)


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 12)), min_size=2, max_size=3), st.floats(0, 0.99))
def test_windows_are_monais(axes: list[tuple[int, int]], overlap: float) -> None:
    size, shape = [window for window, _ in axes], [window + more for window, more in axes]
    interval = [max(int(window * (1 - overlap)), 1) for window in size]
    monais = [tuple(map(range_of, window)) for window in dense_patch_slices(shape, size, interval)]
    ours = [tuple(map(range_of, window)) for window in find_windows(shape, size, overlap)]
    assert ours == sorted(monais, key=lambda window: window[-1].start)


def range_of(part: slice) -> range:
    return range(int(part.start), int(part.stop))


@pytest.mark.parametrize("length", [32, 160])
@torch.inference_mode()
def test_memory_does_not_grow_with_the_volume(length):
    labels, plane, depth = 24, (20, 20), 8
    model, volume = network(3, labels), torch.randn(2, *plane, length)
    with PeakMemory() as memory:
        stream = stream_scores(model, volume, (8, 8, depth), overlap=0.5, blending="gaussian", window_batch=2)
        planes = sum(slab.shape[-1] for slab in stream)
    assert planes == length
    buffer = 4 * labels * 20 * 20 * depth
    # Besides the buffer: a finished slab of half its depth and the one before it, a batch, the weights.
    assert buffer < memory.peak < 2.5 * buffer


@torch.inference_mode()
def test_slabs_come_as_soon_as_no_later_window_touches_them():
    model, calls = network(3), []
    model.register_forward_hook(lambda *_: calls.append(1))
    volume = torch.randn(2, 12, 12, 40)  # four windows at each of nine positions on the last axis
    stream = stream_scores(model, volume, (8, 8, 8), overlap=0.5, blending="gaussian", window_batch=4)
    for done, slab in enumerate(stream, start=2):
        assert len(calls) == min(done, 9)
        assert slab.shape[-1] == (4 if done < 10 else 8)


@torch.inference_mode()
def test_batches_are_full_across_positions_on_the_last_axis():
    sizes = []
    model = network(3)
    model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    list(stream_scores(model, torch.randn(2, 8, 8, 44), (8, 8, 8), overlap=0.5, blending="constant", window_batch=4))
    assert sizes == [4, 4, 2]


@torch.inference_mode()
def test_low_precision_scores_are_accumulated_in_float32():
    model = network(3).to(torch.bfloat16)

    class Autocast(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            return model(input.to(torch.bfloat16))

    volume = torch.randn(2, 8, 8, 20)
    slabs = list(stream_scores(Autocast(), volume, (8, 8, 8), overlap=0.75, blending="constant", window_batch=2))
    assert {slab.dtype for slab in slabs} == {torch.float32}
    # The mean of four bfloat16 scores needs more bits than bfloat16 has.
    joined = torch.cat(slabs, dim=-1)
    assert not torch.equal(joined, joined.to(torch.bfloat16).float())
