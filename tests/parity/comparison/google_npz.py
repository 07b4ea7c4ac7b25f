"""An ImageNet .npz in Google's axes against what the TransUNet authors' load_from makes of it.

The fixture holds the file's arrays (``npz.<key>``), the resulting state (``state.<published key>``, its large tensors
left out), its position embeddings on the file's own grid and on another one (``pos_same``, ``pos_resized``); the
sidecar the norms of all tensors and the sizes.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from comparison.checks import OUTPUT_TOLERANCE, Check, max_difference, worst
from comparison.fixture import UnknownFormatError
from comparison.transunet import backbone_options, build
from medvid.models.model import Model
from medvid.models.weights import rename
from medvid.models.weights.loading import import_weights
from medvid_transunet.config import CascadedUpsamplerOptions, TransUNetOptions
from medvid_transunet.weights import AUTHORS, translate

NPZ, STATE = "npz.", "state."
POSITIONS = "transformer.embeddings.position_embeddings"


@dataclass(frozen=True)
class NpzFixture:
    """One fixture.

    Args:
        networks: what the published network is, by the edge of its grid of patches.
        arrays: content of the npz file.
        state: what the published network holds once it is loaded, by published name; without positions.
        norms: L2 norm of every tensor of it, also of those that are left out there.
        positions: position embeddings, by the edge of the grid.
    """

    networks: Mapping[int, TransUNetOptions]
    arrays: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    norms: Mapping[str, float]
    positions: Mapping[int, Tensor]


def is_npz_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        return "old_grid" in json.loads(path.with_suffix(".json").read_text())["args"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_npz_fixture(path: Path) -> NpzFixture:
    """Read a .safetensors file and the .json beside it.

    Raises:
        UnknownFormatError: something is missing in them.
    """
    try:
        tensors, sidecar = load_file(path), json.loads(path.with_suffix(".json").read_text())
        arguments, norms = sidecar["args"], sidecar["state_norms"]
        arrays, state = (
            {key.removeprefix(kind): tensors[key] for key in tensors if key.startswith(kind)} for kind in (NPZ, STATE)
        )
        for named in (norms, state):
            named.pop(POSITIONS, None)  # they are compared in full, for both grids
        positions = {arguments["old_grid"]: tensors["pos_same"], arguments["new_grid"]: tensors["pos_resized"]}
        networks = {edge: _network(arguments, arrays, edge) for edge in positions}
        return NpzFixture(networks, arrays, state, norms, positions)
    except Exception as error:
        raise UnknownFormatError(f"{path} is no fixture: {error!r}") from error


def compare_npz(fixture: NpzFixture) -> Iterator[Check]:
    """Import the arrays as a user would, for both grids, and compare the state under its published names.

    Raises:
        medvid.errors.CheckpointError: the weights do not fit.
    """
    for edge, positions in fixture.positions.items():
        keys = (POSITIONS, *fixture.norms)
        ours = _published(_imported(fixture, edge), keys)
        yield Check(f"{edge} x {edge} positions", max_difference(ours.pop(POSITIONS), positions), OUTPUT_TOLERANCE)
        differences = [max_difference(ours[key], value) for key, value in fixture.state.items()]
        yield Check(f"tensors (of {len(differences)})", max(differences, default=0), 0)
        yield worst("norms", {key: ours[key].norm().item() for key in fixture.norms}, fixture.norms, OUTPUT_TOLERANCE)


def _published(model: Model, keys: Iterable[str]) -> dict[str, Tensor]:
    """Our tensors under their published names; empty where there is none."""
    state, ours = model.state_dict(), {}
    for key in keys:
        name = rename(key, AUTHORS)
        part = next((part for part in ("query", "key", "value") if f".{part}." in name), None)
        tensor = state.get(name.replace(f".{part}.", ".qkv."), torch.zeros(0))
        ours[key] = tensor.chunk(3)[("query", "key", "value").index(part)] if part and len(tensor) else tensor
    return ours


def _imported(fixture: NpzFixture, edge: int) -> Model:
    """Our model with that grid of patches, loaded from an .npz file."""
    head = CascadedUpsamplerOptions(name="cascaded_upsampler")
    model = build(fixture.networks[edge], head, channels=3, labels=2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.npz"
        arrays: dict[str, Any] = {key: tensor.numpy() for key, tensor in fixture.arrays.items()}
        np.savez(file, **arrays)
        import_weights(model, file, translate, "google_npz")
    return model


def _network(arguments: Mapping[str, Any], arrays: Mapping[str, Tensor], edge: int) -> TransUNetOptions:
    """What the published network is for a grid of that edge: a hybrid where the file has a ResNet."""
    grid = [edge, edge] if "conv_root/kernel" in arrays else None
    sizes = {"img_size": 16 * edge, "patches_grid": grid, "resnet_width_factor": arguments.get("width_factor")}
    return backbone_options({**arguments, **sizes})
