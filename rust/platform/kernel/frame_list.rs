// SPDX-License-Identifier: GPL-2.0-only

//! Arrays of C with machine frames and a result for each.

use crate::addr::Mfn;

/// Two arrays of C of the same length: frames and results.
///
/// Context: any, for all methods.
///
/// # Invariants
///
/// Both arrays have `count` elements while this value is used. They may overlap if they begin at
/// the same address.
pub(crate) struct FrameList {
    frames: *const usize,
    results: *mut i32,
    count: usize,
}

impl FrameList {
    /// Takes over two arrays from C.
    ///
    /// # Safety
    ///
    /// `frames` points to `count` frame numbers and `results` to as many results, both for as
    /// long as this value is used. They may overlap if they begin at the same address.
    pub(crate) unsafe fn new(frames: *const usize, results: *mut i32, count: usize) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            frames,
            results,
            count,
        }
    }

    /// Returns the frame at `index`.
    pub(crate) fn frame(&self, index: usize) -> Mfn {
        assert!(index < self.count);
        // SAFETY: Within the array, by the type invariant and the check above.
        Mfn::new(unsafe { self.frames.add(index).read() })
    }

    /// Stores the result for the frame at `index`.
    ///
    /// If the arrays overlap, this may overwrite frames at `index` and below, but none above,
    /// because a result is not larger than a frame number.
    pub(crate) fn set_result(&self, index: usize, result: i32) {
        assert!(index < self.count);
        // SAFETY: Within the array, by the type invariant and the check above.
        unsafe { self.results.add(index).write(result) };
    }
}
