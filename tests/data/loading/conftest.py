from tests.training.conftest import images

__all__ = ["images"]
