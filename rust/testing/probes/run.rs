// SPDX-License-Identifier: GPL-2.0-only

//! Runs probes, on Xen or on the model of Xen.

use super::probe::{
    bits,
    domain,
    errno,
    ext::unpin,
    flush,
    to,
    Arg,
    Array,
    Call,
    Entry,
    Ext,
    Frame,
    Place,
    Probe,
    Step,
    Update,
    Where, //
};

/// Number of frames that a target owns for a probe.
pub(crate) const FRAMES: usize = 5;

/// Most elements in an array of a probe.
pub(crate) const MAX_ELEMENTS: usize = 6;

/// Number of entries of a table.
const ENTRIES: usize = 512;

/// A call in a multicall, with numbers in place of names.
#[derive(Clone, Copy)]
pub(crate) enum RawCall {
    /// `update_va_mapping`: address and entry.
    Map(u64, u64),
    /// `mmu_update` of one element.
    Update([u64; 2]),
    /// `mmuext_op` of one element.
    Ext([u64; 3]),
    /// The hypercall of this number, with no arguments.
    Other(u64),
}

/// The target of probes: Xen or its model.
///
/// Hypercalls return what Xen does, without interpretation.
pub(crate) trait Target {
    /// Whether this is the model.
    const IS_MODEL: bool;

    /// Returns the number of a frame.
    fn mfn(&self, frame: Frame) -> u64;

    /// Returns the address of the target's frame `own`, even if it was given back.
    fn address(&self, own: usize) -> u64;

    /// Loads a word of frame `own`; `None` if that faults.
    fn load(&mut self, own: usize, index: usize) -> Option<u64>;

    /// Stores a word in frame `own`; returns whether that did not fault.
    fn store(&mut self, own: usize, index: usize, word: u64) -> bool;

    /// `update_va_mapping`, or `update_va_mapping_otherdomain` for frames of another domain.
    fn map(&mut self, address: u64, entry: u64, flags: u64, domain: u64) -> i64;

    /// `mmu_update` of `[ptr, val]`; returns also how many elements are done.
    fn mmu_update(&mut self, updates: &[[u64; 2]], domains: u64) -> (i64, u64);

    /// `mmuext_op` of `[cmd, arg1, arg2]`; returns also how many elements are done.
    ///
    /// The root for user mode is what it was when this returns.
    fn mmuext_op(&mut self, ops: &[[u64; 3]], domain: u64) -> (i64, u64);

    /// `multicall`; fills in the results of the calls.
    ///
    /// The root for user mode is what it was when this returns.
    fn multicall(&mut self, calls: &[RawCall], results: &mut [i64]) -> i64;

    /// The hypercall with an array of one element at `address`.
    fn with_array_at(&mut self, array: Array, address: u64) -> i64;

    /// `XENMEM_decrease_reservation` of the extent that starts at `mfn`.
    fn decrease(&mut self, mfn: u64, order: u64) -> i64;

    /// `XENMEM_populate_physmap` of one extent that starts where frame `own` is.
    fn populate(&mut self, own: usize, order: u64) -> i64;

    /// `XENMEM_exchange` of the extent at `mfn` for one that starts where frame `own` is; returns
    /// also how many extents are exchanged.
    fn exchange(&mut self, mfn: u64, order_in: u64, own: usize, order_out: u64) -> (i64, u64);

    /// Whether frame `own` was given back to Xen.
    fn is_given(&self, own: usize) -> bool;

    /// `XENMEM_machphys_mapping`: the result, start and end.
    fn machphys_mapping(&mut self) -> (i64, u64, u64);

    /// `memory_op` without an argument.
    fn memory_op(&mut self, command: u64) -> i64;
}

/// A result that differs from the expected one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The name of the probe.
    pub(crate) probe: &'static str,
    /// Which of its steps, from 1; 0 for the clean-up.
    pub(crate) step: usize,
    /// Name of the result.
    pub(crate) what: &'static str,
    /// The number in the table.
    pub(crate) wanted: i64,
    /// The actual number.
    pub(crate) got: i64,
}

