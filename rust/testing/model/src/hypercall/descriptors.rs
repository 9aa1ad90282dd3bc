// SPDX-License-Identifier: GPL-2.0-only

//! Frames that hold segment descriptors.

use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::types::{
    Errno,
    Mfn,
    Vcpu,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::Machine;

/// The most frames of a GDT: the rest of it is Xen's.
const MAX_GDT_FRAMES: u64 = 14;

/// The descriptor is present.
const DESC_PRESENT: u64 = 1 << 47;
/// The descriptor is for code or data.
const DESC_SEGMENT: u64 = 1 << 44;
/// The privilege level of a descriptor.
const DESC_DPL: u64 = 3 << 45;

/// Returns a descriptor as Xen would store it, or `None` if Xen refuses it.
///
/// Xen accepts some call gates of a 64-bit guest; the model refuses all of them.
fn checked(descriptor: u64) -> Option<u64> {
    if descriptor & DESC_PRESENT == 0 {
        return Some(descriptor);
    }
    (descriptor & DESC_SEGMENT != 0).then_some(descriptor | DESC_DPL)
}

impl Machine {
    /// Validates all descriptors of a frame (`validate_segdesc_page()`).
    pub(crate) fn validate_descriptors(&mut self, mfn: Mfn) -> Result<(), Errno> {
        for index in 0..ENTRIES {
            let frame = &mut self.frames[mfn.index()];
            match checked(frame.word(index)) {
                Some(descriptor) => frame.set_word(index, descriptor),
                None => {
                    frame.type_count = 0;
                    frame.kind = PageType::None;
                    return Err(Errno::EINVAL);
                }
            }
        }
        Ok(())
    }

    /// `set_gdt`: loads the `entries` descriptors in `frames` as the GDT of `who`.
    pub fn set_gdt(&mut self, who: Vcpu, frames: &[Mfn], entries: u64) -> Result<(), Errno> {
        self.simple_call(who, Call::SetGdt, |machine| {
            let nr_frames = entries.div_ceil(ENTRIES as u64);
            if nr_frames > MAX_GDT_FRAMES || frames.len() as u64 != nr_frames {
                return Err(Errno::EINVAL);
            }
            for (index, &mfn) in frames.iter().enumerate() {
                let taken = machine.get_page_and_type(mfn, who.domain, PageType::SegDesc);
                if taken.is_err() {
                    for &mfn in &frames[..index] {
                        machine.put_page_and_type(mfn);
                    }
                    return Err(Errno::EINVAL);
                }
            }
            let old = std::mem::replace(&mut machine.vcpu_mut(who).gdt, frames.to_vec());
            for mfn in old {
                machine.put_page_and_type(mfn);
            }
            Ok(())
        })
    }

    /// `update_descriptor`: stores `descriptor` at machine address `at`.
    pub fn update_descriptor(&mut self, who: Vcpu, at: u64, descriptor: u64) -> Result<(), Errno> {
        self.simple_call(who, Call::UpdateDescriptor, |machine| {
            let mfn = Mfn::of(at);
            let index = (at % PAGE_SIZE / 8) as usize;
            let descriptor = checked(descriptor).filter(|_| at % 8 == 0);
            let descriptor = descriptor.ok_or(Errno::EINVAL)?;
            if !machine.get_page(mfn, Owner::Domain(who.domain)) {
                return Err(Errno::EINVAL);
            }
            let frame = machine.frame(mfn);
            let is_in_use = frame.type_count > 0 && frame.kind == PageType::SegDesc;
            let kind = if is_in_use {
                PageType::SegDesc
            } else {
                PageType::Writable
            };
            let result = machine.get_type(mfn, kind).map_err(|_| Errno::EINVAL);
            if result.is_ok() {
                machine.frames[mfn.index()].set_word(index, descriptor);
                machine.put_type(mfn);
            }
            machine.put_page(mfn);
            result
        })
    }
}
