//! Both forms of the spool, by the same tests where they behave alike.

use std::path::{Path, PathBuf};

use telemetry_core::LEVELS;
use tracing::Level;
use uuid::Uuid;

use super::*;
use crate::id::RecordId;

const MAX_BYTES: u64 = 8 * 1024 * 1024;

fn open(path: &Path) -> Patient {
    Patient::open(path, MAX_BYTES)
}

/// A spool that is opened anew when it has no room, as the uploader does it.
struct Patient {
    path: PathBuf,
    fit: Fit,
    inner: Option<DiskSpool>,
    reopenings: u32,
}

impl Patient {
    fn open(path: &Path, max_bytes: u64) -> Self {
        let mut spool = Self {
            path: path.to_owned(),
            fit: Fit::within(max_bytes),
            inner: None,
            reopenings: 0,
        };
        spool.open_inner();
        spool
    }

    fn open_inner(&mut self) {
        // The file is locked as long as it is open.
        self.inner = None;
        let (spool, set_aside) = DiskSpool::open(&self.path, self.fit).unwrap();
        assert_eq!(set_aside, None);
        self.inner = Some(spool);
    }

    fn inner(&mut self) -> &mut DiskSpool {
        self.inner.as_mut().unwrap()
    }
}

impl Spool for Patient {
    fn append(&mut self, records: &[Fresh<'_>], up_to: Option<u64>) -> Result<Evicted, SpoolError> {
        loop {
            match self.inner().append(records, up_to) {
                Err(SpoolError::NoRoom { may_grow }) => {
                    self.fit.tightness += u32::from(!may_grow);
                    self.fit.at_full_size = true;
                    self.reopenings += 1;
                    assert!(self.reopenings < 8, "{:?}", self.fit);
                    self.open_inner();
                }
                other => return other,
            }
        }
    }
    fn append_limit(&self) -> usize {
        self.inner.as_ref().unwrap().append_limit()
    }
    fn load(
        &mut self,
        after: Option<u64>,
        records: usize,
        bytes: usize,
    ) -> Result<Loaded, SpoolError> {
        self.inner().load(after, records, bytes)
    }
    fn remove(&mut self, records: &[&Stored]) -> Result<u64, SpoolError> {
        self.inner().remove(records)
    }
    fn sync(&mut self) -> Result<(), SpoolError> {
        self.inner().sync()
    }
    fn holdings(&self) -> Holdings {
        self.inner.as_ref().unwrap().holdings()
    }
    fn file_bytes(&self) -> u64 {
        self.inner.as_ref().unwrap().file_bytes()
    }
    fn is_durable(&self) -> bool {
        true
    }
    fn breaker_was_open(&self) -> bool {
        self.inner.as_ref().unwrap().breaker_was_open()
    }
    fn remember_breaker(&mut self, open: bool) -> Result<(), SpoolError> {
        self.inner().remember_breaker(open)
    }
}

fn both(test: impl Fn(&mut dyn Spool)) {
    let dir = tempfile::tempdir().unwrap();
    test(&mut open(&dir.path().join("spool.redb")));
    test(&mut MemorySpool::new(1 << 20));
}

fn id(number: u64) -> RecordId {
    RecordId::of(Uuid::nil(), number)
}

fn put(spool: &mut dyn Spool, level: Level, number: u64, line: &str) -> Evicted {
    let record = Fresh {
        level,
        id: id(number),
        line,
    };
    spool.append(&[record], None).unwrap()
}

fn load(spool: &mut dyn Spool, records: usize, bytes: usize) -> Vec<Stored> {
    let loaded = spool.load(None, records, bytes).unwrap();
    assert_eq!(loaded.senseless, [0; 5]);
    loaded.records
}

fn lines(spool: &mut dyn Spool) -> Vec<String> {
    load(spool, usize::MAX, usize::MAX)
        .into_iter()
        .map(|record| record.line)
        .collect()
}

#[test]
fn records_of_all_levels_come_back_in_the_order_of_their_arrival() {
    both(|spool| {
        let levels = LEVELS.iter().cycle().take(13);
        for (number, level) in levels.enumerate() {
            put(spool, *level, number as u64, &format!("line {number}"));
        }
        let records = load(spool, 100, usize::MAX);
        assert_eq!(records.len(), 13);
        for (number, record) in records.iter().enumerate() {
            assert_eq!(record.line, format!("line {number}"));
            assert_eq!(record.id, id(number as u64));
            assert_eq!(record.level, LEVELS[number % 5]);
        }
        assert!(records.is_sorted_by_key(|record| record.key));
    });
}

#[test]
fn load_keeps_to_count_and_bytes_but_gives_one_at_least() {
    both(|spool| {
        for number in 0..10 {
            put(spool, Level::INFO, number, "0123456789");
        }
        assert_eq!(load(spool, 3, usize::MAX).len(), 3);
        assert_eq!(load(spool, 100, 45).len(), 4);
        assert_eq!(load(spool, 100, 1).len(), 1);
    });
}

#[test]
fn removed_records_are_gone_and_counted_once() {
    both(|spool| {
        for number in 0..4 {
            put(spool, Level::WARN, number, "abc");
        }
        let records = load(spool, 2, usize::MAX);
        let both: Vec<&Stored> = records.iter().collect();
        assert_eq!(spool.remove(&both).unwrap(), 2);
        assert_eq!(spool.remove(&both).unwrap(), 0);
        let holdings = spool.holdings();
        assert_eq!((holdings.total(), holdings.bytes), (2, 6));
        assert_eq!(holdings.records[1], 2);
        assert_eq!(holdings.first_key, Some(records[1].key + 1));
    });
}

#[test]
fn removal_reaches_the_file_with_the_next_transaction_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    for number in 0..4 {
        put(&mut spool, Level::INFO, number, &format!("line {number}"));
    }
    let remove_first = |spool: &mut DiskSpool| {
        let first = load(spool, 1, usize::MAX);
        spool.remove(&first.iter().collect::<Vec<_>>()).unwrap();
    };
    remove_first(spool.inner());
    assert_eq!(lines(&mut spool)[0], "line 1");
    drop(spool);
    let mut spool = open(&path);
    assert_eq!(lines(&mut spool)[0], "line 0", "as after a crash");
    remove_first(spool.inner());
    put(&mut spool, Level::INFO, 4, "line 4");
    drop(spool);
    let mut spool = open(&path);
    assert_eq!(lines(&mut spool).len(), 4);
    assert_eq!(lines(&mut spool)[0], "line 1");
}

