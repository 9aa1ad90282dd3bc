// SPDX-License-Identifier: GPL-2.0-only

//! What happens between two atomic units of work: injected errors, other vCPUs, and hardware.

use crate::machine::hardware::HardwareActivity;
use crate::types::{
    DomainId,
    Errno,
    Vcpu, //
};
use crate::Machine;

/// The kinds of work that a fault can be injected into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Call {
    /// An element of `mmu_update`.
    MmuUpdate,
    /// An element of `mmuext_op`.
    MmuextOp,
    /// A call of `update_va_mapping`.
    UpdateVaMapping,
    /// A multicall as a whole.
    Multicall,
    /// An extent of `XENMEM_populate_physmap`.
    Populate,
    /// An extent of `XENMEM_decrease_reservation`.
    Decrease,
    /// A chunk of `XENMEM_exchange`.
    Exchange,
    /// `XENMEM_machphys_mapping`.
    MachphysMapping,
    /// `XENMEM_memory_map` or `XENMEM_machine_memory_map`.
    MemoryMap,
    /// A call of `vm_assist`.
    VmAssist,
    /// A call of `set_gdt`.
    SetGdt,
    /// A call of `update_descriptor`.
    UpdateDescriptor,
    /// An operation of `GNTTABOP_map_grant_ref`.
    GrantMap,
    /// An operation of `GNTTABOP_unmap_grant_ref`.
    GrantUnmap,
}

/// A place where Xen could fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// The call.
    pub call: Call,
    /// The vCPU that makes it.
    pub who: Vcpu,
    /// Which element of the call.
    pub index: usize,
    /// How many elements it has.
    pub of: usize,
    /// Counts the sites that the machine has passed.
    pub number: u64,
}

/// Decides at each [`Site`] whether Xen refuses there, and why.
pub type Injector = Box<dyn FnMut(&Site) -> Option<Errno>>;

/// Runs between two elements, on another CPU or in an interrupt of the caller.
pub type Interloper = Box<dyn FnMut(&mut Machine, &Site)>;

/// Runs before a guest stores to `shared_info`, where the toolstack may look.
pub type Watcher = Box<dyn FnMut(&mut Machine)>;

#[derive(Default)]
pub(crate) struct Hooks {
    injector: Option<Injector>,
    interloper: Option<Interloper>,
    watcher: Option<Watcher>,
    pub(crate) hardware: HardwareActivity,
    nr_sites: u64,
}

impl Machine {
    /// Asks `injector` at every site from now on; `None` stops that.
    pub fn set_injector(&mut self, injector: Option<Injector>) {
        self.hooks.injector = injector;
    }

    /// Runs `interloper` before every element from now on; `None` stops that.
    ///
    /// It is not called for its own hypercalls.
    pub fn set_interloper(&mut self, interloper: Option<Interloper>) {
        self.hooks.interloper = interloper;
    }

    /// Runs `watcher` before every store of [`Self::store_shared_word`] from now on; `None` stops
    /// that.
    pub fn set_watcher(&mut self, watcher: Option<Watcher>) {
        self.hooks.watcher = watcher;
    }

    /// Stores a word of `shared_info`, as a guest does that runs while the toolstack reads it.
    pub fn store_shared_word(&mut self, domain: DomainId, index: usize, word: u64) {
        if let Some(mut watcher) = self.hooks.watcher.take() {
            watcher(self);
            self.hooks.watcher.get_or_insert(watcher);
        }
        self.set_shared_word(domain, index, word);
    }

    /// Returns how many sites the machine has passed.
    pub fn nr_sites(&self) -> u64 {
        self.hooks.nr_sites
    }

    /// Starts a unit of work; fails if a fault is injected.
    pub(crate) fn unit(
        &mut self,
        call: Call,
        who: Vcpu,
        index: usize,
        of: usize,
    ) -> Result<(), Errno> {
        let site = Site {
            call,
            who,
            index,
            of,
            number: self.hooks.nr_sites,
        };
        self.hooks.nr_sites += 1;
        self.run_hardware(who);
        if let Some(mut interloper) = self.hooks.interloper.take() {
            let in_multicall = std::mem::take(&mut self.in_multicall);
            interloper(self, &site);
            self.hooks.interloper.get_or_insert(interloper);
            self.in_multicall = in_multicall;
            self.current = Some(who);
        }
        let injector = self.hooks.injector.as_mut();
        match injector.and_then(|injector| injector(&site)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn an_interloper_in_a_multicall_is_no_part_of_it() {
        let mut guest = Guest::with_two_vcpus();
        let (who, other) = (guest.who, guest.other());
        guest.set_interloper(Some(Box::new(move |machine, _| {
            machine.mmuext_one(other, MmuExtOp::TlbFlushLocal).unwrap();
        })));
        let flush = || MulticallEntry::MmuextOp {
            ops: vec![MmuExtOp::TlbFlushLocal],
            foreigndom: SELF,
        };
        assert_eq!(guest.multicall(who, &[flush(), flush()]), Ok(vec![0, 0]));
        guest.set_interloper(None);
        // The multicall, and a hypercall of the other vCPU before it and before each of its
        // elements.
        assert_eq!(guest.stats().world_entries, 1 + 3);
        assert_eq!(guest.stats().local_flushes, 2 + 3);
    }

    #[test]
    fn sites_are_numbered_and_describe_the_next_unit() {
        let mut guest = Guest::domu();
        let (who, frame) = (guest.who, guest.page());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sites = seen.clone();
        guest.set_injector(Some(Box::new(move |site| {
            sites
                .borrow_mut()
                .push((site.call, site.index, site.of, site.number));
            (site.call == Call::Multicall).then_some(Errno::EFAULT)
        })));
        let first = guest.nr_sites();
        assert_eq!(guest.multicall(who, &[]), Err(Errno::EFAULT));
        let updates = [MmuUpdate::machphys(frame, 1); 2];
        assert_eq!(guest.mmu_update(who, &updates, SELF).result, Ok(()));
        let expected = [
            (Call::Multicall, 0, 0, first),
            (Call::MmuUpdate, 0, 2, first + 1),
            (Call::MmuUpdate, 1, 2, first + 2),
        ];
        assert_eq!(*seen.borrow(), expected);
    }
}
