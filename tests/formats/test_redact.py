"""Secrets are removed wherever they stand; everything else stays as it is, byte for byte."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.redact.secrets import MARK, redact, suspicious

# In each text, S3cr and t stand for parts of a secret: no letter of "S3cr" or "t~" may be left, and what is
# left must be the second text.
REMOVED: dict[str, dict[str, str]] = {
    "kernel command lines": {
        "root=/dev/vda1 rd.iscsi.password=S3cret quiet": "root=/dev/vda1 rd.iscsi.password=<removed> quiet",
        "rd.iscsi.username=joe rd.iscsi.in.username=eoj rd.iscsi.in.password=S3cret,a;b ro": (
            "rd.iscsi.username=joe rd.iscsi.in.username=eoj rd.iscsi.in.password=<removed> ro"
        ),
        'rd.iscsi.password="S3cr et" quiet': 'rd.iscsi.password="<removed>" quiet',
        'x=1 "rd.iscsi.password=S3cr et" quiet': 'x=1 "rd.iscsi.password=<removed>" quiet',
        "netroot=iscsi:joe:S3cret@10.0.0.1::3260::iqn.2001-04.com.example:disk": (
            "netroot=iscsi:<removed>@10.0.0.1::3260::iqn.2001-04.com.example:disk"
        ),
        "netroot=iscsi:joe:S3cr:eoj:S3cret@10.0.0.1::::iqn.x": "netroot=iscsi:<removed>@10.0.0.1::::iqn.x",
        "netroot=iscsi:joe:S3cr@et@10.0.0.1::::iqn.x": "netroot=iscsi:<removed>@10.0.0.1::::iqn.x",
        "root=cifs://joe:S3cret@nas/share ip=dhcp": "root=cifs://<removed>@nas/share ip=dhcp",
        "netroot=cifs://joe:S3cr@et@nas/share ip=dhcp": "netroot=cifs://<removed>@nas/share ip=dhcp",
        "netroot=cifs://joe:S3cr/et@nas/share ip=dhcp": "netroot=cifs://<removed>@nas/share ip=dhcp",
        "inst.ks=http://joe:S3cret@ks/x.cfg": "inst.ks=http://<removed>@ks/x.cfg",
        "inst.ks=https://S3cret@ks/x.cfg quiet": "inst.ks=https://<removed>@ks/x.cfg quiet",
        "systemd.set_credential=luks:S3cret quiet": "systemd.set_credential=luks:<removed> quiet",
        "systemd.set_credential_binary=luks:UzNjcg== quiet": "systemd.set_credential_binary=luks:<removed> quiet",
        "SetCredential=luks:S3cret": "SetCredential=luks:<removed>",
        "-smbios type=11,value=io.systemd.credential:pw=S3cret": (
            "-smbios type=11,value=io.systemd.credential:pw=<removed>"
        ),
        "auto passwd/root-password=S3cret passwd/user-password-crypted=S3cret": (
            "auto passwd/root-password=<removed> passwd/user-password-crypted=<removed>"
        ),
        "inst.vncpassword=S3cret": "inst.vncpassword=<removed>",
        'dm-mod.create="c,,,rw,0 4096 crypt aes-xts-plain64 deadbeefdeadbeefdeadbeefdeadbeef 0 1:0 0"': (
            'dm-mod.create="c,,,rw,0 4096 crypt aes-xts-plain64 <removed> 0 1:0 0"'
        ),
        "[    0.000000] Kernel command line: ro rd.iscsi.password=S3cret": (
            "[    0.000000] Kernel command line: ro rd.iscsi.password=<removed>"
        ),
        "nvme.dhchap_secret=DHHC-1:00:S3cret=: quiet": "nvme.dhchap_secret=<removed> quiet",
    },
    "kdump": {
        "FTP_PASSWORD=S3cret": "FTP_PASSWORD=<removed>",
        'FTP_PASSWORD="S3cr et"': 'FTP_PASSWORD="<removed>"',
        "FTP_PASSWORD='S3cr\"et'  # comment": "FTP_PASSWORD='<removed>'  # comment",
        'FTP_PASSWORD="S3cr\\"et \\$x"': 'FTP_PASSWORD="<removed>"',
        "FTP_PASSWORD=S3cr\\ et": "FTP_PASSWORD=<removed>",
        "FTP_PASSWORD=S3cr\"et S3cr\"'et S3cr' # x": "FTP_PASSWORD=<removed> # x",
        "FTP_PASSWORD=S3cr\\\net\nNFS=x": "FTP_PASSWORD=<removed>\n\nNFS=x",
        'FTP_PASSWORD="S3cr\\\net"\nNFS=x': 'FTP_PASSWORD="<removed>\n"\nNFS=x',
        'FTP_PASSWORD="S3cr et': 'FTP_PASSWORD="<removed>',
        "export FTP_PASSWORD=S3cret; x=1": "export FTP_PASSWORD=<removed> x=1",
        "  FTP_PASSWORD = S3cret": "  FTP_PASSWORD = <removed>",
        "#FTP_PASSWORD=S3cret": "#FTP_PASSWORD=<removed>",
        'KDUMP_SMTP_PASSWORD="S3cret"': 'KDUMP_SMTP_PASSWORD="<removed>"',
        'KDUMP_SAVEDIR="ftp://joe:S3cret@host/var/crash"': 'KDUMP_SAVEDIR="ftp://<removed>@host/var/crash"',
        'KDUMP_SAVEDIR="cifs://joe:S3cr#?et@host/share"': 'KDUMP_SAVEDIR="cifs://<removed>@host/share"',
    },
    "boot loaders": {
        "password_pbkdf2 root grub.pbkdf2.sha512.10000.AB12.CD34": "password_pbkdf2 root <removed>",
        "GRUB2_PASSWORD=grub.pbkdf2.sha512.10000.AB12.CD34": "GRUB2_PASSWORD=<removed>",
        "\tpassword root S3cret": "\tpassword root <removed>",
        "password S3cret": "password <removed>",
        "password S3cret /boot/grub/other.lst": "password <removed> /boot/grub/other.lst",
        "password --md5 $1$2FXKzQ0$I6k7iy22wB27CrkzdVPe70": "password --md5 <removed>",
        "password --encrypted $6$abc$S3cretS3cret": "password --encrypted <removed>",
        "password --md5 $1$abc$S3cretS3cret /menu": "password --md5 <removed> /menu",
        "MENU MASTER PASSWD S3cret": "MENU MASTER PASSWD <removed>",
        "  menu passwd $4$S3cret": "  menu passwd <removed>",
        "rootpw --iscrypted $6$abc$S3cret": "rootpw --iscrypted <removed>",
        "rootpw S3cret": "rootpw <removed>",
        'linux /vmlinuz root=x rd.iscsi.password=S3cret\ninitrd /x': (
            "linux /vmlinuz root=x rd.iscsi.password=<removed>\ninitrd /x"
        ),
        'GRUB_CMDLINE_LINUX="quiet rd.iscsi.password=S3cret"': 'GRUB_CMDLINE_LINUX="quiet rd.iscsi.password=<removed>"',
        'GRUB_CMDLINE_LINUX="rd.iscsi.password=S3cret quiet"': 'GRUB_CMDLINE_LINUX="rd.iscsi.password=<removed>"',
    },
    "fstab": {
        "//nas/x /mnt cifs username=joe,password=S3cret,uid=0 0 0": (
            "//nas/x /mnt cifs username=joe,password=<removed>,uid=0 0 0"
        ),
        "//nas/x /mnt cifs password=S3cret 0 0": "//nas/x /mnt cifs password=<removed> 0 0",
        "//nas/x /mnt cifs rw,pass=S3cret,noauto 0 0": "//nas/x /mnt cifs rw,pass=<removed>,noauto 0 0",
        "//nas/x /mnt cifs user=joe%S3cret,noauto 0 0": "//nas/x /mnt cifs user=joe%<removed>,noauto 0 0",
        "//joe:S3cret@nas/x /mnt cifs noauto 0 0": "//<removed>@nas/x /mnt cifs noauto 0 0",
        "mon1:/ /mnt ceph name=a,secret=AQS3cret==,noatime 0 0": "mon1:/ /mnt ceph name=a,secret=<removed>,noatime 0 0",
        "cifs /mnt username=joe,password2=S3cret,x 0 0": "cifs /mnt username=joe,password2=<removed>,x 0 0",
    },
    "command lines": {
        "mysqld --password=S3cret --port 3306": "mysqld --password=<removed> --port 3306",
        "mysqld --password S3cret --port 3306": "mysqld --password <removed> --port 3306",
        "mysqld --password 'S3cr et' --port 3306": "mysqld --password '<removed>' --port 3306",
        "mysqld\0--password\0S3cr et\0--port\x003306\0": "mysqld\0--password\0<removed>\0--port\x003306\0",
        "mysqld\0--password=S3cr et\0--port\x003306\0": "mysqld\0--password=<removed>\0--port\x003306\0",
        "PGPASSWORD=S3cr et\0psql\0": "PGPASSWORD=<removed>\0psql\0",
        "PGPASSWORD=S3cret psql -h db": "PGPASSWORD=<removed> psql -h db",
        "env MYSQL_PWD=S3cret SSHPASS=S3cret x": "env MYSQL_PWD=<removed> SSHPASS=<removed> x",
        "java -Djavax.net.ssl.keyStorePassword=S3cret -jar x": "java -Djavax.net.ssl.keyStorePassword=<removed> -jar x",
        "curl -u joe:S3cret http://x/": "curl -u joe:<removed> http://x/",
        "curl -sujoe:S3cret -ujoe:S3cret http://x/": "curl -sujoe:<removed> -ujoe:<removed> http://x/",
        "curl --user 'joe:S3cr et' --proxy-user=joe:S3cret http://x/": (
            "curl --user 'joe:<removed>' --proxy-user=joe:<removed> http://x/"
        ),
        "/usr/bin/curl\0-u\0joe:S3cr et\0http://x/\0": "/usr/bin/curl\0-u\0joe:<removed>\0http://x/\0",
        "curl -H 'Authorization: Bearer S3cret' http://x/": "curl -H 'Authorization: <removed>' http://x/",
        'curl -H "X-Auth-Token: S3cret" http://x/': 'curl -H "X-Auth-Token: <removed>" http://x/',
        "curl https://joe:S3cret@x/ http://S3cret@x/": "curl https://<removed>@x/ http://<removed>@x/",
        "sshpass -p S3cret ssh -p 22 db": "sshpass -p <removed> ssh -p 22 db",
        "sshpass -pS3cret ssh db": "sshpass -p<removed> ssh db",
        "mysql -u root -pS3cret db": "mysql -u root -p<removed> db",
        "mysqldump -pS3cret --all | ssh -pp x": "mysqldump -p<removed> --all | ssh -pp x",
        "smbclient //nas/x -U joe%S3cret": "smbclient //nas/x -U joe%<removed>",
        "smbclient //nas/x -UDOM\\joe%S3cret": "smbclient //nas/x -UDOM\\joe%<removed>",
        "ldapsearch -x -D cn=a -w S3cret": "ldapsearch -x -D cn=a -w <removed>",
        "ipmitool -H bmc -U adm -P S3cret power on": "ipmitool -H bmc -U adm -P <removed> power on",
        "fence_ipmilan -a bmc -l adm -p S3cret -o status": "fence_ipmilan -a bmc -l adm -p <removed> -o status",
        "redis-cli -a S3cret ping": "redis-cli -a <removed> ping",
        "docker login -u joe -p S3cret reg": "docker login -u joe -p <removed> reg",
        "mongosh -u joe -p S3cret": "mongosh -u joe -p <removed>",
        "xfreerdp /u:joe /p:S3cret /v:x": "xfreerdp /u:joe /p:<removed> /v:x",
        "sqlplus joe/S3cret@db1 @x.sql": "sqlplus joe/<removed>@db1 @x.sql",
        "openssl rsa -passin pass:S3cret -in x": "openssl rsa -passin <removed> -in x",
        "etcdctl --api-key S3cret --max-tokens 5": "etcdctl --api-key <removed> --max-tokens 5",
        "echo root:S3cret | chpasswd": "echo root:<removed> | chpasswd",
        "COMMAND=/usr/bin/mysql -pS3cret": "COMMAND=/usr/bin/mysql -p<removed>",
        "psql postgresql://joe:S3cret@db/x": "psql postgresql://<removed>@db/x",
        "AWS_SECRET_ACCESS_KEY=S3cret AWS_ACCESS_KEY_ID=AKIA": "AWS_SECRET_ACCESS_KEY=<removed> AWS_ACCESS_KEY_ID=AKIA",
        "run --token=eyJhbGciOiJ.eyJzdWIiOiI.S3cret x": "run --token=<removed> x",
        "run eyJhbGciOiJIUzI1.eyJzdWIiOiIx.S3cretS3cret x": "run <removed> x",
        "[\"mysqld\", \"--password=S3cr et\"]": "[\"mysqld\", \"--password=<removed>\"]",
    },
    "JSON, YAML and the like": {
        '{"password": "S3cr\\"et", "user": "joe"}': '{"password": "<removed>", "user": "joe"}',
        '{"password":12345678,"api_key":"S3cret"}': '{"password":"<removed>","api_key":"<removed>"}',
        '{"dbPassword"\n: "S3cret"}': '{"dbPassword"\n: "<removed>"}',
        "{'token': 'S3cret'}": "{'token': '<removed>'}",
        '{"m": "{\\"password\\": \\"S3cr et\\", \\"u\\": 1}"}': '{"m": "{\\"password\\": \\"<removed>\\", \\"u\\": 1}"}',
        '{"cmdline": "x rd.iscsi.password=S3cret"}': '{"cmdline": "x rd.iscsi.password=<removed>"}',
        '{"e": "A=1 PASSWORD=\\"S3cr et\\" x"}': '{"e": "A=1 PASSWORD=\\"<removed>\\" x"}',
        '{"Authorization": "Basic S3cret"}': '{"Authorization": "<removed>"}',
        "db:\n  password: S3cr et  # why\n  user: joe": "db:\n  password: <removed>  # why\n  user: joe",
        "- secret: 'S3cret'": "- secret: <removed>",
        "Authorization: Basic S3cret==\nHost: x": "Authorization: <removed>\nHost: x",
        "Proxy-Authorization: Digest user=joe, response=S3cret": "Proxy-Authorization: <removed>",
        'Environment="DB_PASSWORD=S3cr et" "X=1"': 'Environment="DB_PASSWORD=<removed>" "X=1"',
        "Environment=DB_PASSWORD=S3cret": "Environment=DB_PASSWORD=<removed>",
        "root:$6$saltsalt$S3cretS3cretS3cretS3cret.:19000:0:": "root:<removed>:19000:0:",
        "x $2b$12$S3cretS3cretS3cretS3cretS3cretS3cretS3cretS3cretS3cretS y": "x <removed> y",
        "x $y$j9T$F5Jx5fExrKuPp53xLKQ..1$S3cretS3cretS3cretS3cretS3cretS3cretS3cret1 y": "x <removed> y",
        "wpa-psk=S3cret\n": "wpa-psk=<removed>\n",
        "PrivateKey = S3cret=\nPresharedKey = x": "PrivateKey = <removed>\nPresharedKey = x",
    },
    "private keys": {
        "-----BEGIN RSA PRIVATE KEY-----\nS3cret\nS3cret\n-----END RSA PRIVATE KEY-----\nx": (
            "-----BEGIN RSA PRIVATE KEY-----<removed>\n\n\n-----END RSA PRIVATE KEY-----\nx"
        ),
        "-----BEGIN PRIVATE KEY-----\nS3cret\nS3cr": "-----BEGIN PRIVATE KEY-----<removed>\n\n",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nS3cret\n-----END PGP PRIVATE KEY BLOCK-----": (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----<removed>\n\n-----END PGP PRIVATE KEY BLOCK-----"
        ),
        '{"key": "-----BEGIN PRIVATE KEY-----\\nS3cret\\n-----END PRIVATE KEY-----\\n"}': (
            '{"key": "-----BEGIN PRIVATE KEY-----<removed>-----END PRIVATE KEY-----\\n"}'
        ),
    },
}  # fmt: skip

KEPT = {
    "kernel command lines": [
        "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=1-2 ro rd.luks.key=/root/keyfile rd.luks.uuid=1 crashkernel=256M",
        "rd.iscsi.username=joe rd.iscsi.initiator=iqn.x:y netroot=iscsi:10.0.0.1::3260::iqn.2001-04.com.example:disk",
        "netroot=iscsi:@10.0.0.1::3260::iqn.2001-04.com.example:disk nfsroot=10.0.0.1:/x,nfsvers=4 ip=dhcp",
        "ip=10.0.0.2::10.0.0.1:255.255.255.0:db01:eth0:none:10.0.0.53 root=nfs4:10.0.0.1:/srv iommu=pt",
        "rd.iscsi.password= quiet iommu.passthrough=1 intel_iommu=on kvm.bypass=1 secretmem.enable=1 lockdown=integrity",
        "inst.repo=http://host:8080/path@x/y inst.ks=nfs:host:/x",
        "spec_store_bypass_disable=prctl mitigations=auto,nosmt ipv6.disable=1 cgroup_disable=memory",
        "systemd.unit=rescue.target systemd.mask=systemd-ask-password-console.path",
        'dm-mod.create="c,,,rw,0 4096 crypt aes-xts-plain64 :32:logon:name 0 1:0 0"',
    ],
    "kdump": [
        "ssh kdump@10.0.0.1\nsshkey /root/.ssh/kdump_id_rsa\npath /var/crash\ncore_collector makedumpfile -l -d 31",
        "nfs my.server.com:/export/tmp\next4 LABEL=/boot\nraw /dev/vg/lv_kdump\nfinal_action reboot",
        'SSH="kdump@host"\nSSH_KEY=/root/.ssh/kdump_id_rsa\nNFS="10.0.0.1:/crash"\nFTP="ftp.host"\nFTP_USER=joe\nFTP_PASSWORD=""',
        'KDUMP_SAVEDIR="file:///var/crash"\nKDUMP_SAVEDIR="ssh://root@host/var/crash"\nKDUMP_SMTP_USER="joe"',
        'KDUMP_SSH_IDENTITY="/root/.ssh/id_rsa"\nKDUMP_SMTP_PASSWORD=""\nKDUMP_COPY_KERNEL="yes"',
    ],
    "boot loaders": [
        'set superusers="root"\nexport superusers\nif [ "${next_entry}" ] ; then\nset default="${saved_entry}"\nfi',
        "menuentry 'Debian' --class gnu --unrestricted { search --no-floppy --fs-uuid --set=root 1-2\nlinux /vmlinuz root=/dev/vda1",
        "password    requisite     pam_pwquality.so retry=3\npassword sufficient pam_unix.so sha512 shadow",
        "cp $1$suffix/foo/bar ${password} '$password_file'",
    ],
    "fstab": [
        "//nas/x /mnt cifs credentials=/etc/smb.cred,username=joe,uid=0,passwd_file=/etc/x 0 0",
        "mon1:/ /mnt ceph name=a,secretfile=/etc/ceph/x 0 0\nUUID=1 /boot ext4 defaults 0 2",
        "luks /dev/vda2 /etc/keys/luks.key luks,keyscript=/x,tries=3",
        "10.0.0.1:/x /mnt nfs sec=krb5p,vers=4.2 0 0",
    ],
    "command lines": [
        "ssh -p 2222 joe@db01 uptime",
        "mkdir -p /var/crash",
        "ps -p 123 -o pid; journalctl -p err -b",
        "docker run -p 80:80 -u 1000:1000 --user 1000:1000 nginx",
        "curl -u joe http://x/ -o y; tar -pxf z",
        "mysql -u root -p db",
        "kubelet --token-auth-file /x --tls-private-key-file=/etc/k.key --password-file /y --max-tokens=4096",
        "python -m vllm --max-num-batched-tokens 8192 --tokenizer bert",
        "systemd-tty-ask-password-agent --watch",
        "/sbin/agetty -o -p -- \\u --noclear tty1 linux",
        "/bin/login -p --      ",
        "sshd: joe [priv]",
        "sudo --password-agent x",
        "PWD=/root OLDPWD=/var COMPASS=1 BYPASS=yes PASSIVE=on",
        "rsync -a joe@host:/x /y; git clone git@github.com:x/y; mail joe@example.com",
        "redis-server *:6379",
    ],
    "logs": [
        "[    1.5] Speculative Store Bypass: Mitigation: Speculative Store Bypass disabled via prctl",
        "[    0.0] Kernel command line: BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet",
        "[   12.1] systemd[1]: Started Dispatch Password Requests to Console Directory Watch.",
        "systemd-ask-password-wall.path: Deactivated successfully.",
        "systemd[1]: systemd-ask-password-console.service: Succeeded.",
        "Mar  1 10:00:00 db01 sshd[5]: Failed password for invalid user admin from 10.0.0.1 port 22 ssh2",
        "Mar  1 10:00:00 db01 sshd[5]: Accepted publickey for joe from 10.0.0.1: RSA SHA256:abc",
        "Mar  1 10:00:00 db01 kernel: usb 1-1: Token ring adapter",
        "kernel: iscsi: registered transport (tcp)",
        "kernel: Loading iSCSI transport class v2.0-870.",
        "audit: type=1100 msg='op=PAM:authentication acct=\"root\" exe=\"/usr/bin/passwd\" hostname=? res=success'",
        "passwd: password changed for root",
        "Password for admin accounts expires in 3 days",
        "kernel: vfio_iommu_type1: iommu=pt pass-through enabled",
        "Out of memory: Killed process 1234 (mysqld) total-vm:1kB, anon-rss:2kB, file-rss:0kB, shmem-rss:0kB",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/x,task=curl,pid=7",
        "device-mapper: crypt: xts(aes) using implementation \"xts-aes-aesni\"",
        "CIFS: VFS: \\\\nas Send error in SessSetup = -13",
        "Status code returned 0xc000006d NT_STATUS_LOGON_FAILURE",
        "CPU usage 100% at 10:00, see http://example.com/a?b=c and https://x.y/z",
        "secret service started; token bucket full; pass 3 of 5",
    ],
    "other files": [
        "passwd:         files systemd\nshadow:         files\ngroup: files",
        "NAME=\"Debian\"\nID=debian\nHOME_URL=\"https://www.debian.org/\"\nBUG_REPORT_URL=\"https://bugs.debian.org/\"",
        "[Unit]\nDescription=Forward Password Requests to Wall\n[Service]\nExecStart=systemd-tty-ask-password-agent --wall",
        "LoadCredential=tls:/etc/tls.key\nImportCredential=x.*\nPasswordAuthentication yes\nPermitEmptyPasswords=no",
        "MemTotal: 16087436 kB\nPrivate_Clean: 4 kB\nSecPageTables: 0 kB\nnr_secretmem 0",
        "Speculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled",
        "ssl_private_key=/etc/ssl/private/x.key\npassword_hash_algorithm=sha512\nmax_password_age=90\nPASS_MAX_DAYS\t99999",
        '{"password": null, "token": true, "secrets": {"a": 1}, "passwordless": "x y"}',
        "tokens: 5\nKeyslots:\nToken bucket: x",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----",
    ],
}  # fmt: skip

CASES = [(text, left) for group in REMOVED.values() for text, left in group.items()]
UNTOUCHED = [text for group in KEPT.values() for text in group]


@pytest.mark.parametrize(("text", "left"), CASES, ids=[text[:50] for text, _ in CASES])
def test_secrets_are_removed(text: str, left: str) -> None:
    assert suspicious(text.encode())
    data, count = redact(text.encode())
    assert data.decode() == left
    assert count >= 1 and count == left.count(MARK.decode())
    assert b"S3cr" not in data
    assert data.count(b"\n") == text.count("\n")


@pytest.mark.parametrize("text", UNTOUCHED, ids=[text[:50] for text in UNTOUCHED])
def test_all_else_stays_as_it_is(text: str) -> None:
    assert redact(text.encode()) == (text.encode(), 0)


@pytest.mark.parametrize("text", [left for _, left in CASES])
def test_redacting_twice_changes_nothing(text: str) -> None:
    assert redact(text.encode()) == (text.encode(), 0)


def test_in_any_company() -> None:
    """A secret is removed whatever lines stand around it, and the lines around it stay."""
    chance = random.Random(3)
    whole = [
        (t, left)
        for t, left in CASES
        if "-----BEGIN" not in t and "\\\n" not in t and not t.endswith("S3cr et")
    ]
    for _ in range(60):
        picked = [
            chance.choice(whole) if chance.random() < 0.3 else (chance.choice(UNTOUCHED),) * 2
            for _ in range(20)
        ]
        picked = [(t, left) for t, left in picked if "\0" not in t]
        text, left = "\n".join(t for t, _ in picked), "\n".join(left for _, left in picked)
        assert redact(text.encode())[0].decode() == left


def test_line_by_line_is_as_good_as_all_at_once() -> None:
    for text, left in CASES:
        if "\n" in text and ("BEGIN" in text or "\\\n" in text or '"\n' in text):
            continue  # a secret of several lines
        assert b"\n".join(redact(line)[0] for line in text.encode().split(b"\n")).decode() == left


def test_what_the_running_host_says_stays_as_it_is() -> None:
    kept = [
        *(
            "/proc/meminfo",
            "/proc/vmstat",
            "/proc/zoneinfo",
            "/proc/cmdline",
            "/proc/self/status",
            "/proc/self/mounts",
        ),
        *(
            "/etc/os-release",
            "/proc/cpuinfo",
            "/proc/modules",
            "/proc/iomem",
            "/proc/swaps",
            "/etc/fstab",
            "/proc/crypto",
        ),
        *("/etc/nsswitch.conf", "/etc/login.defs", "/etc/passwd", "/proc/interrupts", "/etc/sysctl.conf"),
    ]
    units = [*Path("/usr/lib/systemd/system").glob("*.service"), *Path("/etc/pam.d").glob("*")]
    seen = 0
    for path in [Path(p) for p in kept] + units:
        if path.is_file() and os.access(path, os.R_OK):
            data = path.read_bytes()
            assert redact(data) == (data, 0), path
            seen += 1
    assert seen > 10


HOSTILE = [
    b"password", b"password=", b"=", b":", b"//", b"//a:", b"//:a/", b"@", b"//a:b@", b"iscsi:a:", b"iscsi:", b'"', b"'",
    b'password="', b"password='", b'password=\\"', b"\\", b"\\\n", b"\n", b" ", b"\t", b"\0", b"token\0", b"--password ",
    b'"password":', b"password:", b"\npassword:\t", b"\npassword ", b"password_pbkdf2 ", b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN ", b"$1$", b"$6$a", b"$6$aaaaaaaaaaaaaaaaaaaaaaaaaaa", b"curl -u ", b"curl ", b"mysql -p", b"sshpass ",
    b"a.", b"a-", b"eyJaaaaaaaa", b"eyJaaaaaaaa-", b"eyJaaaaaaaa.", b"authorization:", b"authorization ", b"crypt ",
    b"crypt a ", b"user=", b"user=a%", b"-Ua%", b"-U ", b"set_credential=a", b"x-token", b"x-x-", b"root:a|", b"a:b ",
    b"\nmenu ", b"\nrootpw --x", b"<removed>", b"password=<removed>", b"password" + b"_" * 70, b"PASS", b"\x80\xff", b"grub.pbkdf2.sha512.",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_text_takes_no_longer_than_its_length(piece: bytes) -> None:
    size = 5_000_000 if piece in (b"password", b"=", b":") else 500_000
    data = piece * (size // len(piece))
    for text in (b"password=x " + data, data + b"@ chpasswd"):
        began = time.process_time()
        redact(text)
        assert time.process_time() - began < size / 200_000, (
            "a machine of the slowest kind does a megabyte in 5 s"
        )


def test_five_megabytes_of_honest_text_take_little() -> None:
    lines = [
        f"[{n}.0] mysqld invoked oom-killer: gfp_mask=0x{n:x}, order=0, oom_score_adj={n % 1000}"
        for n in range(60_000)
    ]
    data = "\n".join(lines).encode()
    began = time.process_time()
    assert redact(data) == (data, 0)
    assert time.process_time() - began < 2


TOKENS = [
    *("password", "token", "_key", "pass", "pwd", "=", ":", " ", '"', "'", "\\", "\n", "\0", ",", "//", "@", "%", "-", "--"),
    *("curl", "mysql", "-p", "-u", "iscsi:", "x", "S3", "/", "<removed>", "$6$", "{", "}", "BEGIN PRIVATE KEY-----", "-----"),
    *("authorization", "password ", "crypt", "0123456789abcdef", "user=", "|", "chpasswd", "#", "\t", "\r", ";", "\udcff"),
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=25))
def test_anything_is_redacted_once_and_for_all(tokens: list[str]) -> None:
    data = "".join(tokens).encode("utf-8", "surrogateescape")
    once, count = redact(data)
    again, more = redact(once)
    assert again == once, (data, once, again)
    assert once.count(b"\n") == data.count(b"\n")
    assert count >= 0 and more >= 0


def test_what_was_removed_before_is_not_counted_against_it() -> None:
    assert redact(b"password password<removed><removed>") == (b"password <removed>", 1)


def test_json_stays_json() -> None:
    chance = random.Random(2)
    for _ in range(300):
        text, _ = chance.choice(CASES)
        value = {"a": text, "password": "x y", "list": [text, 1, None], "token": 5}
        for dumped in (json.dumps(value), json.dumps(value, indent=1), json.dumps({"in": json.dumps(value)})):
            if "PRIVATE KEY" not in dumped:
                json.loads(redact(dumped.encode())[0])
