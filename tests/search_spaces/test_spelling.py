import os
import unicodedata

import pytest

from search_spaces.errors import UserError
from search_spaces.files import require_file
from search_spaces.spelling import spelling, spelt_twice

JOSE = [unicodedata.normalize(form, "josé") for form in ("NFC", "NFD")]


@pytest.mark.parametrize(
    "one, other",
    [
        JOSE,
        ("s1", "S01"),
        ("ｓ１", "s1"),
        ("1", "1.0"),
        ("1.5", "01.50"),
        ("٣", "3"),
        ("01", "1"),
        ("a  b", " a b"),
        ("Straße", "STRASSE"),
        ("ﬁn", "fin"),
        ("-1", "-1.0"),
        ("happy", "hap\u00adpy\u200b"),
    ],
)
def test_what_a_person_reads_as_one_name_is_one(one, other):
    assert spelling(one) == spelling(other)
    assert spelt_twice([one, other, one]) == [sorted([one, other])]


@pytest.mark.parametrize(
    "one, other",
    [("-1", "1"), ("s1", "s10"), ("1.5", "15"), ("1.05", "1.5"), ("a1b2", "a12"), ("a b", "ab"), ("v1.1", "v1.10")],
)
def test_names_that_differ_stay_two(one, other):
    assert spelling(one) != spelling(other)
    assert not spelt_twice([one, other])


def test_a_pipe_a_folder_and_a_device_are_told_before_they_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (tmp_path / "pipe", "a named pipe"), (tmp_path, "a folder"), ("/dev/zero", "a device"):
        with pytest.raises(UserError, match=f"is {kind}; expected: a study file"):
            require_file(tmp_path / path, "a study file")
    (tmp_path / "file").touch()
    require_file(tmp_path / "file", "a study file")
    require_file(tmp_path / "absent", "a study file")
