// SPDX-License-Identifier: GPL-2.0-only

//! Memory.

use std::mem::MaybeUninit;
use std::ops::{
    Deref,
    DerefMut, //
};

/// Allocation flags, which make no difference on the host.
#[derive(Clone, Copy)]
pub struct Flags(());

/// Names of flags.
pub mod flags {
    use super::Flags;

    /// May sleep.
    pub const GFP_KERNEL: Flags = Flags(());
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, _other: Self) -> Self {
        self
    }
}

/// The error of a failed allocation, which does not happen on the host.
#[derive(Debug)]
pub struct AllocError;

/// A `Box` with the kernel's interface.
#[derive(Debug)]
pub struct KBox<T>(Box<T>);

impl<T> KBox<T> {
    /// Allocates memory.
    pub fn new_uninit(_flags: Flags) -> Result<KBox<MaybeUninit<T>>, AllocError> {
        Ok(KBox(Box::new(MaybeUninit::uninit())))
    }
}

impl<T> KBox<MaybeUninit<T>> {
    /// Fills it.
    pub fn write(self, value: T) -> KBox<T> {
        KBox(Box::new(value))
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A `Vec` with the kernel's interface.
#[derive(Clone, Debug, Default)]
pub struct KVec<T>(Vec<T>);

impl<T> KVec<T> {
    /// Returns an empty vector.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an element.
    pub fn push(&mut self, value: T, _flags: Flags) -> Result<(), AllocError> {
        self.0.push(value);
        Ok(())
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
