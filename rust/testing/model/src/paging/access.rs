// SPDX-License-Identifier: GPL-2.0-only

//! Accesses of the guest to memory, through its page tables and TLB.

use crate::machine::domain::Mode;
use crate::types::{
    Crash,
    Fault,
    FaultKind,
    Mfn,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;

/// Where Xen's part of the address space begins: Xen's table of machine frames.
pub const XEN_START: u64 = 0xffff_8000_0000_0000;
/// Where Xen's part of the address space ends.
pub const XEN_END: u64 = 0xffff_8800_0000_0000;
/// Where the machine-to-physical table ends.
pub const M2P_END: u64 = 0xffff_8040_0000_0000;

/// What a store does to a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// `MOV`.
    Plain(u64),
    /// `XCHG`.
    Exchange(u64),
    /// `LOCK CMPXCHG`.
    CompareExchange {
        /// The value expected.
        old: u64,
        /// The value stored if the comparison succeeds.
        new: u64,
    },
    /// `LOCK AND`, or `LOCK BTR`.
    And(u64),
    /// `LOCK OR`, or `LOCK BTS`.
    Or(u64),
}

impl Store {
    /// Returns the new value of a word that holds `was`.
    pub(crate) fn apply(self, was: u64) -> u64 {
        match self {
            Store::Plain(new) | Store::Exchange(new) => new,
            Store::CompareExchange { old, new } if was == old => new,
            Store::CompareExchange { .. } => was,
            Store::And(mask) => was & mask,
            Store::Or(bits) => was | bits,
        }
    }

    pub(crate) fn is_locked(self) -> bool {
        !matches!(self, Store::Plain(_))
    }
}

/// Returns the address whose low 48 bits are those of `va`.
pub(crate) fn canonical(va: u64) -> u64 {
    ((va << 16) as i64 >> 16) as u64
}

/// Whether Xen accepts `va` as an address of the guest (`__addr_ok()`).
pub(crate) fn is_guest_address(va: u64) -> bool {
    !(1 << 47..XEN_END).contains(&va)
}

impl Machine {
    /// Returns the frame that an access of `who` reaches.
    fn reach(&mut self, who: Vcpu, va: u64, mode: Mode, write: bool) -> Result<Mfn, FaultKind> {
        if let Some(crash) = self.domain(who.domain).crash {
            return Err(FaultKind::Crashed(crash));
        }
        if canonical(va) != va || !is_guest_address(va) {
            return Err(FaultKind::General);
        }
        let root = self.switch_mode(who, mode)?;
        if let Some(cached) = self.vcpu(who).tlb.get(va) {
            if !write {
                return Ok(cached.mfn);
            }
            if cached.writable && cached.dirty {
                self.check_cached_write(who, va, cached.mfn);
                return Ok(cached.mfn);
            }
            // The CPU drops a translation that faults, and walks the tables again before it sets
            // the bit.
            self.vcpu_mut(who).tlb.drop_page(va);
            if !cached.writable && self.config.spurious_faults {
                return Err(FaultKind::Protection);
            }
        }
        let walk = self.walk(who, root, va, write)?;
        Ok(walk.mfn)
    }

    /// Records a write that Xen should have made impossible.
    fn check_cached_write(&mut self, who: Vcpu, va: u64, mfn: Mfn) {
        let frame = self.frames.get(mfn.index());
        if self.owns(who.domain, mfn) && frame.is_some_and(|frame| frame.is_protected()) {
            self.noted.push(format!(
                "{who:?} writes to {mfn:?} at {va:#x} behind Xen's back"
            ));
        }
    }

    /// Switches `who` to `mode`; returns the root in use.
    fn switch_mode(&mut self, who: Vcpu, mode: Mode) -> Result<Mfn, FaultKind> {
        let state = self.vcpu_mut(who);
        let root = match mode {
            Mode::Kernel => state.root,
            Mode::User => state.user_root,
        };
        if state.mode != mode {
            state.mode = mode;
            state.tlb.drop_local();
        }
        match (root, mode) {
            (Some(root), _) => Ok(root),
            (None, Mode::Kernel) => Err(FaultKind::NotPresent),
            (None, Mode::User) => {
                let crash = Crash::NoUserRoot;
                self.domain_mut(who.domain).crash = Some(crash);
                Err(FaultKind::Crashed(crash))
            }
        }
    }

    fn fault(&mut self, va: u64, write: bool, kind: FaultKind) -> Fault {
        self.stats.guest_faults += 1;
        Fault { va, kind, write }
    }

    fn load(&mut self, who: Vcpu, va: u64, mode: Mode) -> Result<u64, Fault> {
        assert!(
            va % 8 == 0,
            "the model loads aligned words only, not {va:#x}"
        );
        if mode == Mode::Kernel && (XEN_START..M2P_END).contains(&va) {
            return self.load_m2p(who, va);
        }
        let mfn = match self.reach(who, va, mode, false) {
            Ok(mfn) => mfn,
            Err(kind) => return Err(self.fault(va, false, kind)),
        };
        if !self.is_valid(mfn) {
            return Ok(u64::MAX);
        }
        let index = (va % PAGE_SIZE / 8) as usize;
        self.dirty_ledger.seen(mfn, index);
        Ok(self.frame_word(mfn, index))
    }

