"""Every host in archives of archives, unpacked collections and directories is opened; what is damaged is said."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Union

import hosttree
import pytest
from hosttree import host_tree, write_tree

from lastwords import plugins
from lastwords.analyzer import collection
from lastwords.analyzer.collection import open_cases
from lastwords.analyzer.opening import NotOurs
from lastwords.model import Case, LastwordsError

COLLECTORS = {
    name: each for name, each in plugins.load().collectors().items() if name in ("host", "kernel_log")
}
HOSTS = {"rhel7": "app07.example.com", "rhel9": "db01.example.com"}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sosreports as archives, and the directories that they were made of."""
    top = tmp_path_factory.mktemp("reports")
    for host in HOSTS:
        folder = top / f"sosreport-{host}"
        write_tree(host_tree(host), folder)
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size > 1 << 20:
                path.unlink()  # images, which a report has not: here they are zeros, and look like a bomb
        (folder / "sos_commands").mkdir()
        (folder / "sos_reports").mkdir()
        (folder / "version.txt").write_text("sos-report (sos) 4.7\n")
        with tarfile.open(top / f"sosreport-{host}.tar.xz", "w:xz", preset=0) as archive:
            archive.add(folder, folder.name)
    return top


def pack(path: Path, names: dict[str, Path], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, source in names.items():
            archive.add(source, name)
    return path


def collected(path: Path, reports: Path) -> Path:
    """Return what sos collect makes: the archives of the hosts, with sos's own logs and checksums."""
    note = path.parent / "sos.log"
    note.write_text("collected")
    names = {
        f"sos-collector-x/sosreport-{host}.tar.xz": reports / f"sosreport-{host}.tar.xz" for host in HOSTS
    }
    names |= {f"sos-collector-x/sosreport-{host}.tar.xz.sha256": note for host in HOSTS}
    return pack(
        path, {**names, "sos-collector-x/sos_logs/sos.log": note, "sos-collector-x/sos_reports/m.json": note}
    )


def opened(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return host names and errors, by the name of the input below *path*."""
    hosts, errors = {}, {}
    for name, case in open_cases(str(path), COLLECTORS):
        short = name[len(str(path)) :]
        if isinstance(case, LastwordsError):
            errors[short] = str(case)
        else:
            hosts[short] = str(case.facts["host"]["hostname"])
    return hosts, errors


def names_of(found: dict[str, str]) -> list[str]:
    return sorted(found.values())


def test_a_single_host_is_itself(reports: Path) -> None:
    for host, hostname in HOSTS.items():
        assert opened(reports / f"sosreport-{host}.tar.xz") == ({"": hostname}, {})
        assert opened(reports / f"sosreport-{host}") == ({"": hostname}, {})


def test_an_archive_of_sos_collect_gives_every_host(reports: Path, tmp_path: Path) -> None:
    hosts, errors = opened(collected(tmp_path / "sos-collector-x.tar.gz", reports))
    assert hosts == {f"/sos-collector-x/sosreport-{host}.tar.xz": name for host, name in HOSTS.items()}
    assert errors == {}


def test_other_ways_to_pack_several_hosts(reports: Path, tmp_path: Path) -> None:
    inner = collected(tmp_path / "inner.tar.gz", reports)
    flat = {f"{host}.tar.xz": reports / f"sosreport-{host}.tar.xz" for host in HOSTS}
    unpacked = {f"upload/sosreport-{host}": reports / f"sosreport-{host}" for host in HOSTS}
    side = {f"sosreport-{host}": reports / f"sosreport-{host}" for host in HOSTS}
    for path in (
        pack(tmp_path / "twice.tgz", {"case/inner.tar.gz": inner}),
        pack(tmp_path / "flat.tar", flat, "w"),
        pack(tmp_path / "unpacked.tgz", unpacked),
    ):
        hosts, errors = opened(path)
        assert (path.name, names_of(hosts), errors) == (path.name, names_of(HOSTS), {})
    hosts, errors = opened(pack(tmp_path / "beside.tgz", side))
    assert (names_of(hosts), errors) == (names_of(HOSTS), {})


def test_the_files_of_a_report_without_a_directory_around_them_are_a_host(
    reports: Path, tmp_path: Path
) -> None:
    folder = reports / "sosreport-rhel9"
    path = pack(tmp_path / "files.tgz", {each.name: each for each in sorted(folder.iterdir())})
    assert opened(path) == ({"": HOSTS["rhel9"]}, {})


@pytest.mark.parametrize("names", [("var",), ("etc",), ("etc", "var"), ("etc", "proc")])
@pytest.mark.parametrize("top", ["", "case-1234/"])
def test_some_files_of_a_host_are_that_host(
    reports: Path, tmp_path: Path, names: tuple[str, ...], top: str
) -> None:
    """What somebody packed himself: what is not in it is not known, as in a sosreport."""
    folder = tmp_path / "host"
    write_tree(host_tree("rhel9"), folder)
    (folder / "var/log").mkdir(parents=True, exist_ok=True)
    (folder / "var/log/messages").write_text(
        "Mar  1 10:00:00 db01 kernel: Kernel panic - not syncing: Fatal exception\n"
    )
    path = pack(tmp_path / "some.tar", {f"{top}{name}": folder / name for name in names}, "w")
    ((name, case),) = open_cases(str(path), COLLECTORS)
    assert isinstance(case, Case) and name == str(path)
    assert case.root_kind == "files"
    logged = [event["kind"] for event in case.events if event["path"] == "/var/log/messages"]
    assert logged == (["panic"] if "var" in names else [])


def test_the_logs_in_an_archive_are_told_one_by_one(reports: Path, tmp_path: Path) -> None:
    boot = "[    0.000000] Linux version 6.1.0-18-amd64\n"
    panic = boot + "[   10.000000] Kernel panic - not syncing: Fatal exception\n"
    texts = {"console.log": panic, "deep/dmesg.txt": boot, "notes.txt": "a reset was seen\n", "empty.log": ""}
    files = {}
    for name, text in texts.items():
        files[name] = tmp_path / name.replace("/", "-")
        files[name].write_text(text)
    alone = pack(tmp_path / "one.tgz", {"console.log": files["console.log"]})
    flat = pack(tmp_path / "flat.tgz", files)
    inside = pack(tmp_path / "inside.tgz", {f"case/{name}": each for name, each in files.items()})
    report = reports / "sosreport-rhel9.tar.xz"
    beside = pack(tmp_path / "beside.tgz", {"c/console.log": files["console.log"], "c/r.tar.xz": report})
    nested = pack(tmp_path / "nested.tar", {"x/one.tgz": alone}, "w")
    logs = {"console.log": ["boot", "panic"], "dmesg.txt": ["boot"]}
    ((_, of_report),) = open_cases(str(report), COLLECTORS)
    assert isinstance(of_report, Case)
    for path, expected in (
        (alone, {"console.log": logs["console.log"]}),
        (flat, logs),
        (inside, logs),
        (
            beside,
            {"console.log": logs["console.log"], "r.tar.xz": [event["kind"] for event in of_report.events]},
        ),
        (nested, {"console.log": logs["console.log"]}),
    ):
        found = {Path(name).name: case for name, case in open_cases(str(path), COLLECTORS)}
        kinds = {name: [event["kind"] for event in case.events] for name, case in found.items()}  # type: ignore[union-attr]
        assert (path.name, kinds) == (path.name, expected)


def test_an_archive_is_not_read_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each archive of logs in it costs passes over it."""
    monkeypatch.setattr(collection, "MAX_PASSES", 5)
    log = tmp_path / "log"
    log.write_text("[    0.000000] Linux version 6.1.0-18-amd64\n")
    inner = pack(tmp_path / "inner.tgz", {"a.log": log})
    path = pack(tmp_path / "outer.tar", {f"x/{number}.tgz": inner for number in range(6)}, "w")
    found = [case for _, case in open_cases(str(path), COLLECTORS)]
    assert isinstance(found[0], Case)
    assert "was read 5 times already" in str(found[-1])


def test_the_number_of_logs_in_an_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "MAX_LOGS", 2)
    log = tmp_path / "log"
    log.write_text("[    0.000000] Linux version 6.1.0-18-amd64\n")
    path = pack(tmp_path / "a.tgz", {f"a/{number}.log": log for number in range(4)})
    found = dict(open_cases(str(path), COLLECTORS))
    assert [isinstance(case, Case) for case in found.values()] == [True, True, False]
    assert "not read: more than 2 files" in str(found[f"{path}/2.log"])


def test_a_directory_is_searched_but_links_are_not_followed(reports: Path, tmp_path: Path) -> None:
    upload = tmp_path / "upload" / "case 1"
    upload.mkdir(parents=True)
    shutil.copy(reports / "sosreport-rhel7.tar.xz", upload)
    (upload / "notes.txt").write_text("see attachment")
    os.symlink(reports / "sosreport-rhel9", upload / "linked")
    os.symlink(upload, upload / "loop")
    hosts, errors = opened(tmp_path / "upload")
    assert hosts == {"/case 1/sosreport-rhel7.tar.xz": HOSTS["rhel7"]}
    assert errors == {}


def test_one_damaged_host_does_not_hide_the_others(reports: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.xz"
    broken.write_bytes(b"not an archive at all" * 50)
    names = {"a/broken.tar.xz": broken, "a/good.tar.xz": reports / "sosreport-rhel9.tar.xz"}
    hosts, errors = opened(pack(tmp_path / "a.tgz", names))
    assert names_of(hosts) == [HOSTS["rhel9"]]
    assert list(errors) == ["/a/broken.tar.xz"]
    assert "\n" not in errors["/a/broken.tar.xz"]


def test_a_cut_collection_gives_what_is_whole_and_says_so(reports: Path, tmp_path: Path) -> None:
    whole = collected(tmp_path / "whole.tar.gz", reports).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    hosts, errors = opened(cut)
    assert names_of(hosts)[:1] in ([], [HOSTS["rhel7"]], [HOSTS["rhel9"]])
    assert any("damaged" in text for text in errors.values()) or hosts


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("just text\n" * 1000),
        lambda path: pack(path, {"x/hosttree.py": Path(hosttree.__file__)}),
        lambda path: path.mkdir(),
    ],
)
def test_what_holds_no_host_is_refused(make: object, tmp_path: Path) -> None:
    path = tmp_path / "thing.tar.gz"
    make(path)  # type: ignore[operator]
    with pytest.raises(LastwordsError) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path))


