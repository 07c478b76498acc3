"""The plugin inside the classes of a real sos, on any Python from 3.6 on, with unittest alone.

    cd tests/sos && python3.6 -W error -m unittest test_plugin_unit

The sos is that of $LASTWORDS_SOS (a directory with the package ``sos`` in it), of a chroot that
lab.sos_chroots has built, of this machine, or of Debian's package, fetched with apt-get; the first of
these that this Python can import.
"""

import glob
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
PLUGINS = os.path.join(REPOSITORY, "sos_plugins")
PACKAGES = "usr/lib/python3/dist-packages"
CACHE = os.path.join(REPOSITORY, ".cache", "sos")

TOOL = """#!/bin/sh
case "$1" in
--version) echo lastwords 9.9 ;;
collect)
    for last; do :; done
    mkdir "$last" && echo '{}' > "$last/manifest.json"
    echo "$@" > "$last/asked.txt"
    ;;
esac
"""


def sources():
    if os.environ.get("LASTWORDS_SOS"):
        yield os.environ["LASTWORDS_SOS"]
        return
    for chroot in sorted(glob.glob(os.path.join(CACHE, "[a-z]*"))):
        yield os.path.join(chroot, PACKAGES)
    yield "/" + PACKAGES
    yield from fetched()


def fetched():
    """Yield sos as Debian's package has it, kept for the next time."""
    kept = os.path.join(CACHE, ".package")
    if not os.path.exists(kept):
        with tempfile.TemporaryDirectory() as work:
            for package in ("sosreport", "sos"):
                try:
                    subprocess.check_output(
                        ["apt-get", "download", "-qq", package], cwd=work, stderr=subprocess.STDOUT
                    )
                    deb = glob.glob(os.path.join(work, package + "_*.deb"))[0]
                    subprocess.check_output(["dpkg-deb", "-x", deb, os.path.join(work, "x")])
                    os.makedirs(CACHE, exist_ok=True)
                    shutil.move(os.path.join(work, "x"), kept)
                    break
                except (OSError, subprocess.CalledProcessError, IndexError):
                    continue
    yield os.path.join(kept, PACKAGES)


def load_sos():
    """Import a real sos; return why not when there is none."""
    tried = []
    for source in sources():
        if not os.path.isdir(os.path.join(source, "sos", "report")):
            tried.append(f"{source}: not there")
            continue
        # Beside sos, a dist-packages has much that is not for this Python.
        with tempfile.TemporaryDirectory() as only:
            os.symlink(os.path.join(source, "sos"), os.path.join(only, "sos"))
            sys.path.insert(0, only)
            try:
                for name in ("sos.report.plugins", "sos.archive", "sos.component", "sos.utilities"):
                    importlib.import_module(name)
                return None
            except (ImportError, SyntaxError) as problem:
                tried.append(f"{source}: {problem}")
                for name in [n for n in sys.modules if n.split(".")[0] == "sos"]:
                    del sys.modules[name]
            finally:
                sys.path.remove(only)
    return "; ".join(tried)


# What sos itself is warned of is not ours.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    MISSING = load_sos()
if not MISSING:
    import sos.report.plugins as plugins
    from sos.archive import FileCacheArchive
    from sos.component import SoSMetadata

    plugins.__path__.append(PLUGINS)
    module = importlib.import_module("sos.report.plugins.lastwords")


class Options:
    """What sos parses from its command line."""

    all_logs = False
    log_size = 25
    since = None
    chroot = "auto"
    verify = False
    allow_system_changes = False
    plugin_timeout = None
    cmd_timeout = None
    dry_run = False
    skip_commands = ()
    skip_files = ()
    namespaces = None
    threads = 1


class Policy:
    """The policy as far as a plugin asks it."""

    runtimes = {}
    forbidden_paths = []
    init_system = None
    package_manager = None
    distro = "test"
    _in_container = False

    def get_preferred_archive(self):
        return FileCacheArchive


