import pytest

from search_spaces.errors import UserError
from study.data.synthetic import writer
from study.data.synthetic.dataset import clips
from study.data.synthetic.writer import synthesize


def test_the_folder_is_shaped_like_a_real_dataset(dataset, spec):
    files = {str(path.relative_to(dataset)) for path in dataset.rglob("*") if path.is_file()}
    assert files == {"clips.csv", "truth.json"} | {one.source for one in clips(spec)}
    assert {path.suffix for path in dataset.rglob("rawvideo/*/*")} == {".mp4", ".avi"}


def test_nothing_half_written_remains(tmp_path, spec, monkeypatch):
    done = []

    def fail(*arguments):
        done.append(arguments)
        if len(done) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(writer, "encode", fail)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "faces", spec)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(dataset, spec):
    with pytest.raises(UserError, match="is there already"):
        synthesize(dataset, spec)