def test_archives_without_end_are_not_followed(tmp_path: Path) -> None:
    path = pack(tmp_path / "0.tar", {"x/hosttree.py": Path(hosttree.__file__)}, "w")
    for number in range(1, 8):
        path = pack(tmp_path / f"{number}.tar", {f"x/{number - 1}.tar": path}, "w")
    with pytest.raises(NotOurs):
        opened(path)


def test_the_number_of_hosts_is_bounded(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "MAX_HOSTS", 2)
    names = {f"a/{number}.tar.xz": reports / "sosreport-rhel9.tar.xz" for number in range(4)}
    hosts, errors = opened(pack(tmp_path / "a.tgz", names))
    assert len(hosts) == 2
    assert "the rest is not read" in " ".join(errors.values())


def test_a_file_of_a_nested_archive_that_was_not_held_is_read_again(reports: Path, tmp_path: Path) -> None:
    path = collected(tmp_path / "x.tar.gz", reports)
    found: dict[str, Union[Case, LastwordsError]] = dict(open_cases(str(path), COLLECTORS))
    assert len(found) == 2
    outer = io.BytesIO(path.read_bytes())
    with tarfile.open(fileobj=outer) as archive:
        name = next(n for n in archive.getnames() if n.endswith("rhel9.tar.xz"))
    from functools import partial

    from lastwords.roots.archive import ArchiveTree
    from lastwords.roots.archive import opened as bytes_of

    opener = partial(collection._reopen, partial(bytes_of, str(path)), name)
    tree = ArchiveTree(name, lambda _: False, opener=opener)
    with tree.open("/etc/os-release") as stream:
        assert b"Red Hat Enterprise Linux" in stream.read()


