// SPDX-License-Identifier: GPL-2.0-only

//! Save and restore of the domain, with the kernel's part in it.

use crate::addr::Pfn;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::machine::host::{
    host,
    Host, //
};
use crate::{
    p2m,
    suspend, //
};

/// The first word of free pages: no entry of a table.
const POISON: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// Overwrites free pages, so that none looks like a table in use: it may hold an old table of a
/// process that ended.
fn poison_free_pages(host: &Host) {
    let pool = host.pool.borrow();
    let free = (0..pool.nr_pages()).map(Pfn::new);
    for pfn in free.filter(|pfn| pool.is_free(*pfn)) {
        if let Some(mfn) = p2m::mfn_of(pfn) {
            let mfn = xen_model::Mfn(mfn.raw() as u64);
            host.machine.borrow_mut().set_frame_word(mfn, 0, POISON);
        }
    }
}

/// Panics if a save would fail, or break the domain: invariants I13, I32, and I38 to I41.
#[track_caller]
pub(crate) fn assert_savable() {
    let host = host();
    poison_free_pages(&host);
    let errors = host.machine.borrow().save_check(host.domain);
    assert!(errors.is_empty(), "{errors:x?}");
}

/// Suspends and resumes the domain, in other frames if it `moves`, as `manage.c` and `suspend_pv.c`
/// do. Nothing else runs on the machine meanwhile.
#[track_caller]
pub(crate) fn suspend(moves: bool) {
    let host = host();
    host.machine.borrow_mut().set_interloper(None);

    suspend::pin_all(CallContext::here());
    assert_savable();
    if moves {
        let result = host.machine.borrow_mut().migrate(host.domain);
        assert_eq!(result, Ok(()));
        p2m::list::refresh_tree(CallContext::here());
        p2m::list::publish(CallContext::here());
        // I42: the kernel publishes its new frames.
        assert_savable();
    }
    suspend::unpin_all(CallContext::here());
    host.machine.borrow().assert_sound();
}
