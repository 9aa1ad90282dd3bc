// SPDX-License-Identifier: GPL-2.0-only

//! Checks the model with the probes that check Xen itself when dom0 boots.

#[path = "../../probes"]
mod probes {
    pub(crate) mod extended;
    pub(crate) mod leaves;
    pub(crate) mod mappings;
    pub(crate) mod memory;
    pub(crate) mod multicalls;
    pub(crate) mod negative;
    pub(crate) mod pins;
    pub(crate) mod probe;
    pub(crate) mod run;
    pub(crate) mod steps;
    pub(crate) mod stores;
    pub(crate) mod tables;
    pub(crate) mod updates;
}

use probes::probe::{
    domain,
    Array,
    Frame,
    Probe,
    Where, //
};
use probes::run::{
    run,
    Failure,
    RawCall,
    Tally,
    Target,
    FRAMES, //
};
use std::collections::BTreeSet;
use xen_model::{
    number,
    Config,
    DomainConfig,
    DomainId,
    Errno,
    Machine,
    Mfn,
    Vcpu,
    ENTRIES,
    PAGE_SIZE, //
};

/// The number of the hypercall `memory_op`.
const MEMORY_OP: u64 = 12;

/// Pages of the kernel image: those with arguments of hypercalls, and the first for probes.
const ARRAYS: u64 = 2;
const ELEMENTS: u64 = 3;
const DONE: u64 = 4;
const FIRST: u64 = 8;

/// A dom0 of the model, and another domain.
struct Model {
    machine: Machine,
    other: DomainId,
    base: u64,
    mfns: [Mfn; FRAMES],
    given: [bool; FRAMES],
}

/// The vCPU that runs the probes.
const WHO: Vcpu = Vcpu {
    domain: DomainId(0),
    index: 0,
};

/// Returns a result as Xen has it in a register.
fn rax<T>(result: Result<T, Errno>) -> i64 {
    result.map_or_else(Errno::negative, |_| 0)
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut machine = Machine::new(Config::new(4096, seed));
        let config = DomainConfig::dom0(512).compact();
        let base = config.virt_base;
        let dom0 = machine.create_domain(config).expect("a dom0 fits");
        assert_eq!(dom0, WHO.domain);
        let config = DomainConfig::domu(256).compact();
        let other = machine.create_domain(config).expect("a second domain fits");
        let frames = &machine.start_of_day(dom0).frames;
        let mfns = std::array::from_fn(|own| frames[FIRST as usize + own]);
        let mut model = Self {
            machine,
            other,
            base,
            mfns,
            given: [false; FRAMES],
        };
        for own in 0..FRAMES {
            for index in 0..ENTRIES {
                assert!(model.store(own, index, 0));
            }
        }
        model
    }

    /// Returns the address of a page of the kernel image.
    fn page(&self, number: u64) -> u64 {
        self.base + number * PAGE_SIZE
    }

    /// Writes the arguments of a hypercall.
    fn write(&mut self, at: u64, words: &[u64]) {
        for (va, word) in (at..).step_by(8).zip(words) {
            self.machine
                .write_u64(WHO, va, *word)
                .expect("the page for arguments is writable");
        }
    }

    fn read(&mut self, va: u64) -> u64 {
        self.machine
            .read_u64(WHO, va)
            .expect("the page for arguments is mapped")
    }

    /// Makes a hypercall that takes an array and returns how many elements are done.
    fn array_call(&mut self, op: u64, array: &[u64], count: usize, domain: u64) -> (i64, u64) {
        let (at, done) = (self.page(ARRAYS), self.page(DONE));
        self.write(at, array);
        self.write(done, &[0]);
        let args = [at, count as u64, done, domain, 0];
        let result = self.machine.hypercall(WHO, op, args);
        (result, self.read(done))
    }

    fn has_frame(&mut self, own: usize, mfn: u64) {
        self.mfns[own] = Mfn(mfn);
        self.given[own] = false;
    }

    /// Returns the page number of frame `own`.
    fn pfn(&self, own: usize) -> u64 {
        FIRST + own as u64
    }
}

