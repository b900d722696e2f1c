"""A copy of a ledger as it is at one moment, beside a running driver too: SQLite copies it, never the file system."""

from contextlib import closing
from pathlib import Path

from search_spaces.errors import UserError
from search_spaces.files import written_whole
from study.ledger.schema import ledger_path, read_only


def copy_ledger(folder: Path, target: Path) -> None:
    """To a study's folder, or a file *.sqlite: whole or not at all. Raises UserError where it is there already."""
    path = target if target.suffix == ".sqlite" else ledger_path(target)
    if path.exists():
        raise UserError(f"{path}: is there already; give another place")
    with closing(read_only(folder)) as db:
        path.parent.mkdir(parents=True, exist_ok=True)
        db.rollback()  # SQLite copies one moment by itself, and not inside a transaction
        with written_whole(path) as draft:
            db.execute("vacuum into ?", (str(draft),))
