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
_Base = type('LastwordsBase', (_plugins.Plugin, *_TAGS),
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
# and cannot hang. Kept complete, here and below, by the test
# tests/sos/test_coverage.py: --update-golden writes it.
COPY_SPECS = (
    '/.dockerenv',
    '/boot/config-*',
    '/boot/efi/EFI/*/grub.cfg',
    '/boot/efi/EFI/*/grubenv',
    '/boot/efi/loader/entries/*.conf',
    '/boot/efi/loader/loader.conf',
    '/boot/extlinux.conf',
    '/boot/extlinux/extlinux.conf',
    '/boot/grub/grub.cfg',
    '/boot/grub/grub.conf',
    '/boot/grub/grubenv',
    '/boot/grub/menu.lst',
    '/boot/grub2/grub.cfg',
    '/boot/grub2/grubenv',
    '/boot/loader/entries/*.conf',
    '/boot/loader/loader.conf',
    '/boot/sysctl.conf-*',
    '/boot/syslinux/syslinux.cfg',
    '/efi/EFI/*/grub.cfg',
    '/efi/EFI/*/grubenv',
    '/efi/loader/entries/*.conf',
    '/efi/loader/loader.conf',
    '/etc/SuSE-release',
    '/etc/debian_version',
    '/etc/default/earlyoom',
    '/etc/default/grub',
    '/etc/default/grub.d/*.cfg',
    '/etc/default/grub.d/kdump-tools.cfg',
    '/etc/default/kdump-tools',
    '/etc/default/nohang',
    '/etc/fstab',
    '/etc/hostname',
    '/etc/kboot.conf',
    '/etc/kdump.conf',
    '/etc/kernel/cmdline',
    '/etc/localtime',
    '/etc/machine-id',
    '/etc/nohang/*.conf',
    '/etc/os-release',
    '/etc/redhat-release',
    '/etc/sysconfig/earlyoom',
    '/etc/sysconfig/kdump',
    '/etc/sysctl.conf',
    '/etc/sysctl.d/*',
    '/etc/systemd/oomd.conf',
    '/etc/systemd/oomd.conf.d/*',
    '/etc/systemd/system.conf',
    '/etc/systemd/system.conf.d/*',
    '/etc/systemd/system/*.wants/kdump*',
    '/etc/systemd/system/kdump*.service',
    '/etc/timezone',
    '/etc/tuned/*/tuned.conf',
    '/etc/tuned/active_profile',
    '/etc/tuned/profiles/*/tuned.conf',
    '/etc/udev/rules.d/*kdump*.rules',
    '/etc/udev/rules.d/*kexec*.rules',
    '/etc/zipl.conf',
    '/lib/modules/*/build/.config',
    '/lib/modules/*/config',
    '/lib/modules/*/modules.builtin',
    '/lib/modules/*/modules.dep',
    '/lib/modules/*/modules.softdep',
    '/lib/modules/*/sysctl.conf',
    '/lib/sysctl.d/*',
    '/lib/systemd/oomd.conf',
    '/lib/systemd/oomd.conf.d/*',
    '/lib/systemd/system.conf.d/*',
    '/lib/systemd/system/kdump*.service',
    '/lib/udev/rules.d/*kdump*.rules',
    '/lib/udev/rules.d/*kexec*.rules',
    '/proc/1/cgroup',
    '/proc/1/comm',
    '/proc/buddyinfo',
    '/proc/cmdline',
    '/proc/config.gz',
    '/proc/cpuinfo',
    '/proc/iomem',
    '/proc/meminfo',
    '/proc/modules',
    '/proc/mounts',
    '/proc/pagetypeinfo',
    '/proc/pressure/cpu',
    '/proc/pressure/io',
    '/proc/pressure/memory',
    '/proc/self/mounts',
    '/proc/slabinfo',
    '/proc/stat',
    '/proc/swaps',
    '/proc/sys/fs/suid_dumpable',
    '/proc/sys/kernel/arch',
    '/proc/sys/kernel/core_pattern',
    '/proc/sys/kernel/core_uses_pid',
    '/proc/sys/kernel/dmesg_restrict',
    '/proc/sys/kernel/ftrace_dump_on_oops',
    '/proc/sys/kernel/hardlockup_all_cpu_backtrace',
    '/proc/sys/kernel/hardlockup_panic',
    '/proc/sys/kernel/hostname',
    '/proc/sys/kernel/hung_task_all_cpu_backtrace',
    '/proc/sys/kernel/hung_task_detect_count',
    '/proc/sys/kernel/hung_task_panic',
    '/proc/sys/kernel/hung_task_timeout_secs',
    '/proc/sys/kernel/hung_task_warnings',
    '/proc/sys/kernel/kexec_load_disabled',
    '/proc/sys/kernel/kexec_load_limit_panic',
    '/proc/sys/kernel/kptr_restrict',
    '/proc/sys/kernel/max_rcu_stall_to_panic',
    '/proc/sys/kernel/modules_disabled',
    '/proc/sys/kernel/nmi_watchdog',
    '/proc/sys/kernel/oops_all_cpu_backtrace',
    '/proc/sys/kernel/oops_limit',
    '/proc/sys/kernel/osrelease',
    '/proc/sys/kernel/panic',
    '/proc/sys/kernel/panic_on_io_nmi',
    '/proc/sys/kernel/panic_on_oops',
    '/proc/sys/kernel/panic_on_rcu_stall',
    '/proc/sys/kernel/panic_on_stackoverflow',
    '/proc/sys/kernel/panic_on_unrecovered_nmi',
    '/proc/sys/kernel/panic_on_warn',
    '/proc/sys/kernel/panic_print',
    '/proc/sys/kernel/panic_sys_info',
    '/proc/sys/kernel/pid_max',
    '/proc/sys/kernel/printk',
    '/proc/sys/kernel/printk_devkmsg',
    '/proc/sys/kernel/random/boot_id',
    '/proc/sys/kernel/soft_watchdog',
    '/proc/sys/kernel/softlockup_all_cpu_backtrace',
    '/proc/sys/kernel/softlockup_panic',
    '/proc/sys/kernel/sysrq',
    '/proc/sys/kernel/tainted',
    '/proc/sys/kernel/threads-max',
    '/proc/sys/kernel/traceoff_on_warning',
    '/proc/sys/kernel/unknown_nmi_panic',
    '/proc/sys/kernel/version',
    '/proc/sys/kernel/warn_limit',
    '/proc/sys/kernel/watchdog',
    '/proc/sys/kernel/watchdog_thresh',
    '/proc/sys/vm/admin_reserve_kbytes',
    '/proc/sys/vm/compact_unevictable_allowed',
    '/proc/sys/vm/compaction_proactiveness',
    '/proc/sys/vm/dirty_background_bytes',
    '/proc/sys/vm/dirty_background_ratio',
    '/proc/sys/vm/dirty_bytes',
    '/proc/sys/vm/dirty_ratio',
    '/proc/sys/vm/extfrag_threshold',
    '/proc/sys/vm/extra_free_kbytes',
    '/proc/sys/vm/lowmem_reserve_ratio',
    '/proc/sys/vm/max_map_count',
    '/proc/sys/vm/min_free_kbytes',
    '/proc/sys/vm/min_slab_ratio',
    '/proc/sys/vm/min_unmapped_ratio',
    '/proc/sys/vm/nr_hugepages',
    '/proc/sys/vm/nr_overcommit_hugepages',
    '/proc/sys/vm/oom_dump_tasks',
    '/proc/sys/vm/oom_kill_allocating_task',
    '/proc/sys/vm/overcommit_kbytes',
    '/proc/sys/vm/overcommit_memory',
    '/proc/sys/vm/overcommit_ratio',
    '/proc/sys/vm/page-cluster',
    '/proc/sys/vm/pagecache_limit_mb',
    '/proc/sys/vm/panic_on_oom',
    '/proc/sys/vm/swappiness',
    '/proc/sys/vm/user_reserve_kbytes',
    '/proc/sys/vm/vfs_cache_pressure',
    '/proc/sys/vm/watermark_boost_factor',
    '/proc/sys/vm/watermark_scale_factor',
    '/proc/sys/vm/zone_reclaim_mode',
    '/proc/uptime',
    '/proc/version',
    '/proc/vmstat',
    '/proc/zoneinfo',
    '/run/.containerenv',
    '/run/sysctl.d/*',
    '/run/systemd/container',
    '/run/systemd/oomd.conf',
    '/run/systemd/oomd.conf.d/*',
    '/run/systemd/system.conf.d/*',
    '/run/systemd/system/kdump*.service',
    '/run/udev/rules.d/*kdump*.rules',
    '/run/udev/rules.d/*kexec*.rules',
    '/sys/block/zram[0-9]*/backing_dev',
    '/sys/block/zram[0-9]*/comp_algorithm',
    '/sys/block/zram[0-9]*/disksize',
    '/sys/block/zram[0-9]*/mm_stat',
    '/sys/class/dmi/id/product_name',
    '/sys/class/dmi/id/sys_vendor',
    '/sys/devices/system/*/crash_hotplug',
    '/sys/devices/system/node/node[0-9]*/hugepages/hugepages-*/*',
    '/sys/devices/system/node/node[0-9]*/meminfo',
    '/sys/firmware/efi/efivars/Boot*',
    '/sys/firmware/efi/efivars/'
    'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c',
    '/sys/fs/btrfs/*/devices/*',
    '/sys/fs/pstore/*',
    '/sys/hypervisor/type',
    '/sys/kernel/debug/zswap/*',
    '/sys/kernel/fadump*',
    '/sys/kernel/fadump/*',
    '/sys/kernel/kexec/*',
    '/sys/kernel/kexec_*',
    '/sys/kernel/security/lockdown',
    '/sys/module/zswap/parameters/*',
    '/usr/lib/modules/*/config',
    '/usr/lib/modules/*/modules.builtin',
    '/usr/lib/modules/*/modules.dep',
    '/usr/lib/modules/*/modules.softdep',
    '/usr/lib/modules/*/sysctl.conf',
    '/usr/lib/os-release',
    '/usr/lib/sysctl.d/*',
    '/usr/lib/systemd/oomd.conf',
    '/usr/lib/systemd/oomd.conf.d/*',
    '/usr/lib/systemd/system.conf',
    '/usr/lib/systemd/system.conf.d/*',
    '/usr/lib/systemd/system/kdump*.service',
    '/usr/lib/tuned/*/tuned.conf',
    '/usr/lib/tuned/profiles/*/tuned.conf',
    '/usr/lib/udev/rules.d/*kdump*.rules',
    '/usr/lib/udev/rules.d/*kexec*.rules',
    '/usr/local/lib/sysctl.d/*',
    '/usr/local/lib/systemd/oomd.conf',
    '/usr/local/lib/systemd/oomd.conf.d/*',
    '/var/lib/systemd/pstore/*',
    '/var/lib/systemd/pstore/*/*',
    '/var/lib/systemd/pstore/*/*/*',
)

# Logs may be huge: only the newest LOG_SIZE megabytes of each are taken.
LOG_SIZE = 25
LOGS = (
    '/var/log/dmesg*',
    '/var/log/kern.log*',
    '/var/log/messages*',
    '/var/log/syslog*',
)

# What the collectors run (their ``runs``).
COMMANDS = (
    'dmesg',
    'dpkg -l',
    'efibootmgr -v',
    'getconf PAGE_SIZE',
    'journalctl --no-pager --list-boots',
    'journalctl --no-pager -o short-iso -n 200000 _TRANSPORT=kernel + '
    '_SYSTEMD_UNIT=systemd-oomd.service + _SYSTEMD_UNIT=earlyoom.service',
    'journalctl --no-pager -o short-iso -n 4000 '
    'MESSAGE_ID=d93fb3c9c24d451a97cea615ce59c00b + UNIT=shutdown.target',
    'lsblk',
    'lsmod',
    'lspci -nnvv',
    'mokutil --sb-state',
    'rpm -q kexec-tools kdump-utils makedumpfile kdump-tools kdump',
    'rpm -qf /boot/vmlinuz-*',
    'sysctl -a',
    'systemctl is-active earlyoom.service',
    'systemctl is-active nohang-desktop.service',
    'systemctl is-active nohang.service',
    'systemctl is-active systemd-oomd.service',
    'systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,'
    'Result,ConditionResult,ExecMainStatus kdump.service '
    'kdump-early.service kdump-tools.service',
    'systemd-detect-virt',
    'uname -a',
)
# End of what the test writes.

# Directories whose files are never copied: what is in them, how large and
# how old it is, is what counts. By a command with a deadline, since any of
# them may be on a server that does not answer.
LISTED = (
    '/boot',
    '/efi',
    '/dev/disk',
    '/etc/systemd/system',
    '/run/systemd/system',
    '/var/crash',
    '/var/lib/kdump',
    '/var/lib/systemd/pstore',
    '/var/spool/abrt',
    '/var/tmp/abrt',
)
# As above, but only what is in them directly. sos expands the patterns.
# Always more than one: a listing without a head is data to libmagic, and
# sos clean removes it.
LISTED_FLAT = (
    ('lib.modules', '/lib/modules/ /lib/modules/*/'),
    ('usr.lib.modules', '/usr/lib/modules/ /usr/lib/modules/*/'),
    ('sys.firmware', '/sys/firmware/ /sys/firmware/efi/'),
    ('usr.local', '/usr/local/bin/ /usr/local/sbin/'),
    ('usr',
     '/usr/bin/earlyoom /usr/sbin/earlyoom /usr/bin/nohang /usr/sbin/nohang '
     '/usr/lib/systemd/systemd-oomd /lib/systemd/systemd-oomd '
     '/usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl'),
)

_UNITS = tuple(
    base + '/' + name
    for base, names in (
        ('/etc/systemd', ('system', 'system.attached', 'system.control')),
        ('/run/systemd', ('system', 'system.attached', 'system.control',
                          'generator', 'generator.early',
                          'generator.late')),
        ('/usr/local/lib/systemd', ('system',)),
        ('/usr/lib/systemd', ('system',)),
        ('/lib/systemd', ('system',)),
    )
    for name in names
)
_SCRIPTS = (
    '/etc/crontab', '/etc/anacrontab', '/etc/cron.d', '/etc/cron.hourly',
    '/etc/cron.daily', '/etc/cron.weekly', '/etc/cron.monthly',
    '/var/spool/cron', '/etc/rc.local', '/etc/rc.d/rc.local',
    '/etc/init.d', '/usr/local/bin', '/usr/local/sbin',
    '/etc/udev/rules.d', '/run/udev/rules.d', '/usr/lib/udev/rules.d',
)
# Small files of many directories, each group as the output of one command:
# thousands of processes copied file by file would take sos longer than its
# deadline. Name of the output, where they are, how deep, an extended
# regular expression of their names, one of the lines wanted.
TABLES = (
    ('proc_oom', ('/proc',), (2, 2), 'oom_score|oom_score_adj', ''),
    ('proc_stat', ('/proc',), (2, 2), 'stat', ''),
    ('proc_cgroup', ('/proc',), (2, 2), 'cgroup', ''),
    ('proc_status', ('/proc',), (2, 2), 'status',
     '^(Name|State|PPid|Uid|VmPeak|VmSize|VmRSS|RssAnon|RssFile|RssShmem|'
     'VmPTE|VmPMD|VmSwap|HugetlbPages|Threads|Kthread):'),
    ('cgroup_memory', ('/sys/fs/cgroup',), (1, 12),
     r'memory\.(current|events|events\.local|failcnt|high|'
     r'kmem\.limit_in_bytes|kmem\.usage_in_bytes|limit_in_bytes|low|max|'
     r'max_usage_in_bytes|memsw\.limit_in_bytes|memsw\.usage_in_bytes|min|'
     r'oom\.group|oom_control|peak|pressure|soft_limit_in_bytes|'
     r'swap\.current|swap\.max|usage_in_bytes)|cgroup\.controllers', ''),
    ('cgroup_stat', ('/sys/fs/cgroup',), (1, 12), r'memory\.stat', ''),
    ('hugepages', ('/sys/kernel/mm/hugepages',
                   '/sys/kernel/mm/transparent_hugepage'), (1, 2),
     '[^/:]+', ''),
    ('units', _UNITS, (1, 2),
     r'[^/:]+\.(service|scope|slice|socket|mount|swap|conf)', '^[^#;]'),
    ('oom_writers', _SCRIPTS, (0, 2), '[^/:]+', 'oom_(score_)?adj|choom'),
    ('crash_text', ('/var/crash',), (1, 3),
     r'dmesg\.[^/:]+|vmcore-dmesg[^/:]*\.txt|kexec-dmesg\.log|kexec_cmd|'
     r'vmcore-creation\.status|README\.txt', ''),
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
        # It ends by itself before sos would end it, and keeps what it has.
        words += ['--within', str(max(1, self._seconds() * 5 // 6))]
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
        for name, paths in LISTED_FLAT:
            self.add_cmd_output(f"ls -lan --time-style=full-iso {paths}",
                                suggest_filename=f"ls_-lan_.{name}",
                                timeout=30, stderr=False)
        for name, places, depths, files, lines in TABLES:
            self.add_cmd_output(self._table(places, depths, files, lines),
                                suggest_filename=name, timeout=60,
                                stderr=False, env={'LC_ALL': 'C'})
        if self.get_option('with-cmdline'):
            self.add_cmd_output('ps -ww -e -o pid,args', timeout=30,
                                stderr=False)

    @staticmethod
    def _table(places, depths, files, lines):
        # No pattern of paths: sos expands those itself, all of them into
        # one command line, which thousands of processes make too long.
        # What is larger than the limit is no text, and -I passes over
        # what else is none.
        words = ['find', *places,
                 '-mindepth', depths[0], '-maxdepth', depths[1],
                 '-type', 'f', '-size', '-8192k',
                 '-regextype', 'posix-extended', '-regex', f".*/({files})",
                 '-exec', 'grep', '-IsHE', lines, '{}', '+']
        return ' '.join(shlex.quote(str(word)) for word in words)

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
