// SPDX-License-Identifier: GPL-2.0-only

//! Takes out of a Rust file what options of the kernel mark: `without-option OPTION... <FILE`.
//!
//! The result is the file as if the options did not exist: items, statements and fields that need
//! one are gone, with their attributes and comments, and conditions no longer name them. It is
//! valid Rust, and rustfmt removes the empty lines that are left.

use std::io::{
    self,
    Read, //
};
use std::ops::Range;
use std::process::ExitCode;

use proc_macro2::{
    Span,
    TokenStream,
    TokenTree, //
};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Attribute,
    Meta,
    Token, //
};

/// A condition, once the options are off.
enum Value {
    Always,
    Never,
    /// It depends on others: the condition that is left.
    Open(String),
}

impl Value {
    fn of(meta: &Meta, options: &[String]) -> syn::Result<Self> {
        let name = path(meta.path());
        let Meta::List(list) = meta else {
            return Ok(match meta {
                Meta::Path(_) if options.contains(&name) => Self::Never,
                Meta::NameValue(pair) => Self::Open(format!("{name} = {}", text(&pair.value))),
                _ => Self::Open(name),
            });
        };
        let parts = Punctuated::<Meta, Token![,]>::parse_terminated
            .parse2(list.tokens.clone())?
            .iter()
            .map(|part| Self::of(part, options))
            .collect::<syn::Result<Vec<_>>>()?;
        Ok(match name.as_str() {
            "not" => parts.into_iter().next().map_or(Self::Always, Self::not),
            "any" => Self::any(parts),
            _ => Self::any(parts.into_iter().map(Self::not).collect()).not(),
        })
    }

    fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Open(left) => Self::Open(match left.strip_prefix("not(") {
                Some(inner) => inner[..inner.len() - 1].to_owned(),
                None => format!("not({left})"),
            }),
        }
    }

    fn any(parts: Vec<Self>) -> Self {
        let mut open = Vec::new();
        for part in parts {
            match part {
                Self::Always => return Self::Always,
                Self::Never => {}
                Self::Open(left) => open.push(left),
            }
        }
        match open.len() {
            0 => Self::Never,
            1 => Self::Open(open.remove(0)),
            // not(any(not(A), not(B))), of which `not` makes all(A, B) again.
            _ if open.iter().all(|left| left.starts_with("not(")) => {
                let inner: Vec<_> = open.iter().map(|left| &left[4..left.len() - 1]).collect();
                Self::Open(format!("not(all({}))", inner.join(", ")))
            }
            _ => Self::Open(format!("any({})", open.join(", "))),
        }
    }
}

fn path(path: &syn::Path) -> String {
    let names: Vec<_> = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    names.join("::")
}

fn text(node: &impl Spanned) -> String {
    node.span().source_text().unwrap_or_default()
}

/// The changes of one file.
struct Changes<'a> {
    source: &'a str,
    options: &'a [String],
    /// Ranges in bytes, and what replaces each.
    found: Vec<(Range<usize>, String)>,
    error: Option<syn::Error>,
}

impl Changes<'_> {
    /// Returns whether the node needs an option, and so goes.
    fn goes(&mut self, attributes: &[Attribute], node: Span) -> bool {
        for attribute in attributes {
            if !attribute.path().is_ident("cfg") {
                continue;
            }
            let Some(value) = self.value(attribute.parse_args()) else {
                return false;
            };
            match value {
                Value::Never => {
                    let first = attributes[0].span().byte_range();
                    self.remove(first.start..node.byte_range().end);
                    return true;
                }
                Value::Always => {
                    let mut range = attribute.span().byte_range();
                    // An empty line would part comments from what they describe.
                    let after = self.source[range.end..].trim_start();
                    range.end = self.source.len() - after.len();
                    self.found.push((range, String::new()));
                }
                Value::Open(left) => self.replace(attribute.span().byte_range(), &left),
            }
        }
        false
    }

    fn value(&mut self, meta: syn::Result<Meta>) -> Option<Value> {
        match meta.and_then(|meta| Value::of(&meta, self.options)) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// Removes a node, and what separates it from the next one.
    fn remove(&mut self, mut range: Range<usize>) {
        let rest = &self.source[range.end..];
        let after = rest.trim_start();
        if after.starts_with([',', ';']) {
            range.end += rest.len() - after.len() + 1;
        }
        self.found.push((range, String::new()));
    }

    /// Leaves an attribute alone that names none of the options.
    fn replace(&mut self, attribute: Range<usize>, left: &str) {
        let before = &self.source[attribute.clone()];
        if self
            .options
            .iter()
            .any(|option| before.contains(option.as_str()))
        {
            self.found.push((attribute, format!("#[cfg({left})]")));
        }
    }

    /// Conditions within the rules of a macro: what is there is no node yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut hash = None;
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                match (hash, syn::parse2::<Meta>(group.stream())) {
                    (Some(start), Ok(Meta::List(list))) if list.path.is_ident("cfg") => {
                        if let Some(Value::Open(left)) = self.value(list.parse_args()) {
                            let first = Span::byte_range(&start).start;
                            self.replace(first..group.span().byte_range().end, &left);
                        }
                    }
                    _ => self.tokens(group.stream()),
                }
            }
            hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#')
                .then(|| token.span());
        }
    }

    fn result(mut self) -> String {
        self.found.sort_by_key(|(range, _)| range.start);
        let mut made = self.source.to_owned();
        for (range, text) in self.found.iter().rev() {
            made.replace_range(range.clone(), text);
        }
        made
    }
}

