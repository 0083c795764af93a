# SPDX-License-Identifier: Apache-2.0
"""A guest with a network card and an SSH server in it: a host by SSH that is not this one.

It is the machine that every guest of that kernel is, and one card more. Its programs are this
host's Dropbear and BusyBox, which `python tests/dropbear.py` installs; neither package starts
anything. Without the means to install, tests are skipped, except where the environment says CI.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from debian.debfile import DebFile
from live import TCG, X86_64
from openssh import free_port

from harness.build.cpio import folder, program, write_newc
from harness.distribution import APK, APT, DNF, PACMAN, ZYPPER
from harness.doctor.install import install
from harness.errors import HostError
from harness.kernels import find_source, obtain
from harness.kernels.catalogue import find_entry
from harness.kernels.download import download
from harness.kernels.kernel import Kernel
from harness.kernels.mirrors import find_mirrors
from harness.kernels.reporter import SilentReporter
from harness.machine.arguments import Wiring, qemu_arguments
from harness.machine.plan import plan_machine
from harness.places import cache_dir
from harness.tools import Tool, require_tool

USER, ALIAS = "visitor", "guest"
"""Who logs in there, and what that user's configuration calls it here."""
CARD = "e1000"
"""QEMU has it, and its module needs no other."""
MEMORY_MIB = 512
_BOOT_S = 120.0
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

PROGRAMS = (
    Tool(
        name="busybox",
        executables=("busybox",),
        purpose="what a host by SSH consists of, for tests",
        packages=dict.fromkeys((APT, APK, ZYPPER), "busybox-static")
        | dict.fromkeys((DNF, PACMAN), "busybox"),
    ),
    Tool(
        name="dropbear",
        executables=("dropbear",),
        purpose="its server",
        packages={APT: "dropbear-bin"} | dict.fromkeys((DNF, PACMAN, ZYPPER, APK), "dropbear"),
    ),
    Tool(
        name="sftp-server",
        executables=("/usr/lib/sftp-server", "/usr/libexec/openssh/sftp-server"),
        purpose="what takes files there",
        packages={APT: "openssh-sftp-server"}
        | dict.fromkeys((DNF, APK), "openssh-server")
        | dict.fromkeys((PACMAN, ZYPPER), "openssh"),
    ),
)

FILES = {
    "etc/passwd": f"root:x:0:0::/:/bin/sh\n{USER}:x:1000:1000::/home:/bin/sh\n",
    "etc/group": f"root:x:0:\n{USER}:x:1000:\n",
    "etc/inittab": "::sysinit:/bin/sh /etc/setup\n::respawn:/sbin/dropbear -F -E -s -r /etc/key\n",
    "init": "switch_root wants to see one here, and empties this root.\n",
    # A room needs a root that one can pivot away from, which the first one is not.
    "etc/start": """\
/bin/busybox --install -s /bin
mount -t tmpfs -o mode=755 root /root
cp -a /bin /dev /etc /home /lib* /proc /sbin /sys /tmp /usr /root
exec switch_root /root /bin/init
""",
    "etc/setup": f"""\
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 tmp /tmp
insmod /lib/{CARD}.ko
ifconfig eth0 10.0.2.15 netmask 255.255.255.0
""",
}
"""10.0.2.15 is where QEMU's user network looks for its guest (qemu-options.hx -netdev, 7.2)."""


@dataclass(frozen=True)
class Inhabited:
    """A guest whose server listens.

    Attributes:
        folder: what belongs to it here; `home` in it is that of whoever connects.
        port: on 127.0.0.1.
        kernel: what runs there.
    """

    folder: Path
    port: int
    kernel: Kernel

    @property
    def home(self) -> Path:
        """The home of whoever connects."""
        return self.folder / "home"

    @property
    def spec(self) -> str:
        """The target."""
        return f"ssh://{ALIAS}"


@contextlib.contextmanager
def inhabited_guest() -> Iterator[Inhabited]:
    """Boot a guest with a server, and make a home whose owner may log in there."""
    missing = [tool.name for tool in PROGRAMS if not find(tool)]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: `python tests/dropbear.py` installs that")
    with tempfile.TemporaryDirectory(prefix="inhabited-") as name:
        place, kernel, port = Path(name), obtain(find_source(X86_64)), free_port()
        identify(place, port)
        place.joinpath("initramfs").write_bytes(furniture(place, kernel))
        with booted(place, kernel, port):
            yield Inhabited(place, port, kernel)


