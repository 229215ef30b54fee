//! Who may import whom. A crate exists only to forbid an import (STYLE.md 9), so the arrows are checked.

use super::Failure;
use crate::workspace::cargo;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One of our crates.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, from the root.
    pub manifest: String,
    /// What it builds with and is built by.
    pub dependencies: BTreeSet<String>,
    /// What only its tests use.
    pub test_dependencies: BTreeSet<String>,
}

/// A crate, what of ours it may import, and what its tests may import beside that.
struct Arrow {
    from: &'static str,
    to: &'static [&'static str],
    tests_to: &'static [&'static str],
}

const ARROWS: [Arrow; 11] = [
    Arrow { from: "aside-protocol", to: &[], tests_to: &[] },
    Arrow { from: "aside-mls", to: &["aside-protocol"], tests_to: &[] },
    Arrow { from: "aside-engine", to: &["aside-protocol", "aside-mls"], tests_to: &[] },
    Arrow { from: "aside-client", to: &["aside-protocol", "aside-engine"], tests_to: &["aside-server"] },
    Arrow { from: "aside-cli", to: &["aside-client"], tests_to: &["aside-protocol", "aside-server"] },
    Arrow { from: "aside-sfu", to: &[], tests_to: &["aside-protocol"] },
    Arrow { from: "aside-relay", to: &[], tests_to: &["aside-protocol"] },
    Arrow { from: "aside-server", to: &["aside-protocol", "aside-sfu", "aside-relay"], tests_to: &[] },
    Arrow { from: "aside-simulator", to: &["aside-protocol", "aside-engine", "aside-server"], tests_to: &[] },
    Arrow { from: "aside-bench", to: &["aside-protocol", "aside-mls", "aside-engine"], tests_to: &[] },
    Arrow { from: "xtask", to: &[], tests_to: &[] },
];

/// Where the server would learn what a message says.
const NEVER_IN_THE_SERVER: [&str; 3] = ["aside-engine", "aside-mls", "aside-client"];
const SERVER: &str = "aside-server";
/// The only user of openmls.
const MLS: &str = "aside-mls";

/// Asks cargo what the workspace holds. Needs no network.
///
/// # Errors
/// cargo fails, or answers something else than it did.
pub fn packages() -> Result<Vec<Package>> {
    let output = cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"])?.output()?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("what cargo metadata prints")?;
    let root = metadata.get("workspace_root").and_then(Value::as_str).unwrap_or_default();
    let packages = metadata.get("packages").and_then(Value::as_array).context("cargo metadata names no packages")?;
    Ok(packages.iter().map(|package| read_package(root, package)).collect())
}

fn read_package(root: &str, package: &Value) -> Package {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let manifest = text(package, "manifest_path");
    let mut read = Package {
        name: text(package, "name"),
        manifest: manifest.strip_prefix(root).unwrap_or(&manifest).trim_start_matches('/').to_owned(),
        ..Package::default()
    };
    for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
        let set = match text(dependency, "kind").as_str() {
            "dev" => &mut read.test_dependencies,
            _ => &mut read.dependencies,
        };
        set.insert(text(dependency, "name"));
    }
    read
}

/// Checks every arrow.
pub fn check(packages: &[Package]) -> Vec<Failure> {
    let ours: BTreeMap<&str, &Package> = packages.iter().map(|package| (package.name.as_str(), package)).collect();
    let mut failures = Vec::new();
    for package in packages {
        match ARROWS.iter().find(|arrow| arrow.from == package.name) {
            Some(arrow) => failures.extend(check_package(package, arrow, &ours)),
            None => failures.push(Failure::at(
                package.manifest.clone(),
                format!("{} has no arrows", package.name),
                "a crate exists only to forbid an import: say in xtask/src/tidy/arrows.rs which",
            )),
        }
        let openmls = package.dependencies.iter().chain(&package.test_dependencies).find(|d| d.starts_with("openmls"));
        if let Some(openmls) = openmls.filter(|_| package.name != MLS) {
            let rule = format!("{} imports {openmls}", package.name);
            failures.push(Failure::at(package.manifest.clone(), rule, "only aside-mls may: ask it instead"));
        }
    }
    if let Some(server) = ours.get(SERVER) {
        let reached = reachable(server, &ours);
        for name in NEVER_IN_THE_SERVER.iter().filter(|name| reached.contains(**name)) {
            failures.push(Failure::at(
                server.manifest.clone(),
                format!("the server reaches {name}, be it through others"),
                "it may not be able to name plaintext: cut the path",
            ));
        }
    }
    failures
}

fn check_package(package: &Package, arrow: &Arrow, ours: &BTreeMap<&str, &Package>) -> Vec<Failure> {
    let is_ours = |name: &&String| ours.contains_key(name.as_str());
    let wrong = package.dependencies.iter().filter(is_ours).filter(|name| !arrow.to.contains(&name.as_str()));
    let may_test = |name: &str| arrow.to.contains(&name) || arrow.tests_to.contains(&name) || name == package.name;
    let wrong_in_tests = package.test_dependencies.iter().filter(is_ours).filter(|name| !may_test(name));
    let all = wrong.chain(wrong_in_tests).map(|name| {
        Failure::at(
            package.manifest.clone(),
            format!("{} may not import {name}", package.name),
            format!("it may import [{}]; put the code on the right side of the arrow", arrow.to.join(", ")),
        )
    });
    all.collect()
}

/// Our crates that one reaches, tests included.
fn reachable<'a>(from: &'a Package, ours: &BTreeMap<&str, &'a Package>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Package> = vec![from];
    while let Some(package) = next.pop() {
        for name in package.dependencies.iter().chain(&package.test_dependencies) {
            if let Some(found) = ours.get(name.as_str())
                && reached.insert(found.name.as_str())
            {
                next.push(found);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str], test_dependencies: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package {
            name: name.into(),
            manifest: format!("crates/{name}/Cargo.toml"),
            dependencies: set(dependencies),
            test_dependencies: set(test_dependencies),
        }
    }

    #[test]
    fn arrows_as_drawn_are_fine() {
        let packages = [
            package("aside-protocol", &["minicbor"], &[]),
            package("aside-mls", &["aside-protocol", "openmls"], &[]),
            package("aside-server", &["aside-protocol"], &[]),
            package("aside-client", &[], &["aside-server"]),
        ];
        assert_eq!(check(&packages), []);
    }

    #[test]
    fn a_wrong_arrow_is_found_in_code_and_in_tests() {
        let packages = [
            package("aside-protocol", &["aside-mls"], &[]),
            package("aside-mls", &[], &["aside-server"]),
            package("aside-server", &[], &[]),
        ];
        assert_eq!(check(&packages).len(), 2);
    }

    #[test]
    fn the_server_may_not_reach_mls_through_others() {
        let packages = [
            package("aside-server", &["aside-relay"], &[]),
            package("aside-relay", &[], &["aside-mls"]),
            package("aside-mls", &[], &[]),
        ];
        assert!(check(&packages).iter().any(|failure| failure.rule.contains("reaches aside-mls")));
    }

    #[test]
    fn openmls_outside_its_crate_and_unknown_crates_are_found() {
        let found = check(&[package("aside-engine", &["openmls_traits"], &[]), package("aside-surprise", &[], &[])]);
        assert!(found.iter().any(|failure| failure.rule.contains("imports openmls_traits")));
        assert!(found.iter().any(|failure| failure.rule.contains("has no arrows")));
    }
}
