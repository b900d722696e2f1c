"""Changed data: clips and labels that are not those with which a study began, told before anything is decoded."""

import json
from contextlib import closing
from pathlib import Path

from study.data.clips import ClipIndex, assemble
from study.ledger.damage import damage
from study.ledger.schema import has_begun, read_only


def changed_data(index: ClipIndex, folder: Path) -> list[str]:
    """What is different from the data with which a study began, in words: before anything is decoded for it.

    Or what is damaged in its ledger, which then cannot tell.
    """
    if not has_begun(folder):
        return []
    if broken := damage(folder, orphans=False):
        return broken
    with closing(read_only(folder)) as db:
        study = db.execute("select identity, description from study").fetchone()
        if study is None or json.loads(study["identity"])["data"].get("index") == assemble(index, {}).digests["index"]:
            return []
        folds = db.execute("select predictions from fold group by held_out").fetchall()
    description = json.loads(study["description"])
    names = {name: tuple(place) for name, *place in description["clips"]}
    labels = {names[clip]: true for own in folds for clip, true, *_ in json.loads(own["predictions"])}
    there = {(row["dataset"], row["subject"], row["clip_id"]): row["label"] for row in index.table.to_pylist()}
    gone, new = sorted(set(names.values()) - set(there)), sorted(set(there) - set(names.values()))
    other = [f"{_name(p)} was {old} and is {there[p]}" for p, old in sorted(labels.items()) if there.get(p, old) != old]
    what = [f"{len(gone)} clips are gone ({_name(gone[0])})"] if gone else []
    what += [f"{len(new)} clips are new ({_name(new[0])})"] if new else []
    what += [f"labels of {len(other)} clips are others ({other[0]})"] if other else []
    what = what or ["what is said of its clips (onset, apex, offset, frame rate, classes or files)"]
    remedy = "put the data back as it was, or give the changed study a new name"
    return [f"{folder}: the data has changed since this study began: {'; '.join(what)}; {remedy}"]


def _name(place: tuple[str, ...]) -> str:
    dataset, subject, clip = place
    return f"{dataset} {subject} {clip}".strip()
