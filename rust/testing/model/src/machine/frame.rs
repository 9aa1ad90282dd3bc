// SPDX-License-Identifier: GPL-2.0-only

//! Machine frames: owner, counts, type and contents.

use crate::entry::Level;
use crate::types::{
    DomainId,
    Mfn,
    ENTRIES, //
};

/// Contents of memory that has not been written yet. Xen does not promise zeroes.
pub const POISON: u64 = 0xc2c2_c2c2_c2c2_c2c2;

/// A word of Xen's machine-to-physical table that names no frame.
pub const INVALID_M2P: u64 = u64::MAX;

/// The owner of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody: it is free, unusable, or Xen's private memory.
    Nobody,
    /// `DOMID_IO`.
    Io,
    /// A domain.
    Domain(DomainId),
}

/// Type of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageType {
    /// None yet.
    None,
    /// A page table.
    Table(Level),
    /// Segment descriptors.
    SegDesc,
    /// Ordinary memory with writable mappings.
    Writable,
}

/// Contents of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Contents {
    /// The same word throughout.
    Fill(u64),
    /// Any words.
    Words(Box<[u64; ENTRIES]>),
}

/// A machine frame.
///
/// # Invariants
///
/// - `count` is the number of reasons to keep the frame and `type_count` that of reasons for its
///   type; [`Machine::check`](crate::Machine::check) compares both with the reasons themselves.
/// - A frame of owner `Nobody` has neither.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(crate) owner: Owner,
    /// Whether the allocation itself is among the reasons.
    pub(crate) allocated: bool,
    /// Shared between Xen and the domain: shared_info, a grant table.
    pub(crate) special: bool,
    pub(crate) count: u32,
    pub(crate) kind: PageType,
    pub(crate) type_count: u32,
    pub(crate) validated: bool,
    pub(crate) pinned: bool,
    /// The clock when the type count last became 0.
    pub(crate) stamp: u64,
    pub(crate) m2p: u64,
    pub(crate) contents: Contents,
}

impl Frame {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self {
            owner,
            allocated: false,
            special: false,
            count: 0,
            kind: PageType::None,
            type_count: 0,
            validated: false,
            pinned: false,
            stamp: 0,
            m2p: INVALID_M2P,
            contents: Contents::Fill(POISON),
        }
    }

    /// Returns the owner.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the general count.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the type, which stays when the type count has fallen to 0.
    pub fn page_type(&self) -> PageType {
        self.kind
    }

    /// Returns the type count.
    pub fn type_count(&self) -> u32 {
        self.type_count
    }

    /// Whether the contents were validated for the type.
    pub fn is_validated(&self) -> bool {
        self.validated
    }

    /// Whether the guest has pinned the frame.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Returns the level of the table that the frame is in use as.
    pub fn table(&self) -> Option<Level> {
        match self.kind {
            PageType::Table(level) if self.type_count > 0 => Some(level),
            _ => None,
        }
    }

    /// Whether the guest must not have the frame mapped writable.
    pub fn is_protected(&self) -> bool {
        self.type_count > 0 && matches!(self.kind, PageType::Table(_) | PageType::SegDesc)
    }

    /// Whether Xen can take the page lock (`page_lock()`).
    pub(crate) fn is_lockable(&self) -> bool {
        self.type_count > 0 && self.validated
    }

    pub(crate) fn word(&self, index: usize) -> u64 {
        match &self.contents {
            Contents::Fill(word) => *word,
            Contents::Words(words) => words[index],
        }
    }

    pub(crate) fn set_word(&mut self, index: usize, word: u64) {
        match &mut self.contents {
            Contents::Fill(fill) if *fill == word => {}
            Contents::Fill(fill) => {
                let mut words = Box::new([*fill; ENTRIES]);
                words[index] = word;
                self.contents = Contents::Words(words);
            }
            Contents::Words(words) => words[index] = word,
        }
    }

    pub(crate) fn fill(&mut self, word: u64) {
        self.contents = Contents::Fill(word);
    }

    /// Whether every word is `word`; reads them one by one only if it must.
    pub(crate) fn is_filled_with(&self, word: u64) -> bool {
        match &self.contents {
            Contents::Fill(fill) => *fill == word,
            Contents::Words(words) => words.iter().all(|&w| w == word),
        }
    }

    pub(crate) fn copy_contents(&mut self, from: &Frame) {
        self.contents = from.contents.clone();
    }
}

/// A reason to keep a frame, or its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is allocated to its owner.
    Allocation,
    /// A leaf maps it.
    Leaf {
        /// The table of the leaf.
        table: Mfn,
        /// The index of the leaf.
        index: usize,
        /// Whether the leaf allows writes, and so is a reason for the type as well.
        writable: bool,
    },
    /// An entry refers to it as a table.
    Hook {
        /// The table of the entry.
        table: Mfn,
        /// The index of the entry.
        index: usize,
    },
    /// The guest has pinned it.
    Pin,
    /// A vCPU uses it as a root in kernel or user mode.
    Root {
        /// The vCPU.
        vcpu: crate::types::Vcpu,
        /// Whether in user mode.
        user: bool,
    },
    /// Xen itself holds a reference.
    Xen {
        /// Whether Xen writes to it, which is a reason for the type as well.
        writable: bool,
    },
    /// It is part of the GDT of a vCPU.
    Descriptors {
        /// The vCPU.
        vcpu: crate::types::Vcpu,
    },
    /// A grant of it is mapped for a device.
    GrantDevice {
        /// The handle of the mapping.
        handle: u32,
        /// Whether the device may write, which is a reason for the type as well.
        writable: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_made_when_they_differ() {
        let mut frame = Frame::new(Owner::Nobody);
        assert!(frame.is_filled_with(POISON));
        frame.set_word(3, POISON);
        assert!(matches!(frame.contents, Contents::Fill(_)));
        frame.set_word(3, 1);
        assert_eq!((frame.word(2), frame.word(3)), (POISON, 1));
        frame.fill(0);
        assert!(frame.is_filled_with(0));
        frame.set_word(0, 1);
        frame.set_word(0, 0);
        assert!(frame.is_filled_with(0));
    }
}
