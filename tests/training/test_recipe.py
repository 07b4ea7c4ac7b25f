"""What a recipe may ask of the optimizer and of memory: rates by layer and batch, no decay of tables, recomputation."""

from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.data.batch import Batch
from medvid.errors import ConfigError
from medvid.models.backbone import Backbone
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features
from medvid.models.model import Model
from medvid.models.vit import Block
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.training.loop import Trainer
from medvid.training.memory import checkpoint_layers
from medvid.training.optim import layer_depths, log_rate, parameter_groups, scaled_rate
from medvid.training.optimizers.options import AdamWOptions
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions

HOST = make_host()


class Tokens(Backbone):
    """A transformer over (B, 4, 8, 1)."""

    feature_info = FeatureInfo(embedding=8)

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 4, 8))
        self.embed = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(Block(8, 16, 2, dropout=0.2, drop_path=0.3) for _ in range(3))
        self.norm = nn.LayerNorm(8)

    @property
    def layers(self) -> list[nn.Module]:
        return [*self.blocks]

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        return ("positions",)

    def forward(self, input: Tensor) -> Features:
        x = self.embed(input.squeeze(-1)) + self.positions
        for block in self.blocks:
            x = block(x)
        return Features(embedding=self.norm(x).mean(1))


class Plain(Tokens):
    layers = ()  # type: ignore[assignment]


def make_model(backbone: type[Backbone] = Tokens) -> Model:
    torch.manual_seed(0)
    options = LinearClassifierOptions(name="classification")
    target = TargetInfo("case", "class", ("a", "b", "c"))
    info = InputInfo("image", 4, (8, 1))
    return Model(backbone(), build_head(HOST.build, options, FeatureInfo(embedding=8), info, target))


def recipe(**options: Any) -> TrainOptions:
    base = {"steps": 4, "batch_size": 2, "optimizer": AdamWOptions(lr=1e-2, weight_decay=0.1)}
    return TrainOptions.model_validate({**base, "channels_last": False, **options})


def test_depths_rise_from_the_embedding_to_the_head() -> None:
    depths = layer_depths(make_model())
    assert depths["backbone.positions"] == depths["backbone.embed.weight"] == 0
    assert [depths[f"backbone.blocks.{index}.mlp.fc1.weight"] for index in range(3)] == [1, 2, 3]
    assert depths["backbone.norm.weight"] == depths["head.classifier.weight"] == 4


def test_rates_decay_by_layer_and_tables_are_not_decayed() -> None:
    model = make_model()
    names = {parameter: name for name, parameter in model.named_parameters()}
    scales, decays = {}, {}
    for group in parameter_groups(model, recipe(layer_decay=0.5)):
        for parameter in group["params"]:
            scales[names[parameter]], decays[names[parameter]] = group["lr_scale"], group["weight_decay"]
    assert set(scales) == set(names.values())
    assert scales["backbone.embed.weight"] == 0.5**4
    assert scales["backbone.blocks.2.attn.qkv.weight"] == 0.5
    assert scales["head.classifier.weight"] == 1
    assert {name for name in names.values() if decays[name]} == {
        name for name in names.values() if name.endswith("weight") and "norm" not in name
    }
    everything = parameter_groups(model, recipe(decay_norms_and_biases=True))
    assert [(group["weight_decay"], group["lr_scale"]) for group in everything] == [(0.1, 1.0)]


def batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [Batch(torch.randn(2, 4, 8, 1, generator=generator), torch.tensor([0, 2]), ("a", "b")) for _ in range(count)]


class Silent:
    def __init__(self) -> None:
        self.rates: list[float] = []

    def logged(self, step: int, losses: dict[str, float], speed: dict[str, float]) -> None:  # noqa: ARG002
        self.rates.append(losses["lr"])

    def saved(self, *_: object) -> None: ...