/// A difference in a step: its name, and the wanted and the actual number.
type Difference = (&'static str, i64, i64);

fn same(what: &'static str, wanted: i64, got: i64) -> Result<(), Difference> {
    if wanted == got {
        Ok(())
    } else {
        Err((what, wanted, got))
    }
}

/// Checks the result of an array with one element: it is done if there is no error.
fn one_done(wanted: i64, result: i64, done: u64) -> Result<(), Difference> {
    same("result", wanted, result)?;
    same("done", (wanted == errno::OK).into(), done as i64)
}

/// Returns the index of a frame of the target; the tables use no other frame in such steps.
fn own(frame: Frame) -> usize {
    match frame {
        Frame::Own(own) => own,
        _ => panic!("a probe touches a frame that is not the target's"),
    }
}

fn entry<B: Target>(target: &B, entry: Entry) -> u64 {
    ((target.mfn(entry.frame) << 12) & bits::FRAME) | entry.flags
}

fn place<B: Target>(target: &B, place: Place) -> u64 {
    match place {
        Place::Of(frame) => target.address(own(frame)),
        Place::At(address) => address,
    }
}

fn update<B: Target>(target: &B, update: Update) -> [u64; 2] {
    let address = (target.mfn(update.table) << 12) + 8 * update.index as u64;
    [address | update.command, entry(target, update.entry)]
}

fn extended<B: Target>(target: &B, op: Ext) -> [u64; 3] {
    let [first, second] = op.args.map(|arg| match arg {
        Arg::Mfn(frame) => target.mfn(frame),
        Arg::Address(frame) => target.address(own(frame)),
        Arg::Word(word) => word,
    });
    [op.command, first, second]
}

fn call<B: Target>(target: &B, call: Call) -> RawCall {
    match call {
        Call::Map(at, to) => RawCall::Map(place(target, at), entry(target, to)),
        Call::Update(element) => RawCall::Update(update(target, element)),
        Call::Ext(op) => RawCall::Ext(extended(target, op)),
        Call::Other(number) => RawCall::Other(number),
    }
}

/// Fills the start of an array from the elements of a probe.
fn resolve<T: Copy, R: Copy>(elements: &[T], none: R, raw: impl Fn(T) -> R) -> [R; MAX_ELEMENTS] {
    let mut array = [none; MAX_ELEMENTS];
    for (raw_element, element) in array.iter_mut().zip(elements) {
        *raw_element = raw(*element);
    }
    array
}

fn take_step<B: Target>(target: &mut B, step: Step) -> Result<(), Difference> {
    match step {
        Step::Map(at, to, flags, wanted) => {
            let (address, word) = (place(target, at), entry(target, to));
            same(
                "result",
                wanted,
                target.map(address, word, flags, domain::SELF),
            )
        }
        Step::MapOf(at, to, domain, wanted) => {
            let (address, word) = (place(target, at), entry(target, to));
            same(
                "result",
                wanted,
                target.map(address, word, flush::NOTHING, domain),
            )
        }
        Step::Update(element, wanted) => {
            let array = [update(target, element)];
            let (result, done) = target.mmu_update(&array, domain::SELF);
            one_done(wanted, result, done)
        }
        Step::Updates(updates, domains, wanted, wanted_done) => {
            let array = resolve(updates, [0; 2], |element| update(target, element));
            let (result, done) = target.mmu_update(&array[..updates.len()], domains);
            same("result", wanted, result)?;
            same("done", wanted_done as i64, done as i64)
        }
        Step::Ext(op, wanted) => {
            let array = [extended(target, op)];
            let (result, done) = target.mmuext_op(&array, domain::SELF);
            one_done(wanted, result, done)
        }
        Step::Exts(ops, domain, wanted, wanted_done) => {
            let array = resolve(ops, [0; 3], |op| extended(target, op));
            let (result, done) = target.mmuext_op(&array[..ops.len()], domain);
            same("result", wanted, result)?;
            same("done", wanted_done as i64, done as i64)
        }
        Step::Multicall(calls) => {
            let array = resolve(calls, RawCall::Other(0), |(one, _)| call(target, one));
            let mut results = [0; MAX_ELEMENTS];
            let count = calls.len();
            let result = target.multicall(&array[..count], &mut results[..count]);
            same("result", errno::OK, result)?;
            for ((_, wanted), got) in calls.iter().zip(results) {
                same("result of a call", *wanted, got)?;
            }
            Ok(())
        }
        Step::ArrayAt(array, address, wanted) => {
            same("result", wanted, target.with_array_at(array, address))
        }
        Step::Store(frame, index, to, wanted) => {
            let word = entry(target, to);
            let stored = target.store(own(frame), index, word);
            same("store carried out", wanted.into(), stored.into())
        }
        Step::Shows(frame, index, to) => {
            let wanted = entry(target, to);
            let got = target.load(own(frame), index).ok_or(("load", 1, 0))?;
            same("entry", wanted as i64, got as i64)
        }
        Step::Differs(frame, index, to) => {
            let other = entry(target, to);
            let got = target.load(own(frame), index).ok_or(("load", 1, 0))?;
            same("entry is another", 1, (got != other).into())
        }
        Step::Unmapped(frame) => {
            let loaded = target.load(own(frame), 0).is_some();
            same("load carried out", 0, loaded.into())
        }
        Step::Decrease(frame, order, wanted) => {
            let mfn = target.mfn(frame);
            same("extents", wanted, target.decrease(mfn, order))
        }
        Step::Populate(frame, order, wanted) => {
            same("extents", wanted, target.populate(own(frame), order))
        }
        Step::Exchange(frame, order_in, place, order_out, wanted) => {
            let mfn = target.mfn(frame);
            let (result, done) = target.exchange(mfn, order_in, own(place), order_out);
            one_done(wanted, result, done)
        }
        Step::Machphys(wanted, wanted_start, wanted_end) => {
            let (result, start, end) = target.machphys_mapping();
            same("result", wanted, result)?;
            same("start", wanted_start as i64, start as i64)?;
            same("end", wanted_end as i64, end as i64)
        }
        Step::MemoryOp(command, wanted) => same("result", wanted, target.memory_op(command)),
    }
}

/// Restores the frames of the target to the state in which a probe begins.
fn clean_up<B: Target>(target: &mut B) -> Result<(), Difference> {
    for own in 0..FRAMES {
        if !target.is_given(own) {
            let op = extended(target, unpin(Frame::Own(own)));
            // Most are not pinned, which is no error here.
            let _ = target.mmuext_op(&[op], domain::SELF);
        }
    }
    for own in 0..FRAMES {
        let address = target.address(own);
        if target.is_given(own) {
            let flags = flush::PAGE | flush::ALL;
            same(
                "clearing",
                errno::OK,
                target.map(address, 0, flags, domain::SELF),
            )?;
            same("populating", 1, target.populate(own, 0))?;
        }
        let word = entry(target, to(Frame::Own(own), bits::READ_WRITE));
        let flags = flush::PAGE | flush::ALL;
        same(
            "mapping",
            errno::OK,
            target.map(address, word, flags, domain::SELF),
        )?;
        for index in 0..ENTRIES {
            same("zeroing", 1, target.store(own, index, 0).into())?;
        }
    }
    Ok(())
}

/// Results of the probes of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// How many ran.
    pub(crate) ran: usize,
    /// How many of them failed.
    pub(crate) failed: usize,
    /// Whether the frames of the target are in an unknown state, and must not be used any more.
    pub(crate) is_spoiled: bool,
}

