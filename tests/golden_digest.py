"""What two runs of a study must have in common, to the byte."""

import json
from contextlib import closing
from pathlib import Path

from search_spaces.digests import digest
from study.ledger.schema import read_only


def golden_digest(folder: Path) -> str:
    """SHA-256 of the canonical rows of a study's predictions: no time, host or path in them."""
    with closing(read_only(folder)) as db:
        rows = db.execute("select configuration, seed, held_out, predictions from fold").fetchall()
    return digest(
        sorted([row["configuration"], row["seed"], row["held_out"], json.loads(row["predictions"])] for row in rows)
    )
