// SPDX-License-Identifier: GPL-2.0-only

//! Short names of common steps, for the tables of probes.

use super::probe::{
    bits,
    errno::OK,
    ext,
    flush,
    set,
    to,
    Entry,
    Frame,
    Place,
    Step,
    NONE, //
};

/// Maps a frame of the target at its address with `flags`.
pub(crate) const fn map(frame: Frame, flags: u64, wanted: i64) -> Step {
    let entry = to(frame, flags);
    Step::Map(Place::Of(frame), entry, flush::PAGE | flush::ALL, wanted)
}

/// Maps a frame of the target read-only, as tables must be.
pub(crate) const fn ro(frame: Frame) -> Step {
    map(frame, bits::READ_ONLY, OK)
}

/// Maps a frame of the target writable.
pub(crate) const fn rw(frame: Frame) -> Step {
    map(frame, bits::READ_WRITE, OK)
}

/// Tries to map a frame of the target writable.
pub(crate) const fn try_rw(frame: Frame, wanted: i64) -> Step {
    map(frame, bits::READ_WRITE, wanted)
}

/// Removes the mapping of a frame of the target.
pub(crate) const fn unmap(frame: Frame) -> Step {
    let place = Place::Of(frame);
    Step::Map(place, NONE, flush::PAGE | flush::ALL, OK)
}

/// Pins a frame as a table of `level`.
pub(crate) const fn pin(level: u64, frame: Frame, wanted: i64) -> Step {
    Step::Ext(ext::pin(level, frame), wanted)
}

/// Unpins a table.
pub(crate) const fn unpin(frame: Frame, wanted: i64) -> Step {
    Step::Ext(ext::unpin(frame), wanted)
}

/// Sets an entry by hypercall.
pub(crate) const fn update(table: Frame, index: usize, entry: Entry, wanted: i64) -> Step {
    Step::Update(set(table, index, entry), wanted)
}

/// Stores a word, which succeeds.
pub(crate) const fn store(frame: Frame, index: usize, entry: Entry) -> Step {
    Step::Store(frame, index, entry, true)
}

/// Stores a word, which faults.
pub(crate) const fn store_faults(frame: Frame, index: usize, entry: Entry) -> Step {
    Step::Store(frame, index, entry, false)
}

/// The word is this entry.
pub(crate) const fn shows(frame: Frame, index: usize, entry: Entry) -> Step {
    Step::Shows(frame, index, entry)
}