/// Runs those of `probes` that can run here, and reports each failure.
///
/// It continues after a failure, unless the frames cannot be cleaned up.
pub(crate) fn run<B: Target>(
    target: &mut B,
    probes: &[Probe],
    mut report: impl FnMut(Failure),
) -> Tally {
    let mut tally = Tally::default();

    for probe in probes {
        let is_elsewhere = match probe.place {
            Where::Anywhere => false,
            Where::ModelOnly(_) => !B::IS_MODEL,
            Where::XenOnly(_) => B::IS_MODEL,
        };
        if is_elsewhere {
            continue;
        }
        tally.ran += 1;
        let failed = |step, (what, wanted, got)| Failure {
            probe: probe.name,
            step,
            what,
            wanted,
            got,
        };
        let taken = (1..).zip(probe.steps).try_for_each(|(number, step)| {
            take_step(target, *step).map_err(|difference| failed(number, difference))
        });
        let cleaned = clean_up(target).map_err(|difference| failed(0, difference));

        if taken.is_err() || cleaned.is_err() {
            tally.failed += 1;
        }
        for failure in [taken, cleaned].into_iter().filter_map(Result::err) {
            report(failure);
        }
        tally.is_spoiled = cleaned.is_err();
        if tally.is_spoiled {
            break;
        }
    }
    tally
}
