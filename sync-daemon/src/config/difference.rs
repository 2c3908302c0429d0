//! What differs between two configurations.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::Config;

/// Keys that identify the elements of an array of tables.
const IDENTITIES: [&str; 2] = ["id", "name"];

impl Config {
    /// The paths of the keys whose values differ, in order: `telemetry.log_level`, `sync_jobs[documents].filters`. A job that only one of
    /// them has is there as a whole: `sync_jobs[documents]`.
    pub fn differing_keys(&self, other: &Self) -> Vec<String> {
        let (mine, others) = (keys(self), keys(other));
        let paths: BTreeSet<&String> = mine.keys().chain(others.keys()).collect();
        let differing = paths
            .into_iter()
            .filter(|path| mine.get(*path) != others.get(*path));
        let mut whole = BTreeSet::new();
        for path in differing {
            let entry = path.find(']').map(|end| &path[..=end]);
            let is_one_sided = |entry: &&str| has_entry(&mine, entry) != has_entry(&others, entry);
            let told = entry.filter(is_one_sided).unwrap_or(path);
            whole.insert(told.to_owned());
        }
        whole.into_iter().collect()
    }
}

fn has_entry(keys: &BTreeMap<String, Value>, entry: &str) -> bool {
    keys.keys().any(|path| path.starts_with(entry))
}

/// Every value by its path.
fn keys(config: &Config) -> BTreeMap<String, Value> {
    let table: toml::Table = config
        .to_toml()
        .parse()
        .expect("what is written can be read");
    let mut found = BTreeMap::new();
    flatten(String::new(), Value::Table(table), &mut found);
    found
}

fn flatten(path: String, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key
                } else {
                    format!("{path}.{key}")
                };
                flatten(path, value, found);
            }
        }
        Value::Array(elements) if elements.iter().any(Value::is_table) => {
            for element in elements {
                let identity = IDENTITIES.iter().find_map(|key| element.get(key)?.as_str());
                let path = format!("{path}[{}]", identity.unwrap_or_default());
                flatten(path, element, found);
            }
        }
        value => {
            found.insert(path, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SyncJob;

    fn job(id: &str) -> SyncJob {
        SyncJob {
            id: id.to_owned(),
            ..SyncJob::default()
        }
    }

    #[test]
    fn equal_configurations_do_not_differ() {
        let config = Config::default();
        assert_eq!(config.differing_keys(&config.clone()), [""; 0]);
    }

    #[test]
    fn keys_are_named_with_the_job_and_whole_jobs_once() {
        let before = Config {
            sync_jobs: vec![job("a"), job("gone")],
            ..Config::default()
        };
        let mut after = before.clone();
        after.sync_jobs = vec![job("a"), job("new")];
        after.sync_jobs[0].filters = vec!["*.tmp".to_owned()];
        after.telemetry.metrics.port += 1;
        assert_eq!(
            before.differing_keys(&after),
            [
                "sync_jobs[a].filters",
                "sync_jobs[gone]",
                "sync_jobs[new]",
                "telemetry.metrics.port"
            ]
        );
    }
}
