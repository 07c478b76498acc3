"""Signs of boots that ended in the firmware, in a boot loader, or before the kernel could unpack itself.

Sources: grub-core/kern/{err,rescue_reader}.c, grub-core/loader/i386/linux.c, GRUB legacy stage2/common.c,
shim, edk2 MdeModulePkg/BdsDxe and ShellPkg, SeaBIOS boot.c, iPXE usr/autoboot.c and imgmgmt.c, syslinux core,
U-Boot boot/{bootm,image}.c and fs/fat, systemd src/boot/boot.c, the kernel's drivers/firmware/efi/libstub,
arch/x86/boot/{cpucheck.c,compressed/misc.c} and arch/arm/kernel/head-common.S.
"""

from __future__ import annotations

from lastwords.formats.failures.signs import CAUSE, FAILED, HINT, boot_sign

LOADER = (
    boot_sign(
        "firmware",
        "no_boot_device",
        "bootable|Boot Device|boot device|PXE-E|perating system|Interactive Shell|network devices|Retry ",
        r"(?i)^(?:FATAL: )?(?:no bootable device|boot failed: not a bootable disk|no bootable medium"
        r"|e34\d\d: not a bootable device|operating system not found|missing operating system"
        r"|no operating system was loaded"
        r"|.{0,40}no boot device|pxe-e[0-9a-f]{2}:|(?:bdsdxe: )?no bootable option or device"
        r"|uefi interactive shell v|no more network devices|(?:arp )?retry (?:time|count) exceeded)"
        r"|(?i:the boot loader did not load an operating system)",
    ),
    boot_sign(
        "loader",
        "secure_boot",
        "Security Violation|shim signature|Secure Boot|ecurity Policy Violation|Access Denied|Access denied"
        "|secure boot policy|verification requested",
        r"Verification failed: ?\(0x1A\) Security Violation|bad shim signature|Security Policy Violation"
        r"|^BdsDxe: failed to (?:load|start) .*(?:Access Denied|Security Violation)"
        r"|^Error loading .*: (?:Access denied|Security violation)"
        r"|^error: .*(?:prohibited by secure boot policy|verification requested but nobody cares)",
        CAUSE,
    ),
    boot_sign(
        "loader",
        "loader_rescue",
        "escue|Error 1|Error 2|grub>",
        r"^Entering rescue mode\.\.\.|^grub rescue> ?|^grub> *$|^(?:GRUB )?(?:Hard Disk )?Error [12]\d$",
    ),
    boot_sign(
        "loader",
        "loader_file_missing",
        "error: ",
        # Fonts, translations and modules but for the first may be missing: GRUB goes on.
        r"^error: (?:[^\s:]+:(?:\d+:)? ?)?(?:file `?"
        r"(?!\S{1,200}(?<!/normal)\.(?:mod|pf2|g?mo|png|tga|jpe?g|txt)')(?P<device>[^']{1,200})'? not found"
        r"|no such (?:device|partition|disk): ?(?P<id>\S*?)\.?$|you need to load the kernel first"
        r"|disk .{1,40} not found|couldn't send network packet|time out opening)",
        CAUSE,
    ),
    boot_sign(
        "loader",
        "kernel_image",
        "error: ",
        r"^error: (?:[^\s:]+:(?:\d+:)? ?)?(?:invalid magic number|invalid arch-\w+ ELF magic"
        r"|premature end of file (?P<device>[^\s.]\S*?)\.?$|couldn't load sections|cannot allocate kernel)",
        CAUSE,
    ),
    boot_sign("loader", "loader_file_missing", "Filename '", r"^Filename '(?P<device>[^']+)'", HINT),
    boot_sign("loader", "loader_file_missing", "TFTP error", r"^TFTP error: ", CAUSE),
    boot_sign(
        "loader",
        "efi_stub",
        "EFI stub: ERROR",
        r"^EFI stub: ERROR: (?!Failed to load initrd|FIRMWARE BUG|efi_get_random|Could not determine"
        r"|EFI_RNG)",
    ),
    # GRUB legacy shows the command before its error.
    boot_sign("loader", "loader_file_missing", "kernel /", r"^kernel (?P<device>/\S+)", HINT),
    boot_sign(
        "loader",
        "loader_file_missing",
        "Error 15|Error 17|Error 22",
        r"^Error (?:15: File not found|17: Cannot mount|22: No such partition)",
        CAUSE,
    ),
    boot_sign(
        "loader",
        "loader_file_missing",
        "Error loading|File not found|... failed: |...failed: |Failed to load|Failed to open|ipxe.org"
        "|Could not boot:|No loader found",
        r"^Error loading (?:EFI binary )?(?P<device>\S+): Not [Ff]ound|^\*\* File not found (?P<what>\S+)"
        r"|^Loading (?P<id>\S+?)\.\.\. ?failed: |^Failed to load (?:COM32 file )?(?P<volume>\S+\.c32)"
        r"|^(?P<target>\w+://\S+?)\.\.\. .*\(https?://ipxe\.org/|^Could not boot: "
        r"|^EFI stub: ERROR: Failed to load initrd|^No loader found\. Configuration files"
        r"|^Failed to (?:open|load image) (?P<group>\\\S+?)(?: - |: )Not Found",
    ),
    boot_sign(
        "loader",
        "kernel_image",
        "Image magic!|kernel image!|Bad magic!|Image Format|Bad Data CRC",
        r"^Bad Linux \S+ Image magic!|^ERROR: can't get kernel image!|^zimage: Bad magic!"
        r"|^Wrong (?:Ramdisk )?Image Format|Verifying Checksum \.\.\. Bad Data CRC",
    ),
    # -- the kernel, before it is one
    boot_sign(
        "kernel",
        "kernel_image",
        "System halted|is corrupt|appropriate for your CPU|requires an|unrecognized/unsupported",
        r"^-- System halted|^(?:XZ|LZ4|LZMA|ZSTD|gzip)\S*-compressed data is corrupt$"
        r"|please use a kernel appropriate for your CPU|^This kernel requires an? \S+ CPU, but"
        r"|^Error: unrecognized/unsupported (?:machine ID|processor variant)",
        FAILED,
    ),
)
