# SPDX-License-Identifier: GPL-2.0-only
"""Statements of contexts are looked for in small files, made for each test."""

import unittest

from harness.check import contexts
from harness.cli import Stop

FLUSH = "/// Flushes.\n///\n/// Context: any.\npub fn flush() {}\n"

QUEUE = """
/// A queue.
///
/// Context: interrupts off, for methods that do not say otherwise.
pub(crate) struct Queue<T>(Option<T>);

impl<T: Into<u8>> Queue<T> {
    /// Whether nothing is queued.
    #[must_use = "see Queue<T>; {"]
    pub(crate) const fn is_empty(&self) -> bool {
        '{' == '\\'' || "}".len() == 1
    }

    fn not_public(&self) {}
}
"""

HOOKS = """
macro_rules! hooks {
    ($($(#[$attr:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$attr])*
        pub unsafe extern "C" fn $name() $body
    )*};
}

hooks! {
    /// Sets an entry.
    fn set_pte() { flush(); }

    /// Clears an entry.
    ///
    /// Context: any.
    fn clear_pte() {}
}
"""


def lacking(text: str) -> dict[str, tuple[str, ...]]:
    return {each.name: each.lacks for each in contexts.functions(text) if each.lacks}


def names(text: str) -> list[str]:
    return [each.name for each in contexts.functions(text)]


class Contexts(unittest.TestCase):
    def test_a_statement_of_its_own_is_enough(self) -> None:
        self.assertEqual(contexts.verdict({"tlb.rs": FLUSH * 2}), "2 functions")

    def test_a_function_without_one_is_named_with_its_line(self) -> None:
        with self.assertRaisesRegex(Stop, r"1 of 2 .*\n  rust/tlb\.rs:6: all lacks a context$"):
            contexts.verdict({"rust/tlb.rs": FLUSH + "/// Flushes all.\npub(super) fn all() {}\n"})

    def test_no_function_at_all_is_refused(self) -> None:
        with self.assertRaisesRegex(Stop, "no public function"):
            contexts.verdict({"tlb.rs": "fn private() {}\n"})

    def test_a_statement_alone_is_no_documentation(self) -> None:
        self.assertEqual(lacking("/// Context: any.\npub fn flush() {}\n"), {"flush": ("documentation",)})

    def test_a_statement_may_be_long(self) -> None:
        self.assertFalse(lacking(FLUSH.replace("any.", "any. The caller\n/// holds the lock.")))

    def test_words_within_a_paragraph_are_no_statement(self) -> None:
        for text in ("/// Flushes.\n/// Context: any.\n", "/// Flushes.\n///\n/// Context: any\n", "/// Flushes.\n\n// Context: any.\n"):
            self.assertEqual(lacking(f"{text}pub fn flush() {{}}\n"), {"flush": ("a context",)}, text)

    def test_only_sections_and_targets_of_links_may_follow_it(self) -> None:
        for more, there in (("See below.", False), ("# Panics\n///\n/// Never.", True), ("[`Queue`]: crate::Queue", True)):
            self.assertEqual(not lacking(FLUSH.replace("any.", f"any.\n///\n/// {more}")), there, more)

    def test_attributes_and_comments_may_follow_the_documentation(self) -> None:
        text = FLUSH.replace("pub", '#[cases(["a"; 2], fn old())]\n// Hot; see {\n#[inline(always)]\n/* pub fn old() { */\npub')
        self.assertFalse(lacking(text))
        self.assertEqual(names(text), ["flush"])

    def test_documentation_is_of_the_next_item_only(self) -> None:
        text = FLUSH.replace("pub fn", "const PAGES: usize = 1;\npub fn")
        self.assertEqual(lacking(text), {"flush": ("documentation", "a context")})

    def test_a_type_states_it_for_its_methods(self) -> None:
        self.assertEqual(names(QUEUE), ["Queue::is_empty"])
        self.assertFalse(lacking(QUEUE))

    def test_also_if_it_stands_behind_them(self) -> None:
        head, impl, rest = QUEUE.partition("impl<")
        self.assertFalse(lacking(f"{impl}{rest}{head}"))

    def test_but_not_for_those_of_another_type(self) -> None:
        other = "impl Queue<Other> for Pages<u8> {}\nimpl Pages<u8> {\n    /// Adds a page.\n    pub fn add() {}\n}\n"
        self.assertEqual(lacking(QUEUE + other), {"Pages::add": ("a context",)})

    def test_a_file_states_it_for_its_functions(self) -> None:
        text = QUEUE.replace("Context: ", "")
        self.assertEqual(lacking(text), {"Queue::is_empty": ("a context",)})
        self.assertFalse(lacking(f"//! Queues.\n//!\n//! Context: any, for all functions here.\n{text}"))

    def test_so_does_a_module_for_those_in_it(self) -> None:
        inside = "mod kept {\n    //! Reports.\n    //!\n    //! Context: any.\n    /// Keeps.\n    pub fn keep() {}\n}\n"
        after = "/// Prints.\npub fn print() {}\n"
        self.assertEqual(lacking(inside + after), {"print": ("a context",)})

    def test_methods_that_a_trait_declares_are_public(self) -> None:
        text = "/// Tables.\npub trait Tables {\n    /// Reads.\n    fn entry(&self) -> u8;\n}\nimpl Tables for u8 {\n    fn entry(&self) -> u8 { 0 }\n}\n"
        self.assertEqual(lacking(text), {"Tables::entry": ("a context",)})
        self.assertFalse(lacking(text.replace("/// Tables.", "/// Tables.\n///\n/// Context: any.")))

    def test_so_are_functions_that_c_calls(self) -> None:
        for mark in ("#[export]", "#[no_mangle]", '#[export_name = "f"]'):
            text = f"/// Flushes.\n///\n/// # Safety\n///\n/// None.\n{mark}\nunsafe extern \"C\" fn flush() {{}}\n"
            self.assertEqual(lacking(text), {"flush": ("a context",)})
            self.assertEqual(names(f"{text}fn private() {{}}\n"), ["flush"])

    def test_so_are_functions_in_the_body_of_a_macro(self) -> None:
        self.assertEqual(names(HOOKS), ["set_pte", "clear_pte"])
        self.assertEqual(lacking(HOOKS), {"set_pte": ("a context",)})

    def test_types_of_functions_and_what_is_inside_are_no_functions(self) -> None:
        text = "pub struct Call {\n    pub run: unsafe extern \"C\" fn(u8),\n}\nfn outer() {\n    pub fn inner() {}\n}\nextern \"C\" {\n    fn c();\n}\n"
        self.assertEqual(names(text), [])

    def test_braces_in_strings_and_lifetimes_do_not_matter(self) -> None:
        text = "impl<'a, T> Queue<'a, T>\nwhere\n    T: Copy,\n{\nconst A: &'static str = r#\"\"}\"#;\nconst B: [char; 2] = ['\\'', '}'];\n" + FLUSH
        self.assertFalse(lacking(text))
        self.assertEqual(names(text), ["Queue::flush"])

    def test_an_unsafe_function_says_when_it_is_safe(self) -> None:
        text = FLUSH.replace("pub fn", "pub unsafe fn")
        self.assertEqual(lacking(text), {"flush": ("a section # Safety",)})
        self.assertFalse(lacking(text.replace("any.", "any.\n///\n/// # Safety\n///\n/// Once.")))
