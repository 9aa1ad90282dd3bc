// SPDX-License-Identifier: GPL-2.0-only

//! Traces: operations of processes, one after the other on several CPUs, compared with a simple
//! reference.

mod check;
mod ops;
mod racer;

pub(crate) use ops::{
    setups,
    steps,
    Op,
    Setup,
    Step, //
};

use crate::guest::pages::FOLIO;
use crate::guest::process::USER_PAGES;
use crate::guest::suspend::suspend;
use crate::guest::{
    Access,
    Guest,
    Process,
    Snapshot,
    PAGE, //
};
use crate::properties::reference::{
    Contents,
    File,
    Space, //
};
use racer::Racer;
use std::cell::RefCell;
use std::rc::Rc;
use xen_model::HardwareActivity;

/// The most processes at a time.
const MAX_LIVE: usize = 4;
/// The most threads of a process.
const MAX_THREADS: u32 = 4;
/// With fewer free pages, processes end instead of carrying out their operations.
const FEW_PAGES: usize = 300;
/// After how many steps everything is checked, and not only the process that made the step.
const STEPS_PER_CHECK: usize = 16;

/// A process, and its reference.
struct Live {
    process: Process,
    space: Space,
}

/// A guest in the middle of a trace.
pub(crate) struct Trace {
    live: Vec<Live>,
    file: File,
    racer: Rc<RefCell<Racer>>,
    next_word: u64,
    may_save: bool,
    nr_steps: usize,
    before: Snapshot,
    guest: Guest,
}

impl Trace {
    /// Boots a guest.
    pub(crate) fn begin(setup: &Setup) -> Self {
        let guest = Guest::boot(setup.config());
        setup.switched_off().for_each(|switch| switch.off());
        if setup.is_noisy {
            // Only the racer writes: kernel threads do not write to processes.
            guest
                .host()
                .machine
                .borrow_mut()
                .set_hardware_activity(HardwareActivity {
                    dirty: false,
                    ..HardwareActivity::ALL
                });
        }
        Self {
            live: Vec::new(),
            file: File::default(),
            racer: Rc::new(RefCell::new(Racer::new(setup.seed))),
            next_word: 0,
            may_save: !setup.is_dom0,
            nr_steps: 0,
            before: guest.snapshot(),
            guest,
        }
    }

    /// Makes a step.
    pub(crate) fn step(&mut self, step: Step) {
        let cpu = u32::from(step.cpu) % self.guest.nr_cpus();
        self.guest.switch_to(cpu);
        if self.guest.host().pool.borrow().nr_free() < FEW_PAGES {
            self.exit(self.live.len() - 1, false);
        }
        if self.live.is_empty() {
            self.live.push(Live {
                process: self.guest.spawn(),
                space: Space::default(),
            });
        }
        let who = usize::from(step.who) % self.live.len();
        self.live[who].process.run();
        self.start_racer();
        let survives = self.act(who, step.op);
        self.stop_racer();
        if survives {
            self.check_process(who);
        }
        self.nr_steps += 1;
        if self.nr_steps % STEPS_PER_CHECK == 0 {
            self.check_all();
        }
    }

    /// Ends all processes, and checks that they leave nothing behind.
    pub(crate) fn end(mut self) {
        self.check_all();
        while let Some(live) = self.live.pop() {
            live.process.exit();
        }
        for cpu in 0..self.guest.nr_cpus() {
            self.guest.switch_to(cpu);
            self.guest.run_kernel_task();
        }
        self.check_all();
        self.guest.pages.borrow_mut().truncate();
        self.guest.assert_sound();
        self.guest.snapshot().assert_same(&self.before);
    }

