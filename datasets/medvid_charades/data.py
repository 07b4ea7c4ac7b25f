"""Charades."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from medvid.data.tables.index import AnsweredCase
from medvid.data.videos.answered import AnsweredVideos
from medvid_charades.annotations import AnnotatedVideo
from medvid_charades.config import CharadesOptions, several_hot


class Charades(AnsweredVideos):
    """Daily life with any of many actions per video, see `medvid_charades.config.CharadesOptions`."""

    options: CharadesOptions

    @cached_property
    def _annotated(self) -> Mapping[str, AnnotatedVideo]:
        lists, _ = self.options.annotated()
        return {name: video for videos in lists.values() for name, video in videos.items()}

    def target_at(self, answered: AnsweredCase, times: Sequence[float]) -> Tensor:
        """The actions from the first to the last frame of a clip, or all of the video, as the options say."""
        if self.options.clip_labels == "video":
            return super().target_at(answered, times)
        labels = self._annotated[answered.id].between(min(times), max(times))
        return torch.tensor(several_hot(labels, len(self.target_info.names)))
