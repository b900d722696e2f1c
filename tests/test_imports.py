"""What imports what: the analysis runs on a laptop that has neither torch nor ray, and imports go down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "ray", "optuna", "mlflow", "decord", "av", "cv2", "sklearn")
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


def test_analysis_and_search_spaces_need_neither_torch_nor_ray():
    code = "".join(f"import {module}\n" for package in ("search_spaces", "analysis") for module in modules(package))
    done = without_heavy(code)
    assert done.returncode == 0, done.stderr


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


@pytest.mark.parametrize(("package", "above"), [("search_spaces", {"analysis", "study"}), ("analysis", {"study"})])
def test_imports_go_down_only(package, above):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & above, f"{path}: imports {names}"


@pytest.mark.parametrize("module", modules("study"))
def test_no_module_of_study_bears_a_name_of_the_standard_library(module):
    assert module.split(".")[-1] not in sys.stdlib_module_names
