# SPDX-License-Identifier: GPL-2.0-only
"""dom0 on a disk: Debian with packages of the kernel, started by the firmware, as a table of boots.

Nothing is passed to QEMU but the disk. Rounds with reboots between them; the guest judges itself by a plan,
see scripts/guest/disk/usr/local/sbin/verdict.
"""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..build import deb, kernel
from ..cli import Progress, Stop
from ..stream import follow
from . import ktap, rules
from .acpi_wake import Waker
from .boot import Verdict, watch
from .console import Line, lines_of
from .rules import Problem

# A service that hangs is given 90 s by systemd.
_GRACE_SECONDS = 180


@dataclass(frozen=True)
class Disk:
    name: str
    layout: str
    """What scripts/guest/mkdisk calls it: plain, lvm, xen-efi, stock."""
    firmware: str
    """bios: SeaBIOS; efi: OVMF."""
    bus: str
    """How the disk is connected."""
    root: str
    """What / is mounted from, as a pattern."""
    plan: str = "start"
    """What the guest does in each round."""
    seconds: int = 1500
    """Time-out, for all rounds."""


# By bus: QEMU's options, and what lsblk calls it.
BUSES = {
    "nvme": (("-device", "nvme,drive=disk,serial=dom0,bootindex=0"), "nvme"),
    "ahci": (("-device", "ide-hd,drive=disk,bootindex=0"), "sata"),
    "virtio": (("-device", "virtio-blk-pci,drive=disk,bootindex=0"), "virtio"),
    "usb": (("-device", "qemu-xhci", "-device", "usb-storage,drive=disk,bootindex=0"), "usb"),
}

# fmt: off
DISKS: tuple[Disk, ...] = ()
# What `make soak-boots` makes on top.
SOAK = (
    #    name             layout     firmware bus       root
    Disk("debian",         "plain",   "bios", "nvme",   "/dev/nvme0n1p3"),
    Disk("debian-efi",     "plain",   "efi",  "nvme",   "/dev/nvme0n1p3"),
    Disk("debian-xen-efi", "xen-efi", "efi",  "nvme",   "/dev/nvme0n1p3"),
    Disk("debian-ahci",    "plain",   "bios", "ahci",   "/dev/sda3"),
    Disk("debian-virtio",  "plain",   "efi",  "virtio", "/dev/vda3"),
    Disk("debian-usb",     "plain",   "bios", "usb",    "/dev/sda3"),
    Disk("debian-lvm",     "lvm",     "bios", "nvme",   "/dev/mapper/dom0-root"),
    Disk("debian-daily",   "plain",   "bios", "nvme",   "/dev/nvme0n1p3", "daily"),
    Disk("debian-upgrade", "stock",   "bios", "nvme",   "/dev/nvme0n1p3", "upgrade"),
)
# fmt: on

# Lines of the kernel's log, of the level of warnings and above, that are let pass, and why.
ACCEPTED: tuple[tuple[str, str], ...] = (
    (r"^cpu \d+ spinlock event irq \d+$", "printed without a level, which counts as a warning"),
    (r"^Grant table initialized$", "printed without a level as well"),
    (r"^hpet_acpi_probe: no address or irqs in _CRS$", "QEMU's description of its timer"),
    (r"^microcode: AMD CPU family 0x6 not supported$", "QEMU's CPU is of no family that exists"),
    (r"^clocksource: (Marking clocksource tsc unstable|Watchdog |Clocksource )", "an emulated counter stands still while other programs run"),
    (r"^Failed to lookup header 0x[0-9a-f]+ in Xen memory map: error -3$", "UEFI: the table of the logo is in no memory that Xen lists"),
    (r"^ACPI BIOS Warning \(bug\): Incorrect checksum in table \[BGRT\]", "and Xen marks that table as invalid"),
    (r"^ata\d+\.00: Model 'QEMU HARDDISK', rev '\S+', applying quirks: \w+$", "QEMU's disk, whose name the kernel knows"),
    (r"^\w+: loading out-of-tree module taints kernel\.$", "the tests load modules of others"),
    (r"^NOTICE: Automounting of tracing to debugfs is deprecated", "bpftrace looks for tracing there"),
    (r"^ata\d+\.00: Check power mode failed \(err_mask=0x1\)$", "after a sleep: QEMU's CD drive knows no such command"),
    (r"^xen-backend console-\d+-0: xenbus: device forcefully removed from xenstore$", "the toolstack removes a guest's console at once"),
    (r"^\w+: module verification failed: signature and/or required key missing - tainting kernel$", "and no key signs them"),
)

