// SPDX-License-Identifier: GPL-2.0-only

//! Runs probes in dom0 on Xen, on pages of the kernel.
//!
//! Hypercalls do not go through the backend: the probes test Xen.

use super::probe::{
    Array,
    Frame, //
};
use super::run::{
    RawCall,
    Target,
    FRAMES,
    MAX_ELEMENTS, //
};
use crate::addr::Mfn;
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::cpu::context::IrqsOff;
use crate::platform::diag::{
    probing,
    report, //
};
use crate::platform::kernel::address;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    number,
    Call,
    ExtOp,
    DOMID_SELF, //
};
use crate::platform::xen::hypercall;
use crate::ptpage::mfn_of_table;
use kernel::bindings;
use kernel::prelude::*;

/// The number of the hypercall `update_va_mapping_otherdomain`.
const UPDATE_VA_MAPPING_OF: usize = bindings::__HYPERVISOR_update_va_mapping_otherdomain as usize;

/// Pages of the kernel for probes.
pub(super) struct Dom0 {
    pages: [OwnedPage; FRAMES],
    mfns: [Mfn; FRAMES],
    given: [bool; FRAMES],
}

/// Makes a hypercall.
fn hypercall(op: usize, args: [usize; 4]) -> i64 {
    let [a1, a2, a3, a4] = args;
    let mut call = Call {
        op,
        result: 0,
        args: [a1, a2, a3, a4, 0, 0],
    };
    hypercall::single_call(&mut call);
    call.result as i64
}

/// Runs a section that may change the root for user mode, and reloads the right one.
///
/// Interrupts are off meanwhile: no other task may run with a wrong root.
fn keeping_user_root<R>(section: impl FnOnce() -> R) -> R {
    let _irqs = IrqsOff::new();
    let ret = section();
    let mfn = probing::loaded_root()
        .user_root()
        .map(|root| mfn_of_table(root.pfn()));
    if hypercall::mmuext_op(ExtOp::new_user_root(mfn)).is_err() {
        report::die(c"the root for user mode cannot be loaded after a probe");
    }
    ret
}

/// Makes a hypercall that takes an array and returns how many elements are done.
fn array_call<T>(op: usize, array: &[T], domain: u64) -> (i64, u64) {
    let mut done: u32 = 0;
    let args = [
        array.as_ptr() as usize,
        array.len(),
        &raw mut done as usize,
        domain as usize,
    ];
    let result = hypercall(op, args);
    (result, done.into())
}

/// The argument of `memory_op` for one extent.
fn extent(start: &mut usize, order: u64) -> bindings::xen_memory_reservation {
    bindings::xen_memory_reservation {
        extent_start: start,
        nr_extents: 1,
        extent_order: order as u32,
        address_bits: 0,
        domid: DOMID_SELF as u16,
    }
}

fn memory_call<T>(command: u32, argument: &mut T) -> i64 {
    let args = [
        command as usize,
        core::ptr::from_mut(argument) as usize,
        0,
        0,
    ];
    hypercall(number::MEMORY_OP, args)
}

impl Dom0 {
    /// Allocates the pages.
    pub(super) fn new() -> Result<Self> {
        let page = || OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM);
        let pages = [page()?, page()?, page()?, page()?, page()?];
        let mut mfns = [Mfn::new(0); FRAMES];
        for (mfn, page) in mfns.iter_mut().zip(&pages) {
            *mfn = p2m::mfn_of(page.pfn()).ok_or(EINVAL)?;
        }
        Ok(Self {
            pages,
            mfns,
            given: [false; FRAMES],
        })
    }

    /// Records that page `own` has another frame now.
    fn has_frame(&mut self, own: usize, mfn: usize) {
        self.mfns[own] = Mfn::new(mfn);
        self.given[own] = false;
        let _ = p2m::grow::set(
            self.pages[own].pfn(),
            P2mWord::from_raw(mfn),
            &mut MaySleep::in_test(),
        );
    }

    /// Records that a frame was given back to Xen.
    fn has_given(&mut self, mfn: u64) {
        for own in 0..FRAMES {
            if self.mfns[own].raw() as u64 == mfn {
                self.given[own] = true;
                let _ = p2m::grow::set(
                    self.pages[own].pfn(),
                    P2mWord::MISSING,
                    &mut MaySleep::in_test(),
                );
            }
        }
    }
}

impl Target for Dom0 {
    const IS_MODEL: bool = false;

    fn mfn(&self, frame: Frame) -> u64 {
        match frame {
            Frame::Own(own) => self.mfns[own].raw() as u64,
            Frame::Number(number) => number,
            Frame::Xen => probing::frame_of_xen().raw() as u64,
            Frame::SharedInfo => probing::shared_info_frame().raw() as u64,
            Frame::Foreign => report::die(c"a probe needs another domain, and none runs"),
        }
    }

    fn address(&self, own: usize) -> u64 {
        address::pfn_to_virt(self.pages[own].pfn()).raw() as u64
    }

