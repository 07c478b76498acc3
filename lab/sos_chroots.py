"""The sos plugin under real sos: one Debian chroot per release, sos as that release ships it.

    python -m lab.sos_chroots build [RELEASE ...]
    python -m lab.sos_chroots run [RELEASE ...]

``build`` makes a chroot per release with mmdebstrap, once, below ``.cache/sos``; the mirror is the one
of this machine's apt. ``run`` plants secrets, takes sos reports with and without the lastwords command,
cleans them, and looks at every file. Each run sees its chroot through an overlay, in namespaces of its
own: nothing stays mounted, nothing stays running, and the chroot is never changed. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(REPOSITORY, ".cache", "sos")
PLUGIN = os.path.join(REPOSITORY, "sos_plugins", "lastwords.py")
PLUGINS = "/usr/lib/python3/dist-packages/sos/report/plugins"
PACKAGES = "/usr/lib/python3/dist-packages"
COMMON = (
    "procps iproute2 kmod python3-magic python3-pluggy python3-psutil python3-jsonschema python3-rich"
    " python3-zstandard"
)
SECRETS = ("S3cr3tFtpPw", "Chap5ecret", "N3trootPw", "4NFSurlPw", "0DEADBEEF0GRUBHASH")


@dataclass(frozen=True)
class Release:
    """A Debian release and how it names the package of sos."""

    name: str
    suite: str
    package: str
    extra_suites: tuple[str, ...] = ()


RELEASES = {
    release.name: release
    for release in (
        Release("bookworm", "bookworm", "sosreport"),
        Release("trixie", "trixie", "sos"),
        Release("trixie-backports", "trixie", "sos/trixie-backports", ("trixie-backports",)),
        Release("sid", "sid", "sos"),
    )
}


class Unavailable(Exception):
    """This machine cannot do it. The message says what is missing."""


def mirror() -> str:
    """Return the mirror of Debian that this machine's apt uses."""
    fields = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        raise Unavailable("apt-get does not tell its mirrors") from None
    for line in lines:
        origin, codename, uri = line.split()
        if origin == "Debian" and "-" not in codename:
            return uri
    raise Unavailable("apt of this machine has no Debian mirror")


def chroot_of(release: Release) -> str:
    """Return the directory of the release's chroot; it may not be there yet."""
    return os.path.join(CACHE, release.name)


def require() -> None:
    """Raise Unavailable unless chroots can be built and entered here."""
    if os.geteuid() != 0:
        raise Unavailable("needs root")
    for tool in ("mmdebstrap", "unshare", "chroot"):
        if shutil.which(tool) is None:
            raise Unavailable(f"needs {tool}")
    if subprocess.run(
        ["unshare", "--mount", "--uts", "--pid", "--fork", "true"], capture_output=True
    ).returncode:
        raise Unavailable("may not make namespaces")


def build(release: Release) -> str:
    """Build the chroot unless it is there; return its directory."""
    target = chroot_of(release)
    if os.path.exists(target):
        return target
    require()
    os.makedirs(CACHE, exist_ok=True)
    uri = mirror()
    lines = [f"deb {uri} {suite} main" for suite in (release.suite, *release.extra_suites)]
    staging = tempfile.mkdtemp(prefix=f".{release.name}.", dir=CACHE)
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--format=directory"]
    command += ['--aptopt=Acquire::Check-Valid-Until "false"', "--include=" + ",".join(COMMON.split())]
    command += ["--include=" + release.package, release.suite, staging, *lines]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"mmdebstrap of {release.name} failed: {done.stderr.strip()[-500:]}")
        os.chmod(staging, 0o755)
        os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


