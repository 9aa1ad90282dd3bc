// SPDX-License-Identifier: GPL-2.0-only

//! What the trace events of the queue say: why it was flushed, and what became of arguments.

/// Why the queue was flushed before its owner asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlushReason {
    /// All entries are taken.
    Batch,
    /// The argument space is taken.
    Args,
    /// All callbacks are taken.
    Callback,
}

/// What became of an attempt to add arguments to the last queued call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExtendResult {
    /// They were added.
    Extended,
    /// The last call is another one, or there is none.
    OtherCall,
    /// There is no space for them.
    NoSpace,
}
