// SPDX-License-Identifier: GPL-2.0-only

//! Errors of the kernel.

use crate::platform::xen::abi::XenError;

/// A negative errno of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KernelError(pub(in crate::platform) i32);

impl KernelError {
    /// Returns the negative errno.
    ///
    /// Context: any.
    pub(crate) fn errno(self) -> i32 {
        self.0
    }
}

impl From<XenError> for KernelError {
    fn from(error: XenError) -> Self {
        // The errnos that Xen returns for page tables are the same as the kernel's.
        Self(error.errno() as i32)
    }
}
