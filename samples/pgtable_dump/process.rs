// SPDX-License-Identifier: GPL-2.0-only

//! Finds the page tables of a process.

use crate::tables::{
    self,
    Step, //
};
use core::ptr::NonNull;
use kernel::bindings;
use kernel::mm::{
    Mm,
    MmWithUser, //
};
use kernel::prelude::*;
use kernel::sync::aref::ARef;

/// First address of the kernel's half.
const KERNEL: usize = 1 << 63;

fn root(mm: &Mm) -> usize {
    // SAFETY: The root exists as long as the address space.
    unsafe { (*mm.as_raw()).__bindgen_anon_1.pgd as usize }
}

/// Returns the address space of process `pid`, if there is one.
fn mm_of(pid: i32) -> Option<ARef<MmWithUser>> {
    // SAFETY: Any number is allowed; the reference is dropped below.
    let pid = unsafe { bindings::find_get_pid(pid) };
    // SAFETY: Null is allowed here and in `put_pid()`. The reference to the task is dropped below.
    let task = unsafe { bindings::get_pid_task(pid, bindings::pid_type_PIDTYPE_TGID) };
    // SAFETY: The reference was taken above.
    unsafe { bindings::put_pid(pid) };
    if task.is_null() {
        return None;
    }
    // SAFETY: The task is referenced.
    let mm = unsafe { bindings::get_task_mm(task) };
    // SAFETY: The reference was taken above.
    unsafe { bindings::put_task_struct(task) };
    // SAFETY: The result is an address space with users, and its reference is passed on.
    NonNull::new(mm).map(|mm| unsafe { ARef::from_raw(mm.cast()) })
}

/// Returns the entries that map `address` in process `pid`, or in the kernel if `pid` is 0.
///
/// The error is the reason for a failure.
pub(crate) fn walk(pid: i32, address: usize) -> Result<KVec<Step>, &'static str> {
    if pid == 0 {
        if address < KERNEL {
            return Err("no address of the kernel");
        }
        // The kernel's half is the same in every process.
        let task = current!();
        let mm = task.mm().ok_or("no page tables")?;
        return tables::walk(root(mm), address);
    }
    let mm = mm_of(pid).ok_or("no such process")?;
    let guard = mm.mmap_read_lock();
    // The tables of a mapping exist as long as the mapping.
    guard.vma_lookup(address).ok_or("no mapping")?;
    tables::walk(root(&mm), address)
}
