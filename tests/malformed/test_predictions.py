"""Malformed predictions made elsewhere, published numbers and MLflow addresses: `losolab report` refuses them."""

import os
import socket
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from analysis.results.load import load_results
from tests.malformed.command import refused

for module in (
    "analysis.report.report",
    "study.ledger.export",
    "study.ledger.writer",
):  # in this process once, not in every fork of it
    import_module(module)

HEAD = "subject,clip_id,y_true,y_pred"
LITERATURE = "method,dataset,metric,value,clips,source,marks"


def table(head: str = HEAD, change: dict[int, str] | None = None, more: str = "", subject: str = "s{}") -> str:
    """Twelve predictions of three subjects; `change`: other text of some rows, `more`: further cells of every row."""
    rows = [f"{subject.format(i % 3)},c{i},{'ab'[i % 2]},{'aab'[i % 3]}{more}" for i in range(12)]
    for row, text in (change or {}).items():
        rows[row] = text
    return "\n".join([head, *rows]) + "\n"


def both(one: str, other: str) -> str:
    """The same rows of two configurations, subjects spelt in two ways: 8 people, or 16."""
    rows = [f"{name.format(i)},c{j},{label},{label},{configuration}" for configuration, name in ((0, one), (1, other))
            for i in range(1, 9) for j, label in enumerate("ab")]  # fmt: skip
    return "\n".join([f"{HEAD},configuration", *rows])


