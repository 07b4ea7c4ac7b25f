"""Which changes may follow one another."""

import pytest

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.config.recipes import find_task
from medvid.errors import ConfigError
from medvid.plugin.host import make_host


def check(augment: str, recipe: str = "timesformer_kinetics") -> None:
    host = make_host()
    overrides = [f"dataset.augment={augment}", "dataset.root=.", "dataset.classes=[a, b]"]
    check_task(load_task(find_task(recipe), host, overrides=overrides), host)


@pytest.mark.parametrize("first", ["spatial", "gaussian_noise", "gamma", "brightness"])
@pytest.mark.parametrize("then", ["color_jitter", "rand_augment"])
def test_colours_of_videos_are_changed_before_they_are_normalised(first: str, then: str) -> None:
    check(f"[{then}, {first}]")
    check(f"[horizontal_flip, {then}, random_erasing, {first}]")
    with pytest.raises(ConfigError, match=f"has {then} after {first}, which leaves normalised values"):
        check(f"[horizontal_flip, {first}, {then}]")
