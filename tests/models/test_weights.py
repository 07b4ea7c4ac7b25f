"""Reading published files safely, and refusing whatever is left unexplained."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from medvid.errors import CheckpointError
from medvid.losses.entries.options import GaussianNLLOptions
from medvid.losses.entries.values import GaussianNLL
from medvid.models.features import FeatureInfo, Features
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights import Translation, place_head
from medvid.models.weights.files import read_state
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions

STATE = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


class NoHead(Head):
    def forward(self, features: Features, input: Tensor) -> Tensor:
        raise NotImplementedError


def save_npz(state: Mapping[str, Tensor], file: Path) -> None:
    np.savez(file, allow_pickle=False, **{key: value.numpy() for key, value in state.items()})


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.safetensors", save_file),
        ("a.npz", save_npz),
        ("a.pt", torch.save),
        ("a.pth", lambda state, file: torch.save({"epoch": 3, "state_dict": state}, file)),
        ("a.pyth", lambda state, file: torch.save({"optimizer_state": {}, "model_state": state}, file)),
        ("b.pt", lambda state, file: torch.save({"net": {"state_dict": state}}, file)),
        ("c.pt", lambda state, file: torch.save({f"module.{key}": value for key, value in state.items()}, file)),
        ("d.pt", lambda state, file: torch.save({"best_acc": np.float64(0.8), "state_dict": state}, file)),
    ],
)
def test_formats_and_wrappers(tmp_path: Path, name: str, save: Callable[[dict[str, Tensor], Path], None]) -> None:
    save(STATE, tmp_path / name)
    state = read_state(tmp_path / name)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


class Malicious:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("container", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))])
def test_code_in_a_file_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: Callable[[object, Path], None]
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    container({"w": STATE["w"], "x": Malicious(tmp_path / "executed")}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="cannot be read as weights") as caught:
        read_state(tmp_path / "a.pt")
    assert "safetensors" in caught.value.hint
    assert not (tmp_path / "executed").exists()


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", w=np.array([Malicious(tmp_path / "executed")], dtype=object))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_state(tmp_path / "a.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pt"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>404</html>")
    with pytest.raises(CheckpointError, match=rf"{name} cannot be read as weights"):
        read_state(tmp_path / name)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_state(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"weights are read from \.safetensors"):
        read_state(tmp_path / "a.h5")


def test_other_things_than_tensors_are_named(tmp_path: Path) -> None:
    torch.save({"w": STATE["w"], "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds a int 'epoch' where tensors"):
        read_state(tmp_path / "a.pt")
    torch.save(STATE["w"], tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds a Tensor where a mapping"):
        read_state(tmp_path / "a.pt")


def model() -> Model:
    return Model(nn.Linear(3, 2), NoHead())


def translate(published: Mapping[str, Tensor], _source: str, _model: Model) -> Translation:
    names = {"w": "backbone.weight", "b": "backbone.bias"}
    return Translation(tensors={names.get(key, key): value for key, value in published.items()})


def test_import_loads_and_reports(tmp_path: Path) -> None:
    def explain(published: Mapping[str, Tensor], _source: str, _model: Model) -> Translation:
        return Translation(
            tensors={"backbone.weight": published["w"][:, :3]},
            resized={"backbone.weight": (2, 4)},
            dropped={f"x{index}": "never used" for index in range(5)},
            fresh={"backbone.bias": "another task"},
        )

    save_file({"w": torch.ones(2, 4)}, tmp_path / "a.safetensors")
    target = model()
    report = import_weights(target, tmp_path / "a.safetensors", explain, "somewhere")
    assert torch.equal(target.backbone.state_dict()["weight"], torch.ones(2, 3))
    assert str(report).splitlines() == [
        f"weights from {tmp_path / 'a.safetensors'} (somewhere): 1 tensors loaded",
        "  resized backbone.weight: [2, 4] to [2, 3]",
        "  dropped x0, x1, x2 and 2 more: never used",
        "  newly initialised backbone.bias: another task",
    ]


def test_whatever_is_unexplained_is_refused_and_listed(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3, 3), "extra": torch.zeros(1)}, tmp_path / "a.safetensors")
    target = model()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        import_weights(target, tmp_path / "a.safetensors", translate, "somewhere")
    message = str(caught.value)
    assert "in the file, but not in the model: extra" in message
    assert "in the model, but not in the file: backbone.bias" in message
    assert "backbone.weight ([3, 3], [2, 3])" in message
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_what_a_loss_learns_is_in_no_file(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    target = model()
    target.head.criterion = GaussianNLL(GaussianNLLOptions(), TargetInfo("case", "value", ("age",), ("years",)))
    report = import_weights(target, tmp_path / "a.safetensors", translate, "somewhere")
    assert report.fresh == {"head.criterion.log_variance": "trained along with the loss"}


CLASSIFIER = {"fc.weight": torch.ones(3, 4), "fc.bias": torch.ones(3)}
NO_WEIGHTS = "the file has no weights for this head"


def classified(labels: int, *, hidden: int | None = None) -> Model:
    options = LinearClassifierOptions(name="classification", hidden_dim=hidden)
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    info = FeatureInfo(embedding=4)
    return Model(nn.Identity(), LinearClassifier(options, info, InputInfo("image", 3, (8, 8)), target))


def place(model: Model, published: Mapping[str, Tensor]) -> Translation:
    result = Translation.renamed(published, ((r"^fc\.", "head.classifier."),))
    place_head(result, model)
    return result


def test_a_classifier_of_as_many_classes_is_taken_over() -> None:
    result = place(classified(3), CLASSIFIER)
    assert result.tensors == {f"head.classifier.{key[3:]}": value for key, value in CLASSIFIER.items()}
    assert result.dropped == result.fresh == {}


FEWER = "the checkpoint's classifier has 3 classes, the model 5"


@pytest.mark.parametrize(
    ("model", "published", "dropped", "fresh"),
    [
        (classified(5), CLASSIFIER, FEWER, FEWER),
        (classified(3, hidden=6), CLASSIFIER, "the model has another head", NO_WEIGHTS),
        (classified(3), {}, "", NO_WEIGHTS),
    ],
)  # fmt: skip
def test_any_other_head_starts_anew_and_it_is_said_why(
    model: Model, published: Mapping[str, Tensor], dropped: str, fresh: str
) -> None:
    result = place(model, published)
    assert not result.tensors
    assert set(result.dropped) == set(published)
    assert set(result.dropped.values()) <= {dropped}
    assert set(result.fresh) == {name for name in model.state_dict() if name.startswith("head.")}
    assert set(result.fresh.values()) == {fresh}