SEED, SHARES = f"{HEAD},seed", f"{HEAD},probabilities"
TABLES = {
    "a seed of 5,000 digits": (table(SEED, more="," + "7" * 5000), "row 2: seed '777", "an integer"),
    "a seed of 1e999": (table(SEED, more=",1e999"), "row 2: seed '1e999' is not an integer"),
    "a seed of 1e999999999": (table(SEED, more=",1e999999999"), "row 13: seed '1e999999999' is not an integer"),
    "a seed of 1_0": (table(SEED, more=",1_0"), "seed '1_0' is not an integer"),
    "an Arabic-Indic seed": (table(SEED, more=",٣"), "seed '٣' is not an integer"),
    "a seed with a decimal comma": (
        table(SEED, more=",1,0"),
        "row 2: more fields than the header names",
        "0.5 for 0,5",
    ),
    "NaN": (table(SHARES, more=',"[NaN, 1]"'), "row 2: probabilities '[NaN, 1]' is not", "from 0 to 1"),
    "inf": (table(SHARES, more=',"[1e999, 0]"'), "probabilities '[1e999, 0]' is not"),
    "above 1": (table(SHARES, more=',"[73.5, 26.5]"'), "probabilities '[73.5, 26.5]' is not"),
    "words": (table(SHARES, more=',"[""0.5"", true]"'), "is not a JSON list of numbers from 0 to 1, one a class"),
    "nested 10,000 deep": (table(SHARES, more="," + "[" * 10_000 + "]" * 10_000), "row 2: probabilities '[[["),
    "a number of 5,000 digits": (table(SHARES, more=f',"[{"1" * 5000}]"'), "row 2: probabilities '[111"),
    "one for two classes": (table(SHARES, more=",[1]"), "needs 2 probabilities, one a class"),
    "s1 and S01": (both("s{}", "S0{}"), "'S01' (table.csv, row 18) and 's1' (table.csv, row 2) are one subject"),
    "full-width letters": (both("s{}", "ｓ{}"), "are one subject in 2 spellings"),
    "composed accents": (both("jose\u0301{}", "jos\u00e9{}"), "are one subject in 2 spellings"),
    "1 and 1.0": (both("{}", "{}.0"), "'1' (table.csv, row 2) and '1.0' (table.csv, row 18) are one subject"),
    "labels": (table(change={4: "s1,c4,A,b"}), "'A' (table.csv, row 6) and 'a'", "are one label in 2 spellings"),
    "a predicted label": (table(change={4: "s1,c4,a,B"}), "are one label in 2 spellings"),
    "configurations": (table(f"{HEAD},configuration", {4: "s1,c4,a,b,Depth 2"}, ",depth 02"), "are one configuration"),
    "a column twice": (table(f"{HEAD},subject", more=",x"), "two columns are called 'subject'; leave one"),
    "a column in two spellings": (table(f"{HEAD},Seed,seed", more=",1,1"), "'Seed' and 'seed' are one name"),
    "another case": (table("Subject,clip_id,y_true,y_pred"), "columns missing: subject (it has 'Subject' for subject)"),
    "a cell too many": (
        table(change={3: "s0,c3,a,b,c"}),
        "row 5: more fields than the header names (5 by commas, not 4)",
    ),
    "a cell too few": (table(change={3: "s0,c3,a"}), "row 5: fewer fields than the header names (3 by commas, not 4)"),
    "NA": (table(change={3: "s0,c3,b,NA"}), "row 5: no y_pred ('NA'; leave the row out"),
    "N/A": (table(change={3: "s0,N/A,b,b"}), "row 5: no clip_id ('N/A'; leave the row out"),
    "a blank cell": (table(change={3: "s0, ,b,b"}), "row 5: no clip_id"),
    "nothing": ("", "columns missing: subject, clip_id, y_true, y_pred; needed are"),
    "a header": (HEAD + "\n\n", "no rows below the header"),
    "blank rows": (HEAD + "\n,,,\n \n", "no rows below the header"),
    "20,000 bad rows": (table(change={3: "x\n" * 20_000}), "row 5: fewer fields", "... and 19,980 more like these"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_predictions(name, tmp_path):
    text, *tells = TABLES[name]
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    refused("report", "table.csv", cwd=tmp_path, tells=("table", *tells))


def test_files_that_are_no_tables(tmp_path):
    good = tmp_path / "good.csv"
    good.write_text(table(), encoding="utf-8")
    for name, kind in (("pipe.csv", os.mkfifo), ("folder.csv", os.mkdir), ("pipe.parquet", os.mkfifo)):
        kind(tmp_path / name)
        refused("report", name, cwd=tmp_path, tells=(name, "is a "))
        if name.endswith(".csv"):
            refused("report", good, "--literature", name, cwd=tmp_path, tells=(name, "is a "))
    refused(
        "report", good, "--literature", "/dev/zero", cwd=tmp_path, tells=("/dev/zero: is a device", "method, dataset")
    )
    for name, content in {"gbk.csv": "主体,clip_id".encode("gbk"), "utf16.csv": table().encode("utf-16")}.items():
        (tmp_path / name).write_bytes(content)
        refused("report", name, cwd=tmp_path, tells=(name, "not in UTF-8", "save it as CSV UTF-8"))
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 and no more")
    refused("report", "junk.parquet", cwd=tmp_path, tells=("junk.parquet: not a readable table",))
    study = tmp_path / "study"
    study.mkdir()
    os.mkfifo(study / "trials.parquet")
    refused("report", "study", cwd=tmp_path, tells=("trials.parquet: is a named pipe",))


def test_published_numbers(tmp_path):
    (tmp_path / "good.csv").write_text(table(), encoding="utf-8")
    row = "STSTNet,SMIC,UF1,0.5,442,paper,"
    for text, *tells in (
        ("", "columns missing: method"),
        (LITERATURE, "no rows below the header"),
        (f"{LITERATURE},Method\n{row},x", "the columns 'Method' and 'method' are one name"),
        (f"{LITERATURE}\n{row},x", "row 2: more fields than the header names (8 by commas, not 7)"),
        (f"{LITERATURE}\n{row}\n{row.replace('STSTNet', 'ststnet')}", "'STSTNet' and 'ststnet' are one method"),
        (f"{LITERATURE}\n{row.replace('0.5', '1_0')}", "row 2: value '1_0' is not a number from 0 to 1"),
        (f"{LITERATURE}\n{row.replace('442', '9' * 5000)}", "row 2: clips '999", "is not a whole number"),
        (f"{LITERATURE}\n{row}".replace(",", ";").replace("0.5", "0,5"), "row 2: value '0,5' is not a number"),
    ):
        (tmp_path / "published.csv").write_text(text, encoding="utf-8")
        refused("report", "good.csv", "--literature", "published.csv", cwd=tmp_path, tells=("published.csv", *tells))


def test_addresses_of_mlflow(tmp_path):
    (tmp_path / "junk.db").write_text("no database")
    os.mkfifo(tmp_path / "pipe.db")
    for address, tells in {
        "mlflow:": "names no experiment",
        "mlflow:#": "names no experiment",
        "mlflow:http://127.0.0.1:99999#x": "Port out of range",
        "mlflow:http://[::1#x": "MLflow cannot read it",
        "mlflow:http://#x": "no host",
        "mlflow:http://me:secret@127.0.0.1:9#x": "127.0.0.1 does not answer",
        "mlflow:nowhere://a/b#x": "MLflow cannot read it (nowhere)",
        "mlflow:some/where#x": "there is no MLflow store some/where",
        "mlflow:sqlite:///#x": "there is no MLflow store",
        "mlflow:sqlite:///junk.db#x": "junk.db is no SQLite file",
        "mlflow:sqlite:///pipe.db#x": "pipe.db is a named pipe",
        "mlflow:postgresql+nodriver://h/b#x": "MLflow cannot read it",
    }.items():
        said = refused("report", address, cwd=tmp_path, tells=(tells,))
        assert "secret" not in said


def test_a_database_without_its_driver(tmp_path):
    pytest.importorskip("sqlalchemy")
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as server:
        patch.setitem(sys.modules, "psycopg", None)
        address = f"mlflow:postgresql+psycopg://me:secret@127.0.0.1:{server.getsockname()[1]}/b#x"
        said = refused("report", address, cwd=tmp_path, tells=("needs the Python package psycopg, which is not",))
    assert "secret" not in said


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_what_spreadsheets_write_is_read(separator, tmp_path):
    """A byte-order mark, Windows' ends of lines, a separator at the end of every row, blank rows below."""
    rows = table().splitlines()
    text = "".join(f"{row.replace(',', separator)}{separator}\r\n" for row in rows) + f"{separator * 4}\r\n\r\n"
    written, plain = tmp_path / "excel.csv", tmp_path / "plain.csv"
    written.write_bytes(b"\xef\xbb\xbf" + text.encode())
    plain.write_text("\n".join(rows))
    pd.testing.assert_frame_equal(_answers(written), _answers(plain))


def _answers(path: Path) -> pd.DataFrame:
    return load_results(path).predictions[["subject", "clip_id", "y_true", "y_pred", "seed"]]
