// SPDX-License-Identifier: GPL-2.0-only

//! The types of the backend's `platform`, with stand-ins for what they name. No kernel and no
//! tables are behind them.

#[path = "../../platform/early/phase.rs"]
pub(crate) mod phase;
#[path = "../../platform/paging/pin_state.rs"]
pub(crate) mod pin_state;

/// Start of day.
pub(crate) mod early {
    pub(crate) use super::phase;
}

/// Page tables in memory.
pub(crate) mod paging {
    pub(crate) use super::pin_state;

    pub(crate) mod pages {
        use super::table::Table;
        use crate::platform::early::phase::RunTime;

        pub(crate) struct TablePage;

        impl TablePage {
            pub(crate) fn at(_: RunTime, _: Table) -> Self {
                Self
            }

            pub(crate) fn is_pinned(&self) -> bool {
                true
            }
        }
    }

    pub(crate) mod table {
        use super::entry_ptr::EntryPtr;
        use crate::level::Index;

        /// A page of entries.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Table;

        impl Table {
            pub(crate) fn entry(self, index: Index) -> EntryPtr {
                let _ = index;
                EntryPtr
            }
        }
    }

    pub(crate) mod entry_ptr {
        use super::table::Table;
        use crate::entry::MachineEntry;

        /// A pointer to an entry.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct EntryPtr;

        impl EntryPtr {
            pub(in crate::platform) fn table(self) -> Table {
                Table
            }

            pub(in crate::platform) fn store(self, _: MachineEntry) {}
        }
    }
}

/// Xen.
pub(crate) mod xen {
    pub(crate) mod machine_map {
        /// A word that is set during boot.
        pub(crate) struct ReadMostly;

        impl ReadMostly {
            pub(crate) const fn new(_: usize) -> Self {
                Self
            }

            pub(crate) fn get(&self) -> usize {
                1
            }

            pub(crate) fn set(&self, _: usize) {}
        }
    }
}
