// SPDX-License-Identifier: GPL-2.0-only

//! The hypercall `mmuext_op`.

use crate::entry::Level;
use crate::machine::domain::Assists;
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::paging::access::{
    canonical,
    is_guest_address, //
};
use crate::paging::leaf::PageOwner;
use crate::paging::tlb::Flush;
use crate::types::{
    DomainId,
    Errno,
    Mfn,
    UpdateOutcome,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;

/// The most entries of an LDT.
const MAX_LDT: u64 = 8192;

/// A bitmap of vCPUs, or `None` for one that Xen cannot read.
pub type VcpuBitmap = Option<Vec<u64>>;

/// An element of `mmuext_op`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MmuExtOp {
    /// `MMUEXT_PIN_L1_TABLE` to `MMUEXT_PIN_L4_TABLE`.
    Pin(Level, Mfn),
    /// `MMUEXT_UNPIN_TABLE`.
    Unpin(Mfn),
    /// `MMUEXT_NEW_BASEPTR`.
    NewBaseptr(Mfn),
    /// `MMUEXT_NEW_USER_BASEPTR`; frame 0 stands for none.
    NewUserBaseptr(Mfn),
    /// `MMUEXT_TLB_FLUSH_LOCAL`.
    TlbFlushLocal,
    /// `MMUEXT_INVLPG_LOCAL`.
    InvlpgLocal(u64),
    /// `MMUEXT_TLB_FLUSH_MULTI`.
    TlbFlushMulti(VcpuBitmap),
    /// `MMUEXT_INVLPG_MULTI`.
    InvlpgMulti(u64, VcpuBitmap),
    /// `MMUEXT_TLB_FLUSH_ALL`.
    TlbFlushAll,
    /// `MMUEXT_INVLPG_ALL`.
    InvlpgAll(u64),
    /// `MMUEXT_FLUSH_CACHE` and `MMUEXT_FLUSH_CACHE_GLOBAL`.
    FlushCache,
    /// `MMUEXT_SET_LDT`: address and number of entries.
    SetLdt(u64, u64),
    /// `MMUEXT_CLEAR_PAGE`.
    ClearPage(Mfn),
    /// `MMUEXT_COPY_PAGE`.
    CopyPage {
        /// The frame written.
        to: Mfn,
        /// The frame read.
        from: Mfn,
    },
    /// `MMUEXT_MARK_SUPER` and `MMUEXT_UNMARK_SUPER`.
    MarkSuper,
    /// An unknown operation.
    Unknown(u32),
}

impl MmuExtOp {
    /// Returns the operation from the words of the hypercall; `bitmap` reads the bitmap at an
    /// address of the guest.
    pub fn decode(
        command: u32,
        arg1: u64,
        arg2: u64,
        bitmap: impl FnOnce(u64) -> VcpuBitmap,
    ) -> Self {
        match command {
            0..=3 => {
                let level = [Level::L1, Level::L2, Level::L3, Level::L4][command as usize];
                MmuExtOp::Pin(level, Mfn(arg1))
            }
            4 => MmuExtOp::Unpin(Mfn(arg1)),
            5 => MmuExtOp::NewBaseptr(Mfn(arg1)),
            6 => MmuExtOp::TlbFlushLocal,
            7 => MmuExtOp::InvlpgLocal(arg1),
            8 => MmuExtOp::TlbFlushMulti(bitmap(arg2)),
            9 => MmuExtOp::InvlpgMulti(arg1, bitmap(arg2)),
            10 => MmuExtOp::TlbFlushAll,
            11 => MmuExtOp::InvlpgAll(arg1),
            12 | 18 => MmuExtOp::FlushCache,
            13 => MmuExtOp::SetLdt(arg1, arg2),
            15 => MmuExtOp::NewUserBaseptr(Mfn(arg1)),
            16 => MmuExtOp::ClearPage(Mfn(arg1)),
            17 => MmuExtOp::CopyPage {
                to: Mfn(arg1),
                from: Mfn(arg2),
            },
            19 | 20 => MmuExtOp::MarkSuper,
            other => MmuExtOp::Unknown(other),
        }
    }
}

impl Machine {
    /// `mmuext_op` with an array that Xen can read; `foreigndom` owns the frames.
    pub fn mmuext_op(&mut self, who: Vcpu, ops: &[MmuExtOp], foreigndom: u32) -> UpdateOutcome {
        let fetch = |_: &mut Self, index: usize| Ok(ops[index].clone());
        self.mmuext_op_from(who, ops.len(), foreigndom, fetch)
    }

