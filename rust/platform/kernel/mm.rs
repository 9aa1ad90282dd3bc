// SPDX-License-Identifier: GPL-2.0-only

//! Address spaces of processes, and the CPUs that use them.

use crate::addr::{
    Paddr,
    Vaddr, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::PreemptOff;
use crate::platform::cpu::percpu::LOADED_CR3;
use crate::platform::kernel::address;
use crate::platform::kernel::error::KernelError;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::TablePage;
use crate::platform::paging::root::Root;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::FlushRange;
use core::ffi::c_void;
use core::ptr::NonNull;
use kernel::bindings;

/// An address space: `struct mm_struct`.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// Points to an `mm_struct` that exists while this value is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mm(NonNull<bindings::mm_struct>);

impl Mm {
    /// Takes over an address space from C.
    ///
    /// # Safety
    ///
    /// `mm` points to an `mm_struct` that exists while the result is used.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(mm: *mut bindings::mm_struct) -> Self {
        // SAFETY: Not null, by the contract of this function.
        // INVARIANT: By the contract of this function.
        Self(unsafe { NonNull::new_unchecked(mm) })
    }

    /// Returns the kernel's own address space.
    pub(crate) fn kernel() -> Self {
        // SAFETY: `init_mm` always exists.
        unsafe { Self::from_raw(&raw mut bindings::init_mm) }
    }

    /// Returns the `mm_struct`, for calls into C.
    pub(crate) fn as_ptr(self) -> *mut bindings::mm_struct {
        self.0.as_ptr()
    }

    /// Returns the root table.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn root(self) -> Root {
        // SAFETY: By the type invariant the mm exists; `pgd_alloc()` sets the field before it calls
        // the first hook for the mm.
        let pgd = unsafe { (*self.as_ptr()).__bindgen_anon_1.pgd };
        // SAFETY: The root exists as long as the mm, and is a table.
        unsafe { Root::from_table(Table::from_raw(pgd)) }
    }

    /// Whether filling an empty entry for `address` may wait: the task is in lazy MMU mode, and
    /// nobody uses the mapping before the section ends.
    ///
    /// Of the kernel's mappings only those of the vmalloc area may wait. A fixed mapping is used at
    /// once, even in a section (`kmap_local_page()`).
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn may_fill_later(self, address: Vaddr) -> bool {
        // SAFETY: Only compares the pointer and reads state of the current task.
        unsafe { bindings::xen_pv_mmu_may_fill_later(self.as_ptr(), address.raw()) }
    }

    /// Whether clearing entries may wait: the task is in lazy MMU mode, and does not read them
    /// again before the section ends.
    ///
    /// It does read them in `execve`, which moves the stack over itself (`relocate_vma_down()`).
    /// Mappings of the kernel may be used by other tasks at any time, so they never wait.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn may_clear_later(self) -> bool {
        // SAFETY: Only compares the pointer and reads state of the current task.
        unsafe { bindings::xen_pv_mmu_may_clear_later(self.as_ptr()) }
    }

    /// Whether this is the address space of the current task, and is loaded on its CPU.
    ///
    /// After preemption the task's own address space is loaded again. One that the task has
    /// borrowed may not be.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn is_loaded_here(self) -> bool {
        // SAFETY: By the type invariant; only pointers are compared.
        unsafe { bindings::xen_pv_mmu_is_loaded_here(self.as_ptr()) }
    }

    /// Runs `section` with the page-table lock held; `_caller` does not sleep until it ends.
    ///
    /// Context: the caller does not hold the lock.
    pub(crate) fn with_page_table_lock<R>(
        self,
        _caller: CallContext<'_>,
        section: impl FnOnce() -> R,
    ) -> R {
        // SAFETY: By the type invariant the lock exists.
        let lock = unsafe { &raw mut (*self.as_ptr()).__bindgen_anon_1.page_table_lock };

        // SAFETY: The lock is initialised with the mm.
        unsafe { bindings::spin_lock(lock) };
        let ret = section();
        // SAFETY: The lock was taken above.
        unsafe { bindings::spin_unlock(lock) };
        ret
    }
}

/// The lock of a table of PTEs, which is held.
#[must_use = "the table stays locked until `unlock()`"]
pub(crate) struct TableLock(NonNull<bindings::spinlock_t>);

impl TableLock {
    /// Locks the table in `page`, if tables of PTEs have locks of their own.
    ///
    /// Context: preemption is off, and the caller holds `mm->page_table_lock`. Under that lock it
    /// may hold several locks of tables.
    pub(crate) fn lock(page: TablePage, mm: Mm) -> Option<Self> {
        // SAFETY: Both exist, by the type invariants. The locks nest below `mm->page_table_lock`,
        // which the caller holds, so they cannot deadlock with each other.
        NonNull::new(unsafe { bindings::xen_pv_mmu_lock_pte_table(page.as_ptr(), mm.as_ptr()) })
            .map(Self)
    }