#[test]
fn disk_spool_survives_a_restart_with_keys_that_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub").join("spool.redb");
    let mut spool = open(&path);
    for number in 0..100 {
        put(&mut spool, Level::INFO, number, &format!("line {number}"));
    }
    let first = load(&mut spool, 30, usize::MAX);
    spool.remove(&first.iter().collect::<Vec<_>>()).unwrap();
    spool.sync().unwrap();
    spool.remember_breaker(true).unwrap();
    let before = spool.holdings();
    drop(spool);

    let mut spool = open(&path);
    assert_eq!(spool.holdings(), before);
    assert!(spool.breaker_was_open());
    assert_eq!(lines(&mut spool)[0], "line 30");
    put(&mut spool, Level::INFO, 100, "new");
    assert_eq!(
        spool.holdings().last_key,
        before.last_key.map(|key| key + 1)
    );
}

#[test]
fn one_process_at_a_time_has_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let _spool = open(&path);
    let error = DiskSpool::open(&path, Fit::within(MAX_BYTES)).unwrap_err();
    assert!(matches!(error, SpoolError::InUse), "{error}");
}

#[test]
fn spool_that_ended_the_process_while_it_was_opened_is_checked_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mark = dir.path().join("spool.redb.opening");
    put_mixed(&mut open(&path));
    assert!(!mark.exists());

    std::fs::write(&mark, "").unwrap();
    assert_eq!(lines(&mut open(&path)).len(), 6);
    assert!(!mark.exists());

    let mut bytes = std::fs::read(&path).unwrap();
    let line = bytes.windows(6).rposition(|six| six == b"line 0").unwrap();
    bytes[line] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::write(&mark, "").unwrap();
    let (_, set_aside) = DiskSpool::open(&path, Fit::within(1 << 20)).unwrap();
    assert!(set_aside.unwrap().contains("spool.redb.corrupt"));
    assert!(!mark.exists());
}

