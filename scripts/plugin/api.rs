// SPDX-License-Identifier: GPL-2.0-only

//! What is used here of QEMU's plugin interface, version 4, behind safe types.
//!
//! QEMU calls a plugin during translation, where it asks for counters and for
//! calls of its own to be compiled in, and from the compiled code. A machine
//! with one CPU does all of that on one thread.

use std::ffi::{
    c_char,
    c_int,
    c_uint,
    c_void,
    CStr, //
};

/// Called from compiled code, with the value given to [`Insn::call`].
pub type Callback = extern "C" fn(vcpu: c_uint, value: *mut c_void);
/// Called for each block that is translated.
pub type Translated = extern "C" fn(id: u64, block: *mut c_void);
/// Called when a CPU comes to life.
pub type CpuStarted = extern "C" fn(id: u64, vcpu: c_uint);

const CALLBACK_READS_REGISTERS: c_int = 1;
const INLINE_ADD: c_int = 0;

/// One number of a scoreboard.
#[repr(C)]
struct Entry {
    scoreboard: *mut c_void,
    offset: usize,
}

#[repr(C)]
struct RegisterDescriptor {
    handle: *mut c_void,
    name: *const c_char,
    _feature: *const c_char,
}

/// glib's `GArray` and `GByteArray`, which share these fields.
#[repr(C)]
struct GArray {
    data: *mut u8,
    len: c_uint,
}

extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: Translated);
    fn qemu_plugin_register_vcpu_init_cb(id: u64, callback: CpuStarted);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut c_void,
        callback: Callback,
        flags: c_int,
        value: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
        insn: *mut c_void,
        op: c_int,
        entry: Entry,
        value: u64,
    );
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const c_void, index: usize) -> *mut c_void;
    fn qemu_plugin_insn_vaddr(insn: *const c_void) -> u64;
    fn qemu_plugin_insn_data(insn: *const c_void, data: *mut c_void, size: usize) -> usize;
    fn qemu_plugin_scoreboard_new(size: usize) -> *mut c_void;
    fn qemu_plugin_scoreboard_find(scoreboard: *mut c_void, vcpu: c_uint) -> *mut c_void;
    fn qemu_plugin_get_registers() -> *mut GArray;
    fn qemu_plugin_read_register(handle: *mut c_void, value: *mut GArray) -> c_int;
    fn qemu_plugin_read_memory_vaddr(address: u64, data: *mut GArray, size: usize) -> bool;
    fn g_byte_array_new() -> *mut GArray;
    fn g_byte_array_set_size(array: *mut GArray, size: c_uint) -> *mut GArray;
}

/// Has `callback` called for each block that is translated.
pub fn on_translation(id: u64, callback: Translated) {
    // SAFETY: The callback lives as long as the program.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, callback) }
}

/// Has `callback` called when a CPU comes to life.
pub fn on_cpu(id: u64, callback: CpuStarted) {
    // SAFETY: The callback lives as long as the program.
    unsafe { qemu_plugin_register_vcpu_init_cb(id, callback) }
}

/// An instruction that is being translated.
pub struct Insn(*mut c_void);

impl Insn {
    pub fn address(&self) -> u64 {
        // SAFETY: Instructions come from `insns` alone, inside the callback.
        unsafe { qemu_plugin_insn_vaddr(self.0) }
    }

    /// Its first bytes; those it does not have are 0.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // SAFETY: As above, and QEMU writes at most `N` bytes.
        unsafe { qemu_plugin_insn_data(self.0, bytes.as_mut_ptr().cast(), N) };
        bytes
    }

    /// Counts each execution in `counters[index]`.
    pub fn count(&self, counters: &Counters, index: usize) {
        assert!(index < counters.len);
        let entry = Entry {
            scoreboard: counters.scoreboard,
            offset: index * size_of::<u64>(),
        };
        // SAFETY: As above; the number is inside the scoreboard, which is never freed.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(self.0, INLINE_ADD, entry, 1) }
    }

    /// Calls `callback` before each execution. It may read registers.
    pub fn call(&self, callback: Callback, value: usize) {
        let value = value as *mut c_void;
        // SAFETY: As above; the callback lives as long as the program.
        unsafe {
            qemu_plugin_register_vcpu_insn_exec_cb(
                self.0,
                callback,
                CALLBACK_READS_REGISTERS,
                value,
            )
        }
    }
}

