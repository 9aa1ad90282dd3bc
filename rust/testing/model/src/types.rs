// SPDX-License-Identifier: GPL-2.0-only

//! Frame numbers, identities and errors in the model's interface.

use std::fmt;

/// Size of a page in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// Entries of a page table.
pub const ENTRIES: usize = 512;

/// A machine frame number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mfn(pub u64);

/// A pseudo-physical frame number of a guest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

impl Mfn {
    /// Returns the machine address of the frame.
    pub const fn maddr(self) -> u64 {
        self.0 << PAGE_SHIFT
    }

    /// Returns the machine address of word `index` of the frame.
    pub const fn word(self, index: usize) -> u64 {
        self.maddr() + index as u64 * 8
    }

    /// Returns the frame that machine address `maddr` is in.
    pub const fn of(maddr: u64) -> Self {
        Self(maddr >> PAGE_SHIFT)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Mfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mfn {:#x}", self.0)
    }
}

impl fmt::Debug for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {:#x}", self.0)
    }
}

/// A domain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DomainId(pub u16);

impl DomainId {
    /// Returns vCPU `index` of the domain.
    pub const fn vcpu(self, index: u32) -> Vcpu {
        Vcpu {
            domain: self,
            index,
        }
    }
}

/// Special domain numbers in hypercalls (`public/xen.h`).
pub mod domid {
    /// The calling domain.
    pub const SELF: u32 = 0x7ff0;
    /// The owner of I/O memory.
    pub const IO: u32 = 0x7ff1;
    /// The hypervisor.
    pub const XEN: u32 = 0x7ff2;
}

/// A virtual CPU of a domain; each has a physical one to itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vcpu {
    /// Its domain.
    pub domain: DomainId,
    /// Its number in the domain.
    pub index: u32,
}

/// An error number of Xen; hypercalls return it negative.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $value:literal,)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Self = Self($value);
            )*
        }

        impl fmt::Debug for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str(stringify!($name)),)*
                    Self(other) => write!(f, "errno {other}"),
                }
            }
        }
    };
}

errnos! {
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EINVAL = 22,
    ENOSYS = 38,
    EOPNOTSUPP = 95,
}

impl Errno {
    /// Returns what a hypercall that fails this way leaves in `rax`.
    pub const fn negative(self) -> i64 {
        -(self.0 as i64)
    }
}

/// Why an access of the guest did not reach memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The address.
    pub va: u64,
    /// Why.
    pub kind: FaultKind,
    /// Whether it was a write.
    pub write: bool,
}

/// Kinds of [`Fault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// No translation.
    NotPresent,
    /// A translation that does not allow the access.
    Protection,
    /// The address is not canonical, or Xen's own.
    General,
    /// The domain is dead.
    Crashed(Crash),
}

/// Why Xen killed a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// It went to user mode without a user root.
    NoUserRoot,
    /// An entry was not safe against L1TF, and Xen has no shadow paging.
    L1tf,
}

/// Result of an array of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a hypercall can fail"]
pub struct UpdateOutcome {
    /// The error of the first element that failed.
    pub result: Result<(), Errno>,
    /// How many elements before it were carried out.
    pub done: u32,
}

impl UpdateOutcome {
    /// Returns the value of the hypercall in `rax`.
    pub fn rax(&self) -> i64 {
        self.result.map_or_else(Errno::negative, |()| 0)
    }
}
