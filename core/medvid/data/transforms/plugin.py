"""The transforms that medvid ships."""

from collections.abc import Iterable

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import ComponentSpec, Example, TransformSpec

_ROOM = "medvid.data.transforms"
_ALWAYS = (Example({"probability": 1.0}),)


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute those of geometry, of intensities, of colours, erasing, and what nnU-Net trains with."""
    yield TransformSpec(
        name="horizontal_flip",
        target=f"{_ROOM}.geometry:HorizontalFlip",
        config=f"{_ROOM}.options:HorizontalFlipOptions",
        summary="mirror left and right",
        axes=("image", "video"),
    )
    yield TransformSpec(
        name="vertical_flip",
        target=f"{_ROOM}.geometry:VerticalFlip",
        config=f"{_ROOM}.options:VerticalFlipOptions",
        summary="mirror top and bottom",
        axes=("image", "video"),
    )
    yield TransformSpec(
        name="flip",
        target=f"{_ROOM}.geometry:Flip",
        config=f"{_ROOM}.options:FlipOptions",
        summary="mirror axes of a volume, each on its own",
        axes=("volume",),
    )
    yield TransformSpec(
        name="rotate90",
        target=f"{_ROOM}.geometry:Rotate90",
        config=f"{_ROOM}.options:Rotate90Options",
        summary="turn by 90, 180 or 270 degrees",
        axes=("image", "volume"),
    )
    yield TransformSpec(
        name="rotation",
        target=f"{_ROOM}.geometry:Rotation",
        config=f"{_ROOM}.options:RotationOptions",
        summary="turn by a random angle",
        axes=("image",),
    )
    yield TransformSpec(
        name="scale_intensity",
        target=f"{_ROOM}.intensity:ScaleIntensity",
        config=f"{_ROOM}.options:ScaleIntensityOptions",
        summary="all values times a random factor",
        axes=("image", "volume"),
    )
    yield TransformSpec(
        name="shift_intensity",
        target=f"{_ROOM}.intensity:ShiftIntensity",
        config=f"{_ROOM}.options:ShiftIntensityOptions",
        summary="all values plus a random number",
        axes=("image", "volume"),
    )
    yield TransformSpec(
        name="color_jitter",
        target=f"{_ROOM}.colour:ColorJitter",
        config=f"{_ROOM}.options:ColorJitterOptions",
        summary="brightness, contrast, saturation, hue, and now and then gray",
        axes=("image", "video"),
    )
    yield TransformSpec(
        name="rand_augment",
        target=f"{_ROOM}.colour:RandAugment",
        config=f"{_ROOM}.options:RandAugmentOptions",
        summary="a few random operations (Cubuk et al., 2020)",
        axes=("image", "video"),
    )
    yield TransformSpec(
        name="random_erasing",
        target=f"{_ROOM}.erasing:RandomErasing",
        config=f"{_ROOM}.options:RandomErasingOptions",
        summary="noise in a rectangle (Zhong et al., 2020)",
        axes=("video",),
    )
    yield TransformSpec(
        name="spatial",
        target=f"{_ROOM}.spatial:Spatial",
        config=f"{_ROOM}.scan_options:SpatialOptions",
        summary="turn and scale, in one interpolation",
        axes=("image", "volume", "video"),
    )
    yield TransformSpec(
        name="gaussian_noise",
        target=f"{_ROOM}.quality:GaussianNoise",
        config=f"{_ROOM}.scan_options:GaussianNoiseOptions",
        summary="noise of mean 0",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="gaussian_blur",
        target=f"{_ROOM}.quality:GaussianBlur",
        config=f"{_ROOM}.scan_options:GaussianBlurOptions",
        summary="blur, each channel and axis on its own",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="brightness",
        target=f"{_ROOM}.tones:Brightness",
        config=f"{_ROOM}.scan_options:BrightnessOptions",
        summary="each channel times a factor",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="contrast",
        target=f"{_ROOM}.tones:Contrast",
        config=f"{_ROOM}.scan_options:ContrastOptions",
        summary="differences from each channel's mean times a factor",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="low_resolution",
        target=f"{_ROOM}.quality:LowResolution",
        config=f"{_ROOM}.scan_options:LowResolutionOptions",
        summary="channels as if taken at a lower resolution",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="gamma",
        target=f"{_ROOM}.tones:Gamma",
        config=f"{_ROOM}.scan_options:GammaOptions",
        summary="each channel to the power of an exponent, mean and deviation kept",
        axes=("image", "volume", "video"),
        examples=_ALWAYS,
    )
    yield TransformSpec(
        name="zero_outside",
        target=f"{_ROOM}.outside:ZeroOutside",
        config=f"{_ROOM}.scan_options:ZeroOutsideOptions",
        summary="0 again where the image was 0 before",
        axes=("image", "volume", "video"),
    )