def test_the_command_tells_every_host_and_fails_for_the_damaged_one(reports: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    collected(tmp_path / "in" / "c.tar.gz", reports)
    (tmp_path / "in" / "broken.tar.gz").write_bytes(b"x" * 5000)
    done = subprocess.run(
        [sys.executable, "-m", "lastwords", "open", "-q", "--jsonl", "--only", "host", str(tmp_path / "in")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.count("\n") == 1
    assert "broken.tar.gz" in done.stderr


def test_the_logs_of_a_directory_are_told_one_by_one(tmp_path: Path) -> None:
    boot = "[    0.000000] Linux version 6.1.0-18-amd64\n"
    (tmp_path / "a.log").write_text(boot + "[   10.000000] Kernel panic - not syncing: Fatal exception\n")
    (tmp_path / "b.log").write_text(boot)
    (tmp_path / "notes.txt").write_text("a reset was seen\n")
    (tmp_path / "link.log").symlink_to(tmp_path / "a.log")
    found = dict(open_cases(str(tmp_path), COLLECTORS))
    assert {Path(name).name for name in found} == {"a.log", "b.log"}
    kinds = {Path(name).name: [event["kind"] for event in case.events] for name, case in found.items()}  # type: ignore[union-attr]
    assert kinds == {"a.log": ["boot", "panic"], "b.log": ["boot"]}


def test_an_archive_that_is_cut_before_it_shows_what_it_is_says_that(reports: Path, tmp_path: Path) -> None:
    path = pack(tmp_path / "whole.tar", {"case/notes": Path(hosttree.__file__), "case/x": tmp_path}, "w")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[:3000])
    hosts, errors = opened(cut)
    assert hosts == {}
    assert re.search(r"no host in what can be read .* damaged after \d+ members", errors[""])


def test_a_report_that_is_cut_is_its_host_all_the_same(reports: Path, tmp_path: Path) -> None:
    """Members lie in the order of their names: sos_commands is the last of the marks that a cut one has."""
    folder = reports / "sosreport-rhel9"
    names = [f"r/{each.name}" for each in sorted(folder.iterdir())]
    path = pack(tmp_path / "whole.tar", {n: folder / n[2:] for n in names if n != "r/version.txt"}, "w")
    with tarfile.open(path) as archive:
        ends = [archive.getmember(name).offset + 600 for name in ("r/sos_commands", "r/proc")]
    for end in ends:
        cut = tmp_path / "cut.tar"
        cut.write_bytes(path.read_bytes()[:end])
        ((_, case),) = open_cases(str(cut), COLLECTORS)
        assert isinstance(case, Case) and "the archive is damaged after" in case.notes[0]
        assert case.facts["host"]["distribution"]["id"] == "rhel"


def test_of_several_older_hosts_the_same_one_is_compared(reports: Path, tmp_path: Path) -> None:
    old = collected(tmp_path / "old.tar.gz", reports)
    argv = [
        sys.executable,
        "-m",
        "lastwords",
        "open",
        "-q",
        "--json",
        "--only",
        "host",
        "--compare",
        str(old),
    ]
    done = subprocess.run(
        [*argv, str(reports / "sosreport-rhel9.tar.xz")], capture_output=True, text=True, timeout=120
    )
    compared = json.loads(done.stdout)["compared"]
    assert compared["path"].endswith("sosreport-rhel9.tar.xz") and compared["same_host"] is True
