// SPDX-License-Identifier: GPL-2.0-only

//! Hypercalls with their arguments in the guest's memory, which are read one at a time.

use crate::hypercall::mmu_update::MmuUpdate;
use crate::hypercall::mmuext::MmuExtOp;
use crate::paging::access::is_guest_address;
use crate::types::{
    Errno,
    Vcpu, //
};
use crate::Machine;

/// Numbers of hypercalls (`public/xen.h`, `__HYPERVISOR_*`).
pub mod number {
    /// `mmu_update`.
    pub const MMU_UPDATE: u64 = 1;
    /// `multicall`.
    pub const MULTICALL: u64 = 13;
    /// `update_va_mapping`.
    pub const UPDATE_VA_MAPPING: u64 = 14;
    /// `mmuext_op`.
    pub const MMUEXT_OP: u64 = 26;
}

/// Set in a count by Xen only, when it continues a hypercall.
const CONTINUED: u64 = 1 << 31;

/// Bytes of an entry of a multicall.
const CALL_BYTES: u64 = 64;

impl Machine {
    /// Issues hypercall `op` with `args` as the guest does; returns the value of `rax` afterwards.
    ///
    /// A hypercall that the model takes in its typed form only is refused with `ENOSYS`.
    pub fn hypercall(&mut self, who: Vcpu, op: u64, args: [u64; 5]) -> i64 {
        match op {
            number::MMU_UPDATE => self.raw_array(who, args, 16, |machine, at, count, domain| {
                machine.mmu_update_from(who, count, domain, |machine, index| {
                    let [ptr, val] = machine.load_words(who, at + 16 * index as u64)?;
                    Ok(MmuUpdate { ptr, val })
                })
            }),
            number::MMUEXT_OP => self.raw_array(who, args, 24, |machine, at, count, domain| {
                machine.mmuext_op_from(who, count, domain, |machine, index| {
                    let [command, arg1, arg2] = machine.load_words(who, at + 24 * index as u64)?;
                    let bitmap = |at| machine.read_bitmap(who, at);
                    Ok(MmuExtOp::decode(command as u32, arg1, arg2, bitmap))
                })
            }),
            number::UPDATE_VA_MAPPING => {
                let [va, val, flags, ..] = args;
                let result = self.update_va_mapping(who, va, val, flags);
                result.map_or_else(Errno::negative, |()| 0)
            }
            number::MULTICALL => self.raw_multicall(who, args[0], args[1]),
            _ => Errno::ENOSYS.negative(),
        }
    }

    fn raw_array(
        &mut self,
        who: Vcpu,
        [at, count, done_at, domain, _]: [u64; 5],
        size: u64,
        run: impl FnOnce(&mut Self, u64, usize, u32) -> crate::UpdateOutcome,
    ) -> i64 {
        assert!(
            count & CONTINUED == 0,
            "a fresh call says that it is continued"
        );
        if !self.is_readable(at, count, size) {
            self.enter(who);
            self.leave();
            return Errno::EFAULT.negative();
        }
        let outcome = run(self, at, count as usize, domain as u32);
        if done_at != 0 {
            let done = u128::from(outcome.done);
            // Xen ignores a failure of this store.
            let _ = self.write_bytes(who, done_at, 4, done);
        }
        outcome.rax()
    }

    fn raw_multicall(&mut self, who: Vcpu, at: u64, count: u64) -> i64 {
        if !self.is_readable(at, count, CALL_BYTES) {
            return Errno::EFAULT.negative();
        }
        let mut unreadable = false;
        let result = self.multicall_with(who, count as usize, |machine, index| {
            if unreadable {
                return 0;
            }
            let entry = at + CALL_BYTES * index as u64;
            let Ok([op, _, a0, a1, a2, a3, a4]) = machine.load_words(who, entry) else {
                unreadable = true;
                return 0;
            };
            let result = machine.hypercall(who, op, [a0, a1, a2, a3, a4]);
            unreadable = machine.write_u64(who, entry + 8, result as u64).is_err();
            result
        });
        match result {
            Ok(_) if unreadable => Errno::EFAULT.negative(),
            Ok(_) => 0,
            Err(error) => error.negative(),
        }
    }

    /// Whether an array is within what Xen reads on behalf of a guest (`guest_handle_okay()`).
    fn is_readable(&self, at: u64, count: u64, size: u64) -> bool {
        let end = count
            .checked_mul(size)
            .and_then(|bytes| at.checked_add(bytes));
        is_guest_address(at) && end.is_some_and(|end| end == at || is_guest_address(end - 1))
    }

    fn load_words<const N: usize>(&mut self, who: Vcpu, at: u64) -> Result<[u64; N], Errno> {
        let mut words = [0; N];
        for (index, word) in words.iter_mut().enumerate() {
            let va = at + 8 * index as u64;
            *word = self.read_u64(who, va).map_err(|_| Errno::EFAULT)?;
        }
        Ok(words)
    }

    /// Reads a bitmap of as many vCPUs as the domain has.
    pub(crate) fn read_bitmap(&mut self, who: Vcpu, at: u64) -> Option<Vec<u64>> {
        let words = self.domain(who.domain).vcpus.len().div_ceil(64) as u64;
        if !self.is_readable(at, words, 8) {
            return None;
        }
        let words = (0..words).map(|word| self.read_u64(who, at + 8 * word));
        words.collect::<Result<_, _>>().ok()
    }
}