#[test]
fn corrupt_file_is_set_aside_and_a_new_spool_begun() {
    for garbage in [&b"this is no database"[..], &[0xff; 100_000][..]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.redb");
        std::fs::write(&path, garbage).unwrap();
        let (mut spool, set_aside) = DiskSpool::open(&path, Fit::within(MAX_BYTES)).unwrap();
        assert!(set_aside.unwrap().contains("spool.redb.corrupt"));
        assert_eq!(
            std::fs::read(dir.path().join("spool.redb.corrupt")).unwrap(),
            garbage
        );
        put(&mut spool, Level::INFO, 1, "works");
        assert_eq!(lines(&mut spool), ["works"]);
    }
}

#[test]
fn file_with_damaged_pages_never_gives_torn_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    let line = "x".repeat(1000);
    for number in 0..200 {
        put(&mut spool, Level::INFO, number, &line);
    }
    drop(spool);
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(8192).step_by(97) {
        *byte ^= 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    let opened = DiskSpool::open(&path, Fit::within(MAX_BYTES));
    let loaded = opened.and_then(|(mut spool, _)| spool.load(None, 1000, usize::MAX));
    if let Ok(loaded) = loaded {
        assert!(loaded.records.iter().all(|record| record.line == line));
    }
}

#[test]
fn damaged_file_never_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let fit = Fit::within(1 << 20);
    let (mut spool, _) = DiskSpool::open(&path, fit).unwrap();
    for number in 0..40 {
        put(&mut spool, Level::INFO, number, "a line");
        put(&mut spool, Level::ERROR, number, &"x".repeat(300));
    }
    drop(spool);
    let whole = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..40) {
            let place = random.usize(..bytes.len().min(200_000));
            bytes[place] ^= 1 << random.u8(..8);
        }
        std::fs::write(&path, bytes).unwrap();
        let Ok((mut spool, _)) = DiskSpool::open(&path, fit) else {
            continue;
        };
        let record = Fresh {
            level: Level::INFO,
            id: id(1000),
            line: "fresh",
        };
        // An error is as good: what counts is that we are still there.
        if spool.load(None, 100, usize::MAX).is_ok() {
            let _ = spool.append(&[record], None);
        }
    }
}

#[test]
fn file_that_was_cut_off_never_stays_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    for number in 0..200 {
        put(&mut spool, Level::INFO, number, &"x".repeat(1000));
    }
    drop(spool);
    let whole = std::fs::read(&path).unwrap();
    for eighths in 0..8 {
        std::fs::write(&path, &whole[..whole.len() * eighths / 8]).unwrap();
        let fit = Fit::within(MAX_BYTES);
        let (mut spool, _) = DiskSpool::open(&path, fit).unwrap();
        let record = Fresh {
            level: Level::INFO,
            id: id(1000),
            line: "fresh",
        };
        let used = spool.load(None, 100, usize::MAX).map(|_| ());
        if let Err(SpoolError::Corrupt(reason)) =
            used.and_then(|()| spool.append(&[record], None).map(|_| ()))
        {
            drop(spool);
            (spool, _) = DiskSpool::begin_anew(&path, fit, &reason).unwrap();
            spool.append(&[record], None).unwrap();
        }
        assert!(spool.holdings().total() > 0, "{eighths} eighths");
    }
}

#[test]
fn newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    drop(open(&path));
    let database = redb::Database::create(&path).unwrap();
    let change = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    change
        .open_table(meta)
        .unwrap()
        .insert("version", 99)
        .unwrap();
    change.commit().unwrap();
    drop(database);
    let error = DiskSpool::open(&path, Fit::within(MAX_BYTES)).unwrap_err();
    assert!(
        matches!(error, SpoolError::Version { found: 99, .. }),
        "{error}"
    );
    assert!(!dir.path().join("spool.redb.corrupt").exists());
}

/// Appends `count` records of `line`, a few hundred at a time.
fn fill(spool: &mut dyn Spool, level: Level, count: u64, line: &str) -> Evicted {
    let mut evicted = Evicted::default();
    let records: Vec<Fresh<'_>> = (0..count)
        .map(|number| Fresh {
            level,
            id: id(number),
            line,
        })
        .collect();
    for part in records.chunks(1000) {
        for (sum, more) in evicted.iter_mut().zip(spool.append(part, None).unwrap()) {
            *sum += more;
        }
    }
    evicted
}

