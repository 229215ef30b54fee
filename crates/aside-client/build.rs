//! Makes sure that there is a built UI to embed, and says in words what to do when there is none.

use std::path::Path;

fn main() {
    // Asked when the script runs: it may have been compiled for another copy of the workspace that shares the target
    // directory.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    let ui = format!("{package}/../../ui/dist");
    println!("cargo:rerun-if-changed={ui}");
    if !Path::new(&ui).join("index.html").is_file() {
        println!("cargo:rerun-if-changed={ui}/index.html");
        eprintln!(
            "The user interface is not built, and aside-client embeds it: \
             run `npm ci && npm run build` in ui/, or `cargo xtask demo`, and build again."
        );
        std::process::exit(1);
    }
}
