// SPDX-License-Identifier: GPL-2.0-only

//! Errors.

use crate::alloc::AllocError;

/// An errno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(i32);

/// The result of a function that can fail.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Names of errors.
pub mod code {
    use super::Error;

    /// Out of memory.
    pub const ENOMEM: Error = Error(-12);
    /// Invalid argument.
    pub const EINVAL: Error = Error(-22);
}

impl Error {
    /// Returns the negative errno.
    pub fn to_errno(self) -> i32 {
        self.0
    }
}

impl From<AllocError> for Error {
    fn from(_error: AllocError) -> Self {
        code::ENOMEM
    }
}
