"""Files of every format are read as recorded, and what differs is found."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file
from tests.parity.recorded import FIXTURES, Comparison, published, sidecar


def test_files_of_formats_are_read_as_recorded(comparison: Comparison) -> None:
    comparison.assert_agrees("formats", checks=143)


@pytest.mark.parametrize("key", ["mha.affine", "nrrd_vector.array_channel_first", "nrrd_slicer_segments.tumour"])
def test_other_voxels_and_places_are_found(comparison: Comparison, tmp_path: Path, key: str) -> None:
    shutil.copytree(FIXTURES / "formats", tmp_path / "formats")
    tensors = published("formats", "")
    tensors[key].view(-1)[0] = tensors[key].view(-1)[0].logical_not() if key.endswith("tumour") else 999
    save_file(tensors, tmp_path / "a.safetensors")
    (tmp_path / "a.json").write_text(json.dumps(sidecar("formats")))
    assert comparison.verify([str(tmp_path / "a.safetensors")]) == 1
    assert comparison.captured.readouterr().out.count("DIFFERS") == 1
