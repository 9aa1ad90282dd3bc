// SPDX-License-Identifier: GPL-2.0-only

//! What the backend's modules above `platform` use of the kernel crate, for the host.
//!
//! Only the names are the kernel's: allocation never fails, and messages go to [`log`], where tests
//! find them.

pub mod alloc;
pub mod error;
pub mod log;
pub mod sync;

/// Attribute macros.
pub mod macros {
    pub use host_macros::{
        init_text,
        kunit_tests, //
    };
}

/// What tests import as a whole.
pub mod prelude {
    pub use crate::alloc::flags::GFP_KERNEL;
    pub use crate::alloc::{
        KBox,
        KVec, //
    };
    pub use crate::error::code::*;
    pub use crate::error::{
        Error,
        Result, //
    };
}