def identify(place: Path, port: int) -> None:
    """Make the keys of both sides, and what the user's ~/.ssh says of the other."""
    ours = place / "home" / ".ssh"
    ours.mkdir(parents=True)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "user")]
    subprocess.run(make, check=True)
    make = ["dropbearkey", "-t", "ed25519", "-f", str(place / "host")]
    said = subprocess.run(make, check=True, capture_output=True, text=True).stdout
    key = re.findall(r"^ssh-ed25519 \S+", said, re.MULTILINE)[0]
    ours.joinpath("known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    ours.joinpath("config").write_text(
        f"Host {ALIAS}\n HostName 127.0.0.1\n Port {port}\n User {USER}\n"
        f" IdentityFile {place}/user\n"
    )


def furniture(place: Path, kernel: Kernel) -> bytes:
    """Return the archive of all that is there when the kernel starts."""
    found = {tool.name: find(tool) for tool in PROGRAMS}
    files = {name: text.encode() for name, text in FILES.items()}
    files["etc/key"] = place.joinpath("host").read_bytes()
    files["home/.ssh/authorized_keys"] = place.joinpath("user.pub").read_bytes()
    files[f"lib/{CARD}.ko"] = card_module(kernel).read_bytes()
    files["bin/busybox"] = Path(found["busybox"]).read_bytes()
    files["sbin/dropbear"] = Path(found["dropbear"]).read_bytes()
    files["usr/lib/sftp-server"] = Path(found["sftp-server"]).read_bytes()
    for library in {path for name in found.values() for path in libraries(name)}:
        files[library.lstrip("/")] = Path(library).read_bytes()
    empty = ("dev", "proc", "sys", "tmp")
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    return write_newc(
        [
            *(folder(name) for name in {*folders, *empty}),
            *(program(name, content) for name, content in files.items()),
        ]
    )


def card_module(kernel: Kernel) -> Path:
    """Return the network card's module, from the package that the kernel came in."""
    entry = find_entry(kernel.spec)
    assert entry
    assert kernel.provenance
    package = entry.packages["image"]
    if not kernel.provenance.pinned:
        pytest.skip(f"{package.name} has left the mirrors, and with it the kernel's modules")
    kept = cache_dir() / "tests" / f"{CARD}-{package.sha256[:16]}.ko"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as name:
            deb = Path(name) / "package.deb"
            mirrors = [m for m in find_mirrors() if m.security == package.security]
            download(package, deb, mirrors, SilentReporter())
            deb.with_name("module").write_bytes(_member(deb, f"/{CARD}.ko"))
            deb.with_name("module").replace(kept)
    return kept


def _member(deb: Path, suffix: str) -> bytes:
    with DebFile(str(deb)) as package:
        archive = package.data.tgz()
        member = next(member for member in archive if member.name.endswith(suffix))
        file = archive.extractfile(member)
        assert file
        return file.read()


@contextlib.contextmanager
def booted(place: Path, kernel: Kernel, port: int) -> Iterator[None]:
    """Start the machine, and wait until its server greets."""
    start = ("rdinit=/bin/busybox", "--", "sh", "/etc/start")
    options = replace(TCG, memory_mib=MEMORY_MIB, append=start)
    plan = plan_machine(kernel.arch, kernel.boot_file, place / "initramfs", "tcg", options)
    forward = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"
    network = ("-netdev", forward, "-device", f"{CARD},netdev=net,romfile=")
    console = place / "console"
    wiring = Wiring(console=f"file,path={console}", frames="null", extra=network)
    command = ["setpriv", "--pdeathsig", "KILL", "--"]
    command += [str(require_tool("qemu-system-x86_64")), *qemu_arguments(plan, wiring)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            await_greeting(port, process, console)
            yield
        finally:
            process.kill()


def await_greeting(port: int, process: subprocess.Popen[bytes], console: Path) -> None:
    """Wait for the server; before it listens, QEMU's end of the connection just closes."""
    end = time.monotonic() + _BOOT_S
    while process.poll() is None and time.monotonic() < end:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 1) as connection,
        ):
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.1)
    raise AssertionError(f"no server in the guest:\n{console.read_text(errors='replace')}")


def libraries(name: str) -> list[str]:
    """Return the paths of what a program is linked with; none for a static one."""
    done = subprocess.run(["ldd", name], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def find(tool: Tool) -> str:
    """Return where a program is, "" for nowhere."""
    return next(filter(None, (shutil.which(name, path=_PATH) for name in tool.executables)), "")


if __name__ == "__main__":
    if missing := [tool for tool in PROGRAMS if not find(tool)]:
        try:
            install(missing, print)
        except HostError as error:
            if os.environ.get("CI"):
                raise
            print(f"{error.message}: tests by SSH into a guest are skipped")
