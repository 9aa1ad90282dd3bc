// SPDX-License-Identifier: GPL-2.0-only

//! Hypercalls, carried out by the model. Arrays of arguments are in the memory of the host.

use crate::addr::Vaddr;
use crate::entry::MachineEntry;
use crate::platform::machine::host::{
    host,
    Host, //
};
use crate::platform::xen::abi::*;
use xen_model::{
    Errno,
    Machine,
    MmuExtOp,
    UpdateOutcome, //
};

fn to_result(outcome: &UpdateOutcome) -> Result<(), XenError> {
    XenError::check(outcome.rax() as isize).map(|_| ())
}

fn model_update(update: &MmuUpdate) -> xen_model::MmuUpdate {
    let (ptr, val) = update.raw();
    xen_model::MmuUpdate {
        ptr: ptr as u64,
        val: val as u64,
    }
}

fn model_ext(host: &Host, op: &ExtOp) -> MmuExtOp {
    let (command, arg1) = op.raw();
    let words = host.cpus.borrow().len().div_ceil(64);
    let bitmap = |at: u64| {
        // SAFETY: The queue holds the bitmap of the operation, of that many words.
        let bitmap = unsafe { std::slice::from_raw_parts(at as *const u64, words) };
        Some(bitmap.to_vec())
    };
    MmuExtOp::decode(command, arg1 as u64, op.second() as u64, bitmap)
}

/// Applies `updates` in order until one fails; `domid` owns the frames that are mapped.
pub(crate) fn mmu_update(updates: &mut [MmuUpdate], domid: usize) -> Result<(), (XenError, usize)> {
    let host = host();
    host.step();
    let updates: Vec<_> = updates.iter().map(model_update).collect();
    let mut machine = host.machine.borrow_mut();
    let outcome = machine.mmu_update(host.vcpu(), &updates, domid as u32);
    to_result(&outcome).map_err(|error| (error, outcome.done as usize))
}

/// Applies a single update to a table of the domain.
pub(crate) fn mmu_update_one(update: MmuUpdate) -> Result<(), XenError> {
    mmu_update(&mut [update], DOMID_SELF).map_err(|(error, _)| error)
}

/// Applies a single extended operation.
pub(crate) fn mmuext_op(op: ExtOp) -> Result<(), XenError> {
    mmuext_ops([op])
}

/// Applies extended operations in order until one fails.
pub(crate) fn mmuext_ops<const N: usize>(ops: [ExtOp; N]) -> Result<(), XenError> {
    let host = host();
    host.step();
    let ops = ops.map(|op| model_ext(&host, &op));
    let mut machine = host.machine.borrow_mut();
    to_result(&machine.mmuext_op(host.vcpu(), &ops, DOMID_SELF as u32))
}

/// Sets the entry of level 1 that maps `page` in the current address space.
pub(crate) fn update_va_mapping(
    page: Vaddr,
    entry: MachineEntry,
    flush: VaFlush,
) -> Result<(), XenError> {
    let host = host();
    host.step();
    let mut machine = host.machine.borrow_mut();
    let (va, val) = (page.raw() as u64, entry.raw() as u64);
    let result = machine.update_va_mapping(host.vcpu(), va, val, flush.bits() as u64);
    let ret = result.map_or_else(Errno::negative, |()| 0);
    XenError::check(ret as isize).map(|_| ())
}

/// Returns the array of `count` elements at `array` in the memory of the host.
///
/// # Safety
///
/// The array exists, and nothing writes to it as long as the result is used.
unsafe fn array<'a, T>(array: usize, count: usize) -> &'a [T] {
    // SAFETY: By the contract of this function.
    unsafe { std::slice::from_raw_parts(array as *const T, count) }
}

/// Carries out a queued call.
fn carry_out(host: &Host, machine: &mut Machine, call: &Call) -> isize {
    let who = host.vcpu();
    let [a1, a2, a3, a4, ..] = call.args;
    let outcome = match call.op {
        number::MMU_UPDATE => {
            // SAFETY: The queue holds the array of a call as long as it is in the queue.
            let updates: &[MmuUpdate] = unsafe { array(a1, a2) };
            let updates: Vec<_> = updates.iter().map(model_update).collect();
            machine.mmu_update(who, &updates, a4 as u32)
        }
        number::MMUEXT_OP => {
            // SAFETY: As above.
            let ops: &[ExtOp] = unsafe { array(a1, a2) };
            let ops: Vec<_> = ops.iter().map(|op| model_ext(host, op)).collect();
            machine.mmuext_op(who, &ops, a4 as u32)
        }
        number::UPDATE_VA_MAPPING => {
            let result = machine.update_va_mapping(who, a1 as u64, a2 as u64, a3 as u64);
            return result.map_or_else(Errno::negative, |()| 0) as isize;
        }
        _ => return Errno::ENOSYS.negative() as isize,
    };
    if a3 != 0 {
        // SAFETY: The record of the call has a word for the number of elements done.
        unsafe { (a3 as *mut u32).write(outcome.done) };
    }
    outcome.rax() as isize
}

/// Issues `calls` in one multicall, and stores the result in each.
pub(crate) fn multicall(calls: &mut [Call]) -> Result<(), XenError> {
    let host = host();
    host.step();
    assert!(
        host.state().irqs_off,
        "the queue is issued with interrupts on"
    );
    let mut machine = host.machine.borrow_mut();
    let results = machine.multicall_with(host.vcpu(), calls.len(), |machine, index| {
        carry_out(&host, machine, &calls[index]) as i64
    });
    match results {
        Ok(results) => {
            for (call, result) in calls.iter_mut().zip(results) {
                call.result = result as isize;
                // Xen may leave anything in the arguments.
                call.args = [usize::MAX; 6];
            }
            Ok(())
        }
        Err(error) => XenError::check(error.negative() as isize).map(|_| ()),
    }
}

/// Issues a single queued call directly.
pub(crate) fn single_call(call: &mut Call) {
    let host = host();
    host.step();
    assert!(
        host.state().irqs_off,
        "the queue is issued with interrupts on"
    );
    let mut machine = host.machine.borrow_mut();
    call.result = carry_out(&host, &mut machine, call);
}

/// Returns Xen's m2p table: its address and how many frames it covers.
pub(crate) fn machphys_mapping() -> Result<(usize, usize), XenError> {
    let host = host();
    let mapping = host.machine.borrow_mut().machphys_mapping(host.vcpu());
    match mapping {
        Ok(mapping) => Ok((mapping.v_start as usize, mapping.max_mfn as usize + 1)),
        Err(error) => Err(XenError::of(error.negative() as isize)),
    }
}

/// Exchanges frames with Xen (`XENMEM_exchange`), all of them or none.
pub(crate) fn exchange(
    frames_in: &mut [usize],
    order_in: u32,
    frames_out: &mut [usize],
    order_out: u32,
    address_bits: u32,
) -> Option<bool> {
    let host = host();
    host.step();
    let given: Vec<u64> = frames_in.iter().map(|frame| *frame as u64).collect();
    let mut wanted: Vec<u64> = frames_out.iter().map(|frame| *frame as u64).collect();
    let outcome = host.machine.borrow_mut().exchange(
        host.vcpu(),
        (&given, order_in),
        (&mut wanted, order_out),
        address_bits,
    );
    for (frame, word) in frames_out.iter_mut().zip(wanted) {
        *frame = word as usize;
    }
    match (outcome.result.is_ok(), outcome.nr_exchanged as usize) {
        (true, n) if n == given.len() => Some(true),
        (false, 0) => Some(false),
        _ => None,
    }
}
