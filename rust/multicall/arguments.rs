// SPDX-License-Identifier: GPL-2.0-only

//! The argument space of a queue: arrays of the ABI's structures, and arguments of C code.
//!
//! Context: as for the queue, for all functions here: on its CPU, with interrupts off.

#![forbid(unsafe_code)]

use crate::platform::xen::abi::{
    Element,
    MmuUpdate, //
};

/// How many bytes of arguments fit into the queue.
///
/// That is room for 128 updates. With more, the trap would hardly cost less per update, and
/// interrupts would be off for longer.
pub(crate) const MAX_ARG_BYTES: usize = 128 * size_of::<MmuUpdate>();

const WORD: usize = size_of::<usize>();

/// Argument space, taken word by word from the front and released as a whole.
///
/// # Invariants
///
/// `taken` is at most the number of words.
pub(super) struct Arguments {
    taken: u32,
    words: [usize; MAX_ARG_BYTES / WORD],
}

impl Arguments {
    pub(super) const EMPTY: Self = Self {
        taken: 0,
        words: [0; MAX_ARG_BYTES / WORD],
    };

    /// Returns how many bytes are taken.
    #[inline(always)]
    pub(super) fn bytes(&self) -> u32 {
        self.taken * WORD as u32
    }

    /// Releases the whole space.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        // INVARIANT: 0 is at most the number of words.
        self.taken = 0;
    }

    /// Whether another `bytes` bytes fit.
    #[inline(always)]
    pub(super) fn have_room(&self, bytes: usize) -> bool {
        self.taken as usize + bytes.div_ceil(WORD) <= self.words.len()
    }

    /// Takes the words for `bytes` bytes, and returns them.
    ///
    /// # Panics
    ///
    /// If there is no room.
    #[inline(always)]
    pub(super) fn take(&mut self, bytes: usize) -> &mut [usize] {
        let first = self.taken as usize;
        let end = first + bytes.div_ceil(WORD);
        let words = &mut self.words[first..end];
        // INVARIANT: Slicing has checked that `end` is at most the number of words.
        self.taken = end as u32;
        words
    }

    /// Takes `bytes` bytes for another element of the array that was taken last, if there is room.
    #[inline(always)]
    pub(super) fn extend(&mut self, bytes: usize) -> Option<&mut [usize]> {
        if bytes % WORD != 0 || !self.have_room(bytes) {
            return None;
        }
        Some(self.take(bytes))
    }

    /// Reads element `index` of the array at address `array`, if it is in this space.
    pub(super) fn read<T: Element>(&self, array: usize, index: usize) -> Option<T> {
        let start = array.checked_sub(self.words.as_ptr() as usize)?;
        if start % WORD != 0 {
            return None;
        }
        let first = (start / WORD).checked_add(index.checked_mul(T::WORDS)?)?;
        let words = self.words.get(first..first.checked_add(T::WORDS)?)?;
        T::from_words(words)
    }
}

/// Writes an element into space that was taken for it.
#[inline(always)]
pub(super) fn put<T: Element>(element: T, place: &mut [usize]) {
    for (word, value) in place.iter_mut().zip(element.to_words().as_ref()) {
        *word = *value;
    }
}
