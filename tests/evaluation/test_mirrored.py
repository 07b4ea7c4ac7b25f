"""Mirrored inputs: what their mean is, and where mirroring is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.config.recipes import find_task
from medvid.errors import ConfigError
from medvid.evaluation.inference.mirrored import mirrored
from medvid.plugin.host import make_host


def lopsided(input: Tensor) -> Tensor:
    """Answers that depend on where a voxel lies."""
    return input * torch.arange(input.numel()).reshape(input.shape)


class Lopsided(nn.Module):
    def forward(self, input: Tensor) -> Tensor:
        return lopsided(input)


@given(st.sets(st.sampled_from("RAS")), st.sampled_from("RAS"))
def test_the_mean_turns_with_its_input_along_mirrored_axes_alone(names: set[str], axis: str) -> None:
    model, dims = mirrored(Lopsided(), sorted(names), "volume"), ["RAS".index(axis) - 3]
    volume = torch.linspace(1, 2, 2 * 3 * 4 * 5).reshape(1, 2, 3, 4, 5)
    turned = torch.allclose(model(volume.flip(dims)).flip(dims), model(volume))
    assert turned == (axis in names)


def test_the_model_is_asked_about_each_combination_once() -> None:
    seen = []

    class Counting(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            seen.append(input.clone())
            return input.sum(dim=(-2, -1))  # of whole cases: nothing to turn back

    frames = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    answer = mirrored(Counting(), "HW", "video")(frames)
    assert len({tuple(one.flatten().tolist()) for one in seen}) == len(seen) == 4
    assert all(torch.equal(one.sum(dim=(-2, -1)), frames.sum(dim=(-2, -1))) for one in seen)  # frames stay in order
    assert torch.equal(answer, frames.sum(dim=(-2, -1)))


def test_without_axes_the_model_is_as_it_was() -> None:
    model = Lopsided()
    assert mirrored(model, (), "image") is model


def checked(*overrides: str, recipe: str = "unetr_btcv"):
    host = make_host()
    return check_task(load_task(find_task(recipe), host, overrides=overrides, demo=True), host)


def test_the_trainings_axes_can_be_asked_for() -> None:
    flips = "dataset.augment=[{name: flip, axes: [S, R], probability: 0.5}, {name: flip, axes: [A], probability: 0}]"
    assert checked(flips, "evaluation.mirror=trained").task.evaluation.mirror == ("R", "S")
    assert checked("dataset.augment=[]", "evaluation.mirror=trained").task.evaluation.mirror == ()
    assert not any("mirror" in note for note in checked(flips, "evaluation.mirror=trained").notes)


def test_axes_that_training_does_not_mirror_are_said_and_swapped_sides_refused() -> None:
    notes = checked("dataset.augment=[]", "evaluation.mirror=[A, S]").notes
    assert any("evaluation.mirror has A, S, but" in note for note in notes)
    with pytest.raises(ConfigError, match=r"R, which swaps left and right, .* inputs: right_kidney, left_kidney"):
        checked("dataset.augment=[]", "evaluation.mirror=[R, A, S]")
    assert checked("dataset.augment=[flip]", "evaluation.mirror=[R]").notes == checked("dataset.augment=[flip]").notes


@pytest.mark.parametrize("axes", ["[W]", "[R, R]"])
def test_axes_that_inputs_do_not_have_are_refused(axes: str) -> None:
    with pytest.raises(ConfigError, match="but volumes are mirrored along each of R, A, S once at most"):
        checked(f"evaluation.mirror={axes}")


def test_slices_with_answers_keep_their_order() -> None:
    assert checked("evaluation.mirror=[R]", recipe="rsna_hemorrhage").task.evaluation.mirror == ("R",)
    with pytest.raises(ConfigError, match="has S, but volumes whose slices have answers, in their order, are mirrored"):
        checked("evaluation.mirror=[S]", recipe="rsna_hemorrhage")