/// Nodes that may have a condition.
macro_rules! nodes {
    ($($visit:ident: $node:ident,)*) => {
        impl<'ast> Visit<'ast> for Changes<'_> {
            $(
                fn $visit(&mut self, node: &'ast syn::$node) {
                    if !self.goes(&node.attrs, node.span()) {
                        syn::visit::$visit(self, node);
                    }
                }
            )*

            fn visit_macro(&mut self, node: &'ast syn::Macro) {
                self.tokens(node.tokens.clone());
            }
        }
    };
}

nodes! {
    visit_arm: Arm,
    visit_expr_assign: ExprAssign,
    visit_expr_block: ExprBlock,
    visit_expr_call: ExprCall,
    visit_expr_if: ExprIf,
    visit_expr_macro: ExprMacro,
    visit_expr_method_call: ExprMethodCall,
    visit_field: Field,
    visit_field_value: FieldValue,
    visit_foreign_item_fn: ForeignItemFn,
    visit_foreign_item_static: ForeignItemStatic,
    visit_impl_item_const: ImplItemConst,
    visit_impl_item_fn: ImplItemFn,
    visit_item_const: ItemConst,
    visit_item_enum: ItemEnum,
    visit_item_fn: ItemFn,
    visit_item_foreign_mod: ItemForeignMod,
    visit_item_impl: ItemImpl,
    visit_item_macro: ItemMacro,
    visit_item_mod: ItemMod,
    visit_item_static: ItemStatic,
    visit_item_struct: ItemStruct,
    visit_item_trait: ItemTrait,
    visit_item_type: ItemType,
    visit_item_use: ItemUse,
    visit_local: Local,
    visit_stmt_macro: StmtMacro,
    visit_trait_item_fn: TraitItemFn,
    visit_variant: Variant,
}

fn without(source: &str, options: &[String]) -> syn::Result<String> {
    let file = syn::parse_file(source)?;
    let mut changes = Changes {
        source,
        options,
        found: Vec::new(),
        error: None,
    };
    changes.visit_file(&file);
    match changes.error {
        Some(error) => Err(error),
        None => Ok(changes.result()),
    }
}

fn main() -> ExitCode {
    let options: Vec<_> = std::env::args().skip(1).collect();
    let mut source = String::new();
    let done = io::stdin()
        .read_to_string(&mut source)
        .map_err(|error| error.to_string())
        .and_then(|_| without(&source, &options).map_err(|error| error.to_string()));
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    fn made(source: &str) -> String {
        super::without(source, &["TESTS".to_owned()]).unwrap()
    }

    /// What is left, without regard to empty lines, which rustfmt removes.
    fn lines(source: &str) -> Vec<String> {
        let made = made(source);
        made.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn items_go_with_comments_and_attributes() {
        let source = "
            fn a() {}

            /// Says what.
            #[cfg(TESTS)]
            #[derive(Clone)]
            struct B {
                c: u8,
            }

            #[cfg(all(B, TESTS))]
            mod c {}
            mod d;
        ";
        assert_eq!(lines(source), ["fn a() {}", "mod d;"]);
    }

    #[test]
    fn parts_of_items_go() {
        let source = "
            impl A {
                fn b() {
                    #[cfg(TESTS)]
                    if c(D { e }) {
                        return;
                    }
                    f();
                }
                #[cfg(TESTS)]
                fn g() {}
            }
        ";
        assert_eq!(lines(source), ["impl A {", "fn b() {", "f();", "}", "}"]);
        let source = "
            struct A {
                b: u8,
                #[cfg(TESTS)]
                c: u8,
            }
            fn d() {
                e(A {
                    b: 1,
                    #[cfg(TESTS)]
                    c: 2
                });
                #[cfg(TESTS)]
                f();
            }
        ";
        let left = [
            "struct A {",
            "b: u8,",
            "}",
            "fn d() {",
            "e(A {",
            "b: 1,",
            "});",
            "}",
        ];
        assert_eq!(lines(source), left);
    }

    #[test]
    fn conditions_lose_the_option() {
        for (before, after) in [
            ("any(B, TESTS)", "#[cfg(B)]"),
            ("any(B, TESTS, C)", "#[cfg(any(B, C))]"),
            ("all(B, not(TESTS))", "#[cfg(B)]"),
            ("all(B, C, not(TESTS))", "#[cfg(all(B, C))]"),
            ("not(any(B, TESTS))", "#[cfg(not(B))]"),
        ] {
            assert_eq!(
                lines(&format!("#[cfg({before})]\nmod a;\n")),
                [after, "mod a;"]
            );
        }
        assert_eq!(
            made("/// Says what.\n#[cfg(not(TESTS))]\nmod a;\n"),
            "/// Says what.\nmod a;\n"
        );
    }

    #[test]
    fn other_conditions_stay_as_they_are() {
        let source = "
            #[cfg(all( B ,C))]
            mod a;
            macro_rules! d {
                () => { #[cfg(any(B , C))] fn e() {} };
            }
        ";
        assert_eq!(made(source), source);
    }

    #[test]
    fn rules_of_macros() {
        let source = "
            macro_rules! a {
                ($($b:ident)*) => {
                    #[cfg(any(B, TESTS))]
                    const C: u8 = 1;
                };
            }
        ";
        assert_eq!(made(source), source.replace("any(B, TESTS)", "B"));
    }
}
