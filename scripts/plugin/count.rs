// SPDX-License-Identifier: GPL-2.0-only

//! A QEMU plugin that counts executed instructions, and calls, of each function
//! of a guest and its hypervisor, and what hypercalls are given.
//!
//!     -plugin libcount.so,symbols=FILE,out=FILE
//!
//! `symbols` has a line for each function, "ADDRESS [ACTION]", by rising address,
//! the first one 0; what is above an address belongs to it. `ACTION` says what
//! else happens there, see [`Watch`].
//!
//! The guest says what is to be counted, by an instruction that does nothing: a
//! NOP with a displacement of 0x4d4d42NN. NN is 1 to begin, 2 to pause and 3 to
//! write what was counted, and begin anew, with a number in rax that is written
//! as it is.
//!
//! What is written is, for each section, "section NAME NUMBER", then lines
//! "FUNCTION INSTRUCTIONS CALLS" with the line number of the function, from 0, then
//! "arguments" with the numbers of [`Arguments`].

mod api;

use std::collections::HashMap;
use std::ffi::{
    c_char,
    c_int,
    c_uint,
    c_void, //
};
use std::fs::{
    self,
    File, //
};
use std::io::Write;
use std::sync::{
    Mutex,
    OnceLock, //
};

use api::{
    Counters,
    Registers, //
};

/// A seven-byte NOP, and the upper bytes of its displacement.
const NOP: [u8; 3] = [0x0f, 0x1f, 0x80];
const MARK: [u8; 3] = [0x42, 0x4d, 0x4d];

const NAMES: [&str; 4] = ["rax", "rdi", "rsi", "rdx"];
const RAX: usize = 0;
const RDI: usize = 1;
const RSI: usize = 2;
const RDX: usize = 3;

/// Xen's flag, in a count, for a hypercall that it interrupted and resumes.
const RESUMED: u32 = 1 << 31;
/// The flags of `update_va_mapping` that ask for a flush.
const UVMF_FLUSH: u64 = 3;
/// The first and last operation of `mmuext_op` that flush a TLB.
const MMUEXT_FLUSH: std::ops::RangeInclusive<u32> = 6..=11;
const MMUEXT_SIZE: u64 = 24;
const MMU_UPDATE_SIZE: u64 = 16;
const MULTICALL_SIZE: u64 = 64;

/// What happens at an instruction, beyond counting it.
#[derive(Clone, Copy, PartialEq)]
enum Watch {
    Begin,
    Pause,
    Write,
    /// At a function: begin, for a section named "boot".
    BootBegin,
    /// At a function: the end of that section.
    BootEnd,
    /// At Xen's function of that hypercall: look at its arguments.
    MmuUpdate,
    MmuextOp,
    Multicall,
    UpdateVaMapping,
}

impl Watch {
    const ALL: [Self; 9] = [
        Self::Begin,
        Self::Pause,
        Self::Write,
        Self::BootBegin,
        Self::BootEnd,
        Self::MmuUpdate,
        Self::MmuextOp,
        Self::Multicall,
        Self::UpdateVaMapping,
    ];

    fn named(name: &str) -> Self {
        match name {
            "boot-begin" => Self::BootBegin,
            "boot-end" => Self::BootEnd,
            "mmu_update" => Self::MmuUpdate,
            "mmuext_op" => Self::MmuextOp,
            "multicall" => Self::Multicall,
            "update_va_mapping" => Self::UpdateVaMapping,
            _ => panic!("there is no action {name:?}"),
        }
    }

    fn marked(bytes: [u8; 7]) -> Option<Self> {
        if bytes[..3] != NOP || bytes[4..] != MARK {
            return None;
        }
        match bytes[3] {
            1 => Some(Self::Begin),
            2 => Some(Self::Pause),
            3 => Some(Self::Write),
            _ => None,
        }
    }
}

/// Of the hypercalls about page tables.
#[derive(Default)]
struct Arguments {
    /// Requests of `mmu_update`, and calls of `update_va_mapping`.
    updates: u64,
    /// Operations of `mmuext_op`.
    operations: u64,
    /// Operations and updates that flush a TLB.
    flushes: u64,
    /// Memory that Xen reads its arguments from.
    bytes: u64,
}

impl Arguments {
    fn add(&mut self, watch: Watch, registers: &mut Registers) {
        let count = registers.read(RSI) as u32;
        match watch {
            Watch::UpdateVaMapping => {
                self.updates += 1;
                self.flushes += u64::from(registers.read(RDX) & UVMF_FLUSH != 0);
            }
            _ if count & RESUMED != 0 => {}
            Watch::MmuUpdate => {
                self.updates += u64::from(count);
                self.bytes += u64::from(count) * MMU_UPDATE_SIZE;
            }
            Watch::Multicall => self.bytes += u64::from(count) * MULTICALL_SIZE,
            _ => {
                self.operations += u64::from(count);
                self.bytes += u64::from(count) * MMUEXT_SIZE;
                let array = registers.read(RDI);
                for index in 0..u64::from(count) {
                    let word = registers.memory(array + index * MMUEXT_SIZE);
                    let flushes = word.is_some_and(|word| MMUEXT_FLUSH.contains(&(word as u32)));
                    self.flushes += u64::from(flushes);
                }
            }
        }
    }
}

/// The section that is being counted.
struct Section {
    out: File,
    registers: Option<Registers>,
    /// The counters when it began or went on, unless it pauses.
    since: Option<Vec<u64>>,
    sum: Vec<u64>,
    arguments: Arguments,
}

