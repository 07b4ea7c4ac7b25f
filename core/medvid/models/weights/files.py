"""Reading checkpoint files without running anything in them."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from medvid.errors import CheckpointError

WRAPPERS = ("state_dict", "model_state", "network_weights", "model", "module", "net", "target_encoder", "encoder")
"""Keys under which training scripts keep the weights beside the optimizer and the like, the first one found; so of
a student and its teacher (`target_encoder`) the latter."""

# Training scripts keep their best score, a numpy scalar, and their command line beside the weights. These are the only
# globals allowed besides torch's own; none of them can run code.
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    Namespace,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
]


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without what training scripts wrap around them. Executes nothing in the file.

    Raises:
        CheckpointError: the file is missing, damaged, of another format, or holds more than tensors.
    """
    readers: dict[str, Callable[[Path], Any]] = {
        ".safetensors": safetensors.torch.load_file,
        ".npz": _read_npz,
        **dict.fromkeys((".pt", ".pth", ".pyth"), _read_torch),
    }
    if path.suffix not in readers:
        raise CheckpointError(f"{path}: weights are read from {', '.join(readers)} files")
    try:
        content = readers[path.suffix](path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file", hint="correct backbone.weights.path, or download it") from None
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as weights: {error}",
            hint="download it again; or, if you trust it, save its tensors alone with safetensors.torch.save_file",
        ) from error
    return _bare_state(content, path)


def _read_torch(path: Path) -> Any:
    with torch.serialization.safe_globals(_HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_npz(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def _bare_state(content: Any, path: Path) -> dict[str, Tensor]:
    hint = "a checkpoint is a mapping from names to tensors, bare or under one of: " + ", ".join(WRAPPERS)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__} where a mapping was expected", hint=hint)
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return _bare_state(content[wrapper], path)
    for key, value in content.items():
        if not isinstance(value, Tensor):
            what = f"a {type(value).__name__} {str(key)!r}"
            raise CheckpointError(f"{path} holds {what} where tensors were expected", hint=hint)
    return {key.removeprefix("module."): value for key, value in content.items()}