#[test]
fn full_spool_gives_up_debug_and_trace_then_info_and_never_the_newest_errors() {
    both(|spool| {
        let line = "x".repeat(450);
        put(spool, Level::ERROR, 1, "the error");
        put(spool, Level::TRACE, 2, "oldest trace");
        put(spool, Level::INFO, 3, "oldest info");
        let evicted = fill(spool, Level::DEBUG, 16_000, &line);
        assert_eq!(evicted[4], 1, "the oldest of DEBUG and TRACE goes first");
        assert!(evicted[3] > 0);
        assert_eq!((evicted[0], evicted[1], evicted[2]), (0, 0, 0));

        let evicted = fill(spool, Level::INFO, 16_000, &line);
        assert_eq!(spool.holdings().records[3], 0, "DEBUG goes before INFO");
        assert!(evicted[2] > 0);

        let evicted = fill(spool, Level::WARN, 16_000, &line);
        assert!(evicted[1] > 0, "at last the oldest WARN");
        assert_eq!(spool.holdings().records[2], 0, "INFO goes before WARN");
        assert_eq!(load(spool, 1, 1)[0].line, "the error");
    });
}

#[test]
fn records_in_work_are_not_given_up() {
    both(|spool| {
        let line = "x".repeat(450);
        fill(spool, Level::DEBUG, 100, &line);
        let in_work = spool.holdings().last_key;
        let records = [Fresh {
            level: Level::INFO,
            id: id(1),
            line: &line,
        }; 300];
        for _ in 0..20 {
            spool.append(&records, in_work).unwrap();
        }
        assert_eq!(spool.holdings().records[3], 100);
    });
}

#[test]
fn file_stays_within_its_bound_with_lines_of_every_size() {
    for size in [450, 2100, 5000, 70_000] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.redb");
        let mut spool = open(&path);
        let line = "x".repeat(size);
        let count = MAX_BYTES / size as u64;
        let mut most = 0;
        let record = Fresh {
            level: Level::INFO,
            id: id(1),
            line: &line,
        };
        let part = [record].repeat((spool.append_limit() / size).clamp(1, 500));
        for _ in 0..count.div_ceil(part.len() as u64) {
            spool.append(&part, None).unwrap();
            most = most.max(std::fs::metadata(&path).unwrap().len());
        }
        assert!(most <= MAX_BYTES, "{size}: {most}");
        assert!(
            spool.holdings().bytes > MAX_BYTES / 8,
            "the bound is used as far as it is safe"
        );
        assert_eq!(spool.file_bytes(), std::fs::metadata(&path).unwrap().len());
    }
}

#[test]
fn error_never_gives_way_to_a_new_record_that_is_worth_less() {
    both(|spool| {
        let line = "x".repeat(450);
        let evicted = fill(spool, Level::ERROR, 30_000, &line);
        assert!(evicted[0] > 0, "the spool is full of errors");
        let before = spool.holdings().records[0];
        let evicted = fill(spool, Level::DEBUG, 500, &line);
        assert_eq!(evicted, [0, 0, 0, 500 - spool.holdings().records[3], 0]);
        assert_eq!(spool.holdings().records[0], before);
    });
}

#[test]
fn one_senseless_record_is_taken_out_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    for number in 0..5 {
        put(&mut spool, Level::INFO, number, &format!("line {number}"));
    }
    drop(spool);
    let database = redb::Database::create(&path).unwrap();
    let change = database.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, &[u8]>::new("info");
    let mut records = change.open_table(table).unwrap();
    records.insert(2, &b"no id"[..]).unwrap();
    drop(records);
    change.commit().unwrap();
    drop(database);

    let mut spool = open(&path);
    let loaded = spool.load(None, 100, usize::MAX).unwrap();
    assert_eq!(loaded.senseless, [0, 0, 1, 0, 0]);
    let lines: Vec<_> = loaded.records.iter().map(|r| r.line.as_str()).collect();
    assert_eq!(lines, ["line 0", "line 1", "line 3", "line 4"]);
    assert_eq!(spool.holdings().total(), 4);
}

/// The only pack of INFO in a file, changed by `change`.
fn damage_pack(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use redb::ReadableTable as _;
    let database = redb::Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, &[u8]>::new("info");
    let mut packs = transaction.open_table(table).unwrap();
    let mut pack = packs.get(0).unwrap().unwrap().value().to_vec();
    change(&mut pack);
    packs.insert(0, pack.as_slice()).unwrap();
    drop(packs);
    transaction.commit().unwrap();
}

