// SPDX-License-Identifier: GPL-2.0-only

//! Hypercalls, issued through the kernel's `xen_hypercall` static call.
//!
//! Xen's `public/xen.h` and `xen/arch/x86/mm.c` define the semantics and errors of each. A
//! hypercall does not sleep, and it overtakes what is queued on this CPU. Errors are the negative
//! errnos that Xen returns ([`XenError`]).
//!
//! Context: any, for all functions here.

use crate::addr::Vaddr;
use crate::entry::MachineEntry;
use crate::platform::diag::fault::{
    self,
    Fault, //
};
use crate::platform::diag::stats;
use crate::platform::xen::abi::*;
use core::ffi::c_void;
use kernel::bindings::{
    self,
    __SCK__xen_hypercall,
    __SCT__xen_hypercall, //
};
use kernel::static_call::static_call_asm;

/// Compares [`crate::platform::xen::abi`] with the kernel's headers.
const _: () = {
    assert!(size_of::<MmuUpdate>() == size_of::<bindings::mmu_update>());
    assert!(size_of::<ExtOp>() == size_of::<bindings::mmuext_op>());
    assert!(size_of::<Call>() == size_of::<bindings::multicall_entry>());
    assert!(DOMID_SELF == bindings::DOMID_SELF as usize);

    macro_rules! same {
        ($($module:ident { $($name:ident = $binding:ident,)* })*) => {$($(
            assert!($module::$name as u64 == bindings::$binding as u64);
        )*)*};
    }
    same! {
        number {
            MMU_UPDATE = __HYPERVISOR_mmu_update,
            MEMORY_OP = __HYPERVISOR_memory_op,
            MULTICALL = __HYPERVISOR_multicall,
            UPDATE_VA_MAPPING = __HYPERVISOR_update_va_mapping,
            GRANT_TABLE_OP = __HYPERVISOR_grant_table_op,
            MMUEXT_OP = __HYPERVISOR_mmuext_op,
        }
        ext {
            PIN_L1_TABLE = MMUEXT_PIN_L1_TABLE,
            UNPIN_TABLE = MMUEXT_UNPIN_TABLE,
            NEW_BASEPTR = MMUEXT_NEW_BASEPTR,
            TLB_FLUSH_LOCAL = MMUEXT_TLB_FLUSH_LOCAL,
            INVLPG_LOCAL = MMUEXT_INVLPG_LOCAL,
            TLB_FLUSH_MULTI = MMUEXT_TLB_FLUSH_MULTI,
            INVLPG_MULTI = MMUEXT_INVLPG_MULTI,
            TLB_FLUSH_ALL = MMUEXT_TLB_FLUSH_ALL,
            INVLPG_ALL = MMUEXT_INVLPG_ALL,
            NEW_USER_BASEPTR = MMUEXT_NEW_USER_BASEPTR,
        }
        uvmf {
            NONE = UVMF_NONE,
            TLB_FLUSH = UVMF_TLB_FLUSH,
            INVLPG = UVMF_INVLPG,
            ALL = UVMF_ALL,
        }
        command {
            NORMAL = MMU_NORMAL_PT_UPDATE,
            PRESERVE_AD = MMU_PT_UPDATE_PRESERVE_AD,
            NO_TRANSLATE = MMU_PT_UPDATE_NO_TRANSLATE,
        }
    }
};

/// Issues hypercall `op`.
///
/// # Safety
///
/// - The arguments are right for `op`.
/// - Pointers among them point to memory with the layout that the hypercall expects. The memory
///   stays in place during the call, and the hypercall may read or write it.
/// - The hypercall does not unmap or replace memory to which a reference exists.
#[inline(always)]
unsafe fn hypercall5(op: usize, a1: usize, a2: usize, a3: usize, a4: usize, a5: usize) -> isize {
    let ret: isize;

    stats::count_hypercall(op, a2);
    // SAFETY: The target is the hypercall entry for this type of guest, which changes no registers
    // but those below. The caller guarantees the rest. `nostack` is missing because this is a call.
    unsafe {
        static_call_asm!(
            xen_hypercall;
            inlateout("rax") op => ret,
            inlateout("rdi") a1 => _,
            inlateout("rsi") a2 => _,
            inlateout("rdx") a3 => _,
            inlateout("r10") a4 => _,
            inlateout("r8") a5 => _,
        )
    };
    ret
}

/// Applies `updates` in order until one fails; `domid` is the owner of the frames that are mapped.
///
/// Returns the error and how many elements were applied before it.
#[inline]
pub(crate) fn mmu_update(updates: &mut [MmuUpdate], domid: usize) -> Result<(), (XenError, usize)> {
    let mut done: u32 = 0;
    let refused =
        (0..updates.len()).find_map(|index| Some((index, fault::inject(Fault::Remap).err()?)));
    let count = refused.map_or(updates.len(), |(index, _)| index);

    // SAFETY: The array and `done` are valid during the call. The modules above make sure that
    // changes of page tables do not take memory away that Rust code refers to.
    let ret = unsafe {
        hypercall5(
            number::MMU_UPDATE,
            updates.as_mut_ptr() as usize,
            count,
            &raw mut done as usize,
            domid,
            0,
        )
    };
    match XenError::check(ret) {
        Ok(_) => refused.map_or(Ok(()), |(index, error)| Err((error, index))),
        Err(error) => Err((error, done as usize)),
    }
}

/// Applies a single update to one of the domain's tables.
#[inline(always)]
pub(crate) fn mmu_update_one(update: MmuUpdate) -> Result<(), XenError> {
    let mut update = update;

    fault::inject(Fault::of_update(&update))?;
    // SAFETY: As in `mmu_update()`; a null pointer for `done` is allowed.
    let ret = unsafe {
        hypercall5(
            number::MMU_UPDATE,
            &raw mut update as usize,
            1,
            0,
            DOMID_SELF,
            0,
        )
    };
    XenError::check(ret).map(|_| ())
}

