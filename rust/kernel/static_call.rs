// SPDX-License-Identifier: GPL-2.0-only

//! Static calls.
//!
//! A static call is a global function pointer that changes rarely and is called often. If the
//! architecture supports it, the kernel patches the target into the instructions of every call
//! site, so a call needs no load and no indirect branch.
//!
//! Each static call has two symbols: a *key* (`__SCK__name`), which holds the current target, and
//! a *trampoline* (`__SCT__name`), which jumps to it. A call site is a direct call of the
//! trampoline. `objtool` finds these calls by the trampoline's name and records them together with
//! the key, which it looks up by name in the same object file; at boot they are patched to bypass
//! the trampoline. This is why a call needs more than a function pointer: it has to name both
//! symbols, and the macros here do that.
//!
//! | C                                   | Rust                                    |
//! |-------------------------------------|-----------------------------------------|
//! | `DECLARE_STATIC_CALL(name, f)`      | [`declare_static_call!`]                |
//! | `DEFINE_STATIC_CALL(name, f)`       | `define_static_call!`                   |
//! | `static_call(name)(args...)`        | `NAME.call(args...)`                    |
//! | `static_call_mod(name)(args...)`    | `NAME.call_mod(args...)`                |
//! | a call from inline assembly         | `static_call_asm!` (x86 only)           |
//! | `static_call_query(name)`           | [`StaticCall::query()`]                 |
//! | `static_call_update(name, f)`       | [`StaticCall::update()`]                |
//! | `static_call_update_early(name, f)` | `StaticCall::update_early()` (x86 only) |
//!
//! C header: [`include/linux/static_call.h`](srctree/include/linux/static_call.h)
//!
//! # Examples
//!
//! ```
//! mod calculation {
//!     use kernel::{
//!         ffi::c_int,
//!         static_call::define_static_call, //
//!     };
//!
//!     pub(super) unsafe extern "C" fn twice(x: c_int) -> c_int {
//!         2 * x
//!     }
//!
//!     pub(super) unsafe extern "C" fn square(x: c_int) -> c_int {
//!         x * x
//!     }
//!
//!     define_static_call! {
//!         /// Calculates something. Callers have to pass small numbers.
//!         pub(super) static RUST_DOCTEST_CALCULATE:
//!             unsafe extern "C" fn(x: c_int) -> c_int = twice;
//!     }
//! }
//!
//! use calculation::{
//!     square,
//!     RUST_DOCTEST_CALCULATE, //
//! };
//! use kernel::static_call::StaticCall;
//!
//! // SAFETY: 5 is small.
//! assert_eq!(unsafe { RUST_DOCTEST_CALCULATE.call(5) }, 10);
//!
//! // SAFETY: `square` is as safe to call as `twice`, is never unloaded, and this is process
//! // context.
//! unsafe { RUST_DOCTEST_CALCULATE.update(square) };
//!
//! // SAFETY: 5 is small.
//! assert_eq!(unsafe { RUST_DOCTEST_CALCULATE.call(5) }, 25);
//!
//! let target = RUST_DOCTEST_CALCULATE.query().ok_or(EINVAL)?;
//! // SAFETY: 7 is small.
//! assert_eq!(unsafe { target(7) }, 49);
//! # Ok::<(), Error>(())
//! ```

use crate::{
    bindings,
    ffi::c_void,
    sync::atomic::{
        atomic_load,
        Relaxed, //
    }, //
};
use core::mem;

#[cfg(CONFIG_X86)]
use crate::sync::atomic::atomic_store;

/// A static call.
///
/// Implemented by [`declare_static_call!`] and `define_static_call!`, which also add the function
/// `call`.
///
/// # Safety
///
/// - `Func` must be an `extern "C"` function pointer type.
/// - `key` must return the key of a static call whose targets have the type `Func`.
/// - `trampoline` must return the trampoline of the same static call, or null if the architecture
///   has no trampolines.
pub unsafe trait StaticCall {
    /// The function pointer type of the targets.
    type Func: Copy;

    /// Returns the key.
    ///
    /// Context: any.
    fn key(&self) -> *mut bindings::static_call_key;

    /// Returns the address of the trampoline.
    ///
    /// Context: any.
    fn trampoline(&self) -> *mut c_void;

