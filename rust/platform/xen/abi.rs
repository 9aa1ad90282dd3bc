// SPDX-License-Identifier: GPL-2.0-only

//! Numbers, commands and structures of hypercalls, as in Xen's public interface (`public/xen.h`).
//!
//! The kernel's platform and the host's both use this file. The kernel's compares it with the
//! headers at build time.
//!
//! Context: any, for all functions here; they only compute.

use crate::addr::{
    Maddr,
    Mfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::Level;

/// Numbers of hypercalls (`public/xen.h`, `__HYPERVISOR_*`).
pub(crate) mod number {
    pub(crate) const MMU_UPDATE: usize = 1;
    pub(crate) const MEMORY_OP: usize = 12;
    pub(crate) const MULTICALL: usize = 13;
    pub(crate) const UPDATE_VA_MAPPING: usize = 14;
    pub(crate) const GRANT_TABLE_OP: usize = 20;
    pub(crate) const MMUEXT_OP: usize = 26;
}

/// `DOMID_SELF`: the calling domain.
pub(crate) const DOMID_SELF: usize = 0x7ff0;

/// A handle without a grant.
pub(crate) const INVALID_GRANT_HANDLE: u32 = u32::MAX;

/// The number of a domain.
///
/// Xen takes it in a word whose upper half holds another number: that of the domain whose tables
/// change. In this crate that is always this domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DomId(u16);

impl DomId {
    /// Takes over a number from C, where the type is wider, and truncates it as C does (`domid_t`).
    pub(crate) fn from_raw(domid: u32) -> Self {
        Self(domid as u16)
    }

    /// Returns the number as an argument of a hypercall.
    pub(crate) fn raw(self) -> usize {
        self.0.into()
    }
}

/// A negative errno as returned by Xen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct XenError(isize);

impl XenError {
    /// Returns `Err` for a negative return value of a hypercall, the value otherwise.
    #[inline(always)]
    pub(crate) fn check(ret: isize) -> Result<usize, Self> {
        if ret < 0 {
            Err(Self::of(ret))
        } else {
            Ok(ret as usize)
        }
    }

    /// Returns the error of a negative errno.
    pub(crate) const fn of(errno: isize) -> Self {
        Self(errno)
    }

    /// Returns the negative errno.
    pub(crate) const fn errno(self) -> isize {
        self.0
    }
}

/// An element of the arrays that hypercalls take, as words.
pub(crate) trait Element: Copy {
    /// The number of words.
    const WORDS: usize;
    /// The words.
    type Words: AsRef<[usize]>;

    /// Returns the words of the structure, as Xen gets them.
    fn to_words(self) -> Self::Words;
    /// Returns the structure that consists of `words`, if their number is right.
    fn from_words(words: &[usize]) -> Option<Self>;
}

impl Element for usize {
    const WORDS: usize = 1;
    type Words = [usize; 1];

    #[inline(always)]
    fn to_words(self) -> [usize; 1] {
        [self]
    }

    fn from_words(words: &[usize]) -> Option<Self> {
        <[usize; 1]>::try_from(words).ok().map(|[word]| word)
    }
}

/// Commands of `mmu_update` (`public/xen.h`, `MMU_*`).
pub(crate) mod command {
    pub(crate) const NORMAL: usize = 0;
    pub(crate) const PRESERVE_AD: usize = 2;
    pub(crate) const NO_TRANSLATE: usize = 3;
}

/// How an element of `mmu_update` changes its entry; the low bits of the address hold the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Store the entry.
    Normal,
    /// Store the entry and keep the accessed and dirty bits that are set at that moment.
    PreserveAd,
    /// As `Normal`, but do not translate the frame of an auto-translated foreign domain.
    NoTranslate,
}

impl Command {
    const fn bits(self) -> usize {
        match self {
            Command::Normal => command::NORMAL,
            Command::PreserveAd => command::PRESERVE_AD,
            Command::NoTranslate => command::NO_TRANSLATE,
        }
    }
}

/// An element of an `mmu_update` array.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct MmuUpdate {
    ptr: usize,
    val: usize,
}

impl MmuUpdate {
    /// An element that changes nothing, to initialise arrays.
    pub(crate) const NONE: Self = Self { ptr: 0, val: 0 };

    /// Returns the element that sets the entry at machine address `at` to `entry`.
    #[inline(always)]
    pub(crate) fn new(command: Command, at: Maddr, entry: MachineEntry) -> Self {
        Self {
            ptr: at.raw() | command.bits(),
            val: entry.raw(),
        }
    }

    /// Returns address and command, and the new entry, as Xen gets them.
    pub(crate) fn raw(&self) -> (usize, usize) {
        (self.ptr, self.val)
    }

    /// Returns the machine address of the entry.
    pub(crate) fn entry_maddr(&self) -> Maddr {
        Maddr::new(self.ptr & !(size_of::<usize>() - 1))
    }
}

impl Element for MmuUpdate {
    const WORDS: usize = 2;
    type Words = [usize; 2];

    #[inline(always)]
    fn to_words(self) -> [usize; 2] {
        [self.ptr, self.val]
    }

    fn from_words(words: &[usize]) -> Option<Self> {
        let [ptr, val] = words.try_into().ok()?;
        Some(Self { ptr, val })
    }
}

