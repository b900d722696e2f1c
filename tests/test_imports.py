"""What imports what: rooms import those below them, and the analysis runs where neither torch nor ray is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study", "analysis", "search_spaces")
# The rooms, top down; which rooms below it each may import, and which packages of others. numpy and rich's like, which
# several rooms need, stand in each of their rows: a new arrow or package is a decision, made here.
ROOMS: dict[str, tuple[str, str]] = {
    "study.run": ("study.cli study.cluster", ""),
    "study.cli": (
        "study.scheduling study.cluster study.planning study.search study.tracking study.ledger study.trials "
        "study.data.inspection study.data.readers study.data.synthetic study.data.cache study.system analysis.report "
        "analysis.questions analysis.results analysis search_spaces",
        "rich typer",
    ),
    "study.scheduling": (
        "study.cluster study.planning study.search study.ledger study.trials study.training study.data.inspection "
        "study.data.readers study.data.cache study.data study.system analysis.stats analysis.results search_spaces",
        "cloudpickle numpy torch",
    ),
    "study.cluster": ("study.planning study.trials study.data study.system search_spaces", "ray"),
    "study.planning": (
        "study.search study.ledger study.trials study.training study.models study.data.inspection study.data.readers "
        "study.data.cache study.data.video study.data study.system analysis.stats search_spaces",
        "numpy torch",
    ),
    "study.search": ("study.ledger study.trials study.models analysis.stats search_spaces", "optuna"),
    "study.tracking": (
        "study.ledger study.trials study.models study.system analysis.stats search_spaces",
        "mlflow numpy sqlalchemy",
    ),
    "study.ledger": (
        "study.trials study.training study.models study.data study.system analysis.stats analysis.results "
        "search_spaces",
        "numpy pyarrow",
    ),
    "study.trials": (
        "study.training study.classical study.models study.data study.system analysis.stats search_spaces",
        "numpy torch",
    ),
    "study.classical": ("study.training study.models study.data search_spaces", "numpy skimage sklearn"),
    "study.training": ("study.models study.data study.system search_spaces", "numpy torch"),
    "study.models": ("study.system search_spaces", "numpy torch triton"),
    "study.data.inspection": (
        "study.data.readers study.data.cache study.data.video study.data study.system search_spaces",
        "PIL jinja2 numpy",
    ),
    "study.data.readers": (
        "study.data.synthetic study.data.video study.data study.system search_spaces",
        "openpyxl pyarrow pydantic",
    ),
    "study.data.synthetic": ("study.data.video study.data search_spaces", "av numpy pyarrow"),
    "study.data.cache": ("study.data.video study.data study.system search_spaces", "numpy pyarrow"),
    "study.data.video": ("study.data search_spaces", "PIL av decord numpy pyarrow"),
    "study.data": ("study.system search_spaces", "numpy pyarrow"),
    "study.system": ("search_spaces", "numpy torch"),
    "analysis.report": (
        "analysis.questions analysis.stats analysis.results analysis search_spaces",
        "jinja2 markupsafe matplotlib numpy",
    ),
    "analysis.questions": ("analysis.stats analysis.results analysis search_spaces", "numpy scipy sklearn"),
    "analysis.stats": ("analysis.results search_spaces", "numpy pandas scipy sklearn"),
    "analysis.results": ("search_spaces", "mlflow numpy pandas pyarrow sqlalchemy"),
    "analysis": ("", ""),
    "search_spaces": ("", "pydantic pydantic_core yaml"),
}
# Who alone may import them: where Ray runs, and where a ledger is read and written (its errors are told by the app).
ALONE = {
    "ray": ("study/scheduling/ray_process.py", "study/cluster/"),
    "sqlite3": ("study/ledger/", "study/cli/app.py"),
}
HEAVY = ("torch", "ray", "optuna", "mlflow", "decord", "av", "cv2", "sklearn", "skimage")
BLOCK = f"""
import sys
from importlib.abc import MetaPathFinder
class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def without_heavy(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True)


def modules(package: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
    )


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(name: str) -> str | None:
    """The room of a file or a module: the longest name of one that it begins with; `study` itself is none."""
    parts = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".").split(".")
    if parts == ["study"]:
        return ""
    return next((r for n in range(len(parts), 0, -1) if (r := ".".join(parts[:n])) in ROOMS), None)


def forbidden(path: str, text: str) -> Iterator[str]:
    """What a file imports and may not, and why."""
    own = room(path)
    if own is None:
        yield f"{path}: is in no room"
    if not own:
        return
    rooms, packages = (set(names.split()) for names in ROOMS[own])
    for module in imported(text):
        top = module.split(".")[0]
        if top in PACKAGES:
            if (other := room(module)) not in {own, *rooms}:
                yield f"{path}: {own} may not import {other} ({module})"
        elif top in ALONE:
            if not path.startswith(ALONE[top]):
                yield f"{path}: {own} may not import {top} outside {ALONE[top][0].split('/')[-1]}"
        elif top not in packages and top not in sys.stdlib_module_names:
            yield f"{path}: {own} may not import {top}"


def imported(text: str) -> Iterator[str]:
    """The modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_analysis_and_search_spaces_need_neither_torch_nor_ray():
    code = "".join(f"import {module}\n" for package in ("search_spaces", "analysis") for module in modules(package))
    done = without_heavy(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_report_is_written_without_torch_and_ray(small):
    folder = small.run(stages={"ablate": {"design": "one_at_a_time", "seeds": 1, "controls": ["null"]}})
    done = without_heavy(f"from study.cli.app import main\nmain(['report', {str(folder)!r}])")
    assert done.returncode == 0, done.stderr
    assert (folder / "report/report.html").exists()


def test_what_is_not_installed_is_named_with_the_remedy(tmp_path):
    done = without_heavy(f"from study.cli.app import main\nmain(['run', '--serial', '--storage', {str(tmp_path)!r}])")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "losolab[run]" in done.stderr


def test_help_imports_nothing_that_takes_long():
    heavy = (*HEAVY, "numpy", "pandas", "pyarrow", "pydantic", "scipy")
    took = f"{{*sys.modules}} & {{*{heavy}}}"
    code = f"import sys, study.cli.app\nassert not {took}, sorted({took})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_file_imports_what_its_room_may():
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert [why for path in files for why in forbidden(relative(path), path.read_text(encoding="utf-8"))] == []


def test_rooms_import_rooms_below_them_only():
    order = list(ROOMS)
    for room, (below, _) in ROOMS.items():
        assert all(order.index(other) > order.index(room) for other in below.split()), room


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("study/ledger/planted.py", "from study.cli import app", "study.ledger may not import study.cli"),
        (
            "study/planning/planted.py",
            "def f():\n    import study.scheduling.driver",
            "may not import study.scheduling",
        ),
        ("study/scheduling/driver.py", "import ray", "study.scheduling may not import ray outside ray_process.py"),
        ("analysis/stats/planted.py", "from torch import nn", "analysis.stats may not import torch"),
        ("study/data/planted.py", "from study.data.readers import manifest", "may not import study.data.readers"),
        ("study/planted.py", "", "study/planted.py: is in no room"),
    ],
)
def test_an_import_that_goes_up_is_found(path, text, why):
    assert why in " ".join(forbidden(path, text))


def test_no_module_of_study_bears_a_name_of_the_standard_library():
    """`python study/run.py` puts the folder study at the head of the import path."""
    assert not {path.stem for path in (ROOT / "study").glob("*.py")} & sys.stdlib_module_names
