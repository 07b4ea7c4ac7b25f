"""Counter-based randomness: every random number is a function of where it is used, not of what ran before.

So a resumed run, or one with another number of loader workers, draws exactly the same numbers.
"""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """Hash the parts, e.g. ``(seed, "sample", epoch, case)``, to a seed in [0, 2**63).

    The parts' boundaries count: ``(1, 23)`` and ``(12, 3)`` give unrelated seeds.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
