// SPDX-License-Identifier: GPL-2.0-only

//! The hypercall `vm_assist`.

use crate::machine::hooks::Call;
use crate::types::{
    Errno,
    Vcpu, //
};
use crate::Machine;

/// The assists that a 64-bit guest can name.
const KNOWN: [u32; 7] = [0, 1, 2, 3, 4, 5, 32];

impl Machine {
    /// `vm_assist`: switches assist `number` on (`command` 0) or off (1).
    pub fn vm_assist(&mut self, who: Vcpu, command: u32, number: u32) -> Result<(), Errno> {
        self.simple_call(who, Call::VmAssist, |machine| {
            if command > 1 {
                return Err(Errno::ENOSYS);
            }
            if !KNOWN.contains(&number) {
                return Err(Errno::EINVAL);
            }
            let assists = &mut machine.domain_mut(who.domain).assists.0;
            *assists &= !(1 << number);
            if command == 0 {
                *assists |= 1 << number;
            }
            Ok(())
        })
    }
}
