"""Training examples of a video: a clip from anywhere in it, cropped and changed at random."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from medvid.data.batch import Batch, concatenate
from medvid.data.transform import Transform, apply
from medvid.data.videos.clip_options import ClipOptions
from medvid.data.videos.decoders import open_clip
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.sampling import SHORT_HINT, random_times
from medvid.data.videos.transforms import pixels, random_crop, read_clip
from medvid.seeding import derive_seed

Target = Callable[[Sequence[float]], Tensor]
"""From the times of a clip's frames, in seconds from the first frame of the video, to what it is annotated with."""


def draw_examples(
    case: str,
    path: Path | str,
    target: Target,
    options: ClipOptions,
    transforms: Sequence[Transform],
    seed: int,
    hint: str = "",
    part: tuple[int, int] | None = None,
) -> Batch:
    """Read one clip, and make as many examples of it as `options.repeats` says.

    Args:
        case: id of the video.
        path: its file, or the folder of its frames.
        target: of the clip.
        options: how it is read.
        transforms: random changes of each example.
        seed: decides everything that is random.
        hint: what to do if it cannot be read.
        part: of a folder, see `medvid.data.videos.clips.Clip`.

    Raises:
        VideoReadError: the file cannot be read, or is too short.
    """
    draw = torch.Generator().manual_seed(derive_seed(seed, "time"))
    with open_clip(path, options, hint, part) as video:
        low, high = options.rate_jitter or (1.0, 1.0)
        speed = low * (high / low) ** _uniform(draw)
        try:
            times = random_times(options.train_sampling(), video.length, lambda: _uniform(draw), speed)
        except ValueError as error:
            raise VideoReadError(path, str(error), hint=SHORT_HINT) from None
        frames = read_clip(video, times, options)
    annotation = target(times)[None]
    examples = []
    for number in range(options.repeats):
        generator = torch.Generator().manual_seed(derive_seed(seed, "example", number))
        example = random_crop(frames, options, generator).transpose(0, 1).contiguous()
        batch = Batch(example[None], annotation, (case,), pixels(options))
        examples.append(apply(transforms, batch, generator))
    return concatenate(examples)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, dtype=torch.float64))
