// SPDX-License-Identifier: GPL-2.0-only

//! A guest for tests: the backend, booted on the model, and processes on top of it.
//!
//! [`Guest`] calls the backend's modules where the kernel's generic code would, through [`ops`]. A
//! [`Process`] has pages with contents, so that a test sees whether an address is mapped to the
//! right page. Its methods do to page tables what system calls and faults do.
//!
//! ```text
//! let guest = Guest::boot(GuestConfig::dom0(8000));
//! let before = guest.snapshot();
//! let mut parent = guest.spawn();
//! parent.map(0x1000, 16, Access::Write);
//! parent.write(0x1000, 7);
//! let mut child = parent.fork();
//! assert_eq!(child.read(0x1000), 7);
//! child.exit();
//! parent.exit();
//! guest.snapshot().assert_same(&before);
//! guest.assert_sound();
//! ```
//!
//! A guest runs on one thread. A test chooses the CPU that runs ([`Guest::switch_to`]).

pub(crate) mod boot;
pub(crate) mod generic;
pub(crate) mod memory_setup;
pub(crate) mod ops;
pub(crate) mod pages;
pub(crate) mod process;
#[cfg(test)]
pub(crate) mod suites;
pub(crate) mod suspend;

pub(crate) use boot::boot_with;
pub(crate) use pages::SharedPages;
pub(crate) use process::{
    Access,
    Process,
    PAGE, //
};

use crate::multicall;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::PreemptOff;
use crate::platform::diag::kept_report::Report;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::{
    set_current,
    Host, //
};
use crate::platform::paging::static_tables;
use kernel::log;
use std::rc::Rc;
use xen_model::{
    Config,
    DomainConfig,
    Machine,
    PageType,
    INVALID_M2P, //
};

/// Configuration of a guest.
#[derive(Clone, Debug)]
pub(crate) struct GuestConfig {
    /// The domain.
    pub(crate) domain: DomainConfig,
    /// Frames of the machine beyond those of the domain.
    pub(crate) spare_frames: u64,
    /// Seed of everything that is random in the model.
    pub(crate) seed: u64,
}

impl GuestConfig {
    fn new(domain: DomainConfig) -> Self {
        let image_pages = static_tables::IMAGE_PAGES as u64;
        Self {
            domain: DomainConfig {
                image_pages,
                ..domain.compact()
            },
            spare_frames: 3000,
            seed: 1,
        }
    }

    /// Returns a dom0 of `nr_pages` pages with one CPU.
    pub(crate) fn dom0(nr_pages: u64) -> Self {
        Self::new(DomainConfig::dom0(nr_pages))
    }

    /// Returns an unprivileged domain of `nr_pages` pages with one CPU.
    pub(crate) fn domu(nr_pages: u64) -> Self {
        Self::new(DomainConfig::domu(nr_pages))
    }

    /// Returns the guest with `cpus` CPUs.
    pub(crate) fn with_cpus(mut self, cpus: u32) -> Self {
        self.domain.vcpus = cpus;
        self
    }

    /// Returns the guest with another seed.
    pub(crate) fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// The use of a frame of the domain. It must be the same again after everything has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameUse {
    /// The pfn of the frame, which stays the same when the domain moves.
    page: u64,
    count: u32,
    kind: Option<PageType>,
    type_count: u32,
    /// Whether Xen has the page pinned as a table.
    pub(crate) is_pinned: bool,
}

/// What is in use in a guest.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// Pages that are free.
    pub(crate) nr_free: usize,
    /// The frames of the domain.
    pub(crate) frames: Vec<FrameUse>,
}

impl Snapshot {
    /// Panics unless the frames have the same uses as in `before`.
    #[track_caller]
    pub(crate) fn assert_same(&self, before: &Self) {
        let changed: Vec<_> = before
            .frames
            .iter()
            .zip(&self.frames)
            .filter(|(old, new)| old != new)
            .take(4)
            .collect();
        assert!(changed.is_empty(), "frames have other uses: {changed:x?}");
        assert_eq!(
            self.frames.len(),
            before.frames.len(),
            "frames of the domain"
        );
        assert_eq!(self.nr_free, before.nr_free, "free pages");
    }
}

/// A booted guest. A thread has only one at a time.
pub(crate) struct Guest {
    host: Rc<Host>,
    /// The pages that its processes map.
    pub(crate) pages: SharedPages,
}

