"""Optimizer, schedule, length and evaluation: nnU-Net's recipe, Primus's for other backbones, one for short trainings.

A length that the user asks for (``--steps``) decides all that counts steps.
"""

import math

from medvid.planning.draft import Draft

NNUNET_STEPS = 250_000
STEPS = 50_000
_EPOCH = 250
"""Steps for which nnU-Net keeps a rate."""
_SHORT = 2500
"""Steps below which SGD with a momentum of 0.99, an average over 100 steps, starts for much of a training."""
_SHORT_RATE = 3e-3
_OFTEN = 100
"""Times that a case is drawn in a training from which on all of nnU-Net's changes are made to it."""
_LIGHT = ("brightness", "contrast", "zero_outside")
_PRIMUS_RATE = 3e-4
_WIDTH, _WIDTH_RATE = 96, 4e-3
"""Width and rate of the demo of UNETR's recipe, which a few hundred steps train."""


def is_short(steps: int | None) -> bool:
    """Whether a training is too short for the published recipes."""
    return steps is not None and steps < _SHORT


def put_nnunet_recipe(draft: Draft, steps: int | None) -> None:
    """The training and evaluation of nnU-Net, or a training too short for it.

    Args:
        draft: the task.
        steps: of the training; None: as published.
    """
    if steps is not None and steps < _SHORT:
        put_short_recipe(draft, steps)
    else:
        _put_sgd(draft, steps)
    draft.put("evaluation.overlap", 0.5)
    draft.put("evaluation.layout", "nnunet")
    draft.put("evaluation.mirror", "trained")


def put_recipe(draft: Draft, steps: int | None) -> None:
    """The recipe of backbones that have none of their own: that of Primus (arXiv 2503.01835), shortened.

    Args:
        draft: the task; of images, volumes or videos.
        steps: of the training; None: `STEPS`.
    """
    if steps is not None and steps < _SHORT:
        put_short_recipe(draft, steps)
        return
    count = steps or STEPS
    why = "given" if steps else "a fifth of nnU-Net's 250,000, our choice, not measured: longer for final figures"
    draft.put("train.steps", count, why)
    draft.put("train.optimizer", {"name": "adamw", "lr": _PRIMUS_RATE, "weight_decay": 0.05}, "as Primus is trained")
    draft.put("train.schedule", {"name": "warmup_cosine", "warmup_steps": count // 20}, "the first 5 %")
    draft.put("train.clip_norm", 1.0)
    draft.put("evaluation.every", count // 20, "20 times")


def put_short_recipe(draft: Draft, steps: int) -> None:
    """A training of less than `_SHORT` steps.

    Args:
        draft: the task.
        steps: of the training.
    """
    draft.put("train.steps", steps, "given")
    draft.put(
        "train.optimizer",
        {"name": "adamw", "lr": _SHORT_RATE, "weight_decay": 1e-5},
        f"below {_SHORT} steps: learns from the first one on; decay has no time to matter",
    )
    draft.put("train.schedule", {"name": "warmup_cosine", "warmup_steps": math.ceil(steps / 20)}, "the first 5 %")
    draft.put("train.clip_norm", 1.0, "for so high a rate")
    draft.put("evaluation.every", math.ceil(steps / 2), "twice: whole cases take as long as many steps")


def suit_rate(draft: Draft, steps: int | None, width: int) -> None:
    """In a short training, lower the rate for wide backbones.

    Adam's rates go with one over the width (Yang et al., Tensor Programs V, 2021).

    Args:
        draft: the task, with the recipe.
        steps: of the training.
        width: channels of the backbone's widest features.
    """
    if not is_short(steps):
        return
    scaled = float(f"{_WIDTH_RATE * _WIDTH / width:.1e}")
    rate = min(_WIDTH_RATE, max(_PRIMUS_RATE, scaled))
    draft.values["train"]["optimizer"]["lr"] = rate
    draft.reasons["train", "optimizer"] = (
        f"below {_SHORT} steps: {_WIDTH_RATE:g} for a width of {_WIDTH}, in inverse proportion for {width}, but at "
        f"least {_PRIMUS_RATE:g}; decay has no time to matter"
    )


def suit_augmentation(draft: Draft, steps: int | None, cases: int) -> None:
    """In a training too short to overfit, keep the changes of intensity alone, as the others make it harder to learn.

    Args:
        draft: the task, with the batch and with all of nnU-Net's transforms.
        steps: of the training.
        cases: to train on.
    """
    if steps is None or steps >= _SHORT:
        return
    draws = steps * draft.values["train"]["batch_size"] / cases
    if draws < _OFTEN:
        listed = draft.values["dataset"]["augment"]
        draft.values["dataset"]["augment"] = [each for each in listed if each["name"] in _LIGHT]
        draft.reasons["dataset", "augment"] = (
            f"a case is drawn {draws:.2g} times, too rarely to be learnt by heart; nnU-Net's list from {_OFTEN} on"
        )


def _put_sgd(draft: Draft, steps: int | None) -> None:
    count = steps or NNUNET_STEPS
    why = "given" if steps else "1000 epochs of 250 steps, whatever the size of the data set"
    draft.put("train.steps", count, why)
    draft.put("train.optimizer", {"name": "sgd", "lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5})
    draft.put("train.schedule", {"name": "poly", "power": 0.9, "hold": _EPOCH})
    draft.put("train.clip_norm", 12)
    draft.put("train.decay_norms_and_biases", True)
    every = min(20 * _EPOCH, math.ceil(count / 20))
    draft.put("evaluation.every", every, "on whole cases, by which the best weights are chosen")