impl Section {
    fn pause(&mut self, now: Vec<u64>) {
        if let Some(since) = self.since.take() {
            for (sum, (now, since)) in self.sum.iter_mut().zip(now.into_iter().zip(since)) {
                *sum += now - since;
            }
        }
    }

    fn write(&mut self, name: &str, number: u64) {
        let mut text = format!("section {name} {number}\n");
        for (index, counts) in self.sum.chunks(2).enumerate() {
            if counts[0] != 0 {
                text += &format!("{index} {} {}\n", counts[0], counts[1]);
            }
        }
        let Arguments {
            updates,
            operations,
            flushes,
            bytes,
        } = std::mem::take(&mut self.arguments);
        text += &format!("arguments {updates} {operations} {flushes} {bytes}\n");
        self.out.write_all(text.as_bytes()).expect("out is written");
        self.sum.fill(0);
    }
}

struct Plugin {
    /// Addresses of functions, rising.
    functions: Vec<u64>,
    watched: HashMap<u64, Watch>,
    /// Of each function its instructions and calls.
    counters: Counters,
    section: Mutex<Section>,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

fn plugin() -> &'static Plugin {
    PLUGIN.get().expect("the plugin is installed")
}

impl Plugin {
    fn new(symbols: &str, out: File) -> Self {
        let mut functions = Vec::new();
        let mut watched = HashMap::new();
        for line in symbols.lines() {
            let mut words = line.split(' ');
            let address = words.next().expect("a word");
            let address = u64::from_str_radix(address, 16).expect("a line starts with an address");
            if let Some(action) = words.next() {
                watched.insert(address, Watch::named(action));
            }
            functions.push(address);
        }
        assert!(
            functions.first() == Some(&0) && functions.is_sorted(),
            "addresses rise from 0"
        );
        let counters = Counters::new(functions.len() * 2);
        let section = Section {
            out,
            registers: None,
            since: None,
            sum: vec![0; counters.len()],
            arguments: Arguments::default(),
        };
        Self {
            functions,
            watched,
            counters,
            section: Mutex::new(section),
        }
    }

    fn translate(&self, insn: &api::Insn) {
        let address = insn.address();
        let index = self.functions.partition_point(|&start| start <= address) - 1;
        insn.count(&self.counters, index * 2);
        if self.functions[index] == address {
            insn.count(&self.counters, index * 2 + 1);
        }
        let watch = Watch::marked(insn.bytes()).or_else(|| self.watched.get(&address).copied());
        if let Some(watch) = watch {
            insn.call(execute, watch as usize);
        }
    }

    fn execute(&self, watch: Watch, vcpu: c_uint) {
        let mut section = self.section.lock().expect("no panic is survived");
        let section = &mut *section;
        let registers = section.registers.as_mut().expect("the CPU came to life");
        match watch {
            Watch::Begin | Watch::BootBegin => section.since = Some(self.counters.read(vcpu)),
            Watch::Pause => section.pause(self.counters.read(vcpu)),
            Watch::Write => {
                let number = registers.read(RAX);
                section.write("marked", number);
            }
            Watch::BootEnd => {
                if section.since.is_some() {
                    section.pause(self.counters.read(vcpu));
                    section.write("boot", 1);
                }
            }
            _ if section.since.is_some() => section.arguments.add(watch, registers),
            _ => {}
        }
    }
}

extern "C" fn translated(_id: u64, block: *mut c_void) {
    // SAFETY: QEMU calls this with a block, and the instructions are dropped here.
    for insn in unsafe { api::insns(block) } {
        plugin().translate(&insn);
    }
}

extern "C" fn execute(vcpu: c_uint, value: *mut c_void) {
    plugin().execute(Watch::ALL[value as usize], vcpu);
}

extern "C" fn cpu_started(_id: u64, vcpu: c_uint) {
    assert!(vcpu == 0, "one CPU is counted, use -smp 1");
    let mut section = plugin().section.lock().expect("no panic is survived");
    section.registers = Some(Registers::find(&NAMES));
}

/// The version of the interface, which QEMU looks up.
#[no_mangle]
pub static qemu_plugin_version: c_int = 4;

/// Called by QEMU when it loads the plugin; anything but 0 is a failure.
///
/// # Safety
///
/// The arguments are as QEMU gives them.
#[no_mangle]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: By the contract.
    let arguments = unsafe { api::arguments(argc, argv) };
    match install(&arguments) {
        Ok(plugin) => {
            assert!(PLUGIN.set(plugin).is_ok(), "it is installed once");
            api::on_cpu(id, cpu_started);
            api::on_translation(id, translated);
            0
        }
        Err(what) => {
            eprintln!("count: {what}");
            1
        }
    }
}

fn install(arguments: &[String]) -> Result<Plugin, String> {
    let value = |name: &str| {
        let found = arguments.iter().find_map(|argument| {
            let (key, value) = argument.split_once('=')?;
            (key == name).then_some(value)
        });
        found.ok_or(format!("{name}=FILE is missing"))
    };
    let (symbols, out) = (value("symbols")?, value("out")?);
    let text = fs::read_to_string(symbols).map_err(|error| format!("{symbols}: {error}"))?;
    let file = File::create(out).map_err(|error| format!("{out}: {error}"))?;
    Ok(Plugin::new(&text, file))
}
