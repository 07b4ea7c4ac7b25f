"""The optimizers that medvid ships."""

from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import ComponentSpec, Example, OptimizerSpec

_SMALL = (Example({"lr": 1e-3}),)


@hookimpl
def medvid_components() -> tuple[ComponentSpec, ...]:
    """Contribute `adamw`, `adam` and `sgd`."""
    return (
        OptimizerSpec(
            name="adamw",
            target="medvid.training.optimizers.torchs:adamw",
            config="medvid.training.optimizers.options:AdamWOptions",
            summary="Adam with decoupled weight decay",
            paper="Loshchilov and Hutter, ICLR 2019",
            examples=_SMALL,
        ),
        OptimizerSpec(
            name="adam",
            target="medvid.training.optimizers.torchs:adam",
            config="medvid.training.optimizers.options:AdamOptions",
            summary="Adam, with L2 weight decay",
            paper="Kingma and Ba, ICLR 2015",
            examples=_SMALL,
        ),
        OptimizerSpec(
            name="sgd",
            target="medvid.training.optimizers.torchs:sgd",
            config="medvid.training.optimizers.options:SGDOptions",
            summary="stochastic gradient descent with momentum",
            examples=_SMALL,
        ),
    )
