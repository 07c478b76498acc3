"""Outsiders can add a collector, a rule, a report and a command; a broken plugin harms nobody."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastwords import hookspecs, plugins

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"

BROKEN = {
    "lw_import": "import no_such_module_anywhere",
    "lw_raises": (
        "from lastwords.hookspecs import hookimpl\n"
        "@hookimpl\ndef register_collectors(register):\n    raise RuntimeError('three\\nlines\\nlong')\n"
    ),
    "lw_typo": "from lastwords.hookspecs import hookimpl\n@hookimpl\ndef register_collektors(register):\n    pass\n",
    "lw_wrong": (
        "from lastwords.hookspecs import hookimpl\n"
        "@hookimpl\ndef register_rules(register):\n    register('no rule')\n"
    ),
}


def install(folder: Path, name: str, code: str) -> None:
    """Lay a distribution with one module and one entry point into *folder*, as pip would."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lastwords]\n{name} = {name}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example plugin, installed by pip, and four broken ones."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for path in (HERE / "example_plugin").glob("*.*"):
        (source / path.name).write_text(path.read_text())
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", str(folder), str(source)], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stderr)
    for name, code in BROKEN.items():
        install(folder, name, code)
    return folder


def lastwords(site: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), **env}
    return subprocess.run(
        [sys.executable, "-m", "lastwords", *argv],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


def test_the_example_works_from_gathering_to_report(site: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    done = lastwords(site, "collect", "-q", "--only", "host,entropy", "--format", "dir", "-o", str(bundle))
    assert done.returncode == 0, done.stderr
    bits = json.loads((bundle / "facts/entropy.json").read_text())["bits"]
    assert bits > 0
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["collectors"]["entropy"]["schema"] == "urn:lastwords-entropy:schema:entropy:1.0"
    assert lastwords(site, "validate", str(bundle)).returncode == 0
    (bundle / "facts/entropy.json").write_text('{"bits": 7}')
    done = lastwords(site, "open", "--json", "--fail-on", "warning", str(bundle))
    assert done.returncode == 1
    assert [f["id"] for f in json.loads(done.stdout)["findings"] if f["id"] == "entropy-low"]
    done = lastwords(site, "open", "--format", "oneline", str(bundle))
    assert "entropy-low" in done.stdout
    assert int(lastwords(site, "entropy").stdout) > 0
    assert lastwords(site, "schema", "entropy").returncode == 0
    assert "    systemctl enable --now rngd.service" in lastwords(site, "plan", "entropy").stdout.splitlines()


def test_broken_plugins_are_named_and_harm_nobody(site: Path) -> None:
    done = lastwords(site, "plugins", "--json")
    assert done.returncode == 0, done.stderr
    by_name = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
    assert by_name["entropy"]["error"] is None
    assert by_name["entropy"]["origin"] == "lastwords-entropy"
    assert by_name["entropy"]["registered"]["collectors"] == ["entropy"]
    assert "no_such_module_anywhere" in by_name["lw_import"]["error"]
    assert by_name["lw_raises"]["error"] == "RuntimeError: three lines long"
    assert "register_collektors" in by_name["lw_typo"]["error"]
    assert "is not a Rule" in by_name["lw_wrong"]["error"]
    assert "host" in by_name["lastwords.collectors"]["registered"]["collectors"]
    said = [line for line in done.stderr.splitlines() if "cannot be used" in line]
    assert (
        len(said) == 4
        and "lastwords: plugin lw_raises cannot be used: RuntimeError: three lines long" in said
    )


def test_the_environment_chooses_plugins(site: Path) -> None:
    names = [
        p["name"] for p in json.loads(lastwords(site, "plugins", "--json", LASTWORDS_NO_PLUGINS="1").stdout)
    ]
    assert names == list(plugins.BUILTIN)
    listed = json.loads(lastwords(site, "plugins", "--json", LASTWORDS_PLUGINS="entropy").stdout)
    assert [p["name"] for p in listed] == [*plugins.BUILTIN, "entropy"]


def test_the_guide_shows_every_hook_and_the_code_of_the_example() -> None:
    guide = (DOCS / "plugins.md").read_text()
    for name in vars(hookspecs):
        if name.startswith("register_"):
            assert f"`{name}(" in guide
    code = (HERE / "example_plugin" / "lastwords_entropy.py").read_text()
    for part in code.split("\n# -- ")[1:]:
        assert part.partition("\n")[2].strip() in guide


def test_every_package_is_installed() -> None:
    top = Path(__file__).parent.parent
    settings = configparser.ConfigParser()
    settings.read(top / "setup.cfg")
    source = top / "src"
    found = {
        ".".join(path.parent.relative_to(source).parts)
        for path in (source / "lastwords").rglob("__init__.py")
    }
    linked = {"lastwords.collectors", "lastwords.schemas", "lastwords.sos_plugins"}
    assert found | linked == set(settings["options"]["packages"].split())
