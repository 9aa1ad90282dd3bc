// SPDX-License-Identifier: GPL-2.0-only

//! Inputs of fuzz targets: any bytes decode to a sequence of operations.

use crate::guest::GuestConfig;
use crate::multicall::Issue;
use crate::properties::batch::{
    self,
    Step, //
};
use crate::properties::memory_map::{
    self,
    Hole, //
};
use crate::properties::p2m_list::{
    Border,
    Kind,
    List,
    Operation,
    Place, //
};

/// The most operations that one input carries out.
const LONGEST: usize = 200;

impl Place {
    fn decode(border: u8, offset: u8) -> Self {
        // Mostly next to a border, sometimes a page of the list away.
        let offset = i16::from(offset as i8);
        let offset = if offset % 4 == 0 {
            offset * 8
        } else {
            offset / 4
        };
        Self(Border::ALL[usize::from(border) % Border::ALL.len()], offset)
    }
}

impl Kind {
    fn decode(byte: u8) -> Self {
        match byte % 4 {
            0 => Kind::Identity,
            1 => Kind::Missing,
            _ => Kind::Foreign(byte.into()),
        }
    }
}

impl Operation {
    fn decode([operation, border, offset, kind]: [u8; 4]) -> Self {
        let place = Place::decode(border, offset);
        let kind = Kind::decode(kind);
        match operation % 12 {
            0..3 => Operation::Set(place, kind),
            3 => Operation::TrySet(place, kind),
            4 => Operation::Grow(place),
            5 | 6 => Operation::BalloonOut,
            7 => Operation::BalloonIn,
            8 => Operation::Hotplug(place),
            9 => Operation::Refresh,
            10 => Operation::Shortage(offset % 4),
            _ => Operation::Refusal(offset % 4),
        }
    }
}

impl Step {
    fn decode([step, page, bits]: [u8; 3]) -> Self {
        match step % 10 {
            0 => Step::Open(match page % 3 {
                0 => Issue::Now,
                1 => Issue::LazyMmu,
                _ => Issue::LazyCpu,
            }),
            1 => Step::Close,
            2 => Step::Refused,
            3 => Step::FlushPage(page),
            4 => Step::EnterLazy,
            5 => Step::LeaveLazy,
            6 => Step::Flush,
            _ => Step::Change {
                page,
                bits,
                is_by_address: step >= 128,
            },
        }
    }
}

/// Changes the p2m list of a guest as `input` describes.
pub fn p2m(input: &[u8]) {
    let Some((&[size, is_dom0], rest)) = input.split_first_chunk() else {
        return;
    };
    let nr_pages = 509 + u64::from(size % 8);
    let mut list = List::boot(if is_dom0 % 2 == 0 {
        GuestConfig::domu(nr_pages)
    } else {
        GuestConfig::dom0(nr_pages)
    });
    for chunk in rest.chunks_exact(4).take(LONGEST) {
        list.apply(Operation::decode([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    list.finish();
}

/// Fills batches as `input` describes.
pub fn batch(input: &[u8]) {
    let steps = input.chunks_exact(3).take(LONGEST);
    let steps: Vec<_> = steps
        .map(|chunk| Step::decode([chunk[0], chunk[1], chunk[2]]))
        .collect();
    batch::check(1, &steps);
}

/// Boots a guest on a machine with the memory map that `input` describes.
pub fn memory_map(input: &[u8]) {
    let Some((&[size, is_dom0], rest)) = input.split_first_chunk() else {
        return;
    };
    let nr_pages = 600 + u64::from(size);
    let config = if is_dom0 % 2 == 0 {
        GuestConfig::domu(nr_pages)
    } else {
        GuestConfig::dom0(nr_pages)
    };
    let holes = rest.chunks_exact(5).take(LONGEST).map(|hole| Hole {
        place: u16::from_le_bytes([hole[0], hole[1]]),
        last: u16::from_le_bytes([hole[2], hole[3]]),
        kind: hole[4],
    });
    memory_map::check(config, &holes.collect::<Vec<_>>());
}