    /// Returns the current target, or [`None`] if there is none.
    ///
    /// The target may change at any time, so the answer may be outdated.
    ///
    /// Context: any.
    #[inline]
    fn query(&self) -> Option<Self::Func> {
        const { assert!(mem::size_of::<Option<Self::Func>>() == mem::size_of::<*mut c_void>()) };

        // SAFETY: By the trait's contract this is a valid key. The only writers are `update` and
        // `update_early`, here and in C, which store the whole pointer at once.
        let func = unsafe { atomic_load(&raw mut (*self.key()).func, Relaxed) };

        // SAFETY: By the trait's contract `func` is null or the address of a function that `Func`
        // can point to, and `Func` is a function pointer type.
        unsafe { mem::transmute_copy::<*mut c_void, Option<Self::Func>>(&func) }
    }

    /// Makes `func` the target and patches every call site.
    ///
    /// Calls that run at the same time reach the old or the new target.
    ///
    /// Context: process context; may sleep.
    ///
    /// # Safety
    ///
    /// - `func` must be safe to call for everyone who meets the requirements of this static call.
    /// - `func` must stay loaded for as long as it is the target or may be running as such.
    /// - Must be called from a context that may sleep, and without holding the CPU hotplug lock.
    /// - Static calls must have been initialized, which happens early in `start_kernel()`.
    #[inline]
    unsafe fn update(&self, func: Self::Func) {
        // SAFETY: By the trait's contract the key and the trampoline belong together and take a
        // `Func`. The caller guarantees the rest.
        unsafe {
            bindings::__static_call_update(self.key(), self.trampoline(), address::<Self>(func))
        };
    }

    /// Makes `func` the target, even before static calls are initialized.
    ///
    /// Until then all calls go through the trampoline, which is patched in place without a lock.
    /// Afterwards this is [`StaticCall::update()`].
    ///
    /// Context: start of day, while one CPU runs, or as [`StaticCall::update()`].
    ///
    /// # Safety
    ///
    /// - `func` must meet the requirements of [`StaticCall::update()`].
    /// - Before static calls are initialized, only the boot CPU may be running.
    /// - Afterwards, the caller must meet the requirements of [`StaticCall::update()`].
    ///
    /// # Examples
    ///
    /// ```
    /// mod answer {
    ///     use kernel::{
    ///         ffi::c_int,
    ///         static_call::define_static_call, //
    ///     };
    ///
    ///     pub(super) unsafe extern "C" fn generic() -> c_int {
    ///         1
    ///     }
    ///
    ///     pub(super) unsafe extern "C" fn special() -> c_int {
    ///         2
    ///     }
    ///
    ///     define_static_call! {
    ///         /// May always be called.
    ///         pub(super) static RUST_DOCTEST_ANSWER: unsafe extern "C" fn() -> c_int = generic;
    ///     }
    /// }
    ///
    /// use answer::{
    ///     special,
    ///     RUST_DOCTEST_ANSWER, //
    /// };
    /// use kernel::static_call::StaticCall;
    ///
    /// // SAFETY: `special` is as safe to call as `generic` and is never unloaded. Doctests run in
    /// // a context that may sleep, after static calls are initialized.
    /// unsafe { RUST_DOCTEST_ANSWER.update_early(special) };
    ///
    /// // SAFETY: It may always be called.
    /// assert_eq!(unsafe { RUST_DOCTEST_ANSWER.call() }, 2);
    /// ```
    #[cfg(CONFIG_X86)]
    #[inline]
    unsafe fn update_early(&self, func: Self::Func) {
        if is_initialized() {
            // SAFETY: The caller guarantees the requirements.
            unsafe { self.update(func) };
            return;
        }

        // SAFETY: By the trait's contract this is a valid key that takes a `Func`.
        unsafe { atomic_store(&raw mut (*self.key()).func, address::<Self>(func), Relaxed) };

        // SAFETY: By the trait's contract this is the trampoline of the same static call. It isn't
        // running, because the only CPU is here.
        unsafe { bindings::__static_call_update_early(self.trampoline(), address::<Self>(func)) };
    }
}

