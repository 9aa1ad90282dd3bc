// SPDX-License-Identifier: GPL-2.0-only

//! Trace events, which are unused on the host.

use crate::addr::{
    Paddr,
    Pfn, //
};
use crate::entry::MachineEntry;
use crate::level::Level;
use crate::platform::diag::queue_events::{
    ExtendResult,
    FlushReason, //
};
use crate::platform::kernel::callback::Callback;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::Root;
use crate::platform::xen::abi::Call;

pub(crate) fn mc_batch(_flags: usize) {}
pub(crate) fn mc_entry_alloc(_bytes: usize) {}
pub(crate) fn mc_flush_reason(_reason: FlushReason) {}
pub(crate) fn mc_entry(_call: &mut Call, _nr_args: u32) {}
pub(crate) fn mc_callback(_callback: &Callback) {}
pub(crate) fn mc_flush(_calls: u32, _arg_bytes: u32, _callbacks: u32) {}
pub(crate) fn mc_extend(_op: usize, _bytes: usize, _result: ExtendResult) {}
pub(crate) fn mc_issue(_flush: bool, _flags: usize) {}
pub(crate) fn set_pte(_ptr: EntryPtr, _entry: MachineEntry) {}
pub(crate) fn set_p4d(_ptr: EntryPtr, _user: Option<EntryPtr>, _entry: MachineEntry) {}
pub(crate) fn alloc_ptpage(_mm: Mm, _pfn: Pfn, _level: Level, _pinned: bool) {}
pub(crate) fn release_ptpage(_pfn: Pfn, _level: Level, _pinned: bool) {}
pub(crate) fn pgd_pin(_mm: Mm, _root: Root) {}
pub(crate) fn pgd_unpin(_mm: Mm, _root: Root) {}
pub(crate) fn write_cr3(_kernel: bool, _root: Option<Paddr>) {}
