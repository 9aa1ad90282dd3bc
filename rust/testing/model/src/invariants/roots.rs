// SPDX-License-Identifier: GPL-2.0-only

//! I26 to I29: pins and roots.

use crate::testing::*;
use crate::*;

#[test]
fn i26_pinning_twice_and_unpinning_twice_are_einval() {
    let mut guest = Guest::domu();
    let table = guest.table(&[]);
    guest.pin(Level::L1, table).unwrap();
    assert_eq!(guest.pin(Level::L1, table), Err(Errno::EINVAL));
    assert_eq!(guest.frame(table).type_count(), 1);
    guest.unpin(table).unwrap();
    assert_eq!(guest.unpin(table), Err(Errno::EINVAL));
    assert_eq!(
        (guest.frame(table).type_count(), guest.frame(table).count()),
        (0, 1)
    );
}

#[test]
fn i26_a_pin_is_one_reference_among_others() {
    let mut guest = Guest::domu();
    let path = guest.path(&[]);
    guest.pin(Level::L4, path.root()).unwrap();
    guest.pin(Level::L1, path.leaves()).unwrap();
    assert_eq!(guest.frame(path.leaves()).type_count(), 2);
    guest.unpin(path.root()).unwrap();
    assert_eq!(guest.frame(path.leaves()).table(), Some(Level::L1));
    assert_eq!(guest.frame(path.root()).table(), None);
    guest.unpin(path.leaves()).unwrap();
}

#[test]
fn i27_a_bad_root_is_refused_and_the_old_one_stays() {
    let mut guest = Guest::domu();
    let who = guest.who;
    let old = guest.root(who);
    let table = guest.page();
    guest.map(0, table, KERNEL_RW).unwrap();
    let path = guest.path(&[(3, Entry::new(table, KERNEL_RW))]);
    // A leaf below is wrong: the error comes from there.
    let own_table = guest.table(&[]);
    guest.pin(Level::L1, own_table).unwrap();
    guest.set_frame_word(path.leaves(), 4, Entry::new(own_table, KERNEL_RW).0);
    for op in [MmuExtOp::NewBaseptr, MmuExtOp::NewUserBaseptr] {
        assert_eq!(guest.ext(op(table)), Err(Errno::EINVAL));
        assert_eq!(guest.ext(op(path.root())), Err(Errno::EBUSY));
        assert_eq!((guest.root(who), guest.user_root(who)), (old, None));
        for table in path.tables {
            assert_eq!(guest.frame(table).type_count(), 0);
        }
    }
}

#[test]
fn i27_a_loaded_root_is_kept_without_a_pin() {
    let mut guest = Guest::domu();
    let start = guest.start_of_day(guest.domain).root;
    let path = guest.path(&[]);
    let kernel = Entry(guest.frame_word(start, 511));
    guest.set_frame_word(path.root(), 511, kernel.0);
    guest.ext(MmuExtOp::NewBaseptr(path.root())).unwrap();
    assert_eq!(guest.frame(path.root()).table(), Some(Level::L4));
    let root = path.root();
    let who = guest.who;
    let word = guest.read_u64(who, XEN_START + 8 * root.0);
    assert_eq!(word, Ok(guest.m2p(root).unwrap()));
    guest.ext(MmuExtOp::NewBaseptr(start)).unwrap();
    assert_eq!(guest.frame(path.root()).table(), None);
}

#[test]
fn i28_a_tree_is_writable_only_when_nothing_uses_it() {
    let mut guest = Guest::with_two_vcpus();
    let (who, other) = (guest.who, guest.other());
    let path = guest.path(&[]);
    let writable = |guest: &mut Guest| {
        let tables = path.tables;
        let results: Vec<_> = tables
            .into_iter()
            .map(|table| guest.map(0, table, KERNEL_RW))
            .collect();
        guest.update(guest.leaf(0), 0).unwrap();
        results
    };
    guest.pin(Level::L4, path.root()).unwrap();
    assert_eq!(writable(&mut guest), [Err(Errno::EBUSY); 4]);
    guest
        .mmuext_one(who, MmuExtOp::NewUserBaseptr(path.root()))
        .unwrap();
    guest
        .mmuext_one(other, MmuExtOp::NewUserBaseptr(path.root()))
        .unwrap();
    guest.unpin(path.root()).unwrap();
    assert_eq!(writable(&mut guest), [Err(Errno::EBUSY); 4]);
    guest
        .mmuext_one(who, MmuExtOp::NewUserBaseptr(Mfn(0)))
        .unwrap();
    assert_eq!(writable(&mut guest), [Err(Errno::EBUSY); 4]);

    // A part of the tree that is linked elsewhere stays.
    let l2 = guest.table(&[(9, Entry::new(path.leaves(), TABLE))]);
    guest.pin(Level::L2, l2).unwrap();
    guest
        .mmuext_one(other, MmuExtOp::NewUserBaseptr(Mfn(0)))
        .unwrap();
    assert_eq!(
        writable(&mut guest),
        [Ok(()), Ok(()), Ok(()), Err(Errno::EBUSY)]
    );
    guest.unpin(l2).unwrap();
    assert_eq!(writable(&mut guest), [Ok(()); 4]);
}

#[test]
fn i29_user_mode_without_a_root_kills_the_domain() {
    let mut guest = Guest::domu();
    let who = guest.who;
    assert_eq!(guest.enter_user(who), Err(Crash::NoUserRoot));
    assert_eq!(guest.crash(guest.domain), Some(Crash::NoUserRoot));
    let fault = guest.user_read(who, 0).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Crashed(Crash::NoUserRoot));
}

#[test]
fn i29_a_kernel_mapping_in_the_user_root_is_open_to_user_mode() {
    let mut guest = Guest::domu();
    let (who, secret) = (guest.who, guest.page());
    guest.set_frame_word(secret, 0, 42);
    let path = guest.path(&[(0, Entry::new(secret, KERNEL_RW))]);
    guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
    assert_eq!(guest.user_read(who, 0), Ok(42));
    assert_eq!(guest.kernel_leaves(path.root()), [(0, secret)]);

    let path = guest.path(&[(0, Entry::new(secret, USER_RW))]);
    guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
    assert_eq!(guest.kernel_leaves(path.root()), []);
}

#[test]
fn i29_the_frame_table_is_hidden_from_user_roots_on_request() {
    for strict in [false, true] {
        let mut guest = Guest::domu();
        let (who, path) = (guest.who, guest.path(&[]));
        if strict {
            guest.vm_assist(who, 0, Assists::M2P_STRICT).unwrap();
        }
        guest.pin(Level::L4, path.root()).unwrap();
        assert_eq!(guest.shows_m2p(path.root()), strict);
        guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
        assert!(!guest.shows_m2p(path.root()));
    }
}
