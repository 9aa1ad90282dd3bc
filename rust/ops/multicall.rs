// SPDX-License-Identifier: GPL-2.0-only

//! The multicall interface of the Xen port's C code (`arch/x86/xen/xen-ops.h`).

use crate::multicall;
use crate::platform::diag::report;
use crate::platform::kernel::callback::Callback;
use core::ffi::c_void;
use kernel::bindings;
use kernel::prelude::*;

fn to_c(space: Option<multicall::Space>) -> bindings::multicall_space {
    match space {
        Some(space) => bindings::multicall_space {
            mc: space.call.cast(),
            args: space.args,
        },
        None => bindings::multicall_space {
            mc: core::ptr::null_mut(),
            args: core::ptr::null_mut(),
        },
    }
}

/// Issues everything that is queued on this CPU, and runs the deferred work.
///
/// Context: any but NMIs, with preemption off.
///
/// # Safety
///
/// Preemption is off.
#[export]
unsafe extern "C" fn xen_mc_flush() {
    multicall::flush();
}

/// Adds a call with `args` bytes of argument space to the queue, for the caller to fill in.
///
/// Stops the machine if the arguments can never fit.
///
/// Context: any but NMIs, with interrupts off.
///
/// # Safety
///
/// Interrupts are off, and the caller fills in the call before it turns them on again.
#[export]
unsafe extern "C" fn __xen_mc_entry(args: usize) -> bindings::multicall_space {
    match multicall::take_space(args, caller!()) {
        None => report::die(c"a multicall needs more argument space than there is"),
        space => to_c(space),
    }
}

/// Adds `size` bytes of argument space to the last call, if that is `op` and there is room.
///
/// The result is null if it is another call, or if there is no room.
///
/// Context: any but NMIs, with interrupts off.
///
/// # Safety
///
/// Interrupts are off, and the caller fills in the space and updates the call before it turns them
/// on again.
#[export]
unsafe extern "C" fn xen_mc_extend_args(op: usize, size: usize) -> bindings::multicall_space {
    to_c(multicall::extend_space(op, size))
}

/// Queues a call of `callback` with `data`, which is made after the next flush.
///
/// Context: any but NMIs, with interrupts off.
///
/// # Safety
///
/// `callback` may be called with `data`, with interrupts off, until then.
#[export]
unsafe extern "C" fn xen_mc_callback(
    callback: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) {
    if let Some(callback) = callback {
        // SAFETY: By the contract of this function.
        let callback = unsafe { Callback::new(callback, data) };
        multicall::call_after(callback);
    }
}