impl Target for Model {
    const IS_MODEL: bool = true;

    fn mfn(&self, frame: Frame) -> u64 {
        match frame {
            Frame::Own(own) => self.mfns[own].0,
            Frame::Number(number) => number,
            Frame::Xen => self.machine.config().low_io,
            Frame::SharedInfo => self.machine.shared_info(WHO.domain).0,
            Frame::Foreign => self.machine.start_of_day(self.other).frames[0].0,
        }
    }

    fn address(&self, own: usize) -> u64 {
        self.page(self.pfn(own))
    }

    fn load(&mut self, own: usize, index: usize) -> Option<u64> {
        let va = self.address(own) + 8 * index as u64;
        self.machine.read_u64(WHO, va).ok()
    }

    fn store(&mut self, own: usize, index: usize, word: u64) -> bool {
        let va = self.address(own) + 8 * index as u64;
        self.machine.write_u64(WHO, va, word).is_ok()
    }

    fn map(&mut self, address: u64, entry: u64, flags: u64, domain: u64) -> i64 {
        let machine = &mut self.machine;
        if domain == domain::SELF {
            let args = [address, entry, flags, 0, 0];
            return machine.hypercall(WHO, number::UPDATE_VA_MAPPING, args);
        }
        rax(machine.update_va_mapping_other(WHO, address, entry, flags, domain as u32))
    }

    fn mmu_update(&mut self, updates: &[[u64; 2]], domains: u64) -> (i64, u64) {
        let words = updates.as_flattened();
        self.array_call(number::MMU_UPDATE, words, updates.len(), domains)
    }

    fn mmuext_op(&mut self, ops: &[[u64; 3]], domain: u64) -> (i64, u64) {
        let words = ops.as_flattened();
        let ret = self.array_call(number::MMUEXT_OP, words, ops.len(), domain);
        assert_eq!(self.machine.user_root(WHO), None);
        ret
    }

    fn multicall(&mut self, calls: &[RawCall], results: &mut [i64]) -> i64 {
        let at = self.page(ARRAYS);
        let entry = |index: usize| at + 64 * index as u64;
        for (index, call) in calls.iter().enumerate() {
            let element = self.page(ELEMENTS) + 32 * index as u64;
            let in_array = [element, 1, 0, domain::SELF];
            let (op, args) = match *call {
                RawCall::Map(address, to) => (number::UPDATE_VA_MAPPING, [address, to, 0, 0]),
                RawCall::Update(update) => {
                    self.write(element, &update);
                    (number::MMU_UPDATE, in_array)
                }
                RawCall::Ext(op) => {
                    self.write(element, &op);
                    (number::MMUEXT_OP, in_array)
                }
                RawCall::Other(number) => (number, [0; 4]),
            };
            let [a1, a2, a3, a4] = args;
            self.write(entry(index), &[op, 0, a1, a2, a3, a4, 0, 0]);
        }
        let args = [at, calls.len() as u64, 0, 0, 0];
        let ret = self.machine.hypercall(WHO, number::MULTICALL, args);
        for (index, result) in results.iter_mut().enumerate() {
            *result = self.read(entry(index) + 8) as i64;
        }
        assert_eq!(self.machine.user_root(WHO), None);
        ret
    }

    fn with_array_at(&mut self, array: Array, address: u64) -> i64 {
        let op = match array {
            Array::MmuUpdate => number::MMU_UPDATE,
            Array::MmuextOp => number::MMUEXT_OP,
            Array::Multicall => number::MULTICALL,
        };
        self.machine
            .hypercall(WHO, op, [address, 1, 0, domain::SELF, 0])
    }

    fn decrease(&mut self, mfn: u64, order: u64) -> i64 {
        let extents = self.machine.decrease_reservation(WHO, &[mfn], order as u32);
        for own in 0..FRAMES {
            self.given[own] |= extents == 1 && self.mfns[own].0 == mfn;
        }
        extents as i64
    }

