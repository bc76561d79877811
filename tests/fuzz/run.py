"""Throws generated requests at a server of its own, for about three minutes: `make fuzz`.

Whatever comes, the answer must be one that the OpenAPI document describes, and none may be the server's own failure.
And each operation must have succeeded at least once, or nothing was tested but its refusals.
Arguments are handed on to schemathesis: `python tests/fuzz/run.py --max-time 20 --seed 1`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from ochre.server.operations import TABLE

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
"""What is checked of every answer. Left out are checks that take a refusal for a fault: a document cannot tell every
rule, such as which filters there are, so that a body of the right shape may well be refused."""

SECONDS = 170
_ADDRESS = re.compile(r"listening on (http://\S+)")


def main(arguments: list[str]) -> int:
    """Start a server, fuzz it, stop it; return an exit code: 0 if nothing was found and the server still lives."""
    with tempfile.TemporaryDirectory(prefix="ochre-fuzz-") as folder:
        data = Path(folder) / "data"
        ochre = [sys.executable, "-m", "ochre.cli.main"]
        key = subprocess.check_output([*ochre, "keys", "create", "fuzz", "--scope", "admin", "--path", data], text=True)
        options = ["--port", "0", "--allow-reset", "--synchronous", "off", "--max-body-bytes", "1000000"]
        log = (Path(folder) / "log").open("w+", encoding="utf-8")
        server = subprocess.Popen([*ochre, "run", "--path", data, *options], stderr=log)
        try:
            url = _address(Path(log.name), server)
            done = subprocess.run(
                _command(url, key.strip(), arguments), env=_environment(url, key.strip()), cwd=folder, check=False
            )
            idle = _never_done(url, key.strip())
            print(f"never answered with success: {', '.join(idle) or 'none'}")
            return done.returncode or int(bool(idle))
        finally:
            server.terminate()
            server.wait(60)
            log.close()


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    while server.poll() is None:
        found = _ADDRESS.search(log.read_text(encoding="utf-8"))
        if found:
            return found[1]
    raise SystemExit(log.read_text(encoding="utf-8"))


def _never_done(url: str, key: str) -> list[str]:
    """Return the operations that never succeeded. No resource name leads anywhere, so that one does not count."""
    text = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}).text
    done = set(re.findall(r'ochre_requests_total\{operation="(\w+)",status="2\d\d"\}', text))
    expected = {operation.name for operation in TABLE.operations if operation.there}
    return sorted(expected - done - {"get_collection_by_crn"})


def _command(url: str, key: str, arguments: list[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
        *("--exclude-tag", "not supported yet", "--max-time", str(SECONDS), "--max-examples", "200"),
        *("--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"),
        *arguments,
    ]


def _environment(url: str, key: str) -> dict[str, str]:
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "FUZZ_URL": url, "FUZZ_KEY": key}
    root = str(Path(__file__).parents[2])
    return os.environ | hooks | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