/// Six lines in one transaction: three at INFO, and three others between them.
fn put_mixed(spool: &mut dyn Spool) {
    let lines: Vec<String> = (0..6).map(|number| format!("line {number}")).collect();
    let levels = [Level::INFO, Level::WARN].into_iter().cycle();
    let records: Vec<Fresh<'_>> = (0..)
        .zip(levels.zip(&lines))
        .map(|(number, (level, line))| Fresh {
            level,
            id: id(number),
            line,
        })
        .collect();
    assert_eq!(spool.append(&records, None).unwrap(), [0; 5]);
}

#[test]
fn senseless_record_costs_no_other_of_its_pack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    put_mixed(&mut open(&path));
    damage_pack(&path, |pack| *pack.last_mut().unwrap() ^= 1);

    let mut spool = open(&path);
    let loaded = spool.load(None, 100, usize::MAX).unwrap();
    assert_eq!(loaded.senseless, [0, 0, 1, 0, 0]);
    let expected = [0, 1, 2, 3, 5].map(|number| format!("line {number}"));
    assert_eq!(lines(&mut spool), expected);
    assert_eq!(spool.holdings().records, [0, 3, 2, 0, 0]);
    assert_eq!(spool.holdings().bytes, 30);
}

#[test]
fn records_of_a_senseless_pack_are_counted_as_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    put_mixed(&mut open(&path));
    damage_pack(&path, |pack| pack[9] ^= 1);

    let mut spool = open(&path);
    assert_eq!(spool.holdings().records, [0, 3, 3, 0, 0]);
    let loaded = spool.load(None, 100, usize::MAX).unwrap();
    assert_eq!(loaded.senseless, [0, 0, 3, 0, 0]);
    assert!(loaded.is_counted_anew);
    assert_eq!(lines(&mut spool).len(), 3);
    assert_eq!(spool.holdings().records, [0, 3, 0, 0, 0]);
}

/// Says in the file that there are so many records of level INFO.
fn pretend_infos(path: &Path, count: u64) {
    let database = redb::Database::create(path).unwrap();
    let change = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    let mut sums = change.open_table(meta).unwrap();
    sums.insert("infos", count).unwrap();
    drop(sums);
    change.commit().unwrap();
}

#[test]
fn number_of_records_that_a_disk_altered_is_set_right_when_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    put_mixed(&mut open(&path));
    pretend_infos(&path, 1_000);

    let mut spool = open(&path);
    let records = load(&mut spool, 100, usize::MAX);
    assert_eq!(records.len(), 6);
    spool.remove(&records.iter().collect::<Vec<_>>()).unwrap();
    let loaded = spool.load(None, 100, usize::MAX).unwrap();
    assert!(loaded.is_counted_anew && loaded.senseless[2] > 0);
    assert_eq!(spool.holdings(), Holdings::default());
}

#[test]
fn number_of_records_beyond_belief_is_set_right_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    put_mixed(&mut open(&path));
    for count in [u64::MAX, (1 << 48) + 1] {
        pretend_infos(&path, count);
        assert_eq!(open(&path).holdings().records, [0, 3, 3, 0, 0]);
    }
}

#[test]
fn pack_loses_its_records_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    put_mixed(&mut open(&path));
    let mut left: Vec<String> = (0..6).map(|number| format!("line {number}")).collect();
    for place in [2, 0, 3, 1, 1, 0] {
        let mut spool = open(&path);
        let records = load(&mut spool, 100, usize::MAX);
        assert_eq!(spool.remove(&[&records[place]]).unwrap(), 1);
        spool.sync().unwrap();
        left.remove(place);
        assert_eq!(lines(&mut spool), left);
        drop(spool);
        let mut spool = open(&path);
        assert_eq!(lines(&mut spool), left);
        assert_eq!(spool.holdings().total(), left.len() as u64);
        let bytes: usize = left.iter().map(String::len).sum();
        assert_eq!(spool.holdings().bytes, bytes as u64);
        let first = load(&mut spool, 1, 1).first().map(|record| record.key);
        assert_eq!(spool.holdings().first_key, first);
    }
}

#[test]
fn only_the_part_of_a_pack_that_is_in_work_stays_in_a_full_spool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    let line = "x".repeat(450);
    let debugs = [Fresh {
        level: Level::DEBUG,
        id: id(1),
        line: &line,
    }; 30];
    spool.append(&debugs, None).unwrap();
    let errors = [Fresh {
        level: Level::ERROR,
        id: id(2),
        line: &line,
    }; 500];
    while spool.holdings().records[3] == 30 {
        spool.append(&errors, Some(9)).unwrap();
    }
    assert_eq!(spool.holdings().records[3], 10);
    let records = load(&mut spool, 10, usize::MAX);
    assert!(records.iter().all(|record| record.level == Level::DEBUG));
    assert_eq!(records[9].key, 9);
}

