import pytest

from search_spaces.errors import UserError
from study.data import readers

OPTIONS = {"subjects": 3, "clips": 4, "seed": 7}


def test_a_planned_index_is_the_one_that_is_written(tmp_path):
    planned = readers.read("synthetic", None, OPTIONS)
    assert list(tmp_path.iterdir()) == []
    steps = []
    written = readers.materialise(planned, tmp_path, lambda done, total: steps.append((done, total)))
    assert written.table.equals(planned.table)
    assert (written.classes, written.name, written.truth) == (planned.classes, planned.name, readers.truth(planned))
    assert readers.truth(written) == written.truth
    assert steps[-1] == (12, 12)
    again = readers.materialise(planned, tmp_path, lambda *_: pytest.fail("rendered again"))
    assert again.root == written.root
    assert readers.materialise(written, tmp_path / "other") is written


def test_a_manifest_of_synthetic_data_knows_its_truth(dataset):
    assert readers.read("manifest", dataset, {}).truth["options"]["subjects"] == 3


def test_an_unknown_reader_is_refused():
    with pytest.raises(UserError, match=r"'casme' is not known; valid: casme2, .*synthetic, or package\.module:name"):
        readers.read("casme", None, {})


def test_every_bad_option_is_named():
    with pytest.raises(UserError) as error:
        readers.read("synthetic", None, {"subject": 3, "clips": "many", "motion": True})
    assert len(error.value.problems) == 3
    assert "valid: subjects, clips, seed" in error.value.problems[0]


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (":x", "names no module; expected: package.module:name"),
        (".relative:x", "names no module"),
        ("os:system", "of Python's own library, and no reader; expected: a function of path and options"),
        ("os.path:join", "of Python's own library"),
        ("os:abort", "of Python's own library"),
        ("json:loads", "of Python's own library"),
        ("shutil:rmtree", "of Python's own library"),
        ("collections:nothing", "of Python's own library"),
        ("yaml:nothing", "yaml has no nothing"),
    ],
)
def test_own_readers_that_are_none(reader, words):
    with pytest.raises(UserError, match=words):
        readers.read(reader, None, {})
