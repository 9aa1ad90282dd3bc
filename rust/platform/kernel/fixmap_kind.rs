// SPDX-License-Identifier: GPL-2.0-only

//! Kinds of fixed mappings.

/// The meaning of the address of a fixed mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FixmapKind {
    /// A pseudo-physical address.
    Memory,
    /// A pseudo-physical address, mapped for user mode as well.
    Vsyscall,
    /// Nothing: the hardware is not mapped.
    Apic,
    /// A machine address.
    Machine,
}
