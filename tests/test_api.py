"""The Python interface: loaded late, typed, and the same as the command line; the example bot uses it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jsonschema
import pytest
from hosttree import host_tree, write_tree

import lastwords
from lastwords import api, schemas

TOP = Path(__file__).parents[1]
BOT = TOP / "examples" / "watch_uploads.py"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = write_tree(host_tree("rhel7"), tmp_path_factory.mktemp("host") / "rhel7")
    for name in ("boot", "dev"):  # images that are zeros, devices that are not there: reasons not to boot
        shutil.rmtree(top / name)
    return top


@pytest.fixture(scope="module")
def bundle(tree: Path) -> Path:
    """A bundle of a golden host."""
    path = tree.parent / "bundle.tar.gz"
    done = subprocess.run(
        [sys.executable, "-m", "lastwords", "collect", "-q", "--root", str(tree), "--format", "tar.gz", "-o", str(path)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return path


def test_importing_it_loads_nothing_that_judges() -> None:
    code = "import sys, lastwords; lastwords.__version__; print(*sorted(m for m in sys.modules if '.' not in m or 'lastwords' in m))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "lastwords" in loaded
    assert [name for name in loaded if name.startswith("lastwords.")] == []
    assert not {"rich", "jsonschema", "pluggy", "psutil", "zstandard"} & set(loaded)


def test_every_name_is_there_and_no_other() -> None:
    assert set(lastwords.__all__) - {"__version__"} == set(api.__all__)
    for name in api.__all__:
        assert getattr(lastwords, name) is getattr(api, name)
        assert name in dir(lastwords)
    with pytest.raises(AttributeError, match="no attribute 'findings'"):
        _ = lastwords.findings  # type: ignore[attr-defined]


def test_it_tells_what_the_command_tells(tree: Path) -> None:
    report = lastwords.open(tree, as_host=True)
    said = subprocess.run(
        [sys.executable, "-m", "lastwords", "open", "-q", "--json", "--root", str(tree)],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert json.loads(json.dumps(report.to_json())) == json.loads(said)
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(report.to_json())
    assert report.findings[0].severity is lastwords.Severity.CRITICAL
    assert report.facts["host"]["hostname"] == "app07.example.com"
    assert report.events[0]["kind"] == "segfault"
    assert report.story.causes[0].id == "out-of-memory"
    assert report.report("short").count("\n") <= 10
    assert report.since(report).changes == ()
    with pytest.raises(ValueError, match="expected one of"):
        report.report("nope")


def test_a_bundle_is_an_input_like_any_other(bundle: Path) -> None:
    report = lastwords.open(bundle)
    assert report.story.causes[0].id == "out-of-memory"
    assert [each.path for each in lastwords.open_all(bundle)] == [str(bundle)]


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        for function in (lastwords.open, lambda path: list(lastwords.open_all(path))):
            with pytest.raises(lastwords.LastwordsError, match=str(path)) as caught:
                function(path)
            assert "\n" not in str(caught.value)


def test_the_page_names_all_that_is_there() -> None:
    page = (TOP / "docs" / "api.md").read_text()
    assert [name for name in api.__all__ if f"lastwords.{name}" not in page] == []
    for name in vars(lastwords.Input):
        assert name.startswith("_") or f"`{name}" in page


# -- the example bot -------------------------------------------------------------------------------------


def bot(*argv: str) -> tuple[int, list[dict[str, object]], str]:
    done = subprocess.run(
        [sys.executable, str(BOT), "--once", "--settled", "0", *argv],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_the_bot_answers_each_upload_once(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "good.tar.gz").write_bytes(bundle.read_bytes())
    (tmp_path / "bad.tar.gz").write_bytes(b"not an archive" * 100)
    (tmp_path / ".hidden").write_text("x")
    code, lines, errors = bot(str(tmp_path))
    assert (code, errors) == (0, "")
    assert [(line.get("host"), "error" in line) for line in lines] == [
        (None, True),
        ("app07.example.com", False),
    ]
    assert lines[1]["story"] == "The machine ran out of memory, and report-gen was killed"
    ticket = (tmp_path / "good.tar.gz.lastwords.md").read_text()
    assert ticket.startswith("# lastwords: app07.example.com")
    verdicts = json.loads((tmp_path / "good.tar.gz.lastwords.json").read_text())
    jsonschema.Draft202012Validator(schemas.load("findings")).validate(verdicts[0])
    assert "error" in json.loads((tmp_path / "bad.tar.gz.lastwords.json").read_text())[0]
    assert bot(str(tmp_path)) == (0, [], "")
    os.utime(tmp_path / "good.tar.gz", (2e9, 2e9))
    assert bot(str(tmp_path))[1] == []  # it may still grow


def test_the_bot_tells_a_webhook(bundle: Path, tmp_path: Path) -> None:
    heard: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    (tmp_path / "good.tar.gz").write_bytes(bundle.read_bytes())
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        bot(str(tmp_path), "--hook", f"http://127.0.0.1:{server.server_port}/")
    assert heard == [{"text": "app07.example.com: The machine ran out of memory, and report-gen was killed"}]


def test_the_bot_needs_nothing_but_lastwords_and_python() -> None:
    tree = ast.parse(BOT.read_text())
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - {"lastwords"} <= set(sys.stdlib_module_names if sys.version_info >= (3, 10) else names)
    assert bot("/nonexistent")[0] == 2


def test_of_a_log_its_own_last_event_is_the_present(tmp_path: Path) -> None:
    log = tmp_path / "messages"
    log.write_text(
        "2020-03-01T10:00:00+0000 web kernel: Out of memory: Killed process 7 (java) total-vm:9kB, anon-rss:8kB\n"
    )
    (cause,) = lastwords.open(log).story.causes
    assert cause.id == "out-of-memory" and cause.severity is lastwords.Severity.WARNING
