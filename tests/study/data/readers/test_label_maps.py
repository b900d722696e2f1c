"""Label maps hold the counts that are published, given the counts of each word in the datasets' sheets."""

import pytest

from search_spaces.errors import UserError
from study.data.readers.label_maps import MAPS, WORDS, label_map, normal, roman

CASME2 = {"others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7, "fear": 2}
SAMM = {
    "Anger": 57,
    "Other": 26,
    "Happiness": 26,
    "Surprise": 15,
    "Contempt": 12,
    "Disgust": 9,
    "Fear": 8,
    "Sadness": 6,
}


def counts(name, dataset, words):
    chosen = label_map(name, None, dataset)
    return [sum(n for word, n in words.items() if chosen.to.get(normal(word)) == label) for label in chosen.classes]


def test_published_counts():
    assert counts("megc3", "casme2", CASME2) == [90, 32, 25]  # the official list has two negative clips less
    assert counts("megc3", "samm", SAMM) == [92, 26, 15]
    assert sum(counts("casme2_5", "casme2", CASME2)) == 246
    assert counts("samm_5", "samm", SAMM) == [57, 12, 26, 15, 26]


def test_every_map_reads_words_of_its_datasets():
    for by_dataset in MAPS.values():
        for dataset, chosen in by_dataset.items():
            assert set(chosen.to) <= set(WORDS[dataset][chosen.kind])
            assert set(chosen.to.values()) == set(chosen.classes)


def test_a_map_of_ones_own_keeps_the_order_it_is_written_in():
    chosen = label_map({"Surprise": "b", "others": "a"}, None, "casme2")
    assert (chosen.kind, chosen.classes, chosen.to) == ("emotion", ("b", "a"), {"surprise": "b", "others": "a"})
    assert label_map({"whatever": "a"}, "reported", "casme_squared").kind == "reported"


@pytest.mark.parametrize(
    ("labels", "kind", "words"),
    [
        ("valence4", None, "valence4 does not fit casme2; valid: megc3, objective5, casme2_5"),
        ("mine", None, "mine is no label map of casme2"),
        ("megc3", "emotion", "labels_from belongs to a mapping of your own"),
        ({"a": "b"}, "valence", "labels_from is 'valence'; valid for casme2: emotion, objective"),
        ({"fear": "Bad", "sadness": "bad"}, None, "'Bad' and 'bad' are one name spelt two ways; keep one"),
        ({"fear": "b", "Fear": "c"}, None, "'fear' and 'Fear' are one name spelt two ways"),
        ({"joy": "b"}, None, "'joy' is no emotion of casme2; valid: disgust, fear"),
    ],
)
def test_a_map_that_does_not_fit(labels, kind, words):
    with pytest.raises(UserError) as error:
        label_map(labels, kind, "casme2")
    assert words in str(error.value)


def test_objective_classes():
    assert [normal(roman(text)) for text in ("1", "7", "III", "8", "x")] == ["i", "vii", "iii", "8", "x"]
