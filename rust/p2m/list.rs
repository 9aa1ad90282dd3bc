// SPDX-License-Identifier: GPL-2.0-only

//! The state of the p2m list that its lock protects, and the part that the toolstack sees.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::p2m::tree::{
    mfn_of_page,
    Tree, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::lock::IrqLock;
use crate::platform::diag::report;
use crate::platform::early::start_of_day::{
    SharedP2m,
    StartInfo, //
};
use crate::platform::paging::static_tables;
use crate::platform::xen::machine_map::xen_p2m_addr;
use kernel::macros::init_text;

/// The state that the lock of the list protects.
pub(crate) struct List {
    /// The tree of frame lists, unless the toolstack does not need it.
    pub(crate) tree: Option<Tree>,
    /// The published length: the number of frames up to the last one whose word is in a page of the
    /// list's own.
    pub(crate) last_frame: usize,
}

static LIST: IrqLock<List> = IrqLock::new(
    c"xen_p2m_list",
    List {
        tree: None,
        last_frame: 0,
    },
);

/// Initialises the lock of the list, before any other function of this module is called.
///
/// Context: start of day.
#[init_text]
pub(crate) fn init() {
    LIST.init();
}

/// Runs `section` with the lock of the list held and interrupts off; `caller` does not sleep until
/// it ends.
///
/// Context: any but NMIs; the caller does not hold the lock.
pub(crate) fn with_list<R>(caller: CallContext<'_>, section: impl FnOnce(&mut List) -> R) -> R {
    LIST.with(caller, section)
}

/// Sets the length of the list that will be published, in frames.
///
/// Context: as [`with_list`].
pub(crate) fn set_last_frame(frames: usize, caller: CallContext<'_>) {
    with_list(caller, |list| list.last_frame = frames);
}

/// Builds the tree, unless the toolstack does not need it.
///
/// Context: start of day.
#[init_text]
pub(crate) fn build_tree(sleep: &mut MaySleep) {
    if StartInfo::tools_know_linear_list() {
        return;
    }
    let Some(tree) = Tree::new(sleep) else {
        report::die(c"no memory for the p2m tree");
    };
    with_list(sleep.caller(), |list| list.tree = Some(tree));
}

/// Updates the machine frames in the tree to those of this host (`xen_build_mfn_list_list()`).
///
/// Context: after a suspend, while no other task runs.
pub(crate) fn refresh_tree(caller: CallContext<'_>) {
    with_list(caller, |list| {
        if let Some(tree) = &mut list.tree {
            tree.refresh();
        }
    });
}

/// Publishes the list and the tree to the toolstack (`xen_setup_mfn_list_list()`).
///
/// Context: start of day, or as [`refresh_tree`], with the real `shared_info` mapped.
pub(crate) fn publish(caller: CallContext<'_>) {
    if !SharedP2m::is_real() {
        report::die(c"shared_info is not mapped");
    }
    with_list(caller, |list| {
        SharedP2m::publish(
            list.tree.as_ref().map(Tree::root),
            list.last_frame,
            Vaddr::new(xen_p2m_addr.get()),
            mfn_of_page(static_tables::root()),
        );
    });
}