    fn load(&mut self, own: usize, index: usize) -> Option<u64> {
        self.pages[own].try_load(index).map(|word| word as u64)
    }

    fn store(&mut self, own: usize, index: usize, word: u64) -> bool {
        self.pages[own].try_store(index, word as usize)
    }

    fn map(&mut self, address: u64, entry: u64, flags: u64, domain: u64) -> i64 {
        let op = if domain as usize == DOMID_SELF {
            number::UPDATE_VA_MAPPING
        } else {
            UPDATE_VA_MAPPING_OF
        };
        hypercall(op, [address, entry, flags, domain].map(|arg| arg as usize))
    }

    fn mmu_update(&mut self, updates: &[[u64; 2]], domains: u64) -> (i64, u64) {
        array_call(number::MMU_UPDATE, updates, domains)
    }

    fn mmuext_op(&mut self, ops: &[[u64; 3]], domain: u64) -> (i64, u64) {
        keeping_user_root(|| array_call(number::MMUEXT_OP, ops, domain))
    }

    fn multicall(&mut self, calls: &[RawCall], results: &mut [i64]) -> i64 {
        let mut entries = [Call::NONE; MAX_ELEMENTS];
        let mut updates = [[0; 2]; MAX_ELEMENTS];
        let mut ops = [[0; 3]; MAX_ELEMENTS];
        let (mut updates, mut ops) = (updates.iter_mut(), ops.iter_mut());
        for (entry, call) in entries.iter_mut().zip(calls) {
            (entry.op, entry.args) = match *call {
                RawCall::Map(address, to) => (
                    number::UPDATE_VA_MAPPING,
                    [address as usize, to as usize, 0, 0, 0, 0],
                ),
                RawCall::Update(update) => {
                    (number::MMU_UPDATE, one_element(updates.next(), update))
                }
                RawCall::Ext(op) => (number::MMUEXT_OP, one_element(ops.next(), op)),
                RawCall::Other(number) => (number as usize, [0; 6]),
            };
        }
        let entries = &mut entries[..calls.len()];
        let args = [entries.as_mut_ptr() as usize, entries.len(), 0, 0];
        let result = keeping_user_root(|| hypercall(number::MULTICALL, args));
        for (result, entry) in results.iter_mut().zip(entries) {
            *result = entry.result as i64;
        }
        result
    }

    fn with_array_at(&mut self, array: Array, address: u64) -> i64 {
        let op = match array {
            Array::MmuUpdate => number::MMU_UPDATE,
            Array::MmuextOp => number::MMUEXT_OP,
            Array::Multicall => number::MULTICALL,
        };
        hypercall(op, [address as usize, 1, 0, DOMID_SELF])
    }

    fn decrease(&mut self, mfn: u64, order: u64) -> i64 {
        let mut start = mfn as usize;
        let mut extent = extent(&mut start, order);
        let extents = memory_call(bindings::XENMEM_decrease_reservation, &mut extent);
        if extents == 1 {
            self.has_given(mfn);
        }
        extents
    }

    fn populate(&mut self, own: usize, order: u64) -> i64 {
        let mut start = self.pages[own].pfn().raw();
        let mut extent = extent(&mut start, order);
        let extents = memory_call(bindings::XENMEM_populate_physmap, &mut extent);
        if extents == 1 {
            self.has_frame(own, start);
        }
        extents
    }

    fn exchange(&mut self, mfn: u64, order_in: u64, own: usize, order_out: u64) -> (i64, u64) {
        let (mut given, mut taken) = (mfn as usize, self.pages[own].pfn().raw());
        let mut exchange = bindings::xen_memory_exchange {
            in_: extent(&mut given, order_in),
            out: extent(&mut taken, order_out),
            nr_exchanged: 0,
        };
        let result = memory_call(bindings::XENMEM_exchange, &mut exchange);
        if exchange.nr_exchanged == 1 {
            self.has_frame(own, taken);
        }
        (result, exchange.nr_exchanged as u64)
    }

    fn is_given(&self, own: usize) -> bool {
        self.given[own]
    }

    fn machphys_mapping(&mut self) -> (i64, u64, u64) {
        let mut mapping = bindings::xen_machphys_mapping::default();
        let result = memory_call(bindings::XENMEM_machphys_mapping, &mut mapping);
        (result, mapping.v_start as u64, mapping.v_end as u64)
    }

    fn memory_op(&mut self, command: u64) -> i64 {
        hypercall(number::MEMORY_OP, [command as usize, 0, 0, 0])
    }
}

/// Stores the only element of an array at `place`, and returns the arguments of the call.
fn one_element<T>(place: Option<&mut T>, element: T) -> [usize; 6] {
    match place {
        Some(place) => {
            *place = element;
            let array = core::ptr::from_mut(place) as usize;
            [array, 1, 0, DOMID_SELF, 0, 0]
        }
        None => [0; 6],
    }
}
