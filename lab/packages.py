"""Files out of Debian packages of any release and architecture; nothing is installed or run."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import Optional

from lab.common import CACHE, LabError, digest, locked, run, staged
from lab.images import mirrors

TOP = os.path.join(CACHE, "packages")


@dataclass(frozen=True)
class Archive:
    """Where packages come from."""

    suite: str
    architecture: str
    security: Optional[str] = None

    def download(self, package: str) -> str:
        """Return the path of a package's file, bringing it unless it is there.

        A package that only names the newest kernel leads to that.

        :raises LabError: the archive has none of that name
        """
        with locked(f"packages-{self.suite}-{self.architecture}"):
            config = self._lists()
            package = self._newest(config, package)
            target = os.path.join(TOP, f"{digest(self.suite, self.architecture)}-{package}")
            if not os.path.isdir(target):
                with staged(target) as work:
                    script = f'cd "{work}" && apt-get download -qq {package}'
                    run(["nice", "env", f"APT_CONFIG={config}", "sh", "-c", script], deadline=900)
            return glob.glob(os.path.join(target, "*.deb"))[0]

    def _lists(self) -> str:
        """Return a configuration of apt whose lists are of this archive only."""
        main, security = mirrors()
        lines = [f"deb [arch={self.architecture}] {main} {self.suite} main"]
        if self.security:
            lines.append(f"deb [arch={self.architecture}] {security} {self.security} main")
        top = os.path.join(TOP, f"lists-{digest(lines)}")
        config = os.path.join(top, "apt.conf")
        if not os.path.isdir(top):
            with staged(top) as work:
                for folder in ("lists/partial", "cache/archives/partial"):
                    os.makedirs(os.path.join(work, folder))
                for name, content in (
                    ("status", ""),
                    ("sources.list", "\n".join(lines) + "\n"),
                    ("apt.conf", CONFIG.format(top=top, architecture=self.architecture)),
                    ("apt.new", CONFIG.format(top=work, architecture=self.architecture)),
                ):
                    with open(os.path.join(work, name), "w", encoding="utf-8") as stream:
                        stream.write(content)
                update = f"APT_CONFIG={work}/apt.new"
                run(["nice", "env", update, "apt-get", "-qq", "update"], deadline=300)
        return config

    def _newest(self, config: str, package: str) -> str:
        said = run(["env", f"APT_CONFIG={config}", "apt-cache", "depends", package]).stdout
        named = re.search(r"^  Depends: (linux-image-\S+)", said, re.MULTILINE)
        return named[1] if named else package


CONFIG = """\
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Dir::State "{top}";
Dir::State::status "{top}/status";
Dir::State::Lists "{top}/lists";
Dir::Cache "{top}/cache";
Dir::Etc::SourceList "{top}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
"""


def names_in(package: str, endings: tuple[str, ...] = ("",)) -> list[str]:
    """Return the files of a package whose names end in one of these ways."""
    said = run(["sh", "-c", f'dpkg-deb --fsys-tarfile "{package}" | tar -t'], deadline=300).stdout
    return [name for name in said.splitlines() if name.endswith(endings)]


def take_out(package: str, name: str, target: str) -> None:
    """Copy a file of a package, by its name as :func:`names_in` gives it."""
    script = f'dpkg-deb --fsys-tarfile "{package}" | tar -xO "{name}" >"{target}"'
    run(["nice", "sh", "-c", script], deadline=300)
    if not os.path.getsize(target):
        raise LabError(f"{package}: there is no {name}")
