// SPDX-License-Identifier: GPL-2.0-only

//! The machine that Xen runs on.

use std::ops::Range;

/// Types of ranges in the machine's memory map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryKind {
    /// `E820_RAM`.
    Ram = 1,
    /// `E820_RESERVED`.
    Reserved = 2,
    /// `E820_ACPI`.
    Acpi = 3,
    /// `E820_NVS`.
    Nvs = 4,
    /// `E820_UNUSABLE`.
    Unusable = 5,
}

/// A range of a memory map, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryRange {
    /// First address.
    pub start: u64,
    /// Number of bytes.
    pub size: u64,
    /// Type of the range.
    pub kind: MemoryKind,
}

/// Configuration of the machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of frames in Xen's frame table, which begins at frame 0.
    pub frames: u64,
    /// The first megabyte, in frames: owned by `DOMID_IO`, RAM or not.
    pub low_io: u64,
    /// Frames behind `low_io` that Xen keeps for itself.
    pub xen_frames: u64,
    /// Frames of the frame table that are I/O memory.
    pub io: Vec<Range<u64>>,
    /// Frames of the frame table that nobody may use.
    pub unusable: Vec<Range<u64>>,
    /// I/O frames that even a dom0 may only read; its entries for them lose the write bit.
    pub read_only_io: Vec<Range<u64>>,
    /// I/O frames that a dom0 may not map.
    pub forbidden_io: Vec<Range<u64>>,
    /// The memory map that the firmware left, for a dom0; derived from the above if empty.
    pub memory_map: Vec<MemoryRange>,
    /// Whether the CPU has the no-execute bit.
    pub has_nx: bool,
    /// Whether Xen has shadow paging to fall back to when an entry is not safe against L1TF.
    pub has_shadow_paging: bool,
    /// Bits of a physical address.
    pub phys_bits: u32,
    /// Whether a write through a cached read-only translation faults even if the tables allow it by
    /// now. Otherwise the CPU walks the tables again.
    pub spurious_faults: bool,
    /// Seed of everything that is random.
    pub seed: u64,
}

impl Config {
    /// Returns a machine with `frames` frames, most of which are free.
    pub fn new(frames: u64, seed: u64) -> Self {
        Self {
            frames,
            low_io: 256,
            xen_frames: 64,
            io: Vec::new(),
            unusable: Vec::new(),
            read_only_io: Vec::new(),
            forbidden_io: vec![0xf_ec00..0xf_ec01, 0xf_ee00..0xf_ee01],
            memory_map: Vec::new(),
            has_nx: true,
            has_shadow_paging: true,
            phys_bits: 46,
            spurious_faults: false,
            seed,
        }
    }

    /// Returns the memory map that a dom0 of this machine sees.
    pub fn machine_memory_map(&self) -> Vec<MemoryRange> {
        if !self.memory_map.is_empty() {
            return self.memory_map.clone();
        }
        let mut kinds = vec![MemoryKind::Ram; self.frames as usize];
        for (ranges, kind) in [
            (&self.io, MemoryKind::Reserved),
            (&self.unusable, MemoryKind::Unusable),
        ] {
            for frame in ranges.iter().cloned().flatten() {
                kinds[frame as usize] = kind;
            }
        }
        for frame in kinds.iter_mut().take(self.low_io as usize).skip(0x9f) {
            *frame = MemoryKind::Reserved;
        }
        kinds
            .chunk_by(|a, b| a == b)
            .scan(0, |start, chunk| {
                let range = MemoryRange {
                    start: *start,
                    size: chunk.len() as u64 * 4096,
                    kind: chunk[0],
                };
                *start += range.size;
                Some(range)
            })
            .collect()
    }
}

pub(crate) fn contains(ranges: &[Range<u64>], frame: u64) -> bool {
    ranges.iter().any(|range| range.contains(&frame))
}
