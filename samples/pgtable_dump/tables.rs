// SPDX-License-Identifier: GPL-2.0-only

//! Walks page tables by reading them.

use crate::entry::Entry;
use crate::frame::Frame;
use kernel::bindings;
use kernel::prelude::*;

/// An entry on the walk to an address.
pub(crate) struct Step {
    /// The level of its table: 1 is the last.
    pub(crate) level: u32,
    /// Its index in the table.
    pub(crate) index: usize,
    pub(crate) entry: Entry,
}

/// Returns how many levels page tables have on this machine.
pub(crate) fn depth() -> u32 {
    // SAFETY: Set at boot, constant afterwards.
    match unsafe { bindings::pgdir_shift } {
        48 => 5,
        _ => 4,
    }
}

/// Reads the word at `address`, if anything is mapped there.
pub(crate) fn read_word(address: usize) -> Option<u64> {
    let mut word = 0u64;
    // SAFETY: It writes only to `word`, and any source address is allowed.
    let ret = unsafe {
        bindings::copy_from_kernel_nofault(
            (&raw mut word).cast(),
            address as *const _,
            size_of::<u64>(),
        )
    };
    (ret == 0).then_some(word)
}

/// Returns the address of frame `pfn` in the direct map.
fn direct(pfn: usize) -> usize {
    // SAFETY: Set at boot, constant afterwards.
    unsafe { bindings::page_offset_base }.wrapping_add(pfn << 12)
}

/// Walks from the table at `root` towards `address`, up to an entry that is not present or maps a
/// page.
///
/// If a table is freed meanwhile, the only effect is a wrong entry in the output.
pub(crate) fn walk(root: usize, address: usize) -> Result<KVec<Step>, &'static str> {
    let mut steps = KVec::new();
    let mut table = root;

    for level in (1..=depth()).rev() {
        let index = address >> (12 + 9 * (level - 1)) & 0x1ff;
        let entry = Entry(read_word(table + 8 * index).ok_or("a table is gone")?);
        let step = Step {
            level,
            index,
            entry,
        };
        steps.push(step, GFP_KERNEL).map_err(|_| "no memory")?;
        if !entry.is_present() || level > 1 && entry.is_large() {
            break;
        }
        table = match Frame::pseudo_physical(entry.frame()) {
            Some(pfn) => direct(pfn),
            None => break,
        };
    }
    Ok(steps)
}
