"""What the options of nnU-Net's networks accept."""

from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid_unet.config import UNetDecoderOptions, UNetOptions


def backbone(**options: Any) -> UNetOptions:
    return UNetOptions(**({"name": "unet", "features": (4, 8), "strides": ((1, 1, 1), (2, 2, 1))} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": (4,)}, r"strides has 2 entries, but features has 1"),
        ({"features": ()}, "at least 1"),
        ({"kernels": ((3, 3, 3),)}, r"kernels has 1 entries, but features has 2"),
        ({"blocks": (2, 2, 2)}, r"blocks has 3 entries"),
        ({"kernels": ((3, 3), (3, 3))}, r"kernels: \[3, 3\] has 2 axes, strides begins with 3"),
        ({"strides": ((1, 1, 1), (2, 2))}, r"strides: \[2, 2\] has 2 axes"),
        ({"kernels": ((3, 3, 3), (2, 3, 3))}, r"kernels: \[2, 3, 3\] has to be odd"),
        ({"strides": ((1, 1, 1), (0, 2, 2))}, "greater than 0"),
        ({"encoder": "dense"}, "'plain' or 'resenc'"),
        ({"weights": {"source": "timm", "path": "x.pth"}}, "'nnunet' or 'state_dict'"),
    ],
)
def test_impossible_encoders_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        backbone(**options)


def test_what_is_left_out_is_nnunets_default() -> None:
    assert backbone().kernel_of_stages == ((3, 3, 3), (3, 3, 3))
    assert backbone().blocks_of_stages == (2, 2)
    deep = backbone(encoder="resenc", features=(1,) * 6, strides=((1, 1),) * 6)
    assert deep.blocks_of_stages == (1, 3, 4, 6, 6, 6)
    assert backbone(encoder="resenc").blocks_of_stages == (1, 3)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((9, 8, 8), r"size \[9, 8, 8\], .* \[2, 2, 1\], do not divide; \[8, 8, 8\] and \[10, 8, 8\] work"),
        ((8, 8), r"have 3 axes, but the inputs have size \[8, 8\]"),
        ((2, 2, 1), r"size \[2, 2, 1\], of which the strides leave a single voxel.* such as \[4, 4, 2\]"),
    ],
)
def test_inputs_that_do_not_divide_are_refused(size: tuple[int, ...], message: str) -> None:
    backbone().check_input(InputInfo("volume", 1, (8, 6, 5)))
    with pytest.raises(ValueError, match=message):
        backbone().check_input(InputInfo("volume", 1, size))


def test_kernels_of_the_decoder_are_odd() -> None:
    with pytest.raises(ValidationError, match="has to be odd"):
        UNetDecoderOptions(name="unet_decoder", kernels=((3, 2, 3),))
