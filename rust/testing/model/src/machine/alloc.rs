// SPDX-License-Identifier: GPL-2.0-only

//! Xen's heap of free frames.
//!
//! Single frames come in scrambled order, so that pfn and mfn never agree by chance. A frame that
//! was freed last comes back soon, which exposes references that the guest forgot to drop.

use crate::rng::Rng;
use crate::types::Mfn;

/// Size of the blocks that stay together while scrambling, in frames.
const BLOCK: u64 = 512;

#[derive(Debug)]
pub(crate) struct Heap {
    is_free: Vec<bool>,
    /// Candidates, the next one last; some may have been taken by [`Self::take_block`] since.
    order: Vec<u64>,
    nr_free: u64,
}

impl Heap {
    pub(crate) fn new(frames: u64, mut is_usable: impl FnMut(u64) -> bool, rng: &mut Rng) -> Self {
        let is_free: Vec<bool> = (0..frames).map(&mut is_usable).collect();
        let mut blocks: Vec<u64> = (0..frames).step_by(BLOCK as usize).collect();
        let mut order = Vec::new();

        rng.shuffle(&mut blocks);
        for block in blocks {
            let end = frames.min(block + BLOCK);
            let first = order.len();
            order.extend((block..end).filter(|&frame| is_free[frame as usize]));
            rng.shuffle(&mut order[first..]);
        }
        Self {
            nr_free: order.len() as u64,
            is_free,
            order,
        }
    }

    pub(crate) fn nr_free(&self) -> u64 {
        self.nr_free
    }

    /// Takes one frame below `limit`.
    pub(crate) fn take(&mut self, limit: u64) -> Option<Mfn> {
        while let Some(&frame) = self.order.last() {
            if self.is_free[frame as usize] {
                break;
            }
            self.order.pop();
        }
        let at = self
            .order
            .iter()
            .rposition(|&frame| frame < limit && self.is_free[frame as usize])?;
        let frame = self.order.remove(at);
        self.is_free[frame as usize] = false;
        self.nr_free -= 1;
        Some(Mfn(frame))
    }

    /// Takes `1 << order` contiguous frames below `limit`, aligned to their number.
    pub(crate) fn take_block(&mut self, order: u32, limit: u64) -> Option<Mfn> {
        if order == 0 {
            return self.take(limit);
        }
        let size = 1u64 << order;
        let end = limit.min(self.is_free.len() as u64);
        // From the top, where the guest expects it least.
        let start = (0..end / size)
            .rev()
            .map(|block| block * size)
            .find(|&start| (start..start + size).all(|frame| self.is_free[frame as usize]))?;
        for frame in start..start + size {
            self.is_free[frame as usize] = false;
        }
        self.nr_free -= size;
        Some(Mfn(start))
    }

    pub(crate) fn give_back(&mut self, mfn: Mfn) {
        assert!(!self.is_free[mfn.index()], "{mfn:?} is freed twice");
        self.is_free[mfn.index()] = true;
        self.nr_free += 1;
        self.order.push(mfn.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_frames_are_scrambled_and_each_comes_once() {
        let mut heap = Heap::new(2000, |frame| frame >= 10, &mut Rng::new(1));
        let mut frames: Vec<u64> = std::iter::from_fn(|| heap.take(u64::MAX))
            .map(|mfn| mfn.0)
            .collect();
        assert!(!frames.is_sorted());
        frames.sort_unstable();
        assert!(frames.into_iter().eq(10..2000));
        assert_eq!(heap.nr_free(), 0);
    }

    #[test]
    fn blocks_are_aligned_and_below_the_limit() {
        let mut heap = Heap::new(2000, |_| true, &mut Rng::new(2));
        assert_eq!(heap.take_block(9, 1500), Some(Mfn(512)));
        assert_eq!(heap.take_block(9, 1500), Some(Mfn(0)));
        assert_eq!(heap.take_block(9, 1500), None);
        let single = heap.take(1500).map(|mfn| mfn.0);
        assert!(single.is_some_and(|frame| (1024..1500).contains(&frame)));
        assert_eq!(heap.nr_free(), 2000 - 1025);
    }

    #[test]
    fn a_freed_frame_comes_back_next() {
        let mut heap = Heap::new(100, |_| true, &mut Rng::new(3));
        let frame = heap.take(u64::MAX).unwrap();
        heap.give_back(frame);
        assert_eq!(heap.take(u64::MAX), Some(frame));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn freeing_twice_is_noticed() {
        let mut heap = Heap::new(4, |_| true, &mut Rng::new(3));
        heap.give_back(Mfn(1));
    }
}