    fn load_m2p(&mut self, who: Vcpu, va: u64) -> Result<u64, Fault> {
        let is_shown = self.root(who).is_some_and(|root| self.shows_m2p(root));
        let word = self.m2p(Mfn((va - XEN_START) / 8));
        match word.filter(|_| is_shown) {
            Some(word) => Ok(word),
            None => Err(self.fault(va, false, FaultKind::NotPresent)),
        }
    }

    /// Changes `size` bytes at `va`, all within an aligned word; returns the old word.
    fn change(
        &mut self,
        who: Vcpu,
        va: u64,
        size: u64,
        store: Store,
        mode: Mode,
    ) -> Result<u64, Fault> {
        match self.reach(who, va, mode, true) {
            Ok(mfn) if self.is_valid(mfn) => {
                let index = (va % PAGE_SIZE / 8) as usize;
                let was = self.frame_word(mfn, index);
                let now = merge(was, va, size, store);
                if store.is_locked() {
                    self.dirty_ledger.seen(mfn, index);
                }
                self.dirty_ledger.overwritten(mfn, index, was, now);
                self.frames[mfn.index()].set_word(index, now);
                Ok(was)
            }
            Ok(_) => Ok(u64::MAX),
            Err(FaultKind::Protection) if mode == Mode::Kernel => {
                match self.emulate_store(who, va, size, store) {
                    Some(was) => Ok(was),
                    None => Err(self.fault(va, true, FaultKind::Protection)),
                }
            }
            Err(kind) => Err(self.fault(va, true, kind)),
        }
    }

    /// Loads a word in kernel mode.
    pub fn read_u64(&mut self, who: Vcpu, va: u64) -> Result<u64, Fault> {
        self.load(who, va, Mode::Kernel)
    }

    /// Stores a word in kernel mode with a plain store.
    pub fn write_u64(&mut self, who: Vcpu, va: u64, word: u64) -> Result<(), Fault> {
        self.store(who, va, Store::Plain(word)).map(|_| ())
    }

    /// Changes a word in kernel mode; returns its old value.
    pub fn store(&mut self, who: Vcpu, va: u64, store: Store) -> Result<u64, Fault> {
        self.change(who, va, 8, store, Mode::Kernel)
    }

    /// Changes a word in kernel mode with `XCHG`; returns its old value.
    pub fn xchg_u64(&mut self, who: Vcpu, va: u64, new: u64) -> Result<u64, Fault> {
        self.store(who, va, Store::Exchange(new))
    }

    /// Changes a word in kernel mode with `LOCK CMPXCHG`; returns its old value.
    pub fn cmpxchg_u64(&mut self, who: Vcpu, va: u64, old: u64, new: u64) -> Result<u64, Fault> {
        self.store(who, va, Store::CompareExchange { old, new })
    }

    /// Stores the low `size` bytes of `value` in kernel mode.
    ///
    /// # Panics
    ///
    /// If the bytes are not all in one page.
    pub fn write_bytes(&mut self, who: Vcpu, va: u64, size: u64, value: u128) -> Result<(), Fault> {
        assert!(
            va % PAGE_SIZE + size <= PAGE_SIZE,
            "a store across pages at {va:#x}"
        );
        let is_natural = size.is_power_of_two() && size <= 8 && va % size == 0;
        if is_natural {
            let store = Store::Plain(value as u64);
            return self.change(who, va, size, store, Mode::Kernel).map(|_| ());
        }
        // Never emulated: the first byte shows whether the page can be written.
        if let Err(kind) = self.reach(who, va, Mode::Kernel, true) {
            return Err(self.fault(va, true, kind));
        }
        for byte in 0..size {
            let store = Store::Plain((value >> (8 * byte)) as u64 & 0xff);
            self.change(who, va + byte, 1, store, Mode::Kernel)?;
        }
        Ok(())
    }

    /// Loads a word in user mode.
    pub fn user_read(&mut self, who: Vcpu, va: u64) -> Result<u64, Fault> {
        self.load(who, va, Mode::User)
    }

    /// Stores a word in user mode.
    pub fn user_write(&mut self, who: Vcpu, va: u64, word: u64) -> Result<(), Fault> {
        self.change(who, va, 8, Store::Plain(word), Mode::User)
            .map(|_| ())
    }

    /// Goes to user mode as `iret` does, without an access.
    pub fn enter_user(&mut self, who: Vcpu) -> Result<(), Crash> {
        match self.switch_mode(who, Mode::User) {
            Err(FaultKind::Crashed(crash)) => Err(crash),
            _ => Ok(()),
        }
    }
}

/// Returns `was` after a store of `size` bytes at `va`; narrow ones are plain.
pub(crate) fn merge(was: u64, va: u64, size: u64, store: Store) -> u64 {
    if size == 8 {
        return store.apply(was);
    }
    let shift = va % 8 * 8;
    let mask = ((1 << (size * 8)) - 1) << shift;
    let narrow = store.apply((was & mask) >> shift);
    (was & !mask) | ((narrow << shift) & mask)
}
