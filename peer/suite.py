"""One run of the suite, and what became of each of its tests."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VENV = ROOT / ".venv-peer"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LEFT_OUT = (
    "distributed",
    "stress",
    "property/test_persist.py",
    "property/test_cross_version_persist.py",
    "property/test_add_mcmr.py",
    "property/test_collections_with_database_tenant_overwrite.py",
    "auth/test_rbac_authz.py",
)
"""What needs a cluster, hours, Chroma's own files, two regions on ports 8000 and 8001, or Chroma's former server."""
DESELECTED = (
    "ef/test_default_ef.py::test_invalid_sha256",
    "ef/test_default_ef.py::test_partial_download",
    "test_api.py::test_ssl_self_signed",
    "test_cli.py::test_app",
)
"""What deletes the model that later tests need, to fetch it again; waits for Chroma's former server; or never ends."""
TEST_SECONDS, REASON_LENGTH = 300, 160
MARK = "[single-region]"
PYTEST_INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
junit_family = xunit1
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a test: `passed`, `failed` or `skipped`, and in one line why."""

    kind: str
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """Which tests to run: files or node ids named from the suite's folder, and pytest's `-k`; none means all."""

    paths: tuple[str, ...] = ()
    expression: str = ""

    def __bool__(self) -> bool:
        return bool(self.paths or self.expression)


def prepare() -> None:
    """Make the environment of Chroma and its tests, unless it is there as asked for."""
    wanted, stamp = REQUIREMENTS.read_text(encoding="utf-8"), VENV / "requirements.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    subprocess.run([str(BIN / "python"), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def tests() -> Path:
    """Return the folder of the tests in the environment."""
    found = next(VENV.rglob("site-packages/chromadb/test"), None)
    assert found is not None, f"no tests in {VENV}: remove it and start again"
    return found


def run(port: int, folder: Path, preset: str, seed: int, selection: Selection) -> dict[str, Outcome]:
    """Run the tests against the server at `port`; return outcomes by node id, named from the suite's folder.

    The result goes to `folder`/junit.xml, what tests leave lying about to `folder`/work.
    """
    source, work, config = tests(), folder / "work", folder / "pytest.ini"
    work.mkdir()
    config.write_text(PYTEST_INI, encoding="utf-8")
    command = [str(BIN / "python"), "-m", "pytest", "-c", str(config), "--rootdir", str(source)]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}"]
    command += [f"--hypothesis-seed={seed}", f"--junitxml={folder / 'junit.xml'}", "--durations=20"]
    command += ["--quiet", "--tb=short", "--show-capture=no", "--disable-warnings"]
    command += [f"--ignore={source / part}" for part in LEFT_OUT] + [f"--deselect={name}" for name in DESELECTED]
    command += ["-k", selection.expression] if selection.expression else []
    command += [str(source / path) for path in selection.paths] or [str(source)]
    code = subprocess.run(command, check=False, cwd=work, env=_variables(port, preset)).returncode
    if code not in (0, 1):
        sys.exit(f"pytest stopped with code {code} before the end of the suite")
    return read(folder / "junit.xml")


def read(report: Path) -> dict[str, Outcome]:
    """Read a JUnit report. A test that failed and whose clean-up failed too is in it twice."""
    outcomes: dict[str, Outcome] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name, found = _node_id(case), _outcome(case)
        if name not in outcomes or found.kind == "failed":
            outcomes[name] = found
    return outcomes


def _outcome(case: ET.Element) -> Outcome:
    for tag, kind in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        if (element := case.find(tag)) is not None:
            return Outcome(kind, " ".join(element.get("message", "").split())[:REASON_LENGTH])
    return Outcome("passed")


def _node_id(case: ET.Element) -> str:
    """Return the id as pytest takes it on its command line; the suite appends a mark of its own, the same for all."""
    file, classes, name = case.get("file", ""), case.get("classname", ""), case.get("name", "")
    module = file.removesuffix(".py").replace("/", ".")
    inner = classes.removeprefix(module).removeprefix(".")
    return "::".join([file, *filter(None, inner.split(".")), name.removesuffix(MARK)])


def _variables(port: int, preset: str) -> dict[str, str]:
    """Return the environment of the tests: the caller's, less what would turn Chroma elsewhere; some start `python`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CHROMA_")} | {
        "CHROMA_INTEGRATION_TEST_ONLY": "1",
        "CHROMA_SERVER_HOST": "localhost",
        "CHROMA_SERVER_HTTP_PORT": str(port),
        "CHROMA_HYPOTHESIS_CI_REPRODUCE_ONLY": "1",  # do not spend minutes on making a failing example smaller
        "PROPERTY_TESTING_PRESET": preset,
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")]),
    }
