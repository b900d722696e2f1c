"""What a study can vary. This package needs the standard library, pydantic and yaml, and nothing else."""