/// Commands of extended operations (`public/xen.h`, `MMUEXT_*`).
pub(crate) mod ext {
    pub(crate) const PIN_L1_TABLE: u32 = 0;
    pub(crate) const UNPIN_TABLE: u32 = 4;
    pub(crate) const NEW_BASEPTR: u32 = 5;
    pub(crate) const TLB_FLUSH_LOCAL: u32 = 6;
    pub(crate) const INVLPG_LOCAL: u32 = 7;
    pub(crate) const TLB_FLUSH_MULTI: u32 = 8;
    pub(crate) const INVLPG_MULTI: u32 = 9;
    pub(crate) const TLB_FLUSH_ALL: u32 = 10;
    pub(crate) const INVLPG_ALL: u32 = 11;
    pub(crate) const NEW_USER_BASEPTR: u32 = 15;
}

/// An element of an `mmuext_op` array.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct ExtOp {
    cmd: u32,
    arg1: usize,
    arg2: usize,
}

impl ExtOp {
    const fn new(cmd: u32, arg1: usize) -> Self {
        Self { cmd, arg1, arg2: 0 }
    }

    /// Pins the frame as a table of level 1 to 4.
    pub(crate) const fn pin(level: Level, mfn: Mfn) -> Self {
        Self::new(ext::PIN_L1_TABLE + (level.number() - 1), mfn.raw())
    }

    /// Drops the pin of a table.
    pub(crate) const fn unpin(mfn: Mfn) -> Self {
        Self::new(ext::UNPIN_TABLE, mfn.raw())
    }

    /// Loads the root used in kernel mode.
    pub(crate) const fn new_kernel_root(mfn: Mfn) -> Self {
        Self::new(ext::NEW_BASEPTR, mfn.raw())
    }

    /// Loads the root used in user mode; `None` unloads it.
    pub(crate) const fn new_user_root(mfn: Option<Mfn>) -> Self {
        let mfn = match mfn {
            Some(mfn) => mfn.raw(),
            None => 0,
        };
        Self::new(ext::NEW_USER_BASEPTR, mfn)
    }

    /// Flushes the TLB of this vCPU.
    pub(crate) const fn flush_local() -> Self {
        Self::new(ext::TLB_FLUSH_LOCAL, 0)
    }

    /// Flushes the TLBs of all vCPUs.
    pub(crate) const fn flush_all() -> Self {
        Self::new(ext::TLB_FLUSH_ALL, 0)
    }

    /// Flushes one page from the TLB of this vCPU.
    pub(crate) const fn flush_page_local(page: Vaddr) -> Self {
        Self::new(ext::INVLPG_LOCAL, page.raw())
    }

    /// Flushes one page from the TLBs of all vCPUs.
    pub(crate) const fn flush_page_all(page: Vaddr) -> Self {
        Self::new(ext::INVLPG_ALL, page.raw())
    }

    /// Flushes the TLBs of the vCPUs in a bitmap, which [`Self::with_vcpus`] sets.
    pub(crate) const fn flush_multi() -> Self {
        Self::new(ext::TLB_FLUSH_MULTI, 0)
    }

    /// Flushes one page from the TLBs of the vCPUs in a bitmap, see [`Self::flush_multi`].
    pub(crate) const fn flush_page_multi(page: Vaddr) -> Self {
        Self::new(ext::INVLPG_MULTI, page.raw())
    }

    /// Returns the operation with the address of its vCPU bitmap.
    pub(crate) fn with_vcpus(mut self, bitmap: *const usize) -> Self {
        self.arg2 = bitmap as usize;
        self
    }

    /// Returns command and first argument, as Xen gets them.
    pub(crate) fn raw(&self) -> (u32, usize) {
        (self.cmd, self.arg1)
    }

    /// Returns the second argument.
    #[allow(dead_code)] // The kernel hands the whole structure to Xen.
    pub(crate) fn second(&self) -> usize {
        self.arg2
    }
}

impl Element for ExtOp {
    const WORDS: usize = 3;
    type Words = [usize; 3];

    #[inline(always)]
    fn to_words(self) -> [usize; 3] {
        [self.cmd as usize, self.arg1, self.arg2]
    }

    fn from_words(words: &[usize]) -> Option<Self> {
        let [cmd, arg1, arg2] = words.try_into().ok()?;
        Some(Self {
            cmd: cmd as u32,
            arg1,
            arg2,
        })
    }
}

/// Flags of `update_va_mapping` (`public/xen.h`, `UVMF_*`).
pub(crate) mod uvmf {
    pub(crate) const NONE: usize = 0;
    pub(crate) const TLB_FLUSH: usize = 1;
    pub(crate) const INVLPG: usize = 2;
    pub(crate) const ALL: usize = 4;
}

/// The range that is flushed from the TLBs of other vCPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlushRange {
    /// The page at this address.
    Page(Vaddr),
    /// Everything.
    All,
}

/// Which TLBs `update_va_mapping` flushes after the change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VaFlush {
    /// None.
    None,
    /// The page, on this vCPU.
    PageLocal,
    /// The page, on all vCPUs.
    PageAll,
    /// Everything, on all vCPUs.
    All,
}

impl VaFlush {
    /// Returns the flags as Xen gets them.
    pub(crate) const fn bits(self) -> usize {
        match self {
            VaFlush::None => uvmf::NONE,
            VaFlush::PageLocal => uvmf::INVLPG,
            VaFlush::PageAll => uvmf::INVLPG | uvmf::ALL,
            VaFlush::All => uvmf::TLB_FLUSH | uvmf::ALL,
        }
    }
}

/// An entry of a multicall, shared with C callers that fill it in.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Call {
    /// Number of the hypercall.
    pub(crate) op: usize,
    /// Its return value.
    pub(crate) result: isize,
    /// Its arguments; Xen may change them.
    pub(crate) args: [usize; 6],
}

impl Call {
    /// An entry without a call.
    pub(crate) const NONE: Self = Self {
        op: 0,
        result: 0,
        args: [0; 6],
    };
}