    /// Has process `who` do `op`; returns whether it still exists.
    fn act(&mut self, who: usize, op: Op) -> bool {
        let live = &mut self.live[who];
        match op {
            Op::Map {
                first,
                pages,
                access,
                file,
            } => {
                match file {
                    Some(number) => live.process.map_file(first * PAGE, pages, access, number),
                    None => live.process.map(first * PAGE, pages, access),
                }
                live.space.unmap(first, pages);
                live.space.map(first, pages, access, file);
            }
            Op::Touch { pick, pages, write } => {
                if let Some(first) = live.space.pick(pick) {
                    (first..first + pages).for_each(|page| self.touch(who, page, write));
                }
            }
            Op::Protect {
                pick,
                pages,
                access,
            } => {
                if let Some(first) = live.space.pick(pick) {
                    let pages = pages.min(USER_PAGES - first);
                    live.process.protect(first * PAGE, pages, access);
                    live.space.protect(first, pages, access);
                }
            }
            Op::Unmap { pick, pages } => {
                if let Some(first) = live.space.pick(pick) {
                    let pages = pages.min(USER_PAGES - first);
                    live.process.unmap(first * PAGE, pages);
                    live.space.unmap(first, pages);
                }
            }
            Op::Remap { pick, pages, to } => {
                if let Some(first) = live.space.pick(pick) {
                    let pages = pages.min(USER_PAGES - first.max(to));
                    if first.abs_diff(to) >= pages {
                        let result = live.process.remap(first * PAGE, pages, to * PAGE);
                        assert_eq!(result, Ok(()));
                        live.space.remap(first, pages, to);
                    }
                }
            }
            Op::Fork { suspends } => self.fork(who, suspends),
            Op::Exec => {
                let space = Space::default();
                let process = self.guest.spawn();
                let old = std::mem::replace(&mut self.live[who], Live { process, space });
                old.process.exit();
            }
            Op::Exit { suspends } => {
                self.exit(who, suspends);
                return false;
            }
            Op::AddThread if live.process.mm().nr_users() < MAX_THREADS => {
                live.process.add_thread();
            }
            Op::AddThread => {}
            Op::EndThread => live.process.end_thread(),
            Op::RunKernelTask => self.guest.run_kernel_task(),
            Op::WriteBack { folio } => self.write_back(folio),
            Op::Suspend { moves } => {
                if self.may_save {
                    suspend(moves);
                }
            }
        }
        true
    }

    /// Reads or writes a page, if the process may.
    fn touch(&mut self, who: usize, page: usize, write: bool) {
        let live = &mut self.live[who];
        let Some(cell) = live.space.at(page) else {
            return;
        };
        let may = match cell.access {
            Access::Write => true,
            Access::Read => !write,
            Access::None => false,
        };
        if !may {
            return;
        }
        if !write {
            let word = live.process.read(page * PAGE);
            self.apply_races();
            let expected = match cell.contents {
                Contents::Anonymous(word) => word.unwrap_or(0),
                Contents::File(number) => self.file.read(number),
            };
            assert_eq!(word, expected, "page {page:#x}");
            if cell.contents == Contents::Anonymous(None) {
                self.live[who].space.set(page, 0);
            }
            return;
        }
        // Even words do not look like entries of a table.
        self.next_word += 2;
        live.process.write(page * PAGE, self.next_word);
        self.apply_races();
        match cell.contents {
            Contents::Anonymous(_) => self.live[who].space.set(page, self.next_word),
            Contents::File(number) => self.file.write(number, self.next_word),
        }
    }

    fn fork(&mut self, who: usize, suspends: bool) {
        if self.live.len() == MAX_LIVE {
            return;
        }
        let may_save = self.may_save;
        let midway = || {
            if suspends && may_save {
                suspend(true);
            }
        };
        let parent = &mut self.live[who];
        let process = parent.process.fork_with(midway);
        let space = parent.space.clone();
        self.live.push(Live { process, space });
        self.check_process(self.live.len() - 1);
    }

    fn exit(&mut self, who: usize, suspends: bool) {
        let may_save = self.may_save;
        let live = self.live.swap_remove(who);
        live.process.exit_with(|| {
            if suspends && may_save {
                suspend(true);
            }
        });
    }

    /// Writes a folio of the file back; later writes to it must be noticed again.
    fn write_back(&mut self, folio: usize) {
        for number in folio * FOLIO..(folio + 1) * FOLIO {
            self.live.iter().for_each(|live| live.process.clean(number));
        }
        self.apply_races();
        self.check_dirty();
        self.guest.pages.borrow_mut().note_clean(folio * FOLIO);
        self.file.write_back(folio);
    }
}
