// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's attribute macros that the backend's modules use, for the host.

use proc_macro::{
    Delimiter,
    Group,
    TokenStream,
    TokenTree, //
};

/// Leaves a function in its section: the host frees no memory after boot.
#[proc_macro_attribute]
pub fn init_text(_attr: TokenStream, function: TokenStream) -> TokenStream {
    function
}

/// Turns a module of KUnit tests into host tests.
///
/// `crate::guest::suites::run` runs each test. It gets the suite and sets up what that needs.
#[proc_macro_attribute]
pub fn kunit_tests(suite: TokenStream, module: TokenStream) -> TokenStream {
    let suite = suite.to_string();
    let mut output: TokenStream = "#[cfg(test)]".parse().unwrap_or_default();

    output.extend(module.into_iter().map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let body = wrap_tests(&suite, group.stream());
            TokenTree::Group(Group::new(Delimiter::Brace, body))
        }
        token => token,
    }));
    output
}

/// Wraps the body of each function that is marked as a test.
fn wrap_tests(suite: &str, body: TokenStream) -> TokenStream {
    let mut output = TokenStream::new();
    let mut tokens = body.into_iter();

    while let Some(token) = tokens.next() {
        let is_mark = matches!(&token, TokenTree::Group(group)
            if group.delimiter() == Delimiter::Bracket && group.stream().to_string() == "test");
        output.extend([token]);
        if is_mark {
            output.extend(wrap_test(suite, &mut tokens));
        }
    }
    output
}

/// Takes a function from `tokens` and returns the one that runs it.
fn wrap_test(suite: &str, tokens: &mut impl Iterator<Item = TokenTree>) -> TokenStream {
    let mut signature = TokenStream::new();

    for token in tokens {
        let is_body = matches!(&token, TokenTree::Group(group)
            if group.delimiter() == Delimiter::Brace);
        if !is_body {
            signature.extend([token]);
            continue;
        }
        let text = signature.to_string();
        let outer = text.split("->").next().unwrap_or_default();
        let name = outer.trim_start_matches("fn").split('(').next();
        let name = name.unwrap_or_default().trim();
        let call = format!("crate::guest::suites::run({suite:?}, {name})");

        // The test itself becomes an inner function of the same name.
        let mut inner = signature;
        inner.extend([token]);
        inner.extend(call.parse::<TokenStream>());
        let mut output: TokenStream = outer.parse().unwrap_or_default();
        output.extend([TokenTree::Group(Group::new(Delimiter::Brace, inner))]);
        return output;
    }
    signature
}
