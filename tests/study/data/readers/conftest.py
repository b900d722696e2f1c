"""Small trees of the datasets' shapes, with made-up people and numbers."""

import csv
from pathlib import Path

import pytest
from openpyxl import Workbook
from PIL import Image


class Tree:
    """A dataset's folder in the making."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def images(self, folder: str, numbers, name: str = "img{}.jpg") -> Path:
        """Tiny images under these numbers; each differs from every other of the tree."""
        path = self.root / folder
        path.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            shade = hash_of(f"{folder}/{number}")
            Image.new("L", (8, 8), shade[0] % 256).save(path / name.format(number), comment=bytes(shade))
        return path

    def sheet(self, file: str, rows, title: str = "Sheet1", **others) -> Path:
        """A workbook with these rows, and others by title; or CSV."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            with path.open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows(rows)
            return path
        book = Workbook()
        book.active.title = title
        for row in rows:
            book.active.append(row)
        for name, cells in others.items():
            sheet = book.create_sheet(name)
            for row in cells:
                sheet.append(row)
        book.save(path)
        return path


def hash_of(text: str) -> bytes:
    import hashlib

    return hashlib.sha256(text.encode()).digest()[:8]


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)