class Host:
    """One release's chroot with a writable layer of its own, below *work*."""

    def __init__(self, release: Release, work: str) -> None:
        self.release = release
        self.lower = build(release)
        self.work = work
        self.upper = os.path.join(work, "upper")
        for name in ("upper", "overlay", "mnt"):
            os.makedirs(os.path.join(work, name))

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """Write a file of the host."""
        target = self.upper + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(target, mode)

    def run(
        self, *argv: str, timeout: float = 240, setup: str = "", locked: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, as its only command.

        :param setup: shell commands that run on the host before it
        :param locked: directory that is read-only meanwhile
        """
        script = """
            mount --make-rprivate /
            echo dbhost07 > /proc/sys/kernel/hostname
            LAYERS="lowerdir=$LOWER,upperdir=$WORK/upper,workdir=$WORK/overlay"
            mount -t overlay overlay -o "$LAYERS" "$WORK/mnt"
            mount -t proc proc "$WORK/mnt/proc"
            mount --rbind /sys "$WORK/mnt/sys"
            mount --rbind /dev "$WORK/mnt/dev"
            if [ -e "$WORK/upper/fake-cmdline" ]; then
                mount --bind "$WORK/upper/fake-cmdline" "$WORK/mnt/proc/cmdline"
            fi
            if [ -n "$LOCKED" ]; then
                mount --bind "$WORK/mnt$LOCKED" "$WORK/mnt$LOCKED"
                mount -o remount,bind,ro "$WORK/mnt$LOCKED"
            fi
            exec chroot "$WORK/mnt" /bin/sh -c "$SETUP"' exec "$@"' sh "$@"
        """
        return subprocess.run(
            [
                "unshare",
                "--mount",
                "--uts",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-euc",
                script,
                "sh",
                *argv,
            ],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LOWER": self.lower,
                "WORK": self.work,
                "SETUP": setup,
                "LOCKED": locked,
                "HOME": "/root",
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )

    def install_plugin(self) -> None:
        """Drop the plugin in, as ``lastwords sos-plugin install`` does."""
        with open(PLUGIN, encoding="utf-8") as stream:
            self.write(f"{PLUGINS}/lastwords.py", stream.read())

    def install_tool(self) -> None:
        """Install the package as the distribution's would: below dist-packages, command in /usr/bin."""
        source = os.path.join(REPOSITORY, "src", "lastwords")
        target = f"{self.upper}{PACKAGES}/lastwords"
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        self.write(
            "/usr/bin/lastwords",
            "#!/usr/bin/python3\nimport sys\nfrom lastwords.__main__ import main\nsys.exit(main())\n",
            0o755,
        )

    def plant_secrets(self) -> None:
        """Put a secret in every place where kdump and boot configuration may hold one."""
        line = (
            "BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-amd64 root=/dev/vda1 ro crashkernel=128M"
            f" rd.iscsi.username=joe rd.iscsi.password={SECRETS[1]}"
            f" netroot=iscsi:joe:{SECRETS[2]}@192.0.2.1::3260::iqn.2001-04.com.example:disk\n"
        )
        self.write("/fake-cmdline", line)
        password = f"password_pbkdf2 root grub.pbkdf2.sha512.10000.{SECRETS[4]}.AB\n"
        self.write("/boot/grub/grub.cfg", f"{password}linux /vmlinuz {line}")
        self.write("/etc/default/grub", f'GRUB_CMDLINE_LINUX="rd.iscsi.password={SECRETS[1]}"\n')
        self.write(
            "/etc/default/kdump-tools",
            f'USE_KDUMP=1\nFTP_USER="joe"\nFTP_PASSWORD="{SECRETS[0]}"\n'
            f'KDUMP_SAVEDIR="ftp://joe:{SECRETS[3]}@192.0.2.1/crash"\n',
        )
        log = f"[    0.000000] Command line: {line}[    1.000000] end\n"
        self.write("/var/crash/202602201404/dmesg.202602201404", log)
        self.write("/var/crash/202602201404/dump.202602201404", "KDUMP   " + "\0" * 64)
        self.write("/var/log/kern.log", f"Mar  1 10:00:00 vm kernel: [    0.000000] Command line: {line}")

    @property
    def sos_version(self) -> str:
        """The version of sos it has."""
        return self.run("dpkg-query", "-W", "-f", "${Version}", self.release.package.split("/")[0]).stdout


@dataclass
class Taken:
    """One sos report: what sos printed, where it was unpacked."""

    code: int
    printed: str
    seconds: float
    directory: Optional[str]
    archive: Optional[str]

    def find(self, path: str) -> Optional[str]:
        """Return the real path of a path in the report, or None."""
        if self.directory is None:
            return None
        real = os.path.join(self.directory, path.lstrip("/"))
        return real if os.path.lexists(real) else None

    def text(self, path: str) -> str:
        """Return a file of the report; empty when it is not there."""
        real = self.find(path)
        if real is None or not os.path.isfile(real):
            return ""
        with open(real, encoding="utf-8", errors="replace") as stream:
            return stream.read()


def report(host: Host, out: str, *options: str, only: str = "lastwords", setup: str = "") -> Taken:
    """Take a sos report into host directory *out* and unpack it."""
    os.makedirs(host.upper + out, exist_ok=True)
    began = time.monotonic()
    command = ("sos", "report", "--batch", "--tmp-dir", out, "-z", "gzip", "-o", only, *options)
    done = host.run(*command, setup=setup)
    return _taken(host, out, done, time.monotonic() - began)


def clean(host: Host, taken: Taken, out: str) -> Taken:
    """Obfuscate an earlier report with ``sos clean``."""
    if taken.archive is None:
        return taken
    os.makedirs(host.upper + out, exist_ok=True)
    inside = taken.archive[len(host.upper) :]
    began = time.monotonic()
    done = host.run("sos", "clean", "--batch", "--tmp-dir", out, inside)
    return _taken(host, out, done, time.monotonic() - began)


def _taken(host: Host, out: str, done: subprocess.CompletedProcess[str], seconds: float) -> Taken:
    printed = done.stdout + done.stderr
    top = host.upper + out
    archives = [
        os.path.join(top, n) for n in sorted(os.listdir(top)) if n.endswith((".tar.gz", ".tar.xz", ".tar"))
    ]
    directory = None
    if archives:
        unpacked = top + ".unpacked"
        with tarfile.open(archives[0]) as tar:
            tar.extractall(unpacked, filter="fully_trusted")
        names = os.listdir(unpacked)
        directory = os.path.join(unpacked, names[0])
    return Taken(done.returncode, printed, seconds, directory, archives[0] if archives else None)


def files_of(directory: str) -> Iterator[str]:
    """Yield the regular files below a directory."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


COMPLAINTS = ("Traceback", "does not install", "not load", " failed", "ERROR", "timed out")


def problems_of(taken: Taken, *, bundle: bool, secrets_in: str = "sos_commands/lastwords") -> list[str]:
    """Return what is wrong with a report: an empty list when nothing is.

    :param bundle: whether it must hold a bundle
    :param secrets_in: below which directory no secret may be
    """
    if taken.directory is None:
        return [f"no report, exit code {taken.code}: {taken.printed[-800:]}"]
    found = []
    if taken.code:
        found.append(f"sos ended with {taken.code}")
    logs = taken.find("sos_logs") or ""
    if os.path.exists(os.path.join(logs, "lastwords-plugin-errors.txt")):
        found.append("the plugin raised: " + taken.text("sos_logs/lastwords-plugin-errors.txt")[-800:])
    for line in (taken.text("sos_logs/sos.log") + taken.printed).splitlines():
        if "lastwords" in line and any(word in line for word in COMPLAINTS):
            found.append(line)
    ours = taken.find("sos_commands/lastwords")
    if ours is None:
        return [*found, "nothing below sos_commands/lastwords"]
    for path in files_of(ours):
        with open(path, "rb") as stream:
            data = stream.read()
        name = os.path.relpath(path, taken.directory)
        if b"\0" in data:
            found.append(f"{name}: has NUL bytes")
        if data and not data.endswith(b"\n"):
            found.append(f"{name}: does not end in a newline: {data[-40:]!r}")
        if path.endswith(".json"):
            found += [f"{name}: {e}" for e in _json_errors([data])]
        if path.endswith(".jsonl"):
            found += [f"{name}: {e}" for e in _json_errors(data.splitlines())]
    for path in files_of(taken.find(secrets_in) or taken.directory):
        with open(path, "rb") as stream:
            data = stream.read()
        for secret in SECRETS:
            if secret.encode() in data:
                found.append(f"{os.path.relpath(path, taken.directory)}: holds the secret {secret}")
    if bundle and taken.find("sos_commands/lastwords/bundle/manifest.json") is None:
        found.append("no bundle: " + taken.text("sos_commands/lastwords/collect")[-400:])
    return found


def open_problems_of(taken: Taken) -> list[str]:
    """Return what is wrong with what the analyzer makes of a report."""
    from lastwords.analyzer.opening import open_case
    from lastwords.plugins import load

    if taken.archive is None:
        return ["no report"]
    case = open_case(taken.archive, load().collectors())
    found = [
        f"{name}: {outcome['outcome']}: {outcome['reason']}"
        for name, outcome in case.outcomes.items()
        if outcome["outcome"] in ("error", "timeout")
    ]
    if not case.facts.get("host", {}).get("kernel_release"):
        found.append("the analyzer does not know the kernel")
    records = case.facts.get("processes", {}).get("records") or []
    first = next((record for record in records if record["pid"] == 1), None)
    if first is None:
        found.append(f"the analyzer does not know process 1, but {len(records)} others")
    elif None in (first["oom_score"], first["rss"], first["state"]):
        found.append(f"the analyzer knows little of process 1: {first}")
    return found


def _json_errors(documents: Sequence[bytes]) -> list[str]:
    errors = []
    for document in documents:
        try:
            json.loads(document)
        except ValueError as problem:
            errors.append(f"not JSON: {problem}")
    return errors


def check(release: Release, *, quick: bool = False) -> Iterator[tuple[str, float, list[str]]]:
    """Run every check of one release; yield the name of each, its seconds and its problems."""
    with tempfile.TemporaryDirectory(prefix="lastwords-sos-", dir="/var/tmp") as work:
        yield from _check_raw(Host(release, os.path.join(work, "raw")), quick)
        yield from _check_tool(Host(release, os.path.join(work, "tool")), quick)


OTHERS = "lastwords,kdump,process,kernel,memory,boot"


def _check_raw(host: Host, quick: bool) -> Iterator[tuple[str, float, list[str]]]:
    """Without the command."""
    host.install_plugin()
    host.plant_secrets()
    alone = report(host, "/out/raw-alone")
    wrong = [*problems_of(alone, bundle=False, secrets_in="."), *_raw_problems(alone)]
    wrong += open_problems_of(alone)
    yield "raw, alone", alone.seconds, wrong
    if quick:
        return
    others = report(host, "/out/raw", only=OTHERS)
    yield "raw, with others", others.seconds, [*problems_of(others, bundle=False), *_raw_problems(others)]
    cleaned = clean(host, others, "/out/raw-clean")
    wrong = [*problems_of(cleaned, bundle=False), *_lost(others, cleaned), *open_problems_of(cleaned)]
    yield "raw, sos clean", cleaned.seconds, wrong
    many = report(host, "/out/raw-many", setup="i=0; while [ $i -lt 3000 ]; do sleep 600 & i=$((i+1)); done;")
    wrong = problems_of(many, bundle=False)
    for name, mark in (
        ("proc_oom", "/oom_score:"),
        ("proc_stat", "/stat:"),
        ("proc_status", "/status:Name:"),
    ):
        lines = many.text(f"sos_commands/lastwords/{name}").count(mark)
        if lines < 3000:
            wrong.append(f"3000 processes, but {lines} in {name}")
    yield "raw, 3000 processes", many.seconds, wrong


def _raw_problems(taken: Taken) -> list[str]:
    found = []
    for path in (
        "proc/meminfo",
        "proc/stat",
        "proc/cmdline",
        "etc/default/kdump-tools",
        "boot/grub/grub.cfg",
    ):
        if not taken.text(path):
            found.append(f"{path}: not copied")
    if "\n/proc/1/oom_score:" not in "\n" + taken.text("sos_commands/lastwords/proc_oom"):
        found.append("the table of processes lacks process 1")
    if "dump.202602201404" not in _listings(taken):
        found.append("no listing of /var/crash")
    if "dmesg.202602201404:[    1.000000] end" not in taken.text("sos_commands/lastwords/crash_text"):
        found.append("no kernel log of the crash")
    if taken.find("var/crash/202602201404/dump.202602201404"):
        found.append("a dump was copied")
    return found


def _listings(taken: Taken) -> str:
    folder = taken.find("sos_commands/lastwords")
    names = os.listdir(folder) if folder else []
    return "".join(taken.text(f"sos_commands/lastwords/{name}") for name in names if name.startswith("ls_"))


def _lost(before: Taken, after: Taken) -> list[str]:
    """Return how many of our files ``sos clean`` removed; it may rename them.

    It takes a file for binary that holds a line end and nothing else: python3-magic calls that data.
    """
    counts = []
    for taken in (before, after):
        ours = files_of(taken.find("sos_commands/lastwords") or "/nowhere")
        counts.append(sum(1 for path in ours if os.path.getsize(path) > 1))
    return (
        [] if counts[0] == counts[1] else [f"{counts[0]} files of ours before sos clean, {counts[1]} after"]
    )


def _check_tool(host: Host, quick: bool) -> Iterator[tuple[str, float, list[str]]]:
    """With the command."""
    host.install_tool()
    host.plant_secrets()
    began = time.monotonic()
    done = host.run("lastwords", "sos-plugin", "install")
    wrong = [] if done.returncode == 0 and PLUGINS in done.stdout else [done.stdout + done.stderr]
    yield "lastwords sos-plugin install", time.monotonic() - began, wrong
    taken = report(host, "/out/tool", only=OTHERS if not quick else "lastwords")
    yield "tool", taken.seconds, [*problems_of(taken, bundle=True), *open_problems_of(taken)]
    if quick:
        return
    cleaned = clean(host, taken, "/out/tool-clean")
    wrong = [*problems_of(cleaned, bundle=True), *_lost(taken, cleaned), *open_problems_of(cleaned)]
    yield "tool, sos clean", cleaned.seconds, wrong
    for name, options in (
        ("--clean", ("--clean",)),
        ("--no-postproc", ("--no-postproc",)),
        ("with-cmdline", ("-k", "lastwords.with-cmdline=on")),
    ):
        taken = report(host, "/out/" + name.strip("-"), *options)
        yield f"tool, {name}", taken.seconds, problems_of(taken, bundle=True)
    dry = report(host, "/out/dry", "--dry-run")
    wrong = [] if dry.code == 0 and not dry.find("sos_commands/lastwords/bundle") else [dry.printed[-400:]]
    yield "tool, --dry-run", dry.seconds, wrong
    if not host.sos_version.startswith("4.0"):
        estimate = report(host, "/out/estimate", "--estimate-only", only=OTHERS)
        wrong = [] if estimate.code == 0 and "lastwords:" in estimate.printed else [estimate.printed[-800:]]
        yield "tool, --estimate-only", estimate.seconds, wrong
    yield from _check_stand_ins(host)
    yield from _check_extras(host)


def _check_stand_ins(host: Host) -> Iterator[tuple[str, float, list[str]]]:
    """With a command that misbehaves."""
    script = '#!/bin/sh\n[ "$1" = --version ] && exit 0\nsleep 900\n'
    host.write("/opt/lastwords/bin/lastwords", script, 0o755)
    option = "lastwords.command=/opt/lastwords/bin/lastwords"
    taken = report(host, "/out/hang", "-k", option + ",lastwords.collect-timeout=3")
    wrong = [line for line in problems_of(taken, bundle=False) if "timed out after 3s" not in line]
    if taken.seconds > 60:
        wrong.append("the deadline did not end the command")
    yield "a command that hangs", taken.seconds, wrong
    host.write("/opt/lastwords/bin/lastwords", "#!/bin/sh\necho broken >&2\nexit 1\n", 0o755)
    taken = report(host, "/out/broken", "-k", option)
    wrong = [*problems_of(taken, bundle=False), *_raw_problems(taken)]
    yield "a command that is broken", taken.seconds, wrong


EXTRAS = "/etc/sos/extras.d/lastwords"


def _check_extras(host: Host) -> Iterator[tuple[str, float, list[str]]]:
    """Where the plugin directory is read-only: the file that docs/sos.md shows."""
    host.run("lastwords", "sos-plugin", "remove")
    began = time.monotonic()
    done = host.run("lastwords", "sos-plugin", "install", locked=PLUGINS)
    wrong = [] if done.returncode == 4 and EXTRAS in done.stderr else [done.stdout + done.stderr]
    yield "sos-plugin install, read-only", time.monotonic() - began, wrong
    host.write(EXTRAS, extras_file())
    done = host.run("lastwords", "collect", "-q", "--format", "dir", "-o", "/var/tmp/lastwords-sos")
    taken = report(host, "/out/extras", only="sos_extras")
    wrong = [] if taken.code == 0 else [f"sos ended with {taken.code}"]
    for path in ("var/tmp/lastwords-sos/manifest.json", "var/tmp/lastwords-sos/facts/host.json"):
        if not taken.find(path):
            wrong.append(f"{path}: not in the report; {done.stderr}")
    if '"path"' not in taken.text("sos_commands/sos_extras/lastwords/lastwords_check_--json"):
        wrong.append("no verdict in the report")
    wrong += open_problems_of(taken)
    for path in files_of(taken.directory or "/nowhere"):
        with open(path, "rb") as stream:
            if any(secret.encode() in stream.read() for secret in SECRETS):
                wrong.append(f"{path}: holds a secret")
    yield "extras.d instead of the plugin", taken.seconds, wrong


def extras_file() -> str:
    """Return the content of the extras file, as the documentation shows it."""
    with open(os.path.join(REPOSITORY, "docs", "sos.md"), encoding="utf-8") as stream:
        text = stream.read()
    return text.split(f"# {EXTRAS}", 1)[1].split("```", 1)[0].lstrip("\n")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Build or run; return 1 when a check failed."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.sos_chroots", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("action", choices=("build", "run"))
    parser.add_argument("releases", nargs="*", metavar="RELEASE", help=", ".join(RELEASES))
    parser.add_argument("--quick", action="store_true", help="only the two central checks")
    chosen = parser.parse_args(arguments)
    try:
        releases = [RELEASES[name] for name in chosen.releases or RELEASES]
    except KeyError as unknown:
        parser.error(f"release {unknown}: expected one of {', '.join(RELEASES)}")
    failed = 0
    try:
        for release in releases:
            build(release)
            if chosen.action == "build":
                continue
            with tempfile.TemporaryDirectory(prefix="lastwords-sos-", dir="/var/tmp") as work:
                version = Host(release, os.path.join(work, "host")).sos_version
            for name, seconds, problems in check(release, quick=chosen.quick):
                failed += bool(problems)
                mark = "FAILED" if problems else "ok"
                print(f"{release.name:17} sos {version:14} {name:26} {seconds:5.1f} s  {mark}", flush=True)
                for problem in problems:
                    print(f"    {problem}", flush=True)
    except Unavailable as why:
        print(f"sos_chroots: {why}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
