"""Names that content gives: digests of values, and seeds of random streams. Standard library only."""

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """SHA-256 (hexadecimal, 64 digits) of a value's canonical JSON: sorted keys, no spaces, shortest floats.

    Raises TypeError for what JSON cannot hold and ValueError for NaN and infinity, which have no one spelling.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def stream(*names: str | int) -> int:
    """Seed (64 bits) of the random stream with this name, e.g. `stream("dropout", seed, held_out, step)`.

    Streams of different names are independent, whatever is drawn from the others and in which order.
    """
    return int(digest(list(names))[:16], 16)
