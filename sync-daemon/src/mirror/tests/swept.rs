//! What a run that was killed leaves behind.

use super::*;

#[test]
fn what_a_crash_left_behind_is_swept_and_never_mirrored() {
    let fixture = Fixture::new();
    let ours = temporary::random_name();
    write(&fixture.source.join("f"), "1");
    write(&fixture.source.join(&ours), "half");
    write(&fixture.destination.join(&ours), "half");
    write(&fixture.destination.join(".sync-daemon.tmp.mine"), "1");
    let report = fixture.run(&Options::default());
    assert_eq!((report.created, report.deleted), (1, 0));
    assert!(!fixture.destination.join(&ours).exists());
    assert!(fixture.destination.join(".sync-daemon.tmp.mine").exists());
}

/// A directory that only the destination has, with an unfinished file in it.
fn plant_litter(fixture: &Fixture) -> PathBuf {
    write(&fixture.source.join("f"), "1");
    fs::create_dir_all(fixture.destination.join("only/deep")).expect("mkdir");
    write(&fixture.destination.join("only/deep/precious"), "1");
    let litter = fixture
        .destination
        .join("only/deep")
        .join(temporary::random_name());
    write(&litter, "half");
    litter
}

#[test]
fn mark_of_a_killed_run_makes_the_next_one_sweep_everywhere_even_without_delete() {
    let fixture = Fixture::new();
    let litter = plant_litter(&fixture);
    fixture.run(&Options::default());
    assert!(
        litter.exists(),
        "what is not to be touched is not even listed"
    );
    let mark = fixture.destination.join(temporary::random_name());
    write(&mark, "");
    let report = fixture.run(&Options::default());
    assert_eq!((report.status, report.deleted), (Status::Success, 0));
    assert!(!litter.exists() && !mark.exists());
    assert!(fixture.destination.join("only/deep/precious").exists());
}

#[test]
fn excluded_directories_are_swept_too_and_keep_everything_else() {
    let fixture = Fixture::new();
    let litter = plant_litter(&fixture);
    write(&fixture.destination.join(temporary::random_name()), "");
    let options = Options {
        filter: Filter::parse(["only/"]).expect("valid"),
        ..deleting()
    };
    let report = fixture.run(&options);
    assert_eq!((report.status, report.deleted), (Status::Success, 0));
    assert!(!litter.exists());
    assert!(fixture.destination.join("only/deep/precious").exists());
}

/// Counts the unfinished files in the root while content is written.
struct MarksSeen<'a> {
    root: &'a Path,
    most: Mutex<usize>,
}

fn unfinished(root: &Path) -> usize {
    let entries = fs::read_dir(root).expect("list");
    entries
        .filter(|entry| temporary::is_ours(&entry.as_ref().expect("entry").file_name()))
        .count()
}

impl Observer for MarksSeen<'_> {
    fn bytes_written(&self, _: u64) {
        let mut most = self.most.lock().expect("lock");
        *most = unfinished(self.root).max(*most);
    }
}

#[test]
fn root_is_marked_while_there_are_unfinished_files_anywhere() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.source.join("dir")).expect("mkdir");
    write(&fixture.source.join("dir/f"), "1");
    let seen = MarksSeen {
        root: &fixture.destination,
        most: Mutex::new(0),
    };
    fixture.run_observed(&deleting(), &seen);
    assert_eq!(*seen.most.lock().expect("lock"), 1);
    assert_eq!(unfinished(&fixture.destination), 0);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

#[test]
fn empty_directory_that_a_crash_left_is_swept_and_a_used_one_stays() {
    let fixture = Fixture::new();
    write(&fixture.source.join("f"), "1");
    let (empty, used) = (temporary::random_name(), temporary::random_name());
    fs::create_dir(fixture.destination.join(&empty)).expect("mkdir");
    fs::create_dir_all(fixture.destination.join(&used).join("inner")).expect("mkdir");
    let report = fixture.run(&Options::default());
    assert_eq!(report.status, Status::Success, "{report:?}");
    assert!(!fixture.destination.join(&empty).exists());
    assert!(fixture.destination.join(&used).exists());
    assert_eq!(fixture.run(&deleting()).deleted, 2);
    assert_eq!(snapshot(&fixture.source), snapshot(&fixture.destination));
}

/// Looks after each step whether the mark is still there as long as there is litter.
struct MarkAndLitter<'a> {
    mark: &'a Path,
    litter: &'a Path,
    steps: Mutex<Vec<(bool, bool)>>,
}

impl Observer for MarkAndLitter<'_> {
    fn step_done(&self) {
        let found = (self.mark.exists(), self.litter.exists());
        self.steps.lock().expect("lock").push(found);
    }
}

#[test]
fn mark_of_a_killed_run_is_swept_last_for_the_next_one_may_be_killed_too() {
    let fixture = Fixture::new();
    let litter = plant_litter(&fixture);
    fixture.run(&Options::default());
    let mark = fixture.destination.join(temporary::random_name());
    write(&mark, "");
    let looking = MarkAndLitter {
        mark: &mark,
        litter: &litter,
        steps: Mutex::default(),
    };
    fixture.run_observed(&Options::default(), &looking);
    let steps = looking.steps.into_inner().expect("lock");
    assert_eq!(steps, [(true, false), (false, false)]);
}
