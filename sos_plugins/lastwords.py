# Copyright (C) 2026 The lastwords authors

# This file is part of the lastwords project and is a plugin for the sos
# project: https://github.com/sosreport/sos
#
# This copyrighted material is made available to anyone wishing to use,
# modify, copy, or redistribute it subject to the terms and conditions of
# version 2 of the GNU General Public License, or (at your option) any
# later version.
#
# See the LICENSE file in the source distribution for further information.

"""Runs ``lastwords collect`` within sos; without it, gathers its raw input.

One file for sos 4.0 to newest, Python 3.6 or later: whatever differs
between versions of sos is looked up, never assumed.
"""

import os
import re
import shlex

import sos.report.plugins as _plugins

# Which of these exist depends on the version of sos. Only Debian's 4.0
# passes over a plugin that has but the first.
_TAGS = tuple(
    getattr(_plugins, name)
    for name in ('IndependentPlugin', 'RedHatPlugin', 'DebianPlugin',
                 'UbuntuPlugin', 'SuSEPlugin', 'OpenEulerPlugin',
                 'CosPlugin', 'AzurePlugin')
    if hasattr(_plugins, name)
)

# sos takes every class of this module for a plugin: the base is not of it.
_Base = type('LastwordsBase', (_plugins.Plugin,) + _TAGS,
             {'__module__': _plugins.__name__})


def _option(name, default, desc):
    if hasattr(_plugins, 'PluginOpt'):  # sos 4.3 and later
        return _plugins.PluginOpt(name, default=default, desc=desc)
    return (name, desc, 'fast', default)


# Never the PATH of whoever started sos: it runs as root.
PLACES = (
    '/usr/bin/lastwords',
    '/usr/sbin/lastwords',
    '/usr/local/bin/lastwords',
    '/opt/lastwords/bin/lastwords',
)

# What the collectors read (their ``reads``), as far as copying it is cheap
# and cannot hang. tests/sos/test_coverage.py holds this list complete.
COPY_SPECS = (
    '/etc/os-release',
    '/usr/lib/os-release',
    '/etc/redhat-release',
    '/etc/SuSE-release',
    '/etc/debian_version',
    '/etc/hostname',
    '/etc/machine-id',
    '/proc/1/cgroup',
    '/proc/1/comm',
    '/proc/cpuinfo',
    '/proc/meminfo',
    '/proc/stat',
    '/proc/sys/kernel/arch',
    '/proc/sys/kernel/hostname',
    '/proc/sys/kernel/osrelease',
    '/proc/sys/kernel/random/boot_id',
    '/proc/uptime',
    '/sys/class/dmi/id/product_name',
    '/sys/class/dmi/id/sys_vendor',
    '/sys/hypervisor/type',
    '/run/.containerenv',
    '/run/systemd/container',
    '/.dockerenv',
)

# Logs may be huge: only the newest LOG_SIZE megabytes of each are taken.
LOG_SIZE = 25
LOGS = (
    '/var/log/messages',
    '/var/log/kern.log',
    '/var/log/syslog',
)

# What the collectors run (their ``runs``).
COMMANDS = (
    'uname -m',
    'getconf PAGE_SIZE',
    'systemd-detect-virt',
)

# Directories whose files are never copied: what is in them, how large and
# how old it is, is what counts. A command, since any of them may be on a
# server that does not answer.
LISTED = (
    '/boot',
    '/var/crash',
)

# Small files of many directories, each group as the output of one command:
# file name, where they are, how deep, their names. Thousands of processes
# copied file by file would take sos longer than its deadline.
TABLES = (
    ('proc_oom', '/proc', 2, ('oom_score', 'oom_score_adj')),
    ('proc_stat', '/proc', 2, ('stat',)),
    ('proc_cgroup', '/proc', 2, ('cgroup',)),
)

REMOVED = '<removed>'
# The secrets that occur in what is gathered above: kernel command lines
# (dracut.cmdline(7)), kdump configuration, grub passwords, URLs.
SECRETS = (
    (r'((?<![\w.-])[\w.-]*(?:password|passwd|passphrase|secret|token|'
     r'ftp_pass|smtp_pass)[\w-]*[ \t]*=[ \t]*)'
     r'("[^"\n]*"|\'[^\'\n]*\'|[^\s,;"\']+)', r'\1' + REMOVED),
    (r'(\b[a-z][a-z0-9+.-]*://)[^\s/@"\'<]+@', r'\1' + REMOVED + '@'),
    (r'(\biscsi:)[^\s@"\'/]+:[^\s@"\']*@', r'\1' + REMOVED + '@'),
    (r'(systemd\.set_credential(?:_binary)?=[^\s:]+:)[^\s"\']+',
     r'\1' + REMOVED),
    (r'grub\.pbkdf2\.sha\d+\.[0-9A-Za-z.]+', REMOVED),
    (r'((?:^|\n)[ \t]*password[ \t]+(?:--md5[ \t]+|--encrypted[ \t]+)?'
     r'(?:[^\s=]+[ \t]+)?)[^\s=]+(?=[ \t]*(?:\n|$))', r'\1' + REMOVED),
)


