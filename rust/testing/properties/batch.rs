// SPDX-License-Identifier: GPL-2.0-only

//! Batches take effect in the order of their requests, even if Xen refuses parts of them.

use crate::addr::Maddr;
use crate::guest::{
    ops,
    Guest,
    GuestConfig, //
};
use crate::multicall::{
    self,
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    Command,
    ExtOp,
    VaFlush, //
};

/// Number of pages whose entries are changed.
pub(crate) const PAGES: u8 = 6;

/// The software bits of an entry, which the steps change.
const BITS: u32 = 9;

/// An address whose change Xen refuses.
const NOWHERE: Maddr = Maddr::new(((1 << 40) - 1) << 12);

/// A step with batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A batch begins inside those that are open.
    Open(Issue),
    /// The batch that was opened last ends.
    Close,
    /// An entry is changed, as an element of an array or by the address that it maps.
    Change {
        page: u8,
        bits: u8,
        is_by_address: bool,
    },
    /// A change is requested that Xen refuses.
    Refused,
    /// TLB entries are flushed.
    FlushPage(u8),
    /// The task enters a section of lazy MMU mode.
    EnterLazy,
    /// It leaves one.
    LeaveLazy,
    /// The queue is flushed.
    Flush,
}

/// The pages of a guest, and the expected values of their entries.
struct Entries {
    guest: Guest,
    pages: Vec<OwnedPage>,
    expected: Vec<usize>,
    lazy: u32,
}

impl Entries {
    fn new(seed: u64) -> Self {
        let guest = Guest::boot(GuestConfig::dom0(600).with_seed(seed));
        let pages = (0..PAGES).map(|_| OwnedPage::zeroed(&mut MaySleep::here()));
        Self {
            guest,
            pages: pages.flatten().collect(),
            expected: vec![0; PAGES.into()],
            lazy: 0,
        }
    }

    fn change(&mut self, batch: &mut Batch, page: u8, bits: u8, is_by_address: bool) {
        let page = usize::from(page % PAGES);
        let address = address::pfn_to_virt(self.pages[page].pfn());
        let Some((ptr, _)) = entry_ptr::lookup_address(address) else {
            panic!("a page is not mapped");
        };
        let bits = usize::from(bits % 8) << BITS;
        let entry = ptr.read().without(7 << BITS).with(bits);
        if is_by_address {
            batch.update_va(address, entry, VaFlush::PageLocal);
        } else {
            batch.update(Command::Normal, p2m::machine_address(ptr.vaddr()), entry);
        }
        self.expected[page] = bits;
    }

    /// Checks that everything has taken effect.
    fn check(&self) {
        assert!(multicall::is_queue_empty(), "calls are left in the queue");
        for (page, expected) in self.pages.iter().zip(&self.expected) {
            let entry = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn()))
                .map(|(ptr, _)| ptr.read().raw());
            assert_eq!(entry.map(|entry| entry & (7 << BITS)), Some(*expected));
        }
    }

    fn leave_lazy(&mut self) {
        if self.lazy > 0 {
            self.lazy -= 1;
            ops::leave_lazy_mmu();
        }
    }
}

/// Does `steps`, and checks the entries whenever nothing may be waiting.
pub(crate) fn check(seed: u64, steps: &[Step]) {
    let mut entries = Entries::new(seed);
    let mut open: Vec<Batch> = Vec::new();
    let mut nr_refused = 0;
    let mut has_waiting = false;

    for step in steps {
        match *step {
            Step::Open(issue) => open.push(Batch::open(issue, CallContext::here())),
            Step::Close => drop(open.pop()),
            Step::EnterLazy => {
                entries.lazy += 1;
                ops::enter_lazy_mmu();
            }
            Step::LeaveLazy => entries.leave_lazy(),
            Step::Flush => {
                entries.guest.flush();
                has_waiting = false;
            }
            Step::Change { .. } | Step::Refused | Step::FlushPage(_) => {
                let Some(batch) = open.last_mut() else {
                    continue;
                };
                has_waiting = true;
                match *step {
                    Step::Change {
                        page,
                        bits,
                        is_by_address,
                    } => entries.change(batch, page, bits, is_by_address),
                    Step::FlushPage(page) => {
                        let page = &entries.pages[usize::from(page % PAGES)];
                        batch.ext(ExtOp::flush_page_all(address::pfn_to_virt(page.pfn())));
                    }
                    _ => {
                        nr_refused += 1;
                        let at = NOWHERE.add(8 * nr_refused);
                        batch.update(Command::Normal, at, crate::entry::MachineEntry::EMPTY);
                    }
                }
            }
        }
        if open.is_empty() && entries.lazy == 0 {
            has_waiting = false;
        }
        if !has_waiting {
            entries.check();
        }
    }
    while let Some(batch) = open.pop() {
        drop(batch);
    }
    while entries.lazy > 0 {
        entries.leave_lazy();
    }
    entries.check();

    let reports = entries.guest.take_refusals();
    assert!(reports.iter().all(|report| report.target >= NOWHERE.raw()));
    assert_eq!(reports.is_empty(), nr_refused == 0);
    assert!(reports.len() <= nr_refused);
    // Those that are not reported one by one are counted.
    let counted = entries.guest.complaints();
    let is_count = |text: &String| text.ends_with("more operations failed");
    let others: usize = counted
        .iter()
        .inspect(|text| assert!(is_count(text), "logged: {text}"))
        .filter_map(|text| text.split(' ').next()?.parse::<usize>().ok())
        .sum();
    assert_eq!(reports.len() + others, nr_refused);
    entries.pages.clear();
    entries.guest.assert_sound();
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::properties::{
        config,
        regressions, //
    };
    use proptest::prelude::*;

    fn issue() -> impl Strategy<Value = Issue> {
        prop_oneof![Just(Issue::Now), Just(Issue::LazyMmu), Just(Issue::LazyCpu)]
    }

    /// Any step.
    pub(crate) fn step() -> impl Strategy<Value = Step> {
        let change = (0..PAGES, 0..8u8, any::<bool>());
        prop_oneof![
            2 => issue().prop_map(Step::Open),
            2 => Just(Step::Close),
            6 => change.prop_map(|(page, bits, is_by_address)| Step::Change {
                page,
                bits,
                is_by_address,
            }),
            1 => Just(Step::Refused),
            1 => (0..PAGES).prop_map(Step::FlushPage),
            1 => Just(Step::EnterLazy),
            1 => Just(Step::LeaveLazy),
            1 => Just(Step::Flush),
        ]
    }

    proptest! {
        #![proptest_config(config(40, regressions!("batch")))]

        #[test]
        fn batches_take_effect_in_order(
            seed in any::<u64>(),
            steps in prop::collection::vec(step(), 1..200),
        ) {
            check(seed, &steps);
        }
    }
}