impl Guest {
    /// Builds a machine and a domain, and boots the backend in it.
    ///
    /// # Panics
    ///
    /// If anything fails: Xen refuses an operation, an access faults, a lock stays held.
    #[track_caller]
    pub(crate) fn boot(config: GuestConfig) -> Self {
        let guest = Self::build(config);
        boot::boot(&guest.host);
        for cpu in 1..guest.nr_cpus() {
            boot::start_cpu(&guest.host, cpu);
        }
        guest
    }

    /// As [`Self::boot`], but leaves the domain at its first instruction.
    #[track_caller]
    pub(crate) fn build(config: GuestConfig) -> Self {
        log::take();
        let frames = config.domain.nr_pages * 2 + config.spare_frames;
        let mut machine = Machine::new(Config::new(frames, config.seed));
        let cpus = config.domain.vcpus;
        let domain = match machine.create_domain(config.domain) {
            Ok(domain) => domain,
            Err(error) => panic!("{error}"),
        };
        let host = Rc::new(Host::new(machine, domain, cpus));
        set_current(Some(host.clone()));
        Self {
            host,
            pages: SharedPages::default(),
        }
    }

    /// Returns the simulated machine, to look into it or to inject faults.
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Returns how many CPUs there are.
    pub(crate) fn nr_cpus(&self) -> u32 {
        self.host.cpus.borrow().len() as u32
    }

    /// Switches to `cpu`.
    pub(crate) fn switch_to(&self, cpu: u32) {
        self.host.switch_to(cpu);
    }

    /// Creates a process without mappings, as exec does, and runs it on this CPU.
    ///
    /// # Panics
    ///
    /// If there is no memory; see [`Self::try_spawn`].
    #[track_caller]
    pub(crate) fn spawn(&self) -> Process {
        match self.try_spawn() {
            Some(process) => process,
            None => panic!("no memory for a process"),
        }
    }

    /// As [`Self::spawn`]; `None` if there is no memory.
    #[track_caller]
    pub(crate) fn try_spawn(&self) -> Option<Process> {
        let process = Process::new(self.pages.clone())?;
        process.enter();
        process.run();
        Some(process)
    }

    /// Runs a kernel thread on this CPU, which borrows the address space of the last process.
    pub(crate) fn run_kernel_task(&self) {
        let mm = Mm::loaded();
        mm.note_loaded(mm != Mm::kernel());
    }

    /// Returns what is in use.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let machine = self.host.machine.borrow();
        let frames = machine.frames_of(self.host.domain).map(|mfn| {
            let frame = machine.frame(mfn);
            FrameUse {
                page: machine.m2p(mfn).unwrap_or(INVALID_M2P),
                count: frame.count(),
                kind: (frame.type_count() > 0).then_some(frame.page_type()),
                type_count: frame.type_count(),
                is_pinned: frame.is_pinned(),
            }
        });
        let mut frames: Vec<_> = frames.collect();
        frames.sort_unstable_by_key(|frame| frame.page);
        Snapshot {
            nr_free: self.host.pool.borrow().nr_free(),
            frames,
        }
    }

    /// Panics unless the model is sound, all queues are empty, no lock is held, interrupts and
    /// preemption are on, and nothing was reported.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        self.host.assert_at_rest();
        let running = self.host.this_cpu();
        for cpu in 0..self.nr_cpus() {
            self.switch_to(cpu);
            assert!(multicall::is_queue_empty(), "CPU {cpu} has calls queued");
        }
        self.switch_to(running);
        self.host.machine.borrow().assert_sound();
        let refusals = self.host.refusals.borrow();
        assert!(refusals.is_empty(), "Xen refused: {refusals:x?}");
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "logged: {complaints:?}");
    }

    /// Takes the warnings and errors that were logged since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let messages = log::take().into_iter();
        messages
            .filter(|message| message.level <= log::Level::Warning)
            .map(|message| message.text)
            .collect()
    }

    /// Takes the refused operations that were reported since the last call.
    pub(crate) fn take_refusals(&self) -> Vec<Report> {
        self.host.refusals.take()
    }

    /// Flushes the queue of this CPU.
    pub(crate) fn flush(&self) {
        let _preempt = PreemptOff::new(CallContext::here());
        multicall::flush();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        set_current(None);
    }
}
