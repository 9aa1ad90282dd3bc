// SPDX-License-Identifier: GPL-2.0-only

//! The p2m list agrees with a plain map after any sequence of changes.

use crate::guest::GuestConfig;
use crate::properties::p2m_list::{
    Border,
    Kind,
    List,
    Operation,
    Place, //
};
use crate::properties::{
    config,
    regressions, //
};
use proptest::prelude::*;

fn border() -> impl Strategy<Value = Border> {
    prop::sample::select(&Border::ALL[..])
}

/// Any frame near a border.
pub(crate) fn place() -> impl Strategy<Value = Place> {
    let offset = prop_oneof![-3..3i16, -520..1100i16];
    (border(), offset).prop_map(|(border, offset)| Place(border, offset))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        any::<u16>().prop_map(Kind::Foreign),
        Just(Kind::Identity),
        Just(Kind::Missing),
    ]
}

/// Any operation.
pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (place(), kind()).prop_map(|(place, kind)| Operation::Set(place, kind)),
        2 => (place(), kind()).prop_map(|(place, kind)| Operation::TrySet(place, kind)),
        1 => place().prop_map(Operation::Grow),
        2 => Just(Operation::BalloonOut),
        2 => Just(Operation::BalloonIn),
        2 => place().prop_map(Operation::Hotplug),
        1 => Just(Operation::Refresh),
        1 => (0..3u8).prop_map(Operation::Shortage),
        1 => (0..3u8).prop_map(Operation::Refusal),
    ]
}

/// Sizes around the borders of pages of the list, in pages; larger guests have a hole.
const SIZES: [u64; 8] = [511, 512, 513, 1023, 1024, 1025, 1536, 2049];

/// Any guest of these sizes.
pub(crate) fn guest() -> impl Strategy<Value = GuestConfig> {
    let nr_pages = prop::sample::select(&SIZES[..]);
    (nr_pages, any::<bool>(), any::<u64>()).prop_map(|(nr_pages, is_dom0, seed)| {
        let config = if is_dom0 {
            GuestConfig::dom0(nr_pages)
        } else {
            GuestConfig::domu(nr_pages)
        };
        config.with_seed(seed)
    })
}

fn check(config: GuestConfig, operations: &[Operation]) {
    let mut list = List::boot(config);
    for operation in operations {
        list.apply(*operation);
    }
    list.finish();
}

proptest! {
    #![proptest_config(config(12, regressions!("p2m")))]

    #[test]
    fn list_agrees_with_a_map(
        guest in guest(),
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        check(guest, &operations);
    }
}

proptest! {
    #![proptest_config(config(1, regressions!("p2m")))]

    #[test]
    fn a_list_of_a_gib_less_a_page_agrees_with_a_map(
        is_dom0 in any::<bool>(),
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        let config = if is_dom0 {
            GuestConfig::dom0(262143)
        } else {
            GuestConfig::domu(262143)
        };
        check(config, &operations);
    }
}
