// SPDX-License-Identifier: GPL-2.0-only

//! Accesses of user mode, and the faults they take.

use super::{
    entry_for,
    page_in,
    Access,
    OutOfMemory,
    Process,
    PAGE, //
};
use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::bits;
use crate::guest::{
    generic, //
    ops,
};
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::xen::abi::FlushRange;
use xen_model::FaultKind;

impl Process {
    /// Reads the first word of the page at `address`, as user mode does.
    ///
    /// # Panics
    ///
    /// If the process has no access, or there is no memory.
    #[track_caller]
    pub(crate) fn read(&mut self, address: usize) -> u64 {
        match self.try_access(address, None) {
            Ok(word) => word,
            Err(OutOfMemory) => panic!("no memory to read {address:#x}"),
        }
    }

    /// Writes the first word of the page at `address`, as user mode does.
    ///
    /// # Panics
    ///
    /// As [`Self::read`].
    #[track_caller]
    pub(crate) fn write(&mut self, address: usize, word: u64) {
        if self.try_access(address, Some(word)).is_err() {
            panic!("no memory to write {address:#x}");
        }
    }

    /// Accesses the first word of the page at `address`; faults are handled.
    #[track_caller]
    pub(crate) fn try_access(
        &mut self,
        address: usize,
        word: Option<u64>,
    ) -> Result<u64, OutOfMemory> {
        assert_eq!(Mm::loaded(), self.mm, "the process does not run here");
        // One fault may be spurious, one is for the page, and one for its protection.
        for _ in 0..4 {
            let host = host();
            let (who, va) = (host.vcpu(), address as u64);
            let result = match word {
                Some(word) => host
                    .machine
                    .borrow_mut()
                    .user_write(who, va, word)
                    .map(|()| 0),
                None => host.machine.borrow_mut().user_read(who, va),
            };
            match result {
                Ok(word) => return Ok(word),
                Err(fault) => {
                    let is_ours =
                        matches!(fault.kind, FaultKind::NotPresent | FaultKind::Protection);
                    assert!(is_ours, "{fault:x?}");
                    self.handle_fault(address, word.is_some())?;
                }
            }
        }
        panic!("the access to {address:#x} faults again and again");
    }

    /// Handles a fault of user mode (`handle_mm_fault()`).
    #[track_caller]
    fn handle_fault(&mut self, address: usize, is_write: bool) -> Result<(), OutOfMemory> {
        let access = self.area_at(address / PAGE).map(|(_, area)| area.access);
        let is_allowed = match access {
            Some(Access::Write) => true,
            Some(Access::Read) => !is_write,
            Some(Access::None) | None => false,
        };
        assert!(is_allowed, "{access:?} does not allow this at {address:#x}");
        let at = Vaddr::new(address).page_start();
        let ptr = generic::level1_entry(self.mm, at).ok_or(OutOfMemory)?;
        let entry = ptr.read();
        match page_in(entry) {
            None => self.add_page(ptr, at, access.unwrap_or(Access::Read), is_write),
            Some(page) if is_write && entry.raw() & bits::RW == 0 => self.unshare(ptr, at, page),
            // Another CPU was faster.
            Some(_) => Ok(()),
        }
    }

    /// Maps a page at an empty entry.
    fn add_page(
        &mut self,
        ptr: EntryPtr,
        at: Vaddr,
        access: Access,
        is_write: bool,
    ) -> Result<(), OutOfMemory> {
        let page = match self.file_page_at(at.raw() / PAGE) {
            Some(number) => self.pages.borrow_mut().of_file(number),
            None => self.pages.borrow_mut().allocate(None),
        };
        let entry = entry_for(page.ok_or(OutOfMemory)?, access);
        let noted = if is_write { bits::DIRTY } else { 0 };
        ops::set_pte_at(self.mm, at, ptr, entry.with(noted));
        Ok(())
    }

    /// Makes a page writable; an anonymous one that other processes map is copied.
    fn unshare(&mut self, ptr: EntryPtr, at: Vaddr, page: Pfn) -> Result<(), OutOfMemory> {
        let writable = |page| entry_for(page, Access::Write).with(bits::DIRTY);
        let is_of_file = self.file_page_at(at.raw() / PAGE).is_some();

        if is_of_file || self.pages.borrow().is_exclusive(page) {
            ops::set_pte_at(self.mm, at, ptr, writable(page));
            return Ok(());
        }
        let copy = self.pages.borrow_mut().allocate(Some(page));
        let copy = copy.ok_or(OutOfMemory)?;
        ops::get_and_clear(self.mm, at, ptr);
        self.flush(FlushRange::Page(at));
        ops::set_pte_at(self.mm, at, ptr, writable(copy));
        self.pages.borrow_mut().release(page);
        Ok(())
    }
}
