//! Makes sure that there is a built UI to embed, and says in words what to do when there is none.

use std::path::Path;

const UI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/dist");

fn main() {
    println!("cargo:rerun-if-changed={UI}");
    if !Path::new(UI).join("index.html").is_file() {
        println!("cargo:rerun-if-changed={UI}/index.html");
        eprintln!(
            "The user interface is not built, and aside-client embeds it: \
             run `npm ci && npm run build` in ui/, or `cargo xtask demo`, and build again."
        );
        std::process::exit(1);
    }
}