@unittest.skipIf(MISSING, f"no sos that this Python can import: {MISSING}")
class PluginCase(unittest.TestCase):
    """Has a directory for a report and one for a host."""

    def setUp(self):
        self.work = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.work)
        self.tool = os.path.join(self.work, "lastwords")
        self.addCleanup(setattr, module, "PLACES", module.PLACES)
        module.PLACES = (self.tool,)
        logging.getLogger("sos").addHandler(logging.NullHandler())

    def install(self, script=TOOL):
        with open(self.tool, "w") as stream:
            stream.write(script)
        os.chmod(self.tool, 0o755)

    def plugin(self, dry_run=False, sysroot="/", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive = FileCacheArchive("report", self.work, Policy(), 1, {}, sysroot, SoSMetadata())
        cmdline = Options()
        cmdline.dry_run = dry_run
        plugin = module.Lastwords(
            {
                "cmddir": "sos_commands",
                "logdir": "sos_logs",
                "rptdir": "sos_reports",
                "tmpdir": self.work,
                "sysroot": sysroot,
                "policy": Policy(),
                "cmdlineopts": cmdline,
                "devices": {},
                "namespaces": {},
                "soslog": logging.getLogger("sos"),
                "verbosity": 0,
                "xmlreport": None,
                "hostname": "vm",
            }
        )
        plugin.archive = archive
        plugin.set_plugin_manifest(SoSMetadata())
        for name, value in options.items():
            self.set(plugin, name.replace("_", "-"), value)
        return plugin

    def set(self, plugin, name, value):
        if hasattr(plugin, "options"):
            # sos 4.3 and later keep the value in the object of the class.
            self.addCleanup(setattr, plugin.options[name], "value", plugin.options[name].value)
            plugin.options[name].value = value
        else:
            self.assertTrue(plugin.set_option(name, value), name)

    def take(self, plugin):
        """Do with the plugin what sos report does; return what is in the report."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plugin.setup()
            if hasattr(plugin, "collect_plugin"):
                plugin.collect_plugin()
            else:
                plugin.collect()
            plugin.postproc()
        return os.path.join(self.work, "report")

    def read(self, *parts):
        with open(os.path.join(self.work, "report", *parts), encoding="utf-8") as stream:
            return stream.read()


class Declared(PluginCase):
    """What sos sees before it runs anything."""

    def test_sos_finds_one_plugin_in_the_file(self):
        found = [
            thing
            for thing in vars(module).values()
            if isinstance(thing, type) and thing.__module__ == module.__name__
        ]
        self.assertEqual([cls.__name__ for cls in found], ["Lastwords"])
        self.assertEqual(found[0].plugin_name, "lastwords")

    def test_every_distribution_that_sos_knows_takes_it(self):
        for name in ("IndependentPlugin", "RedHatPlugin", "DebianPlugin", "UbuntuPlugin", "SuSEPlugin"):
            self.assertTrue(issubclass(module.Lastwords, getattr(plugins, name)), name)
        self.assertFalse(issubclass(module.Lastwords, plugins.ExperimentalPlugin))

    def test_it_is_always_on(self):
        plugin = self.plugin()
        self.assertTrue(plugin.check_enabled())
        self.assertTrue(plugin.default_enabled())

    def test_attributes_are_tuples(self):
        for name in ("packages", "files", "commands", "kernel_mods", "services", "profiles"):
            self.assertIsInstance(getattr(module.Lastwords, name), tuple, name)

    def test_making_one_again_and_again_changes_nothing(self):
        first = self.plugin().get_option("collect-timeout")
        shutil.rmtree(os.path.join(self.work, "report"))
        self.assertEqual(self.plugin().get_option("collect-timeout"), first)
        self.assertEqual(first, 120)

    def test_the_timeout_of_sos_stays_its_own(self):
        self.assertEqual(self.plugin().timeout, 300)


class WithCommand(PluginCase):
    """With the lastwords command on the host."""

    def test_the_bundle_lies_in_the_report(self):
        self.install()
        self.take(self.plugin())
        self.assertEqual(json.loads(self.read("sos_commands/lastwords/bundle/manifest.json")), {})
        self.assertEqual(self.read("sos_commands/lastwords/version"), "lastwords 9.9\n")
        asked = self.read("sos_commands/lastwords/bundle/asked.txt")
        self.assertTrue(asked.startswith("collect --quiet --format dir --within 100 -o /"), asked)

    def test_nothing_is_copied_beside_the_bundle(self):
        self.install()
        plugin = self.plugin()
        report = self.take(plugin)
        self.assertEqual(os.listdir(report), ["sos_commands"])

    def test_command_lines_only_when_asked_for(self):
        self.install()
        self.take(self.plugin(with_cmdline=True))
        self.assertIn(" --with-cmdline ", self.read("sos_commands/lastwords/bundle/asked.txt"))

    def test_the_command_may_be_elsewhere(self):
        other = os.path.join(self.work, "my tools")
        os.mkdir(other)
        self.tool = os.path.join(other, "lastwords")
        self.install()
        self.take(self.plugin(command=self.tool))
        self.assertTrue(self.read("sos_commands/lastwords/bundle/manifest.json"))

    def test_a_deadline_that_is_no_number_is_the_default(self):
        self.install()
        for value, expected in (("soon", 120), (-5, 1), (7, 7), ("9", 9)):
            plugin = self.plugin()
            self.set(plugin, "command", "")
            plugin.get_option = {"collect-timeout": value}.get
            self.assertEqual(plugin._seconds(), expected)
            shutil.rmtree(os.path.join(self.work, "report"))

    def test_a_dry_run_runs_nothing(self):
        self.install('#!/bin/sh\ntouch "$0.ran"\n')
        plugin = self.plugin(dry_run=True)
        plugin.setup()
        self.assertFalse(os.path.exists(self.tool + ".ran"))
        self.assertEqual(plugin.collect_cmds, [])


class WithoutCommand(PluginCase):
    """Without it, or with one that does not work."""

    def test_the_raw_input_is_gathered(self):
        report = self.take(self.plugin())
        for path in ("proc/meminfo", "proc/stat", "proc/cmdline"):
            self.assertTrue(os.path.getsize(os.path.join(report, path)), path)
        oom = self.read("sos_commands/lastwords/proc_oom")
        self.assertIn(f"/proc/{os.getpid()}/oom_score_adj:", oom)
        self.assertFalse(os.path.exists(os.path.join(report, "proc", str(os.getpid()), "oom_score")))

    def test_a_broken_command_does_not_cost_the_evidence(self):
        self.install("#!/bin/sh\necho Traceback >&2\nexit 1\n")
        report = self.take(self.plugin())
        self.assertTrue(os.path.exists(os.path.join(report, "proc", "meminfo")))

    def test_a_relative_command_is_not_run(self):
        self.install('#!/bin/sh\ntouch "$0.ran"\n')
        module.PLACES = ()
        before = os.getcwd()
        os.chdir(self.work)
        self.addCleanup(os.chdir, before)
        self.plugin(command="./lastwords").setup()
        self.assertFalse(os.path.exists(self.tool + ".ran"))

    def test_a_command_that_could_not_see_the_report_is_not_run(self):
        self.install()
        elsewhere = os.path.join(self.work, "sysroot")
        os.mkdir(elsewhere)
        self.assertIsNone(self.plugin(sysroot=elsewhere)._command())


class Scrubbed(PluginCase):
    """No secret stays in what is gathered without the command."""

    SECRET = "hunter2hunter2"
    LINES = (
        "root=/dev/vda1 rd.iscsi.password=%s quiet",
        "netroot=iscsi:joe:%s@192.0.2.1::3260::iqn.2001-04.com.example:disk",
        'FTP_PASSWORD="%s and a blank"',
        "KDUMP_SMTP_PASSWORD='%s'",
        'KDUMP_SAVEDIR="ftp://joe:%s@192.0.2.1/crash"',
        "password_pbkdf2 root grub.pbkdf2.sha512.10000.%s",
        "password --md5 %s",
        "systemd.set_credential=foo:%s",
        "rd.luks.passphrase = %s",
    )

    def test_every_kind(self):
        for line in self.LINES:
            text = line % self.SECRET
            for pattern, mark in module.SECRETS:
                text = module.re.sub(pattern, mark, text, flags=module.re.I)
            self.assertNotIn(self.SECRET, text, line)
            self.assertIn("<removed>", text)

    def test_what_is_no_secret_stays(self):
        for line in (
            "root=/dev/vda1 ro quiet",
            "path /etc/kdump",
            "Password for users expires in 3 days",
            "net http://192.0.2.1/x@y",
            "core_collector makedumpfile -l --message-level 7",
        ):
            text = line
            for pattern, mark in module.SECRETS:
                text = module.re.sub(pattern, mark, text, flags=module.re.I)
            self.assertEqual(text, line)

    def test_files_commands_and_tails_of_long_logs(self):
        host = os.path.join(self.work, "host")
        os.mkdir(host)
        for name in ("config", "log"):
            with open(os.path.join(host, name), "w") as stream:
                stream.write(f"rd.iscsi.password={self.SECRET}\n")
        with open(os.path.join(host, "log"), "a") as stream:
            stream.write(("a line of a long log\n" * 50000) + f"rd.iscsi.password={self.SECRET}\n")
        for name, value in (
            ("COPY_SPECS", (os.path.join(host, "config"),)),
            ("LOG_SIZE", 1),
            ("LOGS", (os.path.join(host, "log"),)),
            ("COMMANDS", ("cat " + os.path.join(host, "config"),)),
        ):
            self.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        report = self.take(self.plugin())
        seen, tails = 0, 0
        for folder, _, names in os.walk(report):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    text = stream.read()
                self.assertNotIn(self.SECRET, text, os.path.join(folder, name))
                seen += "<removed>" in text
                tails += name.endswith(".tailed")
        self.assertGreaterEqual(seen, 3)
        self.assertEqual(tails, 1)


if __name__ == "__main__":
    unittest.main()