/// Returns the address of a target.
#[inline]
fn address<S: StaticCall + ?Sized>(func: S::Func) -> *mut c_void {
    const { assert!(mem::size_of::<S::Func>() == mem::size_of::<*mut c_void>()) };

    // SAFETY: By the contract of `StaticCall`, `Func` is a function pointer type.
    unsafe { mem::transmute_copy::<S::Func, *mut c_void>(&func) }
}

/// Returns whether call sites are patched, so that an update has to patch them again.
#[cfg(CONFIG_X86)]
#[inline]
fn is_initialized() -> bool {
    #[cfg(CONFIG_HAVE_STATIC_CALL_INLINE)]
    // SAFETY: It is written only while the boot CPU runs alone.
    unsafe {
        bindings::static_call_initialized != 0
    }

    #[cfg(not(CONFIG_HAVE_STATIC_CALL_INLINE))]
    false
}

/// Creates the key of a static call, for `define_static_call!`.
///
/// Context: any; it is evaluated at build time.
#[doc(hidden)]
pub const fn new_key(func: *mut c_void) -> bindings::static_call_key {
    bindings::static_call_key {
        func,
        // No modules have call sites yet.
        #[cfg(CONFIG_HAVE_STATIC_CALL_INLINE)]
        __bindgen_anon_1: bindings::static_call_key__bindgen_ty_1 { type_: 1 },
    }
}

