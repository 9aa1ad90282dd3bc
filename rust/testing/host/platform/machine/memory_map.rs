// SPDX-License-Identifier: GPL-2.0-only

//! The memory map of the firmware, and what setup.c does with it.

use crate::addr::{
    Maddr,
    Paddr, //
};
use crate::level::PAGE_SIZE;
use crate::nonram::{
    self,
    Remap, //
};
use crate::platform::diag::report;
use crate::platform::early::phase::Early;
use crate::platform::machine::host::host;
use std::ffi::CStr;
use std::ops::Range;
use xen_model::MemoryKind;

/// A range of the map, in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) range: Range<usize>,
    pub(crate) kind: MemoryKind,
}

/// A map: in order, without overlaps, and without neighbours of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MemoryMap {
    entries: Vec<Entry>,
    /// Where the memory that the domain starts with ends.
    memory_end: usize,
    /// Where the initial RAM disk is.
    pub(crate) initrd: Range<usize>,
}

impl MemoryMap {
    /// Builds a map from any entries (`e820__update_table()`), for a domain of `nr_pages` pages.
    ///
    /// Where entries overlap, the one with the highest type wins. The domain has other memory in
    /// place of ranges that Xen reports as unusable.
    pub(crate) fn new(mut entries: Vec<Entry>, nr_pages: usize, initrd: Range<usize>) -> Self {
        for entry in &mut entries {
            if entry.kind == MemoryKind::Unusable {
                entry.kind = MemoryKind::Ram;
            }
        }
        let mut map = Self {
            entries,
            memory_end: nr_pages * PAGE_SIZE,
            initrd,
        };
        map.tidy();
        map
    }

    fn tidy(&mut self) {
        let ends = |entry: &Entry| [entry.range.start, entry.range.end];
        let mut borders: Vec<usize> = self.entries.iter().flat_map(ends).collect();
        borders.sort_unstable();
        borders.dedup();

        let mut tidy: Vec<Entry> = Vec::new();
        for pair in borders.windows(2) {
            let covers = |entry: &&Entry| entry.range.contains(&pair[0]);
            let kinds = self.entries.iter().filter(covers).map(|entry| entry.kind);
            let Some(kind) = kinds.max_by_key(|kind| *kind as u32) else {
                continue;
            };
            match tidy.last_mut() {
                Some(last) if last.kind == kind && last.range.end == pair[0] => {
                    last.range.end = pair[1];
                }
                _ => tidy.push(Entry {
                    range: pair[0]..pair[1],
                    kind,
                }),
            }
        }
        self.entries = tidy;
    }

    /// Whether all of `range` is RAM (`!xen_is_e820_reserved()`).
    pub(crate) fn is_ram(&self, range: &Range<usize>) -> bool {
        let covers = |entry: &Entry| {
            entry.kind == MemoryKind::Ram
                && entry.range.start <= range.start
                && range.end <= entry.range.end
        };
        range.is_empty() || self.entries.iter().any(covers)
    }

    /// Returns the first range of `kind` that overlaps `range`.
    pub(crate) fn overlap(&self, range: &Range<usize>, kind: MemoryKind) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            let overlaps = entry.range.start < range.end && range.start < entry.range.end;
            overlaps && entry.kind == kind
        })
    }

    /// Moves the range that is not RAM at `from` to RAM beyond memory
    /// (`xen_e820_swap_entry_with_ram()`).
    fn swap_with_ram(&mut self, from: &Entry) -> Remap {
        let start = from.range.start - from.range.start % PAGE_SIZE;
        let size = from.range.end.next_multiple_of(PAGE_SIZE) - start;
        let end = self.memory_end;
        let place = self.entries.iter_mut().find(|entry| {
            let Range { start, end: last } = entry.range;
            entry.kind == MemoryKind::Ram && last - start >= size && last - size >= end
        });
        let Some(place) = place else {
            report::raw_console(
                c"No suitable area found for required E820 entry remapping action\n",
            );
            report::die(c"no RAM behind memory to take the place of a range that is not RAM");
        };
        place.range.end -= size;
        let to = place.range.end;
        let offset = from.range.start - start;
        self.entries.push(Entry {
            range: to + offset..to + offset + from.range.len(),
            kind: from.kind,
        });
        self.entries.retain(|entry| entry != from);
        self.entries.push(Entry {
            range: start..start + size,
            kind: MemoryKind::Ram,
        });
        self.tidy();
        Remap {
            machine: Maddr::new(start),
            pseudo: Paddr::new(to),
            bytes: size,
        }
    }

    /// Returns `bytes` of RAM of which all pages are free, as page numbers.
    fn find(&self, bytes: usize, is_free: impl Fn(usize) -> bool) -> Option<usize> {
        let pages = bytes.div_ceil(PAGE_SIZE);
        let of_entry = |entry: &Entry| {
            let first = entry.range.start.div_ceil(PAGE_SIZE);
            let end = entry.range.end / PAGE_SIZE;
            (first..(end + 1).saturating_sub(pages))
                .find(|start| (*start..*start + pages).all(&is_free))
        };
        let ram = self.entries.iter();
        ram.filter(|entry| entry.kind == MemoryKind::Ram)
            .find_map(of_entry)
    }
}

/// Moves what is not RAM out of `range` (`xen_chk_is_e820_usable()`), and stops the boot if it
/// cannot.
pub(in crate::platform) fn check_usable(
    early: Early,
    range: &Range<usize>,
    component: &'static CStr,
) {
    let host = host();
    loop {
        let mut map = host.memory_map.borrow_mut();
        let Some(map) = map.as_mut() else {
            return;
        };
        let Some(conflict) = map.overlap(range, MemoryKind::Nvs).cloned() else {
            break;
        };
        let remap = map.swap_with_ram(&conflict);
        nonram::add(early, remap);
    }
    if !is_ram(range) {
        report::raw_console(c"Xen hypervisor allocated ");
        report::raw_console(component);
        report::raw_console(c" memory conflicts with E820 map\n");
        panic!(
            "{} conflicts with the memory map",
            component.to_string_lossy()
        );
    }
}

/// Whether all of `range` is RAM; without a map, everything is.
pub(crate) fn is_ram(range: &Range<usize>) -> bool {
    let host = host();
    let map = host.memory_map.borrow();
    map.as_ref().is_none_or(|map| map.is_ram(range))
}

/// Finds `bytes` of RAM of which all pages are free, by their numbers.
pub(in crate::platform) fn find_free(
    bytes: usize,
    is_free: impl Fn(usize) -> bool,
) -> Option<usize> {
    let host = host();
    let map = host.memory_map.borrow();
    match map.as_ref() {
        Some(map) => map.find(bytes, is_free),
        None => {
            let pages = bytes.div_ceil(PAGE_SIZE);
            let nr_pages = host.pool.borrow().nr_pages();
            (0..=nr_pages.saturating_sub(pages))
                .find(|start| (*start..*start + pages).all(&is_free))
        }
    }
}
