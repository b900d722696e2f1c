"""Videos and images that no decoder takes, or that would never end or fill the memory: the file, and the reason."""

import os
import struct
import zlib
from pathlib import Path

import pytest

from tests.films import film
from tests.malformed.command import refused

UNREADABLE = "not readable as a video ("
STUDY = """
name: unreadable
dataset: {path: clips.csv}
stages: {ablate: {design: one_at_a_time, vary: {depth: [2]}}}
"""
LARGE = "valid: at most 33,554,432"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *beside: bytes) -> bytes:
    """A black RGB image whose rows are there as far as they are few."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(min(height * (3 * width + 1), 10**6)))
    parts = (chunk(b"IHDR", header), *beside, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BOMB = zlib.compress(bytes(2**25))
CHUNKS = {
    "ztxt": chunk(b"zTXt", b"k\0\0" + BOMB),
    "itxt": chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB),
    "iccp": chunk(b"iCCP", b"k\0\0" + BOMB),
    "many": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**20))) * 80,
    "late": chunk(b"tEXt", b"k\0" + bytes(9)) + chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB),
}


def bad_files(folder: Path) -> dict[str, str]:
    """Writes them; what is said of each."""
    whole = film(folder / "whole.mp4").read_bytes()
    avi, mkv = film(folder / "whole.avi").read_bytes(), film(folder / "whole.mkv").read_bytes()
    index = whole.index(b"moov") - 4  # at the end of the file
    contents = {f"index{cut}.mp4": whole[: index + cut] for cut in (4, 60, 300, 480, 520, 600, 700)}
    contents |= {f"header{cut}.mkv": mkv[:cut] for cut in (4, 12, 48, 100, 300)}
    contents |= {"junk1.gif": b"GIF89a", "junk2.gif": bytes(900), "junk3.gif": b"GIF89a" + bytes(range(256))}
    contents |= {"junk4.gif": b"no picture" * 99, "junk5.gif": png(8, 8)[:30], "empty.gif": b""}
    contents |= {
        f"codec{tag}.avi": avi.replace(b"FMP4", tag.encode()) for tag in ("XYZW", "LAGS", "ULRG", "CFHD", "MAGY")
    }
    contents["codec.mp4"] = whole.replace(b"mp4v", b"zzzz").replace(b"esds", b"free")
    said = {name: "0 bytes" if name == "empty.gif" else UNREADABLE for name in contents}
    said["junk5.gif"] = "its pictures are damaged, or too large"
    sizes = ((9000, 9000), (12000, 12000), (30000, 30000), (60000, 60000), (2**30, 1))
    bombs = {f"bomb{width}": png(width, height) for width, height in sizes}
    contents |= {f"{name}.png": content for name, content in bombs.items()}
    said |= {f"{name}.png": LARGE for name in bombs}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name, content in (bombs | {name: png(8, 8, extra) for name, extra in CHUNKS.items()}).items():
        (folder / name).mkdir()
        (folder / name / "img1.png").write_bytes(content + b"its own")  # no copy of another
        said[f"{name}/img1.png"] = LARGE if name in bombs else "img1.png: not readable as an image ("
    return said


def table(folder: Path, sources: list[str]) -> Path:
    rows = [f"c{number},s{number % 3},{'ab'[number % 2]},0,0,{source}" for number, source in enumerate(sources)]
    file = folder / "clips.csv"
    file.write_text("\n".join(["clip_id,subject,label,onset,offset,source", *rows]))
    return file


def test_every_bad_file_is_named_with_its_reason_and_none_hides_another(tmp_path):
    said = bad_files(tmp_path)
    file = table(tmp_path, sorted({name.removesuffix("/img1.png") for name in said} | {"whole.mp4"}))
    found = refused("check", "manifest", file, "--decode", cwd=tmp_path).splitlines()
    for name, words in said.items():
        assert any(f"{name}: " in line and words in line for line in found), name
    assert not any("whole.mp4" in line for line in found)
    (tmp_path / "study.yaml").write_text(STUDY)
    for command in (("look", "manifest", file), ("plan", "study.yaml")):
        refused(*command, cwd=tmp_path, tells=(UNREADABLE, "codecXYZW.avi: ", "... and "))


@pytest.mark.parametrize("command", ["check", "look"])
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, command):
    film(tmp_path / "whole.mp4")
    names = {"pipe.avi": "a named pipe", "pipe.mp4": "a named pipe", "zero.avi": "a device", "null.mkv": "a device"}
    for name, kind in names.items():
        path = tmp_path / name
        os.mkfifo(path) if "pipe" in kind else path.symlink_to(f"/dev/{path.stem}")
    for name in ("piped", "tree"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "img0.png").write_bytes(png(8, 8))
    os.mkfifo(tmp_path / "piped/img1.png")
    (tmp_path / "tree/img1.png").mkdir()
    names |= {"piped/img1.png": "a named pipe", "tree/img1.png": "a folder"}
    table(tmp_path, [*(name.removesuffix("/img1.png") for name in names), "whole.mp4"])
    found = refused(command, "manifest", tmp_path, cwd=tmp_path)
    for name, kind in names.items():
        if command == "look" and "/" in name:
            continue  # the manifest is refused before any folder of images is looked into
        assert any(name in line and f"is {kind}" in line and "expected: " in line for line in found.splitlines()), found


@pytest.mark.parametrize("name", ["08:15:30.avi", "file:a.avi", "concat:a|b.avi", "a%03d.avi", "http:a.avi", "-i.avi"])
def test_no_name_is_taken_for_a_protocol(tmp_path, name, monkeypatch):
    from study.data.video.decode import count

    film(tmp_path / "a.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert count(Path(name)) == 12
