"""The losses that medvid ships."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import WHAT, ComponentSpec, Example, LossSpec

CLASSES = (
    LossSpec(
        name="ce",
        target="medvid.losses.ce:CrossEntropy",
        config="medvid.losses.options:CrossEntropyOptions",
        summary="cross entropy of softmax, with label smoothing and class weights",
        what=("class",),
        examples=(Example(), Example({"label_smoothing": 0.1, "class_weights": [1, 2, 5]})),
    ),
    LossSpec(
        name="focal",
        target="medvid.losses.focal:focal",
        config="medvid.losses.options:FocalOptions",
        summary="cross entropy, of softmax or sigmoid, in which what is told easily counts little",
        paper="Lin et al., ICCV 2017",
        what=("class", "labels"),
        examples=(Example(), Example({"gamma": 0.5, "class_weights": [1, 2, 5]})),
    ),
)
HARDEST = LossSpec(
    name="topk",
    target="medvid.losses.topk:TopK",
    config="medvid.losses.options:TopKOptions",
    summary="cross entropy of the hardest voxels",
    paper="Wu et al., Bridging Category-level and Instance-level Semantic Image Segmentation, 2016",
    what=("class",),
    where=("voxel",),
    examples=(Example(), Example({"share": 0.4, "batch": True})),
)
OVERLAP = (
    LossSpec(
        name="dice_ce",
        target="medvid.losses.dice:DiceCE",
        config="medvid.losses.options:DiceCEOptions",
        summary="soft Dice plus cross entropy, as MONAI's DiceCELoss",
        what=("class",),
        where=("voxel",),
        examples=(Example(), Example({"squared_pred": False, "include_background": False})),
    ),
    LossSpec(
        name="dice_bce",
        target="medvid.losses.dice:DiceBCE",
        config="medvid.losses.options:DiceBCEOptions",
        summary="soft Dice plus binary cross entropy, of regions and structures that overlap",
        paper="Isensee et al., Nature Methods 2021",
        what=("labels",),
        where=("voxel",),
        examples=(Example(), Example({"squared_pred": True, "ignore_scaling_fault": True})),
    ),
    LossSpec(
        name="tversky",
        target="medvid.losses.tversky:Tversky",
        config="medvid.losses.options:TverskyOptions",
        summary="one less an overlap that weighs missed and false voxels apart",
        paper="Salehi et al., MLMI 2017",
        what=("class", "labels"),
        where=("voxel",),
        examples=(Example(), Example({"alpha": 0.7, "beta": 0.3, "include_background": False})),
    ),
)
LABELS = (
    LossSpec(
        name="bce",
        target="medvid.losses.entries.binary:BCE",
        config="medvid.losses.entries.options:BCEOptions",
        summary="binary cross entropy of sigmoid, with weights of labels and of their presence",
        what=("labels",),
        examples=(Example(), Example({"label_weights": [1, 2, 5], "pos_weight": [3, 1, 0.5]})),
    ),
    LossSpec(
        name="asymmetric",
        target="medvid.losses.entries.binary:Asymmetric",
        config="medvid.losses.entries.options:AsymmetricOptions",
        summary="binary cross entropy in which labels that are easily told to be absent count little",
        paper="Ridnik et al., ICCV 2021",
        what=("labels",),
        examples=(Example(), Example({"gamma_pos": 0.5, "gamma_neg": 0.5, "clip": 0, "label_weights": [1, 2, 5]})),
    ),
)
VALUES = (
    LossSpec(
        name="mse",
        target="medvid.losses.entries.values:MSE",
        config="medvid.losses.entries.options:MSEOptions",
        summary="mean squared error",
        what=("value",),
        examples=(Example(), Example({"value_weights": [1, 2, 5]})),
    ),
    LossSpec(
        name="l1",
        target="medvid.losses.entries.values:L1",
        config="medvid.losses.entries.options:L1Options",
        summary="mean absolute error",
        what=("value",),
        examples=(Example(), Example({"value_weights": [1, 2, 5]})),
    ),
    LossSpec(
        name="huber",
        target="medvid.losses.entries.values:Huber",
        config="medvid.losses.entries.options:HuberOptions",
        summary="squared error of small errors, absolute error of large ones",
        what=("value",),
        examples=(Example(), Example({"delta": 0.3, "value_weights": [1, 2, 5]})),
    ),
    LossSpec(
        name="gaussian_nll",
        target="medvid.losses.entries.values:GaussianNLL",
        config="medvid.losses.entries.options:GaussianNLLOptions",
        summary="likelihood of a normal distribution with a variance that is learnt for each value",
        paper="Kendall et al., CVPR 2018",
        what=("value",),
        examples=(Example(), Example({"value_weights": [1, 2, 5]})),
    ),
)
SUM = LossSpec(
    name="sum",
    target="medvid.losses.sum:Sum",
    config="medvid.losses.options:SumOptions",
    summary="weighted sum of several losses",
    what=WHAT,
    examples=(
        Example({"parts": ["dice_ce", {"name": "focal", "gamma": 1}], "weights": [1, 0.5]}),
        Example({"parts": ["ce", {"name": "ce", "class_weights": [1, 2, 5]}]}),
        Example({"parts": ["bce", "asymmetric"]}),
        Example({"parts": ["mse", "l1"], "weights": [0.1, 1]}),
    ),
)


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute all of them."""
    return (*CLASSES, HARDEST, *OVERLAP, *LABELS, *VALUES, SUM)
