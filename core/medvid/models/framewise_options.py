"""Options of backbones of videos that run a backbone of images on each frame."""

from dataclasses import replace
from typing import Annotated

from medvid.config.named import Named
from medvid.config.options import BackboneOptions
from medvid.plugin.info import InputInfo


def frame_info(info: InputInfo) -> InputInfo:
    """A frame of such a video, as the input of a backbone of images."""
    return replace(info, axes="image", size=info.size[-2:])


class FramewiseOptions(BackboneOptions):
    """Base of backbones that run an image backbone on each frame and encode time from its embeddings."""

    frame: Annotated[BackboneOptions, Named("backbone", axes="image")]
    """The backbone of images that runs on each frame: a block of its own, e.g. {name: vit, img_size: [224, 224]}."""

    def check_input(self, info: InputInfo) -> None:
        """Refuse frames that the backbone of images cannot take.

        Raises:
            ValueError: with that backbone's reason.
        """
        try:
            self.frame.check_input(frame_info(info))
        except ValueError as error:
            raise ValueError(f"its frame backbone {self.frame.name!r}: {error}") from error
