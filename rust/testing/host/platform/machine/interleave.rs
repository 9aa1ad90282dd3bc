// SPDX-License-Identifier: GPL-2.0-only

//! CPUs that run at the same time: which one continues where several can interact.

use crate::platform::machine::host::Host;
use std::rc::Rc;

/// Decides which CPU continues. Each runs on a thread of the interleaver.
pub(crate) trait Interleaver {
    /// Another CPU may continue here.
    fn step(&self);

    /// Runs `section` when no other CPU holds the lock of this name.
    fn exclusive(&self, name: &'static str, section: &mut dyn FnMut());
}

impl Host {
    /// Lets `interleaver` decide from now on; with `None`, one CPU runs until the test switches.
    pub(crate) fn set_interleaver(&self, interleaver: Option<Rc<dyn Interleaver>>) {
        self.interleaver.replace(interleaver);
    }

    fn interleaver(&self) -> Option<Rc<dyn Interleaver>> {
        self.interleaver.borrow().clone()
    }

    /// Another CPU may continue here: before an access that several of them make.
    pub(in crate::platform) fn step(&self) {
        if let Some(interleaver) = self.interleaver() {
            let cpu = self.this_cpu();
            interleaver.step();
            self.switch_to(cpu);
        }
    }

    /// Runs `section` with the lock of this name held.
    pub(in crate::platform) fn with_lock<R>(
        &self,
        name: &'static str,
        section: impl FnOnce() -> R,
    ) -> R {
        let mut section = Some(section);
        let mut ret = None;
        let mut locked = || {
            self.lock(name);
            ret = section.take().map(|section| section());
            self.unlock(name);
        };
        match self.interleaver() {
            None => locked(),
            Some(interleaver) => {
                let cpu = self.this_cpu();
                interleaver.exclusive(name, &mut || {
                    self.switch_to(cpu);
                    locked();
                });
                self.switch_to(cpu);
            }
        }
        match ret {
            Some(ret) => ret,
            None => unreachable!("the section has run"),
        }
    }
}
