// SPDX-License-Identifier: GPL-2.0-only

//! Shows the page table entries that map an address.
//!
//! Write a process's id and an address to `pgtable_dump` in debugfs, and read it. Id 0 stands for
//! the kernel:
//!
//! ```text
//! # echo 1 0x400000 >/sys/kernel/debug/pgtable_dump/query
//! # cat /sys/kernel/debug/pgtable_dump/query
//! ```

mod entry;
mod frame;
mod process;
mod tables;

use core::str::FromStr;
use entry::Entry;
use frame::Frame;
use kernel::debugfs::{
    Dir,
    File,
    Writer, //
};
use kernel::fmt;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::Mutex;

module! {
    type: PgtableDump,
    name: "pgtable_dump",
    authors: ["The authors of the Xen PV MMU backend in Rust"],
    description: "Page tables of an address",
    license: "GPL",
}

/// The address to look up; displays the result.
struct Query {
    pid: i32,
    address: usize,
}

impl FromStr for Query {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|word| word.parse().ok());
        let address = words.next().and_then(|word| {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            usize::from_str_radix(digits, 16).ok()
        });
        match (pid, address, words.next()) {
            (Some(pid), Some(address), None) => Ok(Self { pid, address }),
            _ => Err(EINVAL),
        }
    }
}

impl Writer for Query {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, address) = (self.pid, self.address);
        let system = if frame::is_pv_domain() {
            "Xen PV"
        } else {
            "native"
        };
        writeln!(
            f,
            "pid {pid} address {address:#x} levels {} {system}",
            tables::depth()
        )?;
        match process::walk(pid, address) {
            Ok(steps) => steps.iter().try_for_each(|step| show(f, step)),
            Err(reason) => writeln!(f, "{reason}"),
        }
    }
}

/// Shows an entry on a line of its own.
fn show(f: &mut fmt::Formatter<'_>, step: &tables::Step) -> fmt::Result {
    let Entry(raw) = step.entry;
    write!(
        f,
        "level {} index {} entry {raw:#x}",
        step.level, step.index
    )?;
    if !step.entry.is_present() {
        return writeln!(f, " not present");
    }
    let number = step.entry.frame();
    match Frame::of(number) {
        Frame::Native => write!(f, " frame {number:#x}")?,
        Frame::Local(pfn) => write!(f, " machine {number:#x} frame {pfn:#x}")?,
        Frame::Identity => write!(f, " machine {number:#x} identity")?,
        Frame::Foreign => write!(f, " machine {number:#x} foreign")?,
    }
    f.write_str(" ")?;
    step.entry.write_flags(f)?;
    writeln!(f)
}

#[pin_data]
struct PgtableDump {
    // Owned so that the directory is removed with the module.
    _dir: Dir,
    #[pin]
    _query: File<Mutex<Query>>,
}

impl kernel::InPlaceModule for PgtableDump {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"pgtable_dump");
        let query = Query { pid: 0, address: 0 };

        try_pin_init!(Self {
            _query <- dir.read_write_file(c"query", new_mutex!(query)),
            _dir: dir,
        })
    }
}
