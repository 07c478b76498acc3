"""Signs of a crash kernel that could not be reserved, loaded, or that could not save its dump.

Sources: kernel/crash_reserve.c, kernel/kexec.c, arch/*/kernel/setup.c, kexec-tools kexec/kexec.c,
kdump-utils kdumpctl, mkdumprd, kdump-lib.sh and dracut/99kdumpbase/kdump.sh, Debian's kdump-config,
makedumpfile.c.
"""

from __future__ import annotations

from lastwords.formats.failures.signs import CAUSE, FAILED, HINT, Sign, sign


def _kdump(stage: str, name: str, words: str, pattern: str, weight: int = CAUSE) -> Sign:
    return sign("kdump", stage, name, words, pattern, weight)


KDUMP = (
    # -- reservation, by the kernel that boots
    _kdump(
        "reservation",
        "crashkernel_syntax",
        "crashkernel",
        r"^crashkernel: (?:memory value expected|unrecognized char|.* expected|end <= start|invalid size)",
    ),
    _kdump("reservation", "crashkernel_range", "crashkernel", r"crashkernel size resulted in zero bytes"),
    _kdump(
        "reservation",
        "crashkernel_no_room",
        "crashkernel",
        r"crashkernel reservation failed - [Nn]o suitable area|[Cc]annot allocate crashkernel \(size"
        r"|Failed to reserve memory for crashkernel|^crashkernel: couldn't allocate"
        r"|crashkernel reservation failed - could not reserve|crashkernel region allocation failed"
        r"|first memory chunk must be at least crashkernel size",
    ),
    _kdump(
        "reservation",
        "crashkernel_low_memory",
        "crashkernel",
        r"[Cc]annot (?:allocate|reserve) .{0,20}crashkernel low memory",
    ),
    _kdump(
        "reservation",
        "crashkernel_in_use",
        "crashkernel",
        r"crashkernel reservation failed - memory is in use|^crashkernel: requested region"
        r"|^cannot reserve crashkernel: region",
    ),
    _kdump(
        "reservation",
        "crashkernel_missing",
        "crashkernel=|crashkernel parameter",
        r"no crashkernel= parameter in the kernel cmdline|crashkernel parameter .{0,20}not (?:set|found)",
        HINT,
    ),
    _kdump(
        "reservation",
        "crashkernel_not_reserved",
        "crash kernel|crashkernel",
        r"No memory reserved for crash ?kernel|No crashkernel memory reserved"
        r"|Memory for crashkernel is not reserved",
        FAILED,
    ),
    _kdump(
        "reservation",
        "crashkernel_rejected",
        "crashkernel|Crash kernel can not",
        r"(?i)^crashkernel.*(?:reservation failed|cannot|unable|invalid|must be)|^cannot reserve crashkernel"
        r"|^Crash kernel can not overlap",
        FAILED,
    ),
    _kdump(
        "reservation",
        "fadump_failed",
        "fadump",
        r"fadump: (?:[Ff]ailed to (?:register|reserve|find memory)|Registration .* failed)"
        r"|FAILED to register fadump",
    ),
    # -- loading it, with kexec
    _kdump(
        "load",
        "kexec_signature",
        "kexec_file_load failed|kexec_load failed",
        r"kexec_file_load failed: (?:Required key not available|Key was rejected by service"
        r"|No data available|Bad message)",
    ),
    _kdump(
        "load",
        "kexec_forbidden",
        "kexec",
        r"kexec(?:_file)?_load failed: Operation not permitted"
        r"|Lockdown: kexec: .*is restricted|kexec: .*(?:disabled|restricted|denied)",
    ),
    _kdump(
        "load",
        "kexec_no_space",
        "free area of memory|locate_hole|Cannot assign requested|crash_reserved|bad memory",
        r"Could not find a free area of memory of|locate_hole failed"
        r"|kexec(?:_file)?_load failed: Cannot assign requested address"
        r"|kexec(?:_file)?_load failed: Cannot allocate memory",
    ),
    _kdump(
        "load",
        "kexec_invalid",
        "kexec",
        r"kexec(?:_file)?_load failed: (?:Invalid argument|Function not implemented|Exec format error)",
    ),
    _kdump("load", "kallsyms_hidden", "from kcore", r"Can't find kernel text map area from kcore"),
    _kdump(
        "load",
        "initrd_build",
        "kdump initrd|mkdumprd|mkfadumprd|mkinitramfs|kdump: Building",
        r"mkdumprd: failed to make kdump initrd|mkfadumprd: failed|mkinitramfs: failed"
        r"|kdump: Building kdump initrd.*failed",
    ),
    _kdump(
        "load",
        "kdump_config",
        "kdump config|Duplicated kdump|dump targets specified|Dump target|Dump path",
        r"Invalid kdump config option (?P<device>\S+)|Deprecated kdump config|More than one dump targets"
        r"|Duplicated kdump config"
        r"|Dump target is invalid|Dump path '?(?P<target>/\S*?)'? does not exist"
        r"|force_rebuild and force_no_rebuild",
    ),
    _kdump(
        "load",
        "kdump_initrd_missing",
        "Invalid symlink",
        r"Invalid symlink : (?P<device>/var/lib/kdump/\S+)",
    ),
    # kdumpctl builds it then, at the first start of a kernel.
    _kdump(
        "load",
        "kdump_initrd_missing",
        "No kdump initial ramdisk",
        r"No kdump initial ramdisk found",
        HINT,
    ),
    # kdumpctl tries an ssh target when it starts.
    _kdump(
        "load",
        "capture_target",
        "kdumpctl propagate",
        r"Could not create (?P<device>\S+), you probably need to run \"?kdumpctl propagate",
    ),
    _kdump(
        "load",
        "kexec_load",
        "Error: /boot/",
        r"^(?:kdump: )?Error: (?P<device>/boot/\S+) not found",
        FAILED,
    ),
    _kdump(
        "load",
        "kexec_load",
        "kdump kernel|Starting kdump|kexec_load failed|Cannot load |kdump.service: Failed",
        r"(?i:failed to load kdump kernel)|Starting kdump: \[FAILED\]|^kexec(?:_file)?_load failed: "
        r"|kdump\.service: Failed with result"
        r"|^Cannot load /",
        FAILED,
    ),
    # -- the capture kernel
    _kdump(
        "capture",
        "capture_makedumpfile",
        "makedumpfile|calculate_plat_config|determine platform",
        r"calculate_plat_config: |Can't determine platform config|get_machdep_info\w*: "
        r"|makedumpfile: unrecognized option"
        r"|The kernel version is not supported\. The makedumpfile operation may be incomplete",
        HINT,
    ),
    _kdump(
        "capture",
        "capture_makedumpfile",
        "makedumpfile Failed",
        r"makedumpfile Failed\.|makedumpfile failed, falling back",
    ),
    _kdump(
        "capture",
        "capture_collector_died",
        "unhandled signal|Bus error|Segmentation fault",
        r"makedumpfile\[\d+\]: unhandled signal|(?:Bus error|Segmentation fault).*(?:CORE_COLLECTOR"
        r"|makedumpfile)",
    ),
    _kdump(
        "capture",
        "capture_no_space",
        "No space left on device",
        r"(?:makedumpfile|^cat: write|^cp: .*vmcore|vmcore).*No space left on device",
    ),
    _kdump(
        "capture",
        "capture_vmcore_read",
        "/proc/vmcore|vmcore not initialized",
        r"error reading '?/proc/vmcore'?: (?P<reason>.*)|read_vmcore.*fail|Kdump: vmcore not initialized",
    ),
    _kdump(
        "capture",
        "capture_target",
        "kdump: |network still|mount point|/kdump",
        r"Oops\. The network still isn't ready"
        r"|failed to dump to '(?P<device>[^']*)'"
        r"|kdump: (?:Failed to mount|error: Dump target|failed to mount) ?(?P<target>\S*)"
        r"|Dump target .* is not (?:mounted|usable)"
        r"|Failed to mount (?:\S+\.mount - )?(?P<mount>/kdump(?:root|/mnt)\S*?)\.?$",
    ),
    _kdump(
        "capture",
        "capture_target",
        "ssh: connect|Permission denied (",
        r"^ssh: connect to host (?P<device>\S+) port \d+: |^(?P<target>\S+@\S+): Permission denied \(",
        HINT,
    ),
    _kdump(
        "capture",
        "capture_out_of_memory",
        "(makedumpfile)|(vmcore-dmesg)",
        r"^Out of memory: Kill(?:ed)? process \d+ \((?:makedumpfile|vmcore-dmesg)\)",
        HINT,
    ),
    _kdump(
        "capture",
        "capture_failed",
        "saving vmcore failed|Failed saving vmcore",
        r"saving vmcore failed|Failed saving vmcore",
        FAILED,
    ),
)
