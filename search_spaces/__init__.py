"""What a study can vary. This package needs the standard library, pydantic and yaml, and nothing else."""

from pathlib import Path

READY = Path(__file__).parent  # the ready studies lie beside this file
