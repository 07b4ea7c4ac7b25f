"""Holds the backbones to medvid's contract, as medvid's own are."""

from importlib.util import find_spec

from families import SPECS
from medvid.testing import ComponentCheck, host_with, parametrize_with_checks

HOST = host_with(*(spec for name, spec in SPECS.items() if name == "timm" or find_spec("vit_pytorch")))


@parametrize_with_checks("under_test", host=HOST)
def test_conformance(check: ComponentCheck) -> None:
    check()