/// Three lines as version 1 of the layout kept them under the keys from 0 on.
const OLD_VALUES: [&[u8]; 3] = [
    b"\xe4\x77\x57\xdeiorqxc96cx4nasvline 0",
    b"\x48\xed\x31\xf1iorqxc96cx4naswline 1",
    b"\x1b\x37\x61\x40iorqxc96cx4nasxline 2",
];

/// A spool as version 1 of the layout wrote it.
fn old_spool(path: &Path) {
    let database = redb::Database::create(path).unwrap();
    let change = database.begin_write().unwrap();
    for level in ["error", "warn", "info", "debug", "trace"] {
        let table = redb::TableDefinition::<u64, &[u8]>::new(level);
        let mut records = change.open_table(table).unwrap();
        if level == "info" {
            for (key, value) in (0..).zip(OLD_VALUES) {
                records.insert(key, value).unwrap();
            }
        }
    }
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    let mut sums = change.open_table(meta).unwrap();
    for (name, value) in [
        ("version", 1),
        ("next_key", 3),
        ("bytes", 18),
        ("cost", 255),
    ] {
        sums.insert(name, value).unwrap();
    }
    drop(sums);
    change.commit().unwrap();
}

#[test]
fn spool_of_the_first_version_is_taken_over_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    old_spool(&path);
    let mut spool = open(&path);
    assert_eq!(spool.holdings().records, [0, 0, 3, 0, 0]);
    put_mixed(&mut spool);
    drop(spool);
    let mut spool = open(&path);
    let all = load(&mut spool, 100, usize::MAX);
    let lines: Vec<_> = all.iter().map(|record| record.line.as_str()).collect();
    assert_eq!(lines[..4], ["line 0", "line 1", "line 2", "line 0"]);
    assert_eq!(all[1].id, id(1));
    assert_eq!(spool.remove(&[&all[0], &all[1], &all[4]]).unwrap(), 3);
    spool.sync().unwrap();
    assert_eq!(load(&mut spool, 100, usize::MAX).len(), 6);
    assert_eq!(spool.holdings().records, [0, 2, 4, 0, 0]);
    let rest = load(&mut spool, 100, usize::MAX);
    spool.remove(&rest.iter().collect::<Vec<_>>()).unwrap();
    spool.sync().unwrap();
    assert_eq!(spool.holdings(), Holdings::default());
}

#[test]
fn number_that_a_lying_disk_made_smaller_costs_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let mut spool = open(&path);
    for number in 0..5 {
        put(&mut spool, Level::INFO, number, &format!("line {number}"));
    }
    drop(spool);
    let database = redb::Database::create(&path).unwrap();
    let change = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    change
        .open_table(meta)
        .unwrap()
        .insert("next_key", 1)
        .unwrap();
    change.commit().unwrap();
    drop(database);

    let mut spool = open(&path);
    put(&mut spool, Level::INFO, 5, "line 5");
    let expected: Vec<_> = (0..6).map(|number| format!("line {number}")).collect();
    assert_eq!(lines(&mut spool), expected);
}

/// Appends `count` records in transactions of the size that a spool wants.
fn fill_in_parts(spool: &mut dyn Spool, level: Level, count: u64, line: &str) {
    let at_once = (spool.append_limit() / line.len()) as u64;
    for _ in 0..count.div_ceil(at_once) {
        fill(spool, level, at_once, line);
    }
}

#[test]
fn whole_bound_is_used_where_doubling_the_file_would_exceed_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool.redb");
    let max_bytes = MAX_BYTES + MAX_BYTES / 2;
    let mut spool = Patient::open(&path, max_bytes);
    let line = "x".repeat(3_000);
    for _ in 0..30 {
        fill_in_parts(&mut spool, Level::INFO, 200, &line);
        assert!(std::fs::metadata(&path).unwrap().len() <= max_bytes);
    }
    assert!(spool.reopenings > 0, "the file was grown by hand");
    let held = spool.holdings().bytes;
    assert!(held * 2 > max_bytes, "{held} of {max_bytes} are used");
}