    /// Unlocks the table.
    ///
    /// Context: on the CPU that took the lock, with preemption off.
    pub(crate) fn unlock(self) {
        // SAFETY: `lock()` took the lock, and only this value stands for it.
        unsafe { bindings::spin_unlock(self.0.as_ptr()) }
    }
}

/// Calls `visit` for the root table of every address space.
///
/// Context: takes `init_mm.page_table_lock` and `pgd_lock`, in this order; the caller holds
/// neither.
pub(crate) fn for_each_root(caller: CallContext<'_>, mut visit: impl FnMut(Root)) {
    Mm::kernel().with_page_table_lock(caller, || {
        // SAFETY: The lock is a static of the kernel.
        unsafe { bindings::spin_lock(&raw mut bindings::pgd_lock) };

        let head = &raw mut bindings::pgd_list;
        // SAFETY: The list is initialised statically, and `pgd_lock` is held.
        let mut link = unsafe { (*head).next };
        while link != head {
            // SAFETY: Each link but the head is that of a `ptdesc`, which overlays `struct page`.
            unsafe {
                let desc = kernel::container_of!(link, bindings::ptdesc, __bindgen_anon_1.pt_list);
                link = (*link).next;
                if let Some(page) = NonNull::new(desc.cast::<bindings::page>()) {
                    visit(Root::from_table(TablePage::from_raw(page).table()));
                }
            }
        }

        // SAFETY: The lock was taken above.
        unsafe { bindings::spin_unlock(&raw mut bindings::pgd_lock) };
    });
}

/// Switches this CPU away from `mm` if it is in lazy TLB mode on it.
///
/// # Safety
///
/// Preemption is off, and no task uses `mm` any more.
unsafe fn leave_if_loaded(mm: Mm) {
    // SAFETY: Reads per-CPU state; preemption is off, by the contract of this function.
    if unsafe { bindings::xen_pv_mmu_loaded_mm() } == mm.as_ptr() {
        // SAFETY: As above; the CPU only borrows the mm.
        unsafe { bindings::leave_mm() }
    }
}

/// A function that runs on CPUs that still have a root table loaded.
pub(crate) type DropFn = fn(Mm);

struct DropRequest {
    mm: Mm,
    root: Paddr,
    run: DropFn,
}

/// Makes this CPU and every other that Xen still has on the root table of `mm` leave it, runs
/// `run(mm)` there, and waits for it.
///
/// Context: interrupts are on; so no batch is open, as [`MaySleep`] shows. No task uses `mm` any
/// more.
pub(crate) fn run_where_loaded(mm: Mm, run: DropFn, sleep: &mut MaySleep) {
    /// # Safety
    ///
    /// `request` points to a [`DropRequest`].
    unsafe extern "C" fn is_loaded(cpu: i32, request: *mut c_void) -> bool {
        // SAFETY: By the contract of this function.
        let request = unsafe { &*request.cast::<DropRequest>() };
        LOADED_CR3.read_of(cpu as u32) == request.root.raw()
    }

    /// # Safety
    ///
    /// `request` points to a [`DropRequest`].
    unsafe extern "C" fn call(request: *mut c_void) {
        // SAFETY: By the contract of this function.
        let request = unsafe { &*request.cast::<DropRequest>() };
        // SAFETY: This is an interrupt; `mm` is about to go, by the contract of
        // `run_where_loaded()`.
        unsafe { leave_if_loaded(request.mm) };
        (request.run)(request.mm)
    }

    let _preempt = PreemptOff::new(sleep.caller());
    // SAFETY: Preemption is off, and `mm` is about to go, by the contract of this function.
    unsafe { leave_if_loaded(mm) };
    run(mm);
    let mut request = DropRequest {
        mm,
        root: address::virt_to_phys(mm.root().table().vaddr()),
        run,
    };
    // SAFETY: The function waits until all calls are done, so the request outlives them. Both
    // callbacks take a pointer to a `DropRequest`. The mask is the kernel's own.
    unsafe {
        bindings::on_each_cpu_cond_mask(
            Some(is_loaded),
            Some(call),
            (&raw mut request).cast(),
            true,
            &raw const bindings::__cpu_online_mask,
        )
    }
}

/// A mapping of a process: `struct vm_area_struct`.
///
/// Context: any, for all methods.
///
/// # Invariants
///
/// Points to a `vm_area_struct` whose address space is locked while this value is used.
#[derive(Clone, Copy)]
pub(crate) struct Vma(NonNull<bindings::vm_area_struct>);

