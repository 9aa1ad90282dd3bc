// SPDX-License-Identifier: GPL-2.0-only

//! Operations that Xen may refuse, in the words of reports.

use crate::platform::xen::abi::{
    ExtOp,
    MmuUpdate, //
};
use core::ffi::CStr;

/// A refused operation, as reports name it.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    /// The name of the operation.
    pub(crate) what: &'static CStr,
    /// The address or the command that it was given.
    pub(crate) target: usize,
    /// The new value, or the argument of the command.
    pub(crate) value: usize,
}

/// An operation that Xen may refuse.
///
/// Context: any, for all methods.
pub(crate) trait Refusable {
    /// Returns what a report says about it.
    fn refusal(&self) -> Refusal;
}

impl Refusable for Refusal {
    fn refusal(&self) -> Refusal {
        *self
    }
}

impl Refusable for MmuUpdate {
    fn refusal(&self) -> Refusal {
        let (target, value) = self.raw();
        Refusal {
            what: c"mmu_update",
            target,
            value,
        }
    }
}

impl Refusable for ExtOp {
    fn refusal(&self) -> Refusal {
        let (command, argument) = self.raw();
        Refusal {
            what: c"mmuext_op",
            target: command as usize,
            value: argument,
        }
    }
}
