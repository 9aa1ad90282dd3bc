# SPDX-License-Identifier: GPL-2.0-only
"""What no tool writes into a plain file: GRUB's first sectors, and a volume group.

Called by scripts/guest/mkdisk. Both are written as their own tools would on a block device.
"""

import sys
import zlib
from pathlib import Path
from struct import pack

SECTOR = 512

# Where boot.img and the first sector of core.img keep the address of what they load, in sectors.
_KERNEL_SECTOR = 0x5C
_BLOCK_LIST = 0x1F4

_EXTENT = 8192
"""In sectors: 4 MiB."""
DATA = 2048
"""The sector of a physical volume where its data begins."""
_METADATA = 4096
"""The byte where its metadata begins."""
_IDS = {name: f"xenpvm-disk-of0d-om00-for0-test-{name:06}" for name in (1, 2, 3)}


def embedded(boot: bytes, core: bytes, start: int) -> tuple[bytes, bytes]:
    """The code of the first sector, and a core that lies at the sector `start`."""
    first = bytearray(boot[:440])
    first[_KERNEL_SECTOR : _KERNEL_SECTOR + 8] = pack("<Q", start)
    rest = bytearray(core)
    rest[_BLOCK_LIST : _BLOCK_LIST + 8] = pack("<Q", start + 1)
    return bytes(first), bytes(rest)


def crc(data: bytes) -> int:
    """LVM's checksum."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _text(group: str, sectors: int) -> str:
    extents = sectors // _EXTENT
    return f"""{group} {{
id = "{_IDS[1]}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = {_EXTENT}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{_IDS[2]}"
device = "unknown"
status = ["ALLOCATABLE"]
flags = []
dev_size = {sectors + DATA}
pe_start = {DATA}
pe_count = {extents}
}}
}}
logical_volumes {{
root {{
id = "{_IDS[3]}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}}
}}
}}
}}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "{group}"
creation_time = 1
"""


def volume_group(group: str, size: int) -> bytes:
    """What lies before the data of a physical volume that is one logical volume, root, of `size` bytes."""
    sectors = size // SECTOR
    if size % (_EXTENT * SECTOR):
        raise ValueError(f"{size} bytes are not a number of extents")
    area = DATA * SECTOR - _METADATA
    # The size, a list of data areas, and one of metadata areas.
    areas = (size + DATA * SECTOR, DATA * SECTOR, 0, 0, 0, _METADATA, area, 0, 0)
    volume = pack("<I8s", 32, b"LVM2 001") + _IDS[2].replace("-", "").encode() + pack("<9Q", *areas)
    volume = volume.ljust(SECTOR - 20, b"\0")
    label = pack("<8sQI", b"LABELONE", 1, crc(volume)) + volume
    text = _text(group, sectors).encode() + b"\0"
    header = pack("<16sIQQ", b" LVM2 x[5A%r0N*>", 1, _METADATA, area)
    header += pack("<QQII", SECTOR, len(text), crc(text), 0)
    header = header.ljust(SECTOR - 4, b"\0")
    metadata = pack("<I", crc(header)) + header + text
    return (bytes(SECTOR) + label).ljust(_METADATA, b"\0") + metadata.ljust(area, b"\0")


def main(arguments: list[str]) -> None:
    """embed DISK BOOT CORE SECTOR, or volume-group FILE GROUP SIZE."""
    what, out = arguments[0], Path(arguments[1])
    if what == "embed":
        start = int(arguments[4])
        first, core = embedded(Path(arguments[2]).read_bytes(), Path(arguments[3]).read_bytes(), start)
        with out.open("r+b") as disk:
            disk.write(first)
            disk.seek(start * SECTOR)
            disk.write(core)
    else:
        out.write_bytes(volume_group(arguments[2], int(arguments[3])))


if __name__ == "__main__":
    main(sys.argv[1:])