def train(**options: Any) -> tuple[dict[str, Tensor], list[float]]:
    chosen = recipe(**{"log_every": 1, **options})
    trainer = Trainer(Fabric(accelerator="cpu"), make_model(), chosen, seed=0, spatial_axes=2, build=HOST.build)
    observer = Silent()
    trainer.fit(iter(batches(8)), 4, observer, lambda: False)
    return trainer.model.state_dict(), observer.rates


def test_a_smaller_rate_moves_early_layers_less() -> None:
    start = make_model().state_dict()
    plain, decayed = train()[0], train(layer_decay=0.1)[0]

    def moved(state: dict[str, Tensor], name: str) -> float:
        return (state[name] - start[name]).abs().mean().item()

    name = "backbone.embed.weight"
    assert moved(decayed, name) < 0.01 * moved(plain, name)
    assert moved(decayed, "head.classifier.weight") > 0.5 * moved(plain, "head.classifier.weight")


def test_the_rate_follows_the_global_batch() -> None:
    options = recipe(base_batch_size=64, batch_size=4, accumulate=2)
    assert scaled_rate(options, world_size=4) == pytest.approx(1e-2 * 32 / 64)
    assert train(base_batch_size=8)[1] == pytest.approx([1e-2 * 2 / 8] * 4)


@pytest.mark.parametrize("cases", [3, 24, 10**6 - 1])
def test_the_rate_of_a_recipe_s_own_number_of_cases_is_its_own(cases: int) -> None:
    options = recipe(base_batch_size=cases, batch_size=cases)
    assert scaled_rate(options, world_size=1) == options.optimizer.lr


def test_a_step_of_other_cases_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="medvid")
    for base, world_size in ((None, 1), (8, 1), (None, 4), (8, 4), (64, 1)):
        log_rate(recipe(batch_size=4, accumulate=2, base_batch_size=base), world_size)
    assert caplog.messages == [
        "32 cases per step (4 per device x 4 devices x 2 accumulated); train.base_batch_size is not set: the rate is "
        "as given",
        "32 cases per step (4 per device x 4 devices x 2 accumulated); the rate is for 8: scaled by 4",
        "8 cases per step (4 per device x 1 devices x 2 accumulated); the rate is for 64: scaled by 0.125",
    ]


def test_recomputing_activations_changes_no_bit() -> None:
    plain, recomputed = train(), train(gradient_checkpointing=True)
    assert all(torch.equal(plain[0][name], recomputed[0][name]) for name in plain[0])


def test_layers_keep_only_their_input() -> None:
    """What autograd saves in the forward pass is what recomputation is to save."""

    def saved(model: Model) -> int:
        numbers = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: numbers.append(x.numel()) or x, lambda x: x):  # type: ignore[func-returns-value]
            model.backbone(batches(1)[0].input)
        return sum(numbers)

    model = make_model()
    before = saved(model)
    checkpoint_layers(model.backbone)
    assert saved(model) < before / 4


@pytest.mark.parametrize("options", [{"layer_decay": 0.9}, {"gradient_checkpointing": True}])
def test_both_need_a_backbone_that_names_its_layers(options: dict[str, Any]) -> None:
    chosen, model = recipe(**options), make_model(Plain)
    with pytest.raises(ConfigError, match="Plain does not say what its layers are"):
        Trainer(Fabric(accelerator="cpu"), model, chosen, seed=0, spatial_axes=2, build=HOST.build)


class Blanking(LinearClassifier):
    """Replaces a batch by zeros."""

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.input * 0, batch.target


def test_batches_are_mixed_before_the_forward_pass() -> None:
    model = make_model()
    model.head.__class__ = Blanking
    trainer = Trainer(Fabric(accelerator="cpu"), model, recipe(), seed=0, spatial_axes=2, build=HOST.build)
    fed: list[Tensor] = []
    model.backbone.embed.register_forward_pre_hook(lambda _, args: fed.append(args[0]))
    trainer.fit(iter(batches(1)), 1, Silent(), lambda: False)
    assert not fed[0].any()
