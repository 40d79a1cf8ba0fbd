//! Declares the cfg under which madsim simulates, so that the compiler knows the word.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(madsim)");
    println!("cargo::rerun-if-changed=build.rs");
}