/// Applies a single extended operation.
pub(crate) fn mmuext_op(op: ExtOp) -> Result<(), XenError> {
    mmuext_ops([op])
}

/// Applies extended operations in order until one fails.
#[inline]
pub(crate) fn mmuext_ops<const N: usize>(ops: [ExtOp; N]) -> Result<(), XenError> {
    let mut ops = ops;

    ops.iter()
        .try_for_each(|op| fault::inject(Fault::of_ext(op)))?;
    // SAFETY: As in `mmu_update()`.
    let ret = unsafe {
        hypercall5(
            number::MMUEXT_OP,
            ops.as_mut_ptr() as usize,
            N,
            0,
            DOMID_SELF,
            0,
        )
    };
    XenError::check(ret).map(|_| ())
}

/// Sets the entry of level 1 that maps `page` in the current address space.
pub(crate) fn update_va_mapping(
    page: Vaddr,
    entry: MachineEntry,
    flush: VaFlush,
) -> Result<(), XenError> {
    fault::inject(Fault::VaMapping)?;
    // SAFETY: No pointers are passed; for the change see `mmu_update()`.
    let ret = unsafe {
        hypercall5(
            number::UPDATE_VA_MAPPING,
            page.raw(),
            entry.raw(),
            flush.bits(),
            0,
            0,
        )
    };
    XenError::check(ret).map(|_| ())
}

/// Issues `calls` with one hypercall, and sets the result of each.
pub(crate) fn multicall(calls: &mut [Call]) -> Result<(), XenError> {
    stats::count_parts(calls);
    // SAFETY: The array is valid during the call. Each call in it was set up by this crate, or by
    // C code that uses the multicall interface and guarantees that its arguments are right.
    let ret = unsafe {
        hypercall5(
            number::MULTICALL,
            calls.as_mut_ptr() as usize,
            calls.len(),
            0,
            0,
            0,
        )
    };
    XenError::check(ret).map(|_| ())
}

/// Issues a queued call directly, which is cheaper than a multicall with one call.
pub(crate) fn single_call(call: &mut Call) {
    let [a1, a2, a3, a4, a5, _] = call.args;
    // SAFETY: As in `multicall()`.
    call.result = unsafe { hypercall5(call.op, a1, a2, a3, a4, a5) };
}

/// Returns the address of Xen's m2p table, and how many frames it covers.
pub(crate) fn machphys_mapping() -> Result<(usize, usize), XenError> {
    let mut mapping = bindings::xen_machphys_mapping::default();

    // SAFETY: `mapping` is the structure that `XENMEM_machphys_mapping` fills in.
    let ret = unsafe {
        hypercall5(
            number::MEMORY_OP,
            bindings::XENMEM_machphys_mapping as usize,
            &raw mut mapping as usize,
            0,
            0,
            0,
        )
    };
    XenError::check(ret).map(|_| (mapping.v_start, mapping.max_mfn + 1))
}

/// Exchanges frames with Xen (`XENMEM_exchange`), all of them or none.
///
/// `frames_in` holds the machine frames that Xen gets, as extents of `1 << order_in` frames.
/// `frames_out` holds the pseudo-physical frames of the new memory, as extents of `1 << order_out`
/// frames; Xen replaces them by machine frames. Both cover the same number of frames. The new
/// memory is below `1 << address_bits` bytes, if `address_bits` is not 0.
///
/// Returns whether the frames were exchanged, or `None` if Xen has exchanged only a part of them.
pub(crate) fn exchange(
    frames_in: &mut [usize],
    order_in: u32,
    frames_out: &mut [usize],
    order_out: u32,
    address_bits: u32,
) -> Option<bool> {
    if frames_in.len() << order_in != frames_out.len() << order_out {
        return Some(false);
    }
    if fault::inject(Fault::Exchange).is_err() {
        return Some(false);
    }
    let extents = frames_in.len();
    let mut exchange = bindings::xen_memory_exchange {
        in_: bindings::xen_memory_reservation {
            extent_start: frames_in.as_mut_ptr(),
            nr_extents: extents,
            extent_order: order_in,
            address_bits: 0,
            domid: DOMID_SELF as u16,
        },
        out: bindings::xen_memory_reservation {
            extent_start: frames_out.as_mut_ptr(),
            nr_extents: frames_out.len(),
            extent_order: order_out,
            address_bits,
            domid: DOMID_SELF as u16,
        },
        nr_exchanged: 0,
    };

    // SAFETY: `exchange` is the structure that `XENMEM_exchange` takes, and its arrays are valid.
    let ret = unsafe {
        hypercall5(
            number::MEMORY_OP,
            bindings::XENMEM_exchange as usize,
            &raw mut exchange as usize,
            0,
            0,
            0,
        )
    };
    match (ret == 0, exchange.nr_exchanged) {
        (true, n) if n == extents => Some(true),
        (false, 0) => Some(false),
        _ => None,
    }
}

/// Maps or unmaps grants: `GNTTABOP_*` with `count` operations; returns 0 or a negative errno.
///
/// # Safety
///
/// `ops` points to `count` operations of the kind that `command` takes. The caller may map and
/// unmap what they name.
pub(crate) unsafe fn grant_table_op(command: u32, ops: *mut c_void, count: u32) -> isize {
    if let Err(error) = fault::inject(Fault::Grant) {
        return error.errno();
    }
    // SAFETY: By the contract of this function.
    unsafe {
        hypercall5(
            number::GRANT_TABLE_OP,
            command as usize,
            ops as usize,
            count as usize,
            0,
            0,
        )
    }
}