_BACKEND = r"xen_pv_mmu: Rust PV MMU backend"
_REBOOT = r"reboot: Restarting system"
_HEALTH = ("running", "units", "xen", "list")
_START = ("dkms-module", "own-module", "e1000e-from-virtio", "virtio-from-e1000e")
_GRUB = ("menu", "grub-install")
# By plan: what each round checks, after the health of the system.
PLANS: dict[str, tuple[tuple[str, ...], ...]] = {
    "start": ((*_START, *_GRUB), _START),
    "daily": (
        ("cpus", "memory", "sleep", "perf", "btf", "bpf", "kprobes", "livepatch", "guest"),
        ("restored", "dump", "shutdown"),
    ),
    "upgrade": (("stock", "install"), ("installed", "fallback"), ("stock",)),
}
# Plans that dump the memory of a guest.
_DUMPS = ("daily",)
_DUMP_BYTES = 256 << 20
# By plan: rounds in which Debian's own kernel runs.
_STOCK_ROUNDS = {"upgrade": (1, 3)}


def packages() -> list[Path]:
    """Of the kernel, as `make deb` makes them."""
    folder = deb.folder(kernel.named("deb"))
    found = [path for kind in ("linux-image", "linux-headers") for path in sorted(folder.glob(f"{kind}-*_amd64.deb"))]
    if len(found) != 2:
        raise Stop("there are no packages of the kernel", "run: make deb")
    return found


def image(layout: str) -> Path:
    return paths.build() / f"disk-{layout}.img"


