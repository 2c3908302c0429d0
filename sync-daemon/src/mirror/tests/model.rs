//! The planner against a model that is too simple to be wrong.
//!
//! The model knows no handles, threads, listings or order of work: it walks two small trees in
//! memory, name by name, and says which operations are to happen and what is there in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;

use rustix::fs::Mode;

use super::*;

const SEEDS: u64 = 150;

type Tree = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// Its content follows from size and time, so that equal ones need no copy.
    File {
        size: usize,
        time: i64,
        mode: u32,
    },
    Link {
        target: &'static str,
        time: i64,
    },
    Fifo,
    Directory {
        mode: u32,
        entries: Tree,
    },
}

impl Node {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }
}

/// What is expected of one run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    actions: BTreeSet<(&'static str, String)>,
    failures: BTreeSet<String>,
}

struct Model<'a> {
    options: &'a Options,
    deletes: bool,
    expected: Expected,
}

impl Model<'_> {
    /// Returns what `destination` becomes.
    fn directory(&mut self, path: &str, source: &Tree, destination: &Tree) -> Tree {
        let mut result = Tree::new();
        let names: BTreeSet<_> = source.keys().chain(destination.keys()).collect();
        for name in names {
            let path = join(path, name);
            let ours = source.get(name).filter(|node| !self.excludes(&path, node));
            let after = match (ours, destination.get(name)) {
                (None, theirs) => theirs.and_then(|theirs| self.extra(&path, theirs)),
                (Some(ours), theirs) => self.mirrored(&path, ours, theirs),
            };
            result.extend(after.map(|node| (name.clone(), node)));
        }
        result
    }

    fn mirrored(&mut self, path: &str, ours: &Node, theirs: Option<&Node>) -> Option<Node> {
        match (ours, theirs) {
            (Node::Fifo, theirs) => theirs.cloned(),
            (Node::Directory { mode, entries }, theirs) => {
                let before = match theirs {
                    Some(Node::Directory {
                        mode: theirs,
                        entries,
                    }) => {
                        if theirs != mode {
                            self.act("update", path);
                        }
                        entries.clone()
                    }
                    Some(other) if self.protects(path, other) => return self.fail(path, other),
                    Some(_) => self.act("update", path),
                    None => self.act("create", path),
                };
                let entries = self.directory(path, entries, &before);
                Some(Node::Directory {
                    mode: *mode,
                    entries,
                })
            }
            (_, None) => {
                self.act("create", path);
                Some(ours.clone())
            }
            (_, Some(theirs @ Node::Directory { .. })) => self.over_directory(path, ours, theirs),
            (_, Some(theirs)) => {
                if ours != theirs {
                    self.act("update", path);
                }
                Some(ours.clone())
            }
        }
    }

    fn over_directory(&mut self, path: &str, ours: &Node, theirs: &Node) -> Option<Node> {
        if self.protects(path, theirs) {
            return self.fail(path, theirs);
        }
        self.act("update", path);
        let left = if self.deletes {
            self.extra(path, theirs)
        } else {
            Some(theirs.clone())
        };
        match left {
            Some(Node::Directory { mode, entries }) if !entries.is_empty() => {
                self.fail(path, &Node::Directory { mode, entries })
            }
            _ => Some(ours.clone()),
        }
    }

    /// What is left of something that the source does not have.
    fn extra(&mut self, path: &str, theirs: &Node) -> Option<Node> {
        if !self.deletes || self.protects(path, theirs) {
            return Some(theirs.clone());
        }
        if let Node::Directory { mode, entries } = theirs {
            let left: Tree = entries
                .iter()
                .filter_map(|(name, node)| {
                    let left = self.extra(&join(path, name), node)?;
                    Some((name.clone(), left))
                })
                .collect();
            if !left.is_empty() {
                return Some(Node::Directory {
                    mode: *mode,
                    entries: left,
                });
            }
        }
        self.act("delete", path);
        None
    }

    fn act(&mut self, operation: &'static str, path: &str) -> Tree {
        self.expected.actions.insert((operation, path.to_owned()));
        Tree::new()
    }

    fn fail(&mut self, path: &str, stays: &Node) -> Option<Node> {
        self.expected.failures.insert(path.to_owned());
        Some(stays.clone())
    }

    fn excludes(&self, path: &str, node: &Node) -> bool {
        let is_hidden = path.rsplit('/').next().is_some_and(|n| n.starts_with('.'));
        let filter = &self.options.filter;
        (self.options.ignore_hidden && is_hidden)
            || filter.excludes(Path::new(path), node.is_directory())
    }

    fn protects(&self, path: &str, node: &Node) -> bool {
        !self.options.delete_excluded && self.excludes(path, node)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}

/// What the run is to do, and what the destination is to be.
fn expectation(source: &Tree, destination: &Tree, options: &Options) -> (Expected, Tree, bool) {
    let work_out = |deletes: bool| {
        let expected = Expected::default();
        let mut model = Model {
            options,
            deletes,
            expected,
        };
        let result = model.directory("", source, destination);
        (model.expected, result)
    };
    let (expected, result) = work_out(options.delete);
    let is_deletion = |action: &&(&str, String)| action.0 == "delete";
    let deletions = expected.actions.iter().filter(is_deletion).count() as u64;
    if options.max_delete != 0 && deletions > options.max_delete {
        let (expected, result) = work_out(false);
        return (expected, result, true);
    }
    (expected, result, false)
}