    /// `mmuext_op` with a single element on own frames.
    pub fn mmuext_one(&mut self, who: Vcpu, op: MmuExtOp) -> Result<(), Errno> {
        self.mmuext_op(who, &[op], crate::types::domid::SELF).result
    }

    /// `mmuext_op` with elements that `fetch` reads one at a time.
    pub(crate) fn mmuext_op_from(
        &mut self,
        who: Vcpu,
        count: usize,
        foreigndom: u32,
        mut fetch: impl FnMut(&mut Self, usize) -> Result<MmuExtOp, Errno>,
    ) -> UpdateOutcome {
        self.enter(who);
        let mut done = 0;
        let owner = self.page_owner(who, foreigndom & 0xffff);
        let result = owner.and_then(|owner| {
            self.may_target(who, owner)?;
            while (done as usize) < count {
                let index = done as usize;
                let op = self.fetch_unit(Call::MmuextOp, who, index, count, &mut fetch)?;
                self.mmuext_element(who, op, owner)?;
                self.stats.mmuext_ops += 1;
                done += 1;
            }
            Ok(())
        });
        self.leave();
        UpdateOutcome { result, done }
    }

    fn mmuext_element(&mut self, who: Vcpu, op: MmuExtOp, owner: PageOwner) -> Result<(), Errno> {
        match op {
            MmuExtOp::Pin(level, mfn) => self.pin(mfn, level, owner),
            MmuExtOp::Unpin(mfn) => self.unpin(mfn, owner),
            MmuExtOp::ClearPage(mfn) => {
                self.get_for_writing(mfn, owner)?;
                self.frames[mfn.index()].fill(0);
                self.put_page_and_type(mfn);
                Ok(())
            }
            MmuExtOp::CopyPage { to, from } => {
                if !self.get_page(from, owner.owner()) {
                    return Err(Errno::EINVAL);
                }
                let result = self.get_for_writing(to, owner).map(|()| {
                    let source = self.frames[from.index()].clone();
                    self.frames[to.index()].copy_contents(&source);
                    self.put_page_and_type(to);
                });
                self.put_page(from);
                result
            }
            MmuExtOp::MarkSuper => Err(Errno::EOPNOTSUPP),
            MmuExtOp::Unknown(_) => Err(Errno::ENOSYS),
            _ if owner != PageOwner::Domain(who.domain) => Err(Errno::EPERM),
            MmuExtOp::NewBaseptr(mfn) => self.new_root(who, mfn),
            MmuExtOp::NewUserBaseptr(mfn) => self.new_user_root(who, mfn),
            MmuExtOp::SetLdt(va, entries) => self.set_ldt(who, va, entries),
            MmuExtOp::FlushCache => {
                let may_flush = self.domain(who.domain).has_io_rights();
                may_flush.then_some(()).ok_or(Errno::EACCES)
            }
            flush => self.flush_op(who, &flush),
        }
    }

    fn pin(&mut self, mfn: Mfn, level: Level, owner: PageOwner) -> Result<(), Errno> {
        if !self.get_page(mfn, owner.owner()) {
            return Err(Errno::EINVAL);
        }
        if let Err(error) = self.get_type(mfn, PageType::Table(level)) {
            self.put_page(mfn);
            return Err(error);
        }
        if self.frame(mfn).pinned {
            self.put_page_and_type(mfn);
            return Err(Errno::EINVAL);
        }
        self.stats.atomics += 1;
        self.frames[mfn.index()].pinned = true;
        Ok(())
    }

    fn unpin(&mut self, mfn: Mfn, owner: PageOwner) -> Result<(), Errno> {
        if !self.get_page(mfn, owner.owner()) {
            return Err(Errno::EINVAL);
        }
        let was_pinned = std::mem::take(&mut self.frames[mfn.index()].pinned);
        self.stats.atomics += 1;
        if was_pinned {
            self.put_page_and_type(mfn);
        }
        self.put_page(mfn);
        was_pinned.then_some(()).ok_or(Errno::EINVAL)
    }

    fn get_for_writing(&mut self, mfn: Mfn, owner: PageOwner) -> Result<(), Errno> {
        if !self.get_page(mfn, owner.owner()) {
            return Err(Errno::EINVAL);
        }
        let result = self.get_type(mfn, PageType::Writable);
        result.inspect_err(|_| self.put_page(mfn))
    }

