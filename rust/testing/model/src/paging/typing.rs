// SPDX-License-Identifier: GPL-2.0-only

//! References to frames and to their types.

use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::types::{
    DomainId,
    Errno,
    Mfn, //
};
use crate::Machine;

impl Machine {
    /// Takes a general reference to a frame of `owner` (`get_page()`).
    pub(crate) fn get_page(&mut self, mfn: Mfn, owner: Owner) -> bool {
        let Some(frame) = self.frames.get_mut(mfn.index()) else {
            return false;
        };
        if owner == Owner::Nobody || frame.owner != owner || frame.count == 0 {
            return false;
        }
        frame.count += 1;
        self.stats.atomics += 1;
        true
    }

    /// Drops a general reference (`put_page()`).
    pub(crate) fn put_page(&mut self, mfn: Mfn) {
        let frame = &mut self.frames[mfn.index()];
        assert!(frame.count > 0, "{mfn:?} has no reference to drop");
        frame.count -= 1;
        self.stats.atomics += 1;
        if frame.count == 0 {
            self.free(mfn);
        }
    }

    /// Takes a reference to a frame as `kind` (`get_page_type()`).
    ///
    /// A table is promoted, with all tables that it refers to, unless it is known to be valid.
    pub(crate) fn get_type(&mut self, mfn: Mfn, kind: PageType) -> Result<(), Errno> {
        let frame = &mut self.frames[mfn.index()];
        self.stats.atomics += 1;
        if frame.type_count > 0 {
            if frame.kind != kind || !frame.validated {
                return Err(Errno::EINVAL);
            }
            frame.type_count += 1;
            return Ok(());
        }
        let old = frame.kind;
        frame.type_count = 1;
        frame.kind = kind;
        if old != kind {
            frame.validated = false;
            self.type_changed(mfn, old, kind);
        }
        if self.frames[mfn.index()].validated {
            return Ok(());
        }
        match kind {
            PageType::Table(level) => self.promote(mfn, level)?,
            PageType::SegDesc => self.validate_descriptors(mfn)?,
            PageType::Writable | PageType::None => {}
        }
        self.frames[mfn.index()].validated = true;
        Ok(())
    }

    /// Drops a reference to a frame's type (`put_page_type()`).
    ///
    /// With the last reference a table is torn down.
    pub(crate) fn put_type(&mut self, mfn: Mfn) {
        let frame = &mut self.frames[mfn.index()];
        assert!(frame.type_count > 0, "{mfn:?} has no type to drop");
        self.stats.atomics += 1;
        if frame.type_count == 1 {
            if let PageType::Table(level) = frame.kind {
                frame.validated = false;
                self.tear_down(mfn, level);
            }
            self.frames[mfn.index()].stamp = self.clock;
        }
        self.frames[mfn.index()].type_count -= 1;
    }

    /// Takes both references to a frame of `domain` (`get_page_and_type_from_mfn()`).
    pub(crate) fn get_page_and_type(
        &mut self,
        mfn: Mfn,
        domain: DomainId,
        kind: PageType,
    ) -> Result<(), Errno> {
        if !self.get_page(mfn, Owner::Domain(domain)) {
            return Err(Errno::EINVAL);
        }
        self.get_type(mfn, kind).inspect_err(|_| self.put_page(mfn))
    }

    /// Drops both references (`put_page_and_type()`).
    pub(crate) fn put_page_and_type(&mut self, mfn: Mfn) {
        self.put_type(mfn);
        self.put_page(mfn);
    }
}
