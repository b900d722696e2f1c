import re

import pytest

from search_spaces.errors import UserError
from study.cli.app import main
from study.data.cache import listing, store


@pytest.fixture
def storage(index, tmp_path):
    store.load(index, ("eyes", "mouth"), tmp_path / "cache")
    return tmp_path


def losolab(capsys, monkeypatch, *arguments):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_cache_is_listed(storage, index):
    eyes, mouth = listing.stored(storage / "cache")
    assert (eyes.master, mouth.master) == ("eyes", "mouth")
    assert (eyes.dataset, eyes.clips) == (index.name, len(index.table))
    assert eyes.frames == sum(row["offset"] - row["onset"] + 1 for row in index.table.to_pylist())


def test_a_damaged_file_is_found_and_removed_and_built_again(storage, index, capsys, monkeypatch):
    (file,) = (storage / "cache").glob("eyes-*.arrow")
    assert losolab(capsys, monkeypatch, "cache", "check", "--storage", storage)[0] == 0
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    code, _, err = losolab(capsys, monkeypatch, "cache", "check", "--storage", storage)
    assert code == 2
    remedy = re.search(r"losolab data (cache remove \S+)", err).group(1)
    assert losolab(capsys, monkeypatch, *remedy.split(), "--storage", storage)[0] == 0
    assert not file.exists()
    store.load(index, ("eyes",), storage / "cache")
    assert listing.damaged(storage / "cache") == []


def test_all_is_removed_with_what_builds_left(storage, capsys, monkeypatch):
    (storage / "cache" / store.BUILDING / "left.npy").write_bytes(b"part")
    assert "1 decoded parts" in losolab(capsys, monkeypatch, "cache", "list", "--storage", storage)[1]
    assert "removed 3 files" in losolab(capsys, monkeypatch, "cache", "remove", "all", "--storage", storage)[1]
    assert listing.stored(storage / "cache") == [] == listing.unfinished(storage / "cache")


def test_mistakes_are_told(storage):
    with pytest.raises(UserError, match="holds no nose; there are: eyes-"):
        listing.remove(storage / "cache", ["nose"])
    with pytest.raises(UserError, match="there is no cache; give the storage"):
        listing.stored(storage / "nowhere")
    (storage / "cache/other.arrow").write_text("something else")
    with pytest.raises(UserError, match=r"other.arrow: is not of the cache"):
        listing.stored(storage / "cache")
    assert any("other.arrow" in problem for problem in listing.damaged(storage / "cache"))