    fn new_root(&mut self, who: Vcpu, mfn: Mfn) -> Result<(), Errno> {
        let old = self.vcpu(who).root;
        if old != Some(mfn) {
            self.get_page_and_type(mfn, who.domain, PageType::Table(Level::L4))?;
            if !self.domain(who.domain).assists.has(Assists::M2P_STRICT) {
                self.show_m2p(mfn, true);
            }
            self.vcpu_mut(who).root = Some(mfn);
        }
        self.flush_cpu(who, Flush::All);
        if let Some(old) = old.filter(|&old| old != mfn) {
            self.put_page_and_type(old);
        }
        Ok(())
    }

    fn new_user_root(&mut self, who: Vcpu, mfn: Mfn) -> Result<(), Errno> {
        let new = (mfn.0 != 0).then_some(mfn);
        let old = self.vcpu(who).user_root;
        if old == new {
            return Ok(());
        }
        if let Some(new) = new {
            self.get_page_and_type(new, who.domain, PageType::Table(Level::L4))?;
            if self.domain(who.domain).assists.has(Assists::M2P_STRICT) {
                self.show_m2p(new, false);
            }
        }
        self.vcpu_mut(who).user_root = new;
        if let Some(old) = old {
            self.put_page_and_type(old);
        }
        Ok(())
    }

    fn set_ldt(&mut self, who: Vcpu, va: u64, entries: u64) -> Result<(), Errno> {
        if va % PAGE_SIZE != 0 || entries > MAX_LDT || !is_guest_address(va) {
            return Err(Errno::EINVAL);
        }
        self.vcpu_mut(who).ldt = (va, entries);
        Ok(())
    }

    fn flush_op(&mut self, who: Vcpu, op: &MmuExtOp) -> Result<(), Errno> {
        let domain = who.domain;
        let selected = |machine: &Self, bitmap: &VcpuBitmap| {
            let words = bitmap.as_ref().ok_or(Errno::EINVAL)?;
            Ok(machine.vcpus_of(domain, words))
        };
        let (mask, flush) = match op {
            MmuExtOp::TlbFlushLocal => (vec![who], Flush::All),
            MmuExtOp::InvlpgLocal(va) => (vec![who], Flush::Page(*va)),
            MmuExtOp::TlbFlushMulti(bitmap) => (selected(self, bitmap)?, Flush::All),
            MmuExtOp::InvlpgMulti(va, bitmap) => (selected(self, bitmap)?, Flush::Page(*va)),
            MmuExtOp::TlbFlushAll => (self.dirty_mask(domain), Flush::All),
            MmuExtOp::InvlpgAll(va) => (self.dirty_mask(domain), Flush::Page(*va)),
            other => unreachable!("{other:?} flushes no TLB"),
        };
        match flush {
            Flush::Page(va) if !is_guest_address(va) || canonical(va) != va => Ok(()),
            flush => {
                self.flush_mask(&mask, flush);
                Ok(())
            }
        }
    }

    /// Returns the vCPUs in a bitmap of `domain` that are up.
    pub(crate) fn vcpus_of(&self, domain: DomainId, bitmap: &[u64]) -> Vec<Vcpu> {
        let mut mask = self.dirty_mask(domain);
        mask.retain(|vcpu| {
            let word = bitmap.get(vcpu.index as usize / 64).copied().unwrap_or(0);
            (word >> (vcpu.index % 64)) & 1 != 0
        });
        mask
    }

    /// Sets up another vCPU with `root` for kernel mode (`VCPUOP_initialise` and `VCPUOP_up`).
    pub fn vcpu_up(&mut self, who: Vcpu, root: Mfn) -> Result<(), Errno> {
        if self.vcpu(who).is_up {
            return Err(Errno::EINVAL);
        }
        self.get_page_and_type(root, who.domain, PageType::Table(Level::L4))?;
        if !self.domain(who.domain).assists.has(Assists::M2P_STRICT) {
            self.show_m2p(root, true);
        }
        let state = self.vcpu_mut(who);
        state.is_up = true;
        state.root = Some(root);
        Ok(())
    }

    /// Whether `owner` names a domain that owns `mfn`; for callers outside of hypercalls.
    pub fn owns(&self, domain: DomainId, mfn: Mfn) -> bool {
        self.is_valid(mfn) && self.frame(mfn).owner == Owner::Domain(domain)
    }
}
