"""Starting from the weights of a run."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import medvid
from medvid.config.early import check_run
from medvid.config.load import load_task
from medvid.errors import CheckpointError, ConfigError, MedvidError
from medvid.models.build import build_model, load_initial_weights
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport
from medvid.models.weights.translation import Translation
from medvid.plugin.host import make_host
from medvid.plugin.specs import BackboneSpec
from medvid.runs.api import Run
from medvid.runs.origin import read_origin
from medvid.runs.weights import read_trained
from medvid.testing.backbone_subject import BackboneSubject

HOST = make_host()


def started(run: Run, task: str = "small.yaml", head: bool = False, **overrides: object) -> tuple[Model, ImportReport]:
    """A model of small.yaml, with overrides, that starts from a run; and what was loaded."""
    weights = {"backbone.weights": {"source": "medvid", "path": str(run.folder.path), "head": head}, "seed": 7}
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    whole_first = dict(sorted((weights | changes).items(), key=lambda change: len(change[0])))
    checked = check_run(load_task(Path(task), HOST, overrides=whole_first), HOST)
    model = build_model(checked)
    [report] = load_initial_weights(model, checked, read_trained)
    return model, report


def test_backbone_alone_or_with_its_head(small: Run) -> None:
    trained = load_file(
        next(iter(sorted(small.folder.path.glob(str(small.summary["best"])))), Path()) / "model.safetensors"
    )
    for head in (False, True):
        model, report = started(small, head=head)
        same = {name for name, tensor in model.state_dict().items() if tensor.equal(trained[name])}
        assert same >= {name for name in trained if name.startswith("backbone.") or head}
        assert ("only the backbone is asked for" in str(report)) != head
        assert head or any(name not in same for name in trained if name.startswith("head."))


def test_positions_of_another_size_are_interpolated_as_published_ones_are(small: Run) -> None:
    model, report = started(small, backbone__img_size=[32, 32], dataset__size=[32, 32])
    assert list(report.resized) == ["backbone.positions"]
    assert model.state_dict()["backbone.positions"].shape == (1, 17, 16)


def test_what_does_not_fit_is_named(small: Run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has trained the backbone 'vit', but the task has 'unet'"):
        started(small, backbone={"name": "unet", "features": [4, 8], "strides": [[1, 1], [2, 2]]})
    with pytest.raises(CheckpointError, match=r"backbone\.blocks\.0\.attn\.qkv\.weight \(\[48, 16\], \[96, 32\]\)"):
        started(small, backbone__embed_dim=32)
    with pytest.raises(CheckpointError, match=r"in the model, but not in the file: backbone\.blocks\.2"):
        started(small, backbone__depth=3)
    with pytest.raises(CheckpointError, match="no such run folder"):
        started(small, backbone__weights__path=str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="is not a run folder"):
        started(small, backbone__weights__path=str(tmp_path))
    with pytest.raises(MedvidError, match="heads: unknown key"):
        started(small, backbone__weights__heads=True)


def test_a_run_says_what_it_started_from(small: Run) -> None:
    weights = {"source": "medvid", "path": small.folder.path.relative_to(Path.cwd()), "checkpoint": "last"}
    run = medvid.run(
        "small.yaml", {"backbone.weights": weights, "train.steps": 1, "evaluation.split": "train", "output": "other"}
    )
    origin = read_origin(run.folder)
    assert origin is not None
    [start] = origin.started_from
    assert (start["run"], start["step"], len(start["manifest_sha256"])) == (small.folder.name, 3, 64)
    assert any(small.folder.name in note and "trained on" in note for note in run.summary["notes"])
    again = medvid.run(run.folder.resolved, {"output": "again"})  # as it is kept
    assert read_origin(again.folder).started_from == origin.started_from  # type: ignore[union-attr]


@pytest.mark.parametrize("spec", [spec for spec in HOST.specs(BackboneSpec) if spec.fit], ids=lambda spec: spec.name)
def test_weights_of_the_same_size_are_taken_as_they_are(spec: BackboneSpec) -> None:
    for example in spec.examples:
        backbone = BackboneSubject(HOST, spec, example).build()
        model = Model(backbone, torch.nn.Identity())  # type: ignore[arg-type]
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        result = Translation(dict(state))
        HOST.load(spec, spec.fit)(result, model)
        assert not result.resized
        assert result.tensors.keys() == state.keys()
        assert all(tensor.equal(state[name]) for name, tensor in result.tensors.items())