    fn populate(&mut self, own: usize, order: u64) -> i64 {
        let mut extent = [self.pfn(own)];
        let extents = self
            .machine
            .populate_physmap(WHO, &mut extent, order as u32, 0);
        if extents == 1 {
            self.has_frame(own, extent[0]);
        }
        extents as i64
    }

    fn exchange(&mut self, mfn: u64, order_in: u64, own: usize, order_out: u64) -> (i64, u64) {
        let mut taken = [self.pfn(own)];
        let outcome = self.machine.exchange(
            WHO,
            (&[mfn], order_in as u32),
            (&mut taken, order_out as u32),
            0,
        );
        if outcome.nr_exchanged == 1 {
            self.has_frame(own, taken[0]);
        }
        (rax(outcome.result), outcome.nr_exchanged)
    }

    fn is_given(&self, own: usize) -> bool {
        self.given[own]
    }

    fn machphys_mapping(&mut self) -> (i64, u64, u64) {
        match self.machine.machphys_mapping(WHO) {
            Ok(mapping) => (0, mapping.v_start, mapping.v_end),
            Err(error) => (error.negative(), 0, 0),
        }
    }

    fn memory_op(&mut self, command: u64) -> i64 {
        self.machine
            .hypercall(WHO, MEMORY_OP, [command, 0, 0, 0, 0])
    }
}

/// Runs a table, each probe on a separate model; returns also the failures.
fn failures(probes: &[Probe]) -> (Tally, Vec<Failure>) {
    let mut total = Tally::default();
    let mut failures = Vec::new();
    for (seed, probe) in (0..).zip(probes) {
        let mut model = Model::new(seed);
        let tally = run(&mut model, &[*probe], |failure| failures.push(failure));
        total.ran += tally.ran;
        total.failed += tally.failed;
        model.machine.assert_sound();
    }
    (total, failures)
}

/// Expects that all probes of a table agree with the model, and that frames can be used again.
fn agree(probes: &[Probe]) {
    let (tally, failures) = failures(probes);
    assert!(failures.is_empty(), "the model disagrees: {failures:#?}");
    let for_model = |probe: &&Probe| !matches!(probe.place, Where::XenOnly(_));
    let expected = probes.iter().filter(for_model).count();
    assert_eq!(tally.ran, expected);

    let mut model = Model::new(1);
    let tally = run(&mut model, probes, |failure| {
        panic!("the model disagrees after other probes: {failure:#?}");
    });
    assert_eq!(tally.ran, expected);
    model.machine.assert_sound();
}

macro_rules! tables {
    ($($table:ident,)*) => {
        $(
            #[test]
            fn $table() {
                agree(probes::$table::PROBES);
            }
        )*

        const TABLES: &[&[Probe]] = &[$(probes::$table::PROBES,)*];
    };
}

tables! {
    leaves,
    tables,
    updates,
    mappings,
    pins,
    extended,
    multicalls,
    stores,
    memory,
}

#[test]
fn mistakes_are_noticed() {
    let probes = probes::negative::PROBES;
    let (tally, failures) = failures(probes);
    assert_eq!(tally.failed, probes.len());
    let failed: Vec<_> = failures.iter().map(|failure| failure.probe).collect();
    let named: Vec<_> = probes.iter().map(|probe| probe.name).collect();
    assert_eq!(failed, named);
}

#[test]
fn probes_for_xen_only_fail_on_the_model() {
    for mut probe in TABLES.concat() {
        if let Where::XenOnly(reason) = probe.place {
            probe.place = Where::Anywhere;
            let (tally, _) = failures(&[probe]);
            assert_eq!(tally.failed, 1, "{}: no more true: {reason}", probe.name);
        }
    }
}

#[test]
fn names_are_those_of_one_probe() {
    let names: Vec<_> = TABLES.concat().iter().map(|probe| probe.name).collect();
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len());
}

#[test]
fn most_probes_run_on_both() {
    let all = TABLES.concat();
    let on_both = all.iter().filter(|probe| probe.place == Where::Anywhere);
    assert!(10 * on_both.count() >= 9 * all.len());
}
