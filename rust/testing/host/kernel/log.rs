// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's log: each thread, that is each test, has its own.

use std::cell::RefCell;

/// The level of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// The system is unusable.
    Emerg,
    /// An error.
    Err,
    /// A warning.
    Warning,
    /// Information.
    Info,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its level.
    pub level: Level,
    /// Its text, without the line end.
    pub text: String,
}

/// A console driver's action after a message.
type Driver = Box<dyn Fn()>;

thread_local! {
    static MESSAGES: RefCell<Vec<Message>> = const { RefCell::new(Vec::new()) };
    static CONSOLE: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// Logs a message.
pub fn push(level: Level, text: &str) {
    let text = text.trim_end().to_owned();
    MESSAGES.with_borrow_mut(|messages| messages.push(Message { level, text }));
    CONSOLE.with_borrow(|driver| driver.iter().for_each(|driver| driver()));
}

/// Runs `driver` after each message from now on.
pub fn set_console(driver: Option<Driver>) {
    CONSOLE.set(driver);
}

/// Returns what was logged since the last call.
pub fn take() -> Vec<Message> {
    MESSAGES.take()
}

macro_rules! print_macros {
    ($d:tt $($(#[$doc:meta])* $name:ident = $level:ident;)*) => {$(
        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d($d arg:tt)*) => {
                $crate::log::push($crate::log::Level::$level, &format!($d($d arg)*))
            };
        }
    )*};
}

print_macros! { $
    /// Logs at [`Level::Emerg`].
    pr_emerg = Emerg;
    /// Logs at [`Level::Err`].
    pr_err = Err;
    /// Logs at [`Level::Warning`].
    pr_warn = Warning;
    /// Logs at [`Level::Info`].
    pr_info = Info;
}
