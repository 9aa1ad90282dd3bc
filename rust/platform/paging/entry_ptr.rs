// SPDX-License-Identifier: GPL-2.0-only

//! Entries of page tables in memory.

use crate::addr::Vaddr;
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};
use crate::platform::paging::scan::GROUP;
use crate::platform::paging::table::Table;
use core::ptr::NonNull;
use kernel::bindings;

/// A pointer to an entry of a page table.
///
/// Entries are copied, never borrowed, because the CPU, Xen and other vCPUs change them at any
/// time.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// The pointer is aligned and points to an entry of a [`Table`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct EntryPtr(NonNull<usize>);

impl EntryPtr {
    /// Takes over a pointer to an entry from C.
    ///
    /// # Safety
    ///
    /// `entry` is aligned and points to an entry of a page for which the invariant of [`Table`]
    /// holds.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<T>(entry: *mut T) -> Self {
        // SAFETY: A pointer to an entry is not null, by the contract of this function.
        // INVARIANT: By the contract of this function.
        Self(unsafe { NonNull::new_unchecked(entry.cast()) })
    }

    /// Reads the entry.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn read(self) -> MachineEntry {
        // SAFETY: By the type invariant; volatile because the entry may change at any time.
        MachineEntry::from_raw(unsafe { self.0.as_ptr().read_volatile() })
    }

    /// Returns the bits that are set in any of the [`GROUP`] entries from this one on.
    ///
    /// # Panics
    ///
    /// If this is not the first entry of such a group.
    #[inline(always)]
    pub(in crate::platform) fn any_of_group(self) -> usize {
        const {
            assert!(GROUP == 16 && ENTRIES % GROUP == 0);
        }
        assert!(self.index().raw() % GROUP == 0);

        let any: usize;
        // SAFETY: By the type invariant and the check above, the whole group is in the table. Each
        // entry is read once. The compiler would need two instructions for each.
        unsafe {
            core::arch::asm!(
                "mov {any}, [{at}]",
                "or {any}, [{at} + 8]",
                "or {any}, [{at} + 16]",
                "or {any}, [{at} + 24]",
                "or {any}, [{at} + 32]",
                "or {any}, [{at} + 40]",
                "or {any}, [{at} + 48]",
                "or {any}, [{at} + 56]",
                "or {any}, [{at} + 64]",
                "or {any}, [{at} + 72]",
                "or {any}, [{at} + 80]",
                "or {any}, [{at} + 88]",
                "or {any}, [{at} + 96]",
                "or {any}, [{at} + 104]",
                "or {any}, [{at} + 112]",
                "or {any}, [{at} + 120]",
                at = in(reg) self.0.as_ptr(),
                any = out(reg) any,
                options(nostack, readonly),
            )
        };
        any
    }

    /// Stores the entry with a plain write, as [`UnpinnedEntryPtr::store`] does.
    ///
    /// Context: as [`EntryPtr::pin_state`].
    ///
    /// [`UnpinnedEntryPtr::store`]: crate::platform::paging::pin_state::UnpinnedEntryPtr::store
    #[inline(always)]
    pub(in crate::platform) fn store(self, entry: MachineEntry) {
        // SAFETY: By the type invariant; a single store, so that a table walk never sees a part of
        // the entry.
        unsafe { self.0.as_ptr().write_volatile(entry.raw()) }
    }

    /// Returns the address of the entry.
    #[inline(always)]
    pub(crate) fn vaddr(self) -> Vaddr {
        Vaddr::new(self.0.as_ptr() as usize)
    }

    /// Returns the table that the entry is part of.
    #[inline(always)]
    pub(crate) fn table(self) -> Table {
        let page = self.vaddr().page_start().raw() as *mut usize;
        // SAFETY: By the type invariant the page is a table.
        unsafe { Table::from_raw(page) }
    }

    /// Returns the index of the entry in its table.
    #[inline(always)]
    pub(crate) fn index(self) -> Index {
        Index::at_offset(self.vaddr().page_offset())
    }

    /// Returns the pointer, for calls into C.
    #[inline(always)]
    pub(crate) fn as_ptr<T>(self) -> *mut T {
        self.0.as_ptr().cast()
    }
}

/// Finds the entry that maps `vaddr` in the kernel's address space, and its level.
///
/// Returns `None` if a table above it is missing.
///
/// Context: what is mapped there is in use.
pub(crate) fn lookup_address(vaddr: Vaddr) -> Option<(EntryPtr, Level)> {
    let mut level: u32 = 0;
    // SAFETY: The function only reads the kernel's tables. Those above `vaddr` are not freed while
    // it is mapped.
    let entry = unsafe { bindings::lookup_address(vaddr.raw(), &mut level) };

    if entry.is_null() {
        return None;
    }
    // SAFETY: `lookup_address()` returns an entry of the kernel's tables. Those are not freed while
    // what they map is in use, as it is by the contract of this function.
    let ptr = unsafe { EntryPtr::from_raw(entry) };
    let level = match level {
        bindings::pg_level_PG_LEVEL_4K => Level::L1,
        bindings::pg_level_PG_LEVEL_2M => Level::L2,
        bindings::pg_level_PG_LEVEL_1G => Level::L3,
        _ => Level::L4,
    };
    Some((ptr, level))
}

/// Finds the entry of level 2 above `vaddr` in the kernel's address space, if there is one.
///
/// Context: as [`lookup_address`].
pub(crate) fn lookup_level2(vaddr: Vaddr) -> Option<EntryPtr> {
    // SAFETY: As in `lookup_address()`.
    let entry = unsafe { bindings::lookup_pmd_address(vaddr.raw()) };

    if entry.is_null() {
        return None;
    }
    // SAFETY: As in `lookup_address()`.
    Some(unsafe { EntryPtr::from_raw(entry) })
}

/// Whether the entry belongs to the early fixed mappings.
///
/// Context: start of day.
pub(crate) fn is_early_ioremap(ptr: EntryPtr) -> bool {
    // SAFETY: The pointer is only compared.
    unsafe { bindings::xen_pv_mmu_is_early_ioremap_ptep(ptr.as_ptr()) }
}
