// SPDX-License-Identifier: GPL-2.0-only

//! The rule for entries that are not present: they must be safe against L1TF (L1 terminal fault).

use crate::entry::{
    Entry,
    Level,
    FRAME,
    PSE, //
};
use crate::types::{
    Crash,
    DomainId, //
};
use crate::Machine;

impl Machine {
    /// Whether an entry that is not present is safe with any contents of the L1 cache.
    fn is_l1tf_safe(&self, entry: Entry, level: Level) -> bool {
        let bits = self.config.phys_bits;
        let address = entry.0 & FRAME & ((1 << bits) - 1);
        let safe_from = 3 << (bits - 2);
        let is_large = level != Level::L1 && entry.has(PSE);
        !is_large && (address == 0 || address >= safe_from)
    }

    /// Checks an entry that is not present before it becomes part of a table of `domain`.
    ///
    /// If it is unsafe, Xen switches the domain to shadow paging for good, and the operation
    /// succeeds. Without shadow paging, Xen kills the domain.
    pub(crate) fn check_l1tf(&mut self, domain: DomainId, entry: Entry, level: Level) {
        let state = self.domain(domain);
        if !state.config.check_l1tf || state.is_shadowed || self.is_l1tf_safe(entry, level) {
            return;
        }
        let has_shadow_paging = self.config.has_shadow_paging;
        let state = self.domain_mut(domain);
        if has_shadow_paging {
            state.is_shadowed = true;
        } else {
            state.crash = Some(Crash::L1tf);
        }
    }
}