class Lastwords(_Base):
    """Gathers what tells why a process, a kernel or a boot died: OOM state
    of every process at one moment, kernel logs, kdump and crash dumps,
    boot and initramfs state.

    With the lastwords command installed, its bundle is found below
    sos_commands/lastwords/bundle, without secrets, ready for
    'lastwords open'. Without the command, the files and command outputs
    that 'lastwords open' derives the same facts from are gathered.
    """

    short_desc = 'OOM, kdump, crash dump and boot state for lastwords'
    plugin_name = 'lastwords'
    profiles = ('system', 'kernel', 'memory', 'boot')
    # No triggers: a host whose kdump is not installed must be visible too.

    # A list, since sos up to 4.2 extends it in place.
    option_list = [
        _option('with-cmdline', False,
                'gather command lines of processes; may hold secrets'),
        # "timeout" is the name of an option that every plugin has.
        _option('collect-timeout', 120,
                'seconds that the lastwords command may take'),
        _option('command', '',
                'absolute path of the lastwords command'),
    ]

    _raw = False

    def setup(self):
        command = self._command()
        if command:
            self._run(command)
        else:
            self._raw = True
            self._gather()

    # -- with the command -------------------------------------------------

    def _command(self):
        """Return the absolute path of a lastwords command that works, as
        seen from the root that sos runs commands in, or None.
        """
        if self.use_sysroot() and not self.tmp_in_sysroot():
            # The command would not see the directory of the report.
            return None
        asked = self.get_option('command', default='')
        if asked and not str(asked).startswith('/'):
            self._log_warn(f"option command={asked}: not an absolute path")
            asked = ''
        for path in (str(asked),) if asked else PLACES:
            if os.access(self._on_host(path), os.X_OK) and self._works(path):
                return path
        if asked:
            self._log_warn(f"option command={asked}: not a working command")
        return None

    def _on_host(self, path):
        root = self.sysroot or os.sep
        return os.path.join(root, path.lstrip(os.sep))

    def _works(self, path):
        # Half an installation must not cost us the evidence. The status is
        # None when sos only pretends to run commands (--dry-run).
        answer = self.exec_cmd(f"{shlex.quote(path)} --version", timeout=20)
        return answer['status'] in (0, None)

    def _run(self, command):
        where = self.get_cmd_output_path(name='bundle', make=False)
        if self.use_sysroot():
            where = os.path.join(os.sep, os.path.relpath(where, self.sysroot))
        words = [command, 'collect', '--quiet', '--format', 'dir']
        if self.get_option('with-cmdline'):
            words.append('--with-cmdline')
        words += ['-o', where]
        # Its output is what makes the directory that the bundle goes to;
        # made earlier, it is removed again by sos report --estimate-only.
        self.add_cmd_output(f"{shlex.quote(command)} --version",
                            suggest_filename='version', timeout=20)
        self.add_cmd_output(' '.join(shlex.quote(word) for word in words),
                            suggest_filename='collect',
                            timeout=self._seconds())

    def _seconds(self):
        try:
            return max(1, int(self.get_option('collect-timeout')))
        except (TypeError, ValueError):
            return 120

    # -- without it -------------------------------------------------------

    def _gather(self):
        self.add_copy_spec(list(COPY_SPECS))
        for log in LOGS:
            self.add_copy_spec(log, sizelimit=LOG_SIZE)
        for command in COMMANDS:
            self.add_cmd_output(command, timeout=30, stderr=False)
        for path in LISTED:
            self.add_cmd_output(f"ls -lanR --time-style=full-iso {path}",
                                timeout=30, stderr=False)
        for name, base, depth, files in TABLES:
            self.add_cmd_output(self._table(base, depth, files),
                                suggest_filename=name, timeout=60,
                                stderr=False, env={'LC_ALL': 'C'})
        if self.get_option('with-cmdline'):
            self.add_cmd_output('ps -ww -e -o pid,args', timeout=30,
                                stderr=False)

    @staticmethod
    def _table(base, depth, files):
        # No pattern of paths: sos expands those itself, all of them into
        # one command line, which thousands of processes make too long.
        names = ' -o '.join(f"-name {name}" for name in files)
        return (f"find {base} -mindepth 1 -maxdepth {depth} -type f"
                f" '(' {names} ')' -exec grep -asH '' '{{}}' +")

    def postproc(self):
        if not self._raw:
            return
        for pattern, mark in SECRETS:
            self.do_path_regex_sub(r'.*', re.compile(pattern, re.I), mark)
            self.do_cmd_output_sub('', re.compile(pattern, re.I), mark)
        self._scrub_tails()

    def _scrub_tails(self):
        """Scrub the ends of long logs, which sos keeps apart; its own
        substitutions do not reach them in every version.
        """
        tails = os.path.join('sos_strings', self.name())
        top = self.archive.get_archive_path()
        try:
            names = os.listdir(os.path.join(top, tails))
        except OSError:
            return
        for name in names:
            path = os.path.join(tails, name)
            with open(os.path.join(top, path), encoding='utf-8',
                      errors='replace') as stream:
                before = after = stream.read()
            for pattern, mark in SECRETS:
                after = re.sub(pattern, mark, after, flags=re.I)
            if after != before:
                self.archive.add_string(after, path)

# vim: set et ts=4 sw=4 :
