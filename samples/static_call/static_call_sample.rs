// SPDX-License-Identifier: GPL-2.0-only

//! Defines, calls and changes a static call in a module.

use core::borrow::Borrow;
use kernel::ffi::c_long;
use kernel::prelude::*;
use kernel::static_call::{
    define_static_call,
    StaticCall, //
};

module! {
    type: Sample,
    name: "static_call_sample",
    authors: ["The authors of the Xen PV MMU backend in Rust"],
    description: "Static calls from Rust",
    license: "GPL",
    params: {
        number: i64 {
            default: 7,
            description: "Input of the calculation, from -1000 to 1000",
        },
    },
}

/// # Safety
///
/// `2 * x` does not overflow.
unsafe extern "C" fn twice(x: c_long) -> c_long {
    2 * x
}

/// # Safety
///
/// `x * x` does not overflow.
unsafe extern "C" fn square(x: c_long) -> c_long {
    x * x
}

define_static_call! {
    /// Calculates something. The number must be small enough not to overflow.
    static STATIC_CALL_SAMPLE: unsafe extern "C" fn(x: c_long) -> c_long = twice;
}

struct Sample;

impl kernel::Module for Sample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // A reference in Linux 7.2, a copy in 7.3.
        let number = *Borrow::<i64>::borrow(&module_parameters::number.value());
        if !(-1000..=1000).contains(&number) {
            return Err(EINVAL);
        }
        let number = number as c_long;

        // SAFETY: The number is small.
        let doubled = unsafe { STATIC_CALL_SAMPLE.call(number) };
        pr_info!("twice {number} is {doubled}\n");

        // SAFETY: `square` has the same requirements as `twice` and goes away together with the
        // key and all call sites, and a module is loaded in process context.
        unsafe { STATIC_CALL_SAMPLE.update(square) };

        // SAFETY: The number is small. This call now has the new target.
        let squared = unsafe { STATIC_CALL_SAMPLE.call(number) };
        pr_info!("{number} squared is {squared}\n");
        Ok(Self)
    }
}
