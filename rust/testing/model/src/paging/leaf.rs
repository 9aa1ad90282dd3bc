// SPDX-License-Identifier: GPL-2.0-only

//! References that leaves hold to the frames they map, and memory that is not RAM.

use crate::entry::{
    forbidden,
    Entry,
    Level,
    CACHE,
    FRAME,
    PCD,
    PSE,
    PWT,
    RW, //
};
use crate::machine::config::contains;
use crate::machine::domain::Kind;
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

/// The frame number that stands for "no frame" in an entry.
const NO_FRAME: u64 = FRAME >> 12;

/// The owner of the frames that an operation maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PageOwner {
    Domain(DomainId),
    Io,
    Xen,
}

impl PageOwner {
    pub(crate) fn owner(self) -> Owner {
        match self {
            PageOwner::Domain(id) => Owner::Domain(id),
            PageOwner::Io => Owner::Io,
            PageOwner::Xen => Owner::Nobody,
        }
    }
}

impl Machine {
    /// Whether `domain` may map I/O frame `mfn` (`iomem_access_permitted()`).
    pub(crate) fn may_map_io(&self, domain: DomainId, mfn: Mfn) -> bool {
        let config = &self.domain(domain).config;
        let is_addressable = mfn.maddr() >> self.config.phys_bits == 0;
        contains(&config.io_rights, mfn.0)
            || (config.kind == Kind::Dom0
                && is_addressable
                && !contains(&self.config.forbidden_io, mfn.0))
    }

    /// Whether a leaf for `mfn` maps I/O memory, which has no references.
    pub(crate) fn is_io(&self, mfn: Mfn) -> bool {
        !self.is_valid(mfn) || self.frame(mfn).owner == Owner::Io
    }

    /// Takes the references of a leaf in a table of `mapper` to a frame of `from`
    /// (`get_page_from_l1e()`).
    ///
    /// Returns the leaf as Xen will store it.
    pub(crate) fn get_leaf(
        &mut self,
        leaf: Entry,
        mapper: DomainId,
        from: PageOwner,
    ) -> Result<Entry, Errno> {
        if !leaf.is_present() {
            return Ok(leaf);
        }
        let has_io_rights = self.domain(mapper).has_io_rights();
        if leaf.0 & forbidden(Level::L1, has_io_rights, self.config.has_nx) != 0 {
            return Err(Errno::EINVAL);
        }
        let mfn = leaf.mfn();
        if self.is_io(mfn) {
            return self.get_io_leaf(leaf, mapper, from);
        }
        self.check_owner(mfn, mapper, from)?;

        let frame = &mut self.frames[mfn.index()];
        frame.count += 1;
        self.stats.atomics += 1;
        if leaf.is_writable() && self.get_type(mfn, PageType::Writable).is_err() {
            self.put_page(mfn);
            return Err(Errno::EBUSY);
        }
        if leaf.0 & CACHE != 0 && self.frame(mfn).special {
            self.put_leaf(leaf);
            return Err(Errno::EACCES);
        }
        Ok(leaf)
    }

    /// Whether a leaf of `mapper` may map a frame when the hypercall named `from`.
    fn check_owner(&self, mfn: Mfn, mapper: DomainId, from: PageOwner) -> Result<(), Errno> {
        let Owner::Domain(owner) = self.frame(mfn).owner else {
            return Err(Errno::EBUSY);
        };
        if from == PageOwner::Domain(owner) {
            return Ok(());
        }
        match from {
            PageOwner::Domain(from) if from != mapper && self.domain(from).is_privileged() => {
                Ok(())
            }
            _ => Err(Errno::EBUSY),
        }
    }

    fn get_io_leaf(
        &mut self,
        leaf: Entry,
        mapper: DomainId,
        from: PageOwner,
    ) -> Result<Entry, Errno> {
        let mfn = leaf.mfn();
        // DOMID_IO stands for the caller here.
        let from = match from {
            PageOwner::Domain(id) => id,
            PageOwner::Io => self.current.map_or(mapper, |who| who.domain),
            PageOwner::Xen => mapper,
        };
        if !self.may_map_io(from, mfn) || !self.may_map_io(mapper, mfn) {
            return Err(if mfn.0 == NO_FRAME {
                Errno::EINVAL
            } else {
                Errno::EPERM
            });
        }
        let mut word = leaf.0;
        if contains(&self.config.read_only_io, mfn.0) {
            word &= !RW;
        }
        let is_cached = matches!(word & CACHE, 0 | PWT) || word & CACHE == PWT | PSE;
        if is_cached {
            word = (word & !CACHE) | PWT | PCD;
        }
        Ok(Entry(word))
    }

    /// Drops the references of a leaf that is gone (`put_page_from_l1e()`).
    pub(crate) fn put_leaf(&mut self, leaf: Entry) {
        let mfn = leaf.mfn();
        if !leaf.is_present() || self.is_io(mfn) {
            return;
        }
        if leaf.is_writable() {
            self.put_type(mfn);
        }
        self.put_page(mfn);
    }
}