/// The instructions of a block.
///
/// # Safety
///
/// `block` is what a [`Translated`] was called with, and the call has not returned
/// before the last use of the instructions.
pub unsafe fn insns(block: *mut c_void) -> impl Iterator<Item = Insn> {
    // SAFETY: By the contract.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    // SAFETY: By the contract, and the index is in range.
    (0..count).map(move |index| Insn(unsafe { qemu_plugin_tb_get_insn(block, index) }))
}

/// Numbers that compiled code adds to.
pub struct Counters {
    scoreboard: *mut c_void,
    len: usize,
}

// SAFETY: QEMU's functions on scoreboards may be called on any of its threads.
unsafe impl Send for Counters {}
// SAFETY: As above; the numbers themselves belong to the thread of the CPU, see `read`.
unsafe impl Sync for Counters {}

impl Counters {
    pub fn new(len: usize) -> Self {
        // SAFETY: Any size will do.
        let scoreboard = unsafe { qemu_plugin_scoreboard_new(len * size_of::<u64>()) };
        Self { scoreboard, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// A CPU's numbers, to be called in a callback of that CPU.
    pub fn read(&self, vcpu: c_uint) -> Vec<u64> {
        // SAFETY: `vcpu` exists: it is running this.
        let data = unsafe { qemu_plugin_scoreboard_find(self.scoreboard, vcpu) };
        // SAFETY: That is room for `len` numbers, which only this CPU changes, and not now.
        unsafe { std::slice::from_raw_parts(data.cast::<u64>(), self.len) }.to_vec()
    }
}

/// Handles of registers, and memory to read them into.
pub struct Registers {
    handles: Vec<*mut c_void>,
    buffer: *mut GArray,
}

// SAFETY: Handles are numbers; the buffer is used through `&mut self` only.
unsafe impl Send for Registers {}

impl Registers {
    /// Finds registers by name, to be called when a CPU comes to life.
    pub fn find(names: &[&str]) -> Self {
        // SAFETY: A CPU is coming to life; the array and its names live on.
        let (all, buffer) = unsafe {
            let array = &*qemu_plugin_get_registers();
            let data = array.data.cast::<RegisterDescriptor>();
            (
                std::slice::from_raw_parts(data, array.len as usize),
                g_byte_array_new(),
            )
        };
        let find = |name: &&str| {
            // SAFETY: Names are strings that live on.
            let known = |it: &&RegisterDescriptor| {
                unsafe { CStr::from_ptr(it.name) }.to_bytes() == name.as_bytes()
            };
            all.iter().find(known).expect("QEMU knows the register")
        };
        let handles = names.iter().map(|name| find(name).handle).collect();
        Self { handles, buffer }
    }

    /// The register that was the `index`th of the names, in a [`Callback`].
    pub fn read(&mut self, index: usize) -> u64 {
        // SAFETY: The buffer lives; QEMU appends to it.
        unsafe {
            g_byte_array_set_size(self.buffer, 0);
            qemu_plugin_read_register(self.handles[index], self.buffer);
        }
        self.word()
    }

    /// The word at an address of the CPU's current address space, in a [`Callback`].
    pub fn memory(&mut self, address: u64) -> Option<u64> {
        // SAFETY: The buffer lives; QEMU makes it as large as needed.
        let read = unsafe { qemu_plugin_read_memory_vaddr(address, self.buffer, 8) };
        read.then(|| self.word())
    }

    fn word(&self) -> u64 {
        // SAFETY: The buffer lives, its length is right, and nothing changes it meanwhile.
        let bytes = unsafe {
            let array = &*self.buffer;
            std::slice::from_raw_parts(array.data, array.len as usize)
        };
        u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
    }
}

/// The arguments of `qemu_plugin_install`.
///
/// # Safety
///
/// These are the last two arguments that it was called with.
pub unsafe fn arguments(count: c_int, values: *const *const c_char) -> Vec<String> {
    (0..count as usize)
        .map(|index| {
            // SAFETY: By the contract, there are `count` strings.
            let value = unsafe { CStr::from_ptr(*values.add(index)) };
            value.to_string_lossy().into_owned()
        })
        .collect()
}
