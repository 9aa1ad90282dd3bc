// SPDX-License-Identifier: GPL-2.0-only

use proc_macro2::TokenStream;
use quote::quote;

/// Please see [`crate::init_text`] for documentation.
pub(crate) fn init_text(f: TokenStream) -> TokenStream {
    quote! {
        #[link_section = ".init.text"]
        #f
    }
}