/// Declares static calls that are defined in C.
///
/// The item that it declares implements [`StaticCall`] and has a function `call`, which takes the
/// arguments of the targets and returns the result of the target. Calling is unsafe. Each static
/// call has requirements of its own: state them in the documentation of the item.
///
/// The C declaration has to be among the [`bindings`]; the build fails if its type differs.
///
/// In a module, `call` needs an exported key (`EXPORT_STATIC_CALL()`). If C exports only the
/// trampoline (`EXPORT_STATIC_CALL_TRAMP()`), code that may be part of a module has to use
/// `call_mod`, and can neither query nor update the static call.
///
/// # Examples
///
/// ```ignore
/// use kernel::static_call::{
///     declare_static_call,
///     StaticCall, //
/// };
///
/// declare_static_call! {
///     /// Makes a hypercall. Only for [`static_call_asm!`], because the arguments are not passed
///     /// the way C passes them.
///     pub static XEN_HYPERCALL: unsafe extern "C" fn() = xen_hypercall;
/// }
///
/// // SAFETY: `xen_hypercall_pv` makes every hypercall of a PV guest. No other CPU runs yet.
/// unsafe { XEN_HYPERCALL.update_early(bindings::xen_hypercall_pv) };
/// ```
#[macro_export]
macro_rules! declare_static_call {
    ($(
        $(#[$attr:meta])*
        $vis:vis static $name:ident: unsafe extern "C" fn(
            $($arg:ident: $arg_ty:ty),* $(,)?
        ) $(-> $ret:ty)? = $symbol:ident;
    )*) => {$(
        $crate::macros::paste! {
            #[allow(unused_imports)]
            use $crate::bindings::{
                [<__SCK__ $symbol>] as [<__SCK__ $name>],
                [<__SCT__ $symbol>] as [<__SCT__ $name>], //
            };
        }

        $crate::impl_static_call! {
            $(#[$attr])* $vis $name($($arg: $arg_ty),*) $(-> $ret)?
        }
    )*};
}
pub use declare_static_call;

/// Defines static calls.
///
/// Like [`declare_static_call!`], but it also defines the static call, with the function on the
/// right of the `=` as its first target.
///
/// The name is global: there can be only one static call `NAME` in the kernel, and C code can use
/// it after `DECLARE_STATIC_CALL(NAME, ...)`. The macro must be used in a module and not in a
/// function, because it contains [`global_asm!`](core::arch::global_asm).
///
/// See the [module documentation](self) for an example.
// Trampolines are made of instructions, so every architecture that has them needs its own.
#[cfg(any(CONFIG_X86, not(CONFIG_HAVE_STATIC_CALL)))]
#[macro_export]
macro_rules! define_static_call {
    ($(
        $(#[$attr:meta])*
        $vis:vis static $name:ident: unsafe extern "C" fn(
            $($arg:ident: $arg_ty:ty),* $(,)?
        ) $(-> $ret:ty)? = $func:path;
    )*) => {$(
        $crate::macros::paste! {
            #[no_mangle]
            static mut [<__SCK__ $name>]: $crate::bindings::static_call_key = {
                const FUNC: unsafe extern "C" fn($($arg_ty),*) $(-> $ret)? = $func;

                $crate::static_call::new_key(FUNC as *mut $crate::ffi::c_void)
            };

            extern "C" {
                fn [<__SCT__ $name>]($($arg: $arg_ty),*) $(-> $ret)?;
            }
        }

        #[cfg(CONFIG_HAVE_STATIC_CALL)]
        $crate::define_static_call_trampoline! { $name, $func }

        $crate::impl_static_call! {
            $(#[$attr])* $vis $name($($arg: $arg_ty),*) $(-> $ret)?
        }
    )*};
}
#[cfg(any(CONFIG_X86, not(CONFIG_HAVE_STATIC_CALL)))]
pub use define_static_call;

/// Defines the trampoline of a static call: a jump, and a trap that identifies trampolines.
///
/// C macro: `ARCH_DEFINE_STATIC_CALL_TRAMP()` in
/// [`arch/x86/include/asm/static_call.h`](srctree/arch/x86/include/asm/static_call.h)
#[cfg(CONFIG_X86)]
#[doc(hidden)]
#[macro_export]
macro_rules! define_static_call_trampoline {
    ($name:ident, $func:path) => {
        ::core::arch::global_asm!(
            ".pushsection .static_call.text, \"ax\"",
            ".align 4",
            ::core::concat!(".globl __SCT__", ::core::stringify!($name)),
            ::core::concat!("__SCT__", ::core::stringify!($name), ":"),
            // `ANNOTATE_NOENDBR`: nothing jumps here indirectly.
            "911:",
            ".pushsection .discard.annotate_insn, \"M\", @progbits, 8",
            ".long 911b - ., {noendbr}",
            ".popsection",
            ".byte 0xe9",
            ".long {func} - (. + 4)",
            ".byte 0x0f, 0xb9, 0xcc",
            ::core::concat!(".type __SCT__", ::core::stringify!($name), ", @function"),
            ::core::concat!(".size __SCT__", ::core::stringify!($name), ", 8"),
            ".popsection",
            func = sym $func,
            noendbr = const $crate::bindings::ANNOTYPE_NOENDBR,
            options(att_syntax),
        );
    };
}

/// Implements [`StaticCall`] for a new type `$name`, given `__SCK__$name` and `__SCT__$name`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_static_call {
    (
        $(#[$attr:meta])* $vis:vis $name:ident($($arg:ident: $arg_ty:ty),*) $(-> $ret:ty)?
    ) => {
        $(#[$attr])*
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        #[derive(Clone, Copy)]
        $vis struct $name;

        $crate::macros::paste! {
            impl $name {
                /// Calls the current target.
                ///
                /// # Safety
                ///
                /// The caller must meet the requirements of this static call, and it must have a
                /// target.
                #[allow(dead_code)]
                #[inline(always)]
                $vis unsafe fn call(&self, $($arg: $arg_ty),*) $(-> $ret)? {
                    #[cfg(CONFIG_HAVE_STATIC_CALL)]
                    {
                        #[cfg(CONFIG_HAVE_STATIC_CALL_INLINE)]
                        // SAFETY: This emits no instruction.
                        unsafe { $crate::static_call_addressable!([<__SCK__ $name>]) };

                        // SAFETY: The trampoline does what the target does, whose requirements the
                        // caller meets.
                        unsafe { [<__SCT__ $name>]($($arg),*) }
                    }

                    #[cfg(not(CONFIG_HAVE_STATIC_CALL))]
                    {
                        // SAFETY: The caller guarantees that there is a target.
                        let target = unsafe {
                            $crate::static_call::StaticCall::query(self).unwrap_unchecked()
                        };

                        // SAFETY: The caller meets the requirements.
                        unsafe { target($($arg),*) }
                    }
                }

                /// Calls the current target, even from a module that has no access to the key.
                ///
                /// # Safety
                ///
                /// The same as for `call`.
                #[allow(dead_code)]
                #[cfg(CONFIG_HAVE_STATIC_CALL)]
                #[inline(always)]
                $vis unsafe fn call_mod(&self, $($arg: $arg_ty),*) $(-> $ret)? {
                    #[cfg(not(MODULE))]
                    // SAFETY: The caller meets the requirements.
                    unsafe {
                        self.call($($arg),*)
                    }

                    #[cfg(MODULE)]
                    // SAFETY: The trampoline does what the target does, whose requirements the
                    // caller meets.
                    unsafe {
                        [<__SCT__ $name>]($($arg),*)
                    }
                }
            }

            // SAFETY: `Func` is a function pointer type. The symbols are those of one static call,
            // whose targets have the type of the trampoline, which is `Func`.
            unsafe impl $crate::static_call::StaticCall for $name {
                type Func = unsafe extern "C" fn($($arg_ty),*) $(-> $ret)?;

                #[inline(always)]
                fn key(&self) -> *mut $crate::bindings::static_call_key {
                    &raw mut [<__SCK__ $name>]
                }

                #[inline(always)]
                fn trampoline(&self) -> *mut $crate::ffi::c_void {
                    const TRAMPOLINE: unsafe extern "C" fn($($arg_ty),*) $(-> $ret)? =
                        [<__SCT__ $name>];

                    if cfg!(CONFIG_HAVE_STATIC_CALL) {
                        TRAMPOLINE as *mut $crate::ffi::c_void
                    } else {
                        ::core::ptr::null_mut()
                    }
                }
            }
        }
    };
}

/// Puts the key of a static call into the symbol table of this object file, where `objtool` looks
/// it up.
///
/// Without it, `objtool` takes the call for one of a module that has no access to the key.
///
/// C macro: `__STATIC_CALL_ADDRESSABLE()` in
/// [`include/linux/static_call_types.h`](srctree/include/linux/static_call_types.h)
#[cfg(CONFIG_HAVE_STATIC_CALL_INLINE)]
#[doc(hidden)]
#[macro_export]
macro_rules! static_call_addressable {
    ($key:path) => {
        $crate::asm!(
            ".globl {key}";
            key = sym $key,
            options(nomem, nostack, preserves_flags),
        )
    };
}

/// Calls a static call from inline assembly.
///
/// This is for targets that don't follow the C calling convention, and for callers that know that a
/// target changes fewer registers than the convention allows.
///
/// The first argument is the name of a static call of the same module, declared by
/// [`declare_static_call!`] or defined by [`define_static_call!`]. The operands and options of
/// [`asm!`](core::arch::asm) follow after the semicolon. They have to describe everything that any
/// target may read, write and clobber. The option `nostack` must not be among them, because a call
/// uses the stack.
///
/// Like `call_mod`, this works in modules that have no access to the key.
///
/// # Examples
///
/// ```
/// mod increment {
///     use kernel::{
///         ffi::c_ulong,
///         static_call::{
///             define_static_call,
///             static_call_asm, //
///         },
///     };
///
///     unsafe extern "C" fn add_one(x: c_ulong) -> c_ulong {
///         x + 1
///     }
///
///     define_static_call! {
///         static RUST_DOCTEST_INCREMENT:
///             unsafe extern "C" fn(x: c_ulong) -> c_ulong = add_one;
///     }
///
///     pub(super) fn increment(x: c_ulong) -> c_ulong {
///         let sum;
///
///         // SAFETY: These are the operands of a C function with one argument and a result.
///         unsafe {
///             static_call_asm!(
///                 RUST_DOCTEST_INCREMENT;
///                 inlateout("rdi") x => _,
///                 lateout("rax") sum,
///                 clobber_abi("C"),
///             )
///         };
///
///         sum
///     }
/// }
///
/// assert_eq!(increment::increment(41), 42);
/// ```
#[cfg(CONFIG_X86)]
#[macro_export]
macro_rules! static_call_asm {
    ($name:ident; $($operands:tt)*) => {
        $crate::macros::paste! {{
            #[cfg(all(CONFIG_HAVE_STATIC_CALL_INLINE, not(MODULE)))]
            $crate::static_call_addressable!([<__SCK__ $name>]);

            $crate::asm!("call {trampoline}"; trampoline = sym [<__SCT__ $name>], $($operands)*)
        }}
    };
}
#[cfg(CONFIG_X86)]
pub use static_call_asm;