fn random_tree(random: &mut fastrand::Rng, depth: u32) -> Tree {
    let names = ["a", "b", "c.tmp", ".hidden", "e"];
    names
        .iter()
        .filter_map(|name| {
            let node = match random.u8(..12) {
                0..4 => Node::File {
                    size: random.usize(..3),
                    time: random.i64(1..3),
                    mode: random.choice([0o644, 0o600])?,
                },
                4..6 => Node::Link {
                    target: random.choice(["x", "/"])?,
                    time: random.i64(1..3),
                },
                6 => Node::Fifo,
                7..10 if depth > 0 => Node::Directory {
                    mode: random.choice([0o755, 0o700])?,
                    entries: random_tree(random, depth - 1),
                },
                _ => return None,
            };
            Some(((*name).to_owned(), node))
        })
        .collect()
}

fn random_options(random: &mut fastrand::Rng) -> Options {
    let patterns: [&[&str]; 6] = [
        &[],
        &["*.tmp"],
        &["a/"],
        &["/a/b", "e", "!e"],
        &["a", "!a/"],
        &["*", "!a/", "!b"],
    ];
    let patterns = random.choice(patterns).expect("not empty");
    Options {
        delete: random.u8(..4) > 0,
        max_delete: random.choice([0, 0, 0, 2]).expect("not empty"),
        max_delete_percent: 0,
        allow_empty_source: true,
        delete_excluded: random.u8(..4) == 0,
        ignore_hidden: random.bool(),
        filter: Filter::parse(patterns).expect("valid"),
        ..Options::default()
    }
}

/// All directories have one time: what a run counts when only that differs has a test of its own.
fn plant(root: &Path, tree: &Tree) {
    for (name, node) in tree {
        let path = root.join(name);
        match node {
            Node::File { size, time, mode } => {
                fs::write(&path, vec![b'0' + *time as u8; *size]).expect("write");
                set_mode(&path, *mode);
                set_mtime(&path, *time, 0);
            }
            Node::Link { target, time } => {
                symlink(target, &path).expect("symlink");
                set_mtime(&path, *time, 0);
            }
            Node::Fifo => rustix::fs::mkfifoat(CWD, &path, Mode::RUSR).expect("mkfifo"),
            Node::Directory { mode, entries } => {
                fs::create_dir(&path).expect("mkdir");
                plant(&path, entries);
                set_mode(&path, *mode);
            }
        }
    }
    set_mtime(root, 9, 9);
}

/// The tree below `root`, in the words of the model.
fn harvest(root: &Path) -> Tree {
    let entries = fs::read_dir(root).expect("list");
    entries
        .map(|entry| {
            let entry = entry.expect("entry");
            let metadata = fs::symlink_metadata(entry.path()).expect("stat");
            let (mode, time) = (metadata.mode() & 0o7777, metadata.mtime());
            let node = if metadata.is_dir() {
                let entries = harvest(&entry.path());
                Node::Directory { mode, entries }
            } else if metadata.is_symlink() {
                let target = fs::read_link(entry.path()).expect("readlink");
                let target = if target == Path::new("/") { "/" } else { "x" };
                Node::Link { target, time }
            } else if metadata.is_file() {
                let content = fs::read(entry.path()).expect("read");
                let wanted = vec![b'0' + time as u8; content.len()];
                assert_eq!(content, wanted, "the time belongs to the content");
                let size = content.len();
                Node::File { size, time, mode }
            } else {
                Node::Fifo
            };
            let name = entry.file_name().into_string().expect("names of the model");
            (name, node)
        })
        .collect()
}

/// Keeps the actions of a plan.
#[derive(Default)]
struct Planned(Mutex<BTreeSet<(&'static str, String)>>);

impl Observer for Planned {
    fn planned(&self, plan: &Plan) {
        let mut actions = self.0.lock().expect("lock");
        let visited: Result<(), String> = plan.try_for_each(|action| {
            let path = action.path.display().to_string();
            let operation = action.operation.as_str();
            let is_new = actions.insert((operation, path.clone()));
            is_new.then_some(()).ok_or(path)
        });
        assert_eq!(visited, Ok(()), "each entry is planned once");
    }
}

#[test]
fn plans_and_their_results_are_those_of_a_naive_model() {
    let mut total = 0;
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (source, destination) = (random_tree(&mut random, 3), random_tree(&mut random, 3));
        let options = random_options(&mut random);
        let fixture = Fixture::new();
        plant(&fixture.source, &source);
        plant(&fixture.destination, &destination);
        let (expected, result, is_withheld) = expectation(&source, &destination, &options);

        let planned = Planned::default();
        let report = fixture.run_observed(&options, &planned);
        let actions = planned.0.into_inner().expect("lock");
        let context = format!("seed {seed}: {source:#?} -> {destination:#?}, {options:?}");
        assert_eq!(actions, expected.actions, "{context}");
        assert_eq!(harvest(&fixture.destination), result, "{context}");
        assert_eq!(report.deletions_withheld > 0, is_withheld, "{context}");
        let is_entry = |error: &&FileError| error.error_type != ErrorType::DeleteLimit;
        let failed = report.errors.iter().filter(is_entry);
        let failed: BTreeSet<_> = failed.map(|error| error.path.clone()).collect();
        assert_eq!(failed, expected.failures, "{context}");
        let count = |operation: &str, failed: bool| {
            let chosen = actions.iter().filter(|(kind, path)| {
                *kind == operation && expected.failures.contains(path) == failed
            });
            chosen.count() as u64
        };
        let wanted = ["create", "update", "delete"].map(|operation| count(operation, false));
        let done = [report.created, report.updated, report.deleted];
        assert_eq!(done, wanted, "{context}");
        total += done.iter().sum::<u64>();
    }
    assert!(
        total > 10 * SEEDS,
        "{total} operations are not worth the name"
    );
}
