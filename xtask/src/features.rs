//! The combinations of the daemon's features that have to build.

/// The features of `sync-daemon` that may be left out one by one.
const SINKS: [&str; 4] = ["file", "pocketbase", "metrics", "sanitize"];

/// Every subset of the daemon's features, as `--features` takes it; the empty one first.
///
/// `tls` only changes how PocketBase is reached, so it comes with `pocketbase` and doubles nothing.
pub(crate) fn combinations() -> Vec<String> {
    (0..1usize << SINKS.len()).map(combination).collect()
}

fn combination(bits: usize) -> String {
    let chosen = SINKS
        .iter()
        .enumerate()
        .filter(|(position, _)| bits & (1 << position) != 0)
        .map(|(_, name)| match *name {
            "pocketbase" => "pocketbase,tls",
            name => name,
        });
    chosen.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::combinations;

    #[test]
    fn all_sixteen_subsets_are_built_once_each() {
        let mut all = combinations();
        assert_eq!(all.len(), 16);
        assert_eq!(all[0], "");
        assert_eq!(all[15], "file,pocketbase,tls,metrics,sanitize");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 16);
    }
}