impl Vma {
    /// Takes over a mapping from C.
    ///
    /// # Safety
    ///
    /// `vma` points to a `vm_area_struct` whose address space is locked as long as the result is
    /// used.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(vma: *mut bindings::vm_area_struct) -> Self {
        // SAFETY: Not null, by the contract of this function.
        // INVARIANT: By the contract of this function.
        Self(unsafe { NonNull::new_unchecked(vma) })
    }

    /// Returns the address space.
    #[inline(always)]
    pub(crate) fn mm(self) -> Mm {
        // SAFETY: By the type invariant.
        unsafe { Mm::from_raw((*self.0.as_ptr()).vm_mm) }
    }

    /// Whether the mapping is for frames without `struct page`, of devices or other domains.
    pub(crate) fn is_io_pfnmap(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::xen_pv_mmu_is_io_pfnmap(self.0.as_ptr()) }
    }
}

/// Calls `visit` with each entry of level 1 for the `bytes` bytes from `start` on in `vma`; adds
/// missing tables.
///
/// Returns an error if there is no memory for these.
///
/// Context: may sleep; `visit` may not.
pub(crate) fn for_each_level1_entry<F: FnMut(EntryPtr)>(
    vma: Vma,
    start: Vaddr,
    bytes: usize,
    visit: F,
) -> Result<(), KernelError> {
    /// # Safety
    ///
    /// `entry` is in a table that is locked, and `visit` points to an `F`.
    unsafe extern "C" fn call<F: FnMut(EntryPtr)>(
        entry: *mut bindings::pte_t,
        _address: usize,
        visit: *mut c_void,
    ) -> i32 {
        // SAFETY: By the contract of this function.
        let visit = unsafe { &mut *visit.cast::<F>() };
        // SAFETY: By the contract of this function.
        visit(unsafe { EntryPtr::from_raw(entry) });
        0
    }

    let mut visit = visit;
    // SAFETY: The address space exists, by the invariant of `Vma`; the closure outlives the call.
    let ret = unsafe {
        bindings::apply_to_page_range(
            vma.mm().as_ptr(),
            start.raw(),
            bytes,
            Some(call::<F>),
            (&raw mut visit).cast(),
        )
    };
    if ret < 0 {
        Err(KernelError(ret))
    } else {
        Ok(())
    }
}

/// A request to flush TLBs.
pub(crate) struct FlushRequest {
    /// The address space, for trace events.
    pub(crate) mm: *mut bindings::mm_struct,
    /// First address.
    pub(crate) start: usize,
    /// Last address, exclusive, or all ones.
    pub(crate) end: usize,
    /// What to flush.
    pub(crate) range: FlushRange,
}

/// Decodes a request to flush TLBs.
///
/// Context: any.
///
/// # Safety
///
/// `info` points to a request.
pub(crate) unsafe fn flush_request(info: *const bindings::flush_tlb_info) -> FlushRequest {
    let (mut start, mut end) = (0, 0);
    // SAFETY: By the contract of this function.
    let mm = unsafe { bindings::xen_pv_mmu_flush_info(info, &mut start, &mut end) };
    let is_page = end != usize::MAX && end.wrapping_sub(start) <= crate::level::PAGE_SIZE;
    FlushRequest {
        mm,
        start,
        end,
        range: if is_page {
            FlushRange::Page(Vaddr::new(start))
        } else {
            FlushRange::All
        },
    }
}

/// Returns the words of a bitmap of the CPUs in `cpus` that are online, or `None` if `cpus` is
/// empty.
///
/// Context: any.
///
/// # Safety
///
/// `cpus` points to a CPU mask for as long as the result is used.
pub(crate) unsafe fn online_words<'a>(
    cpus: *const bindings::cpumask,
) -> Option<impl ExactSizeIterator<Item = usize> + 'a> {
    let words = (kernel::cpu::nr_cpu_ids() as usize).div_ceil(usize::BITS as usize);
    let word = move |mask: *const bindings::cpumask, index: usize| {
        // SAFETY: Masks have a bit for each possible CPU. Volatile because CPUs come and go.
        unsafe { mask.cast::<usize>().add(index).read_volatile() }
    };

    if (0..words).all(|index| word(cpus, index) == 0) {
        return None;
    }
    Some(
        (0..words).map(move |index| {
            word(cpus, index) & word(&raw const bindings::__cpu_online_mask, index)
        }),
    )
}

/// Whether tables of level 1 have locks of their own.
pub(crate) const SPLIT_PTE_LOCKS: bool = cfg!(CONFIG_SPLIT_PTE_PTLOCKS);
