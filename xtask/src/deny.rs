//! Licences, sources and duplicate versions, from `cargo metadata` and the lists in `deny.toml`.
//!
//! Small enough to be written here: installing cargo-deny takes longer than all other checks together. Not covered: security
//! advisories, whose database is not part of any package. The step says so each time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::spdx;

/// Compares the dependency tree with `deny.toml`.
///
/// # Errors
/// Every violation, one a line; or `Cargo.lock` does not fit the manifests.
pub(crate) fn check(shell: &Shell) -> Result<String> {
    let policy: Policy =
        toml::from_str(&shell.read_file("deny.toml")?).context("cannot read deny.toml")?;
    let packages = packages(shell, &policy.graph.targets)?;
    let mut violations = Vec::new();
    for package in &packages {
        violations.extend(licence_violation(package, &policy.licenses.allow));
        violations.extend(source_violation(package));
    }
    violations.extend(registry_violation(&packages));
    let duplicates = Duplicates::find(&packages, &policy.bans.skip);
    violations.extend(duplicates.violations);
    if !violations.is_empty() {
        bail!("{}", violations.join("\n"));
    }
    let mut note = format!("{} packages; advisories are NOT checked", packages.len());
    if !duplicates.needless.is_empty() {
        note += &format!(
            "; no longer needed in `skip` of deny.toml: {}",
            duplicates.needless.join(", ")
        );
    }
    Ok(note)
}

#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Skip {
    /// `name@version`, where the version may be cut short: `syn@2`.
    #[serde(rename = "crate")]
    spec: String,
}

impl Skip {
    fn covers(&self, name: &str, version: &str) -> bool {
        let Some((skipped, prefix)) = self.spec.split_once('@') else {
            return false;
        };
        let rest = version.strip_prefix(prefix);
        skipped == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Absent for members of the workspace.
    source: Option<String>,
}

fn packages(shell: &Shell, targets: &[String]) -> Result<Vec<Package>> {
    let targets = targets
        .iter()
        .flat_map(|target| ["--filter-platform", target]);
    let json = cmd!(
        shell,
        "cargo metadata --format-version 1 --locked --all-features {targets...}"
    )
    .quiet()
    .read()
    .context(
        "`cargo metadata --locked` failed; if Cargo.lock is stale, run `cargo check` and commit it",
    )?;
    let mut metadata: Value = serde_json::from_str(&json)?;
    Ok(serde_json::from_value(metadata["packages"].take())?)
}

fn licence_violation(package: &Package, allowed: &[String]) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(expression) = &package.license else {
        return Some(format!("{name} {version} states no licence expression"));
    };
    match spdx::is_allowed(expression, allowed) {
        Ok(true) => None,
        Ok(false) => Some(format!(
            "{name} {version} is licensed as `{expression}`, which deny.toml does not allow"
        )),
        Err(error) => Some(format!("{name} {version}: {error:#}")),
    }
}

fn source_violation(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let published = source.starts_with("registry+") || source.starts_with("sparse+");
    (!published).then(|| {
        let Package { name, version, .. } = package;
        format!("{name} {version} is no published crate: it comes from {source}")
    })
}

/// Everything comes from one registry: a second one would be somebody's private copy.
fn registry_violation(packages: &[Package]) -> Option<String> {
    let registries: BTreeSet<_> = packages
        .iter()
        .filter_map(|package| package.source.as_deref())
        .collect();
    (registries.len() > 1).then(|| format!("the crates come from several places: {registries:?}"))
}

struct Duplicates<'a> {
    violations: Vec<String>,
    /// Entries of the skip list that cover no version of a duplicated crate.
    needless: Vec<&'a str>,
}

impl<'a> Duplicates<'a> {
    fn find(packages: &[Package], skips: &'a [Skip]) -> Self {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in packages {
            versions
                .entry(&package.name)
                .or_default()
                .insert(&package.version);
        }
        versions.retain(|_, versions| versions.len() > 1);

        let mut needed = BTreeSet::new();
        let mut violations = Vec::new();
        for (name, versions) in &versions {
            let mut left = Vec::new();
            for version in versions {
                match skips.iter().find(|skip| skip.covers(name, version)) {
                    Some(skip) => drop(needed.insert(skip.spec.as_str())),
                    None => left.push(*version),
                }
            }
            if left.len() > 1 {
                violations.push(format!(
                    "{name} is there in several versions: {}",
                    left.join(", ")
                ));
            }
        }
        let specs = skips.iter().map(|skip| skip.spec.as_str());
        let needless = specs.filter(|spec| !needed.contains(spec)).collect();
        Self {
            violations,
            needless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Duplicates, Package, Skip, licence_violation, registry_violation, source_violation,
    };

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some("MIT".to_owned()),
            source: None,
        }
    }

    fn skip(spec: &str) -> Skip {
        Skip {
            spec: spec.to_owned(),
        }
    }

    #[test]
    fn a_second_version_is_reported_unless_skipped() {
        let packages = [package("syn", "2.0.1"), package("syn", "3.0.1")];
        assert_eq!(Duplicates::find(&packages, &[]).violations.len(), 1);
        let skips = [skip("syn@2")];
        let duplicates = Duplicates::find(&packages, &skips);
        assert!(duplicates.violations.is_empty());
        assert!(duplicates.needless.is_empty());
    }

    #[test]
    fn a_third_version_is_reported_although_one_is_skipped() {
        let versions = ["2.0.1", "3.0.1", "4.0.0"].map(|version| package("syn", version));
        let violations = Duplicates::find(&versions, &[skip("syn@2")]).violations;
        assert_eq!(
            violations,
            ["syn is there in several versions: 3.0.1, 4.0.0"]
        );
    }

    #[test]
    fn a_skip_covers_whole_version_parts_only() {
        assert!(skip("a@0.2").covers("a", "0.2.7"));
        assert!(!skip("a@0.2").covers("a", "0.20.7"));
        assert!(!skip("a@0.2").covers("b", "0.2.7"));
    }

    #[test]
    fn needless_skips_are_named() {
        let skips = [skip("syn@2")];
        let duplicates = Duplicates::find(&[package("syn", "3.0.1")], &skips);
        assert_eq!(duplicates.needless, ["syn@2"]);
    }

    #[test]
    fn a_crate_without_a_licence_or_from_a_git_repository_is_refused() {
        let mut stray = package("stray", "1.0.0");
        stray.license = None;
        stray.source = Some("git+file:///stray".to_owned());
        assert!(licence_violation(&stray, &["MIT".to_owned()]).is_some());
        assert!(source_violation(&stray).is_some());
        assert!(source_violation(&package("member", "0.1.0")).is_none());
    }

    #[test]
    fn a_second_registry_is_refused() {
        let from = |source: &str| Package {
            source: Some(source.to_owned()),
            ..package("a", "1.0.0")
        };
        assert!(registry_violation(&[from("registry+x"), from("registry+x")]).is_none());
        assert!(registry_violation(&[from("registry+x"), from("registry+y")]).is_some());
    }
}
