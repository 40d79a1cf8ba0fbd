//! `#[tribunal::test]`. What it makes is an ordinary `#[test]` that hands the function, and what is
//! known of its package at compile time, to `tribunal::service::test`.

use proc_macro::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Error, ItemFn, LitBool, LitInt, LitStr, parse_macro_input};

/// Puts an async service on trial: `async fn name(trial: Trial)` is run once for each case, in a
/// simulation that crashes, cuts and pauses its nodes. See `tribunal::service`.
///
/// - `seeds = 200`: how many cases are tried (200 if not said)
/// - `faults = "crash,cut,pause"`: what goes wrong in them (whatever can be had, if not said)
/// - `calls = 20`: the most calls of a case (20 if not said)
/// - `deadline_s = 20`: how long a case may take in real time, in seconds (20 if not said)
/// - `expected = "violated"`: passes if a violation is found, and fails if not
/// - `shrink = false`: a failing case is not made small
/// - `features = "a,b"`: features of your package, if the test needs any
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut asked = Arguments::default();
    let parser = syn::meta::parser(|meta| asked.take(&meta));
    parse_macro_input!(arguments with parser);
    let function = parse_macro_input!(item as ItemFn);
    expand(&asked, &function).unwrap_or_else(|error| error.to_compile_error()).into()
}

const KNOWN: &str = "expected seeds, faults, calls, deadline_s, expected, shrink or features";

struct Arguments {
    seeds: u64,
    calls: u16,
    deadline_s: u64,
    faults: String,
    features: String,
    violated: bool,
    shrink: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        let (faults, features) = Default::default();
        let violated = false;
        Self { seeds: 200, calls: 20, deadline_s: 20, faults, features, violated, shrink: true }
    }
}

impl Arguments {
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        let number = || meta.value()?.parse::<LitInt>();
        let text = || Ok::<_, Error>(meta.value()?.parse::<LitStr>()?.value());
        if meta.path.is_ident("seeds") {
            self.seeds = number()?.base10_parse()?;
        } else if meta.path.is_ident("calls") {
            self.calls = number()?.base10_parse()?;
        } else if meta.path.is_ident("deadline_s") {
            self.deadline_s = number()?.base10_parse()?;
        } else if meta.path.is_ident("faults") {
            self.faults = text()?;
        } else if meta.path.is_ident("features") {
            self.features = text()?;
        } else if meta.path.is_ident("shrink") {
            self.shrink = meta.value()?.parse::<LitBool>()?.value;
        } else if meta.path.is_ident("expected") {
            self.violated = match text()?.as_str() {
                "violated" => true,
                "holds" => false,
                _ => return Err(meta.error("expected \"holds\" or \"violated\"")),
            };
        } else {
            return Err(meta.error(KNOWN));
        }
        Ok(())
    }
}

fn expand(asked: &Arguments, function: &ItemFn) -> Result<proc_macro2::TokenStream, Error> {
    let signature = &function.sig;
    if signature.asyncness.is_none() || signature.inputs.len() != 1 {
        let what = "expected `async fn name(trial: Trial)`";
        return Err(Error::new_spanned(signature, what));
    }
    let Arguments { seeds, calls, deadline_s, faults, features, violated, shrink } = asked;
    let (name, attributes) = (&signature.ident, &function.attrs);
    let text = name.to_string();
    let (block, visibility) = (&function.block, &function.vis);
    Ok(quote! {
        #(#attributes)*
        #[::core::prelude::v1::test]
        #visibility fn #name() {
            #signature #block
            let test = ::tribunal::service::Test {
                name: ::core::concat!(::core::module_path!(), "::", #text),
                package: ::core::env!("CARGO_PKG_NAME"),
                manifest: ::core::env!("CARGO_MANIFEST_DIR"),
                target: ::tribunal::service::target(
                    ::core::env!("CARGO_CRATE_NAME"),
                    ::core::option_env!("CARGO_BIN_NAME"),
                    ::core::option_env!("CARGO_TARGET_TMPDIR"),
                ),
                seeds: #seeds,
                calls: #calls,
                deadline_s: #deadline_s,
                faults: #faults,
                features: #features,
                repros: "tests/repros",
                violated: #violated,
                shrink: #shrink,
            };
            ::tribunal::service::test(&test, #name);
        }
    })
}