def make(layout: str, debs: list[Path]) -> Path:
    """The disk, made anew if what it is made of has changed."""
    result = image(layout)
    stamp = result.with_suffix(".made-of")
    wanted = _ingredients(debs)
    if result.exists() and stamp.exists() and stamp.read_text() == wanted:
        return result
    stamp.unlink(missing_ok=True)
    log = paths.logs() / f"disk-{layout}.log"
    progress = Progress(f"disk {layout}")
    said = ""
    with log.open("wb") as file:
        child = subprocess.Popen(
            [paths.repo() / "scripts/guest/mkdisk", result, layout, paths.disk_base(), *debs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for raw in follow(child, file):
            if raw:
                said = raw.decode("utf-8", "replace").strip()[:50] or said
            progress.update(said)
        code = child.wait()
    if code:
        raise Stop(f"scripts/guest/mkdisk failed: {said}", f"fix that; everything is in {paths.shown(log)}")
    stamp.write_text(wanted)
    progress.done("made")
    return result


def _ingredients(debs: list[Path]) -> str:
    folder = paths.repo() / "scripts/guest"
    files = [folder / "mkdisk", Path(__file__).with_name("disk_image.py"), *debs]
    files += sorted(path for name in ("disk", "modules") for path in (folder / name).rglob("*") if path.is_file())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    return "".join([f"{paths.disk_base()}\n", *sums])


def command(disk: Disk, serial: str, judged: bool = True) -> list[str]:
    """The QEMU command line. What is written to the disk is forgotten; a machine that is not judged goes on until it is left."""
    words = [
        "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "2048", "-smp", "2",
        "-display", "none", "-nic", "none", "-serial", serial,
        "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={image(disk.layout)}", *BUSES[disk.bus][0],
        # Two cards on one wire, and nothing else on it.
        "-netdev", "hubport,id=one,hubid=0", "-device", "e1000e,netdev=one",
        "-netdev", "hubport,id=two,hubid=0", "-device", "virtio-net-pci,netdev=two",
    ]  # fmt: skip
    if disk.plan in _DUMPS:
        words += ["-drive", f"if=none,id=dump,format=raw,file={dump(disk)}", "-device", "virtio-blk-pci,drive=dump,serial=dump"]
    if judged:
        words += ["-smbios", f"type=1,serial=verdict-{disk.plan}"]
    if disk.firmware == "efi":
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={_firmware('CODE')}"]
        words += ["-drive", f"if=pflash,format=raw,file={_variables(disk)}"]
    return words


def dump(disk: Disk) -> Path:
    """A second disk for what a plan leaves there: a dump of a guest's memory."""
    return paths.build() / f"dump-{disk.name}.img"


def _firmware(part: str) -> Path:
    return Path(f"/usr/share/OVMF/OVMF_{part}_4M.fd")


def _variables(disk: Disk) -> Path:
    return paths.build() / f"efi-variables-{disk.name}.fd"


def _prepare(disk: Disk) -> None:
    # QEMU keeps there what a guest writes, in a file without a name.
    os.environ["TMPDIR"] = str(paths.build())
    make(disk.layout, packages())
    if disk.plan in _DUMPS:
        with dump(disk).open("wb") as file:
            file.truncate(_DUMP_BYTES)
    if disk.firmware == "efi":
        shutil.copyfile(_firmware("VARS"), _variables(disk))


def rounds(disk: Disk) -> int:
    return len(PLANS[disk.plan])


def tests(disk: Disk, number: int) -> tuple[str, ...]:
    """What each round checks."""
    # Without GRUB there is none to install.
    return _HEALTH + tuple(test for test in PLANS[disk.plan][number - 1] if disk.layout != "xen-efi" or test not in _GRUB)


def markers(disk: Disk, number: int) -> tuple[str, ...]:
    """What each round has to print."""
    names = tests(disk, number)
    loader = r"EFI loader$" if disk.layout == "xen-efi" else r"Loading Xen .* \.\.\."
    return (
        loader,
        r"Booting kernel on Xen",
        *(() if number in _STOCK_ROUNDS.get(disk.plan, ()) else (_BACKEND,)),
        *((r"Remapped [1-9]\d{2,} page\(s\)$",) if disk.firmware == "efi" else ()),
        rf"PVMMU: FACT round {number} firmware {disk.firmware} root {disk.root} transport {BUSES[disk.bus][1]}$",
        *(rf"PVMMU: PASS {test}$" for test in names),
        rf"PVMMU: ROUND {number} pass={len(names)} fail=0$",
        _REBOOT if number < rounds(disk) else r"reboot: Power down",
    )


def judge(disk: Disk, lines: list[Line]) -> tuple[list[Problem], str]:
    """What is wrong with a console log, and the guest's own count."""
    problems = rules.problems(lines)
    parts: list[list[Line]] = [[]]
    for line in lines:
        parts[-1].append(line)
        if re.search(_REBOOT, line.text) and len(parts) < rounds(disk):
            parts.append([])
    parts += [[] for _ in range(rounds(disk) - len(parts))]
    for number, part in enumerate(parts, 1):
        stock = number in _STOCK_ROUNDS.get(disk.plan, ())
        texts = [line.text for line in part if line.text]
        problems += [
            Problem(f"round {number} never printed: {marker}")
            for marker in markers(disk, number)
            if not any(re.search(marker, text) for text in texts)
        ]
        for line in part:
            if stock and re.search(_BACKEND, line.text):
                problems.append(Problem("the backend runs in Debian's kernel", line.number, line.text))
            # What Debian's own kernel says is not judged.
            if not stock and (found := re.search(r"PVMMU: LOG (.*)", line.text)) and not is_accepted(found[1]):
                problems.append(Problem("a warning in the kernel's log", line.number, found[1]))
    problems += [Problem(f"KUnit: {name} failed") for name in ktap.read([line.text for line in lines]).failures]
    counts = [found[1] for line in lines if (found := re.search(r"PVMMU: DONE (pass=[1-9]\d* fail=0) skip=0$", line.text))]
    if not counts:
        problems.append(Problem("the guest never counts its tests"))
    return problems, f"guest {counts[0]}" if counts else ""


def is_accepted(text: str) -> bool:
    return any(re.search(pattern, text) for pattern, _ in ACCEPTED)


def run(disk: Disk, echo: bool = False) -> Verdict:
    """Boots a disk to the end of its last round, or time-out."""
    _prepare(disk)
    log = paths.logs() / f"boot-{disk.name}.log"
    progress = Progress(f"boot {disk.name}")
    waker = Waker()
    try:
        end = watch(command(disk, "stdio") + waker.options, log, disk.seconds, _GRACE_SECONDS, progress, waker, echo)
    finally:
        waker.close()
    problems, guest = judge(disk, lines_of(log.read_bytes()))
    verdict = Verdict(end.problems + problems, progress.seconds, log, guest=guest)
    progress.done(("FAILED: " if verdict.problems else "ok, ") + verdict.summary)
    return verdict


def login(disk: Disk) -> int:
    """For a person, until he powers it off."""
    _prepare(disk)
    print("Booting Debian from its disk. Log in as root, without a password; Ctrl-A X leaves.", flush=True)
    return subprocess.run(command(disk, "mon:stdio", judged=False), check=False).returncode
