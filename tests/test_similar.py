import pytest

from medvid.similar import suggest

BACKBONES = ("medt", "mvit", "slowfast", "stam", "timesformer", "transunet", "unetr", "vit", "vivit", "vtn", "x3d")
OPTIMIZERS = ("adamw", "adam", "sgd")


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("adamW", OPTIMIZERS, "adamw"),
        ("ADAM", OPTIMIZERS, "adam"),
        ("adamv", OPTIMIZERS, "adamw"),
        ("UNETR", BACKBONES, "unetr"),
        ("TimeSformer", BACKBONES, "timesformer"),
        ("timesfromer", BACKBONES, "timesformer"),
        ("slow_fast", BACKBONES, "slowfast"),
        ("mvitt", BACKBONES, "mvit"),
        ("image-masks", ("image_masks", "nifti"), "image_masks"),
        ("unetr-decoder", ("unetr_decoder", "pixel"), "unetr_decoder"),
        ("batchsize", ("batch_size", "steps"), "batch_size"),
    ],
)
def test_another_spelling_or_a_slip(given: str, known: tuple[str, ...], meant: str) -> None:
    assert suggest(given, known) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("unet", BACKBONES),
        ("swin_unetr", BACKBONES),
        ("vitdet", BACKBONES),
        ("c3d", BACKBONES),
        ("swin", BACKBONES),
        ("nadam", OPTIMIZERS),
        ("adan", OPTIMIZERS),
        ("lion", OPTIMIZERS),
        ("gpu", ("auto", "cpu", "cuda", "mps")),
        ("fp8", ("auto", "fp32", "tf32", "bf16", "fp16")),
        ("mvit_b_16x4", ("mvit_b_32x3",)),
        ("cosine", ("constant", "warmup_cosine", "poly", "step")),
        ("", OPTIMIZERS),
    ],
)
def test_another_thing_is_never_suggested(given: str, known: tuple[str, ...]) -> None:
    assert suggest(given, known) == ""


def test_of_an_option_a_part_is_enough() -> None:
    assert suggest("dropout", ("dropout_rate", "width")) == ""
    assert suggest("dropout", ("dropout_rate", "width"), parts=True) == "; did you mean 'dropout_rate'?"
    assert suggest("drop", ("dropout_rate", "drop_path"), parts=True) == "", "either could be meant"
