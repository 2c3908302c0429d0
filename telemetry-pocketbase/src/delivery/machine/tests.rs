//! The machine alone: no clock, no spool, jitter as given.

use super::*;

const SECOND: Time = Duration::from_secs(1);

/// A machine, the time, and the part of a spool that it needs.
struct World {
    machine: Machine,
    now: Time,
    /// Records in the spool: key and size.
    spool: Vec<Item>,
    next_key: u64,
    /// The piece on its way.
    sent: Option<(Vec<u64>, bool)>,
    /// Pieces that are sent behind it.
    line: VecDeque<Vec<u64>>,
    delivered: Vec<u64>,
    buried: Vec<(u64, String)>,
    notices: Vec<Notice>,
    remembered: Option<bool>,
    is_finished: bool,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self::with_jitter(policy, Box::new(|| 1.0))
    }

    fn with_jitter(policy: Policy, jitter: Box<dyn FnMut() -> f64 + Send>) -> Self {
        Self {
            machine: Machine::new(policy, jitter),
            now: SECOND,
            spool: Vec::new(),
            next_key: 0,
            sent: None,
            line: VecDeque::new(),
            delivered: Vec::new(),
            buried: Vec::new(),
            notices: Vec::new(),
            remembered: None,
            is_finished: false,
        }
    }

    fn holdings(&self) -> Holdings {
        Holdings {
            records: [0, 0, self.spool.len() as u64, 0, 0],
            bytes: self.spool.iter().map(|item| item.bytes as u64).sum(),
            first_key: self.spool.first().map(|item| item.key),
            last_key: self.spool.last().map(|item| item.key),
        }
    }

    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.step(self.now, event) {
                events.extend(self.carry_out(action));
            }
        }
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Load {
                after,
                records,
                bytes,
            } => {
                let mut size = 0;
                let fits = |item: &&Item| {
                    size += item.bytes;
                    size <= bytes || size == item.bytes
                };
                let items = self.spool.iter().filter(|item| Some(item.key) > after);
                let items = items.take(records).take_while(fits);
                return Some(Event::Loaded(items.copied().collect()));
            }
            Action::Send { keys, resent } => {
                assert!(self.sent.is_none(), "one piece at a time");
                assert!(keys.is_sorted(), "in order");
                self.sent = Some((keys, resent));
            }
            Action::LineUp { keys } => {
                let before = self.line.back().unwrap_or(&self.sent.as_ref().unwrap().0);
                assert!(before.last() < keys.first(), "in order");
                self.line.push_back(keys);
            }
            Action::Remove(keys) => {
                self.spool.retain(|item| !keys.contains(&item.key));
                self.delivered.extend(keys);
                return Some(Event::Spooled(self.holdings()));
            }
            Action::Bury { key, reason } => {
                self.spool.retain(|item| item.key != key);
                self.buried.push((key, reason));
                return Some(Event::Spooled(self.holdings()));
            }
            Action::RememberBreaker(open) => self.remembered = Some(open),
            Action::Announce(notice) => self.notices.push(notice),
            Action::Finish => self.is_finished = true,
        }
        None
    }

    fn arrive(&mut self, count: u64, bytes: usize) {
        self.put(count, bytes);
        self.step(Event::Spooled(self.holdings()));
    }

    /// Records of a transaction that had failed before.
    fn arrive_again(&mut self, count: u64, bytes: usize) {
        self.put(count, bytes);
        self.step(Event::SpooledAgain(self.holdings()));
    }

    fn put(&mut self, count: u64, bytes: usize) {
        for _ in 0..count {
            let key = self.next_key;
            self.next_key += 1;
            self.spool.push(Item { key, bytes });
        }
    }

    /// Records that were there when the program started.
    fn found(&mut self, count: u64, was_open: bool) {
        for key in 0..count {
            self.spool.push(Item { key, bytes: 100 });
        }
        self.next_key = count;
        let holdings = self.holdings();
        self.step(Event::Reopened { holdings, was_open });
    }

    fn pass(&mut self, time: Time) {
        self.now += time;
        self.step(Event::Tick);
    }

    /// Lets time pass until the machine wants to be woken.
    fn wake(&mut self) -> Time {
        let at = self.machine.wake_at().expect("it waits for something");
        let waited = at.saturating_sub(self.now);
        self.now = at;
        self.step(Event::Tick);
        waited
    }

    fn answer(&mut self, answer: Answer) {
        let (keys, _) = self.sent.take().expect("something is on its way");
        // What stands in line needs no word from the machine.
        if answer.settles_all(keys.len()) {
            self.sent = self.line.pop_front().map(|keys| (keys, false));
        } else {
            self.line.clear();
        }
        self.step(Event::Answered(answer));
    }

    fn sent_keys(&self) -> &[u64] {
        &self.sent.as_ref().expect("something is on its way").0
    }

    fn deliver(&mut self) -> usize {
        let count = self.sent_keys().len();
        self.answer(Answer::delivered(count));
        count
    }

    fn fail(&mut self) {
        self.answer(Answer::undecided(fault(Doubt::Nothing)));
    }

    fn fail_round(&mut self) {
        for _ in 0..3 {
            self.fail();
            self.wake();
        }
        self.fail();
    }
}

fn fault(doubt: Doubt) -> Rest {
    Rest::Retry {
        reason: "no answer".to_owned(),
        after: None,
        halve: false,
        doubt,
    }
}

fn settled(index: usize, verdict: Verdict) -> Answer {
    Answer {
        settled: vec![(index, verdict)],
        rest: Rest::Resend,
    }
}

#[test]
fn full_batch_is_sent_at_once_and_the_rest_waits_for_its_age() {
    let mut world = World::new(Policy::default());
    world.arrive(250, 100);
    assert_eq!(world.deliver(), 100);
    assert_eq!(world.deliver(), 100);
    assert_eq!(world.sent, None);
    assert_eq!(world.wake(), 30 * SECOND);
    assert_eq!(world.deliver(), 50);
    assert!(world.delivered.is_sorted());
}

#[test]
fn batches_stand_in_line_and_follow_without_a_word() {
    let mut world = World::new(Policy::default());
    world.arrive(1_000, 100);
    assert_eq!(world.line.len(), MAX_LINE);
    for place in 0..10 {
        assert_eq!(world.sent_keys()[0], place * 100);
        world.deliver();
    }
    assert_eq!(world.sent, None);
    assert_eq!(world.delivered, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn line_is_thrown_away_when_a_record_of_the_batch_before_is_open() {
    let mut world = World::new(Policy::default());
    world.arrive(1_000, 100);
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    assert_eq!((&world.sent, world.line.len()), (&None, 0));
    world.wake();
    assert_eq!(world.sent, Some(((0..100).collect(), true)));
    world.answer(settled(0, Verdict::AlreadyStored));
    assert_eq!(world.sent_keys(), (1..100).collect::<Vec<_>>());
    while world.sent.is_some() {
        world.deliver();
    }
    assert_eq!(world.delivered, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn line_is_bounded_in_bytes_and_protected_from_eviction() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 900_000);
    assert_eq!(world.sent_keys(), [0]);
    assert_eq!(world.line, [vec![1], vec![2]]);
    assert_eq!(world.machine.in_work_up_to(), Some(2));
}

#[test]
fn probe_of_a_tripped_breaker_has_no_line_behind_it() {
    let mut world = World::new(Policy::default());
    world.found(1_000, true);
    assert_eq!(world.sent_keys().len(), 100);
    assert!(world.line.is_empty());
    world.deliver();
    assert!(!world.line.is_empty());
}

#[test]
fn bytes_make_a_batch_due_and_bound_it() {
    let mut world = World::new(Policy::default());
    world.arrive(9, 120_000);
    assert_eq!(world.deliver(), 8);
    assert_eq!(world.sent, None);
    world.arrive(1, 2_000_000);
    assert_eq!(world.deliver(), 1);
    assert_eq!(
        world.deliver(),
        1,
        "a record larger than a batch goes alone"
    );
}

#[test]
fn slow_trickle_never_puts_off_the_oldest_record() {
    let mut world = World::new(Policy::default());
    for _ in 0..29 {
        world.arrive(1, 100);
        assert_eq!(world.sent, None);
        world.pass(SECOND);
    }
    world.arrive(1, 100);
    world.pass(SECOND);
    assert_eq!(world.deliver(), 30);
}

#[test]
fn records_found_at_the_start_are_due_at_once() {
    let mut world = World::new(Policy::default());
    world.found(3, false);
    assert_eq!(world.deliver(), 3);
    assert_eq!(world.machine.wake_at(), None);
}

#[test]
fn flush_makes_everything_due() {
    let mut world = World::new(Policy::default());
    world.arrive(3, 100);
    assert_eq!(world.sent, None);
    world.step(Event::Flush);
    assert_eq!(world.deliver(), 3);
}

#[test]
fn round_is_one_send_and_max_retries_resends_with_doubling_waits() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    for seconds in [1, 2, 4] {
        world.fail();
        assert_eq!(world.wake(), seconds * SECOND);
        assert_eq!(world.sent_keys().len(), 100);
    }
    assert!(world.notices.is_empty());
    world.fail();
    assert_eq!(world.notices, [Notice::RoundFailed("no answer".to_owned())]);
    assert_eq!(world.machine.breaker(), BreakerState::Closed);
    assert_eq!(world.spool.len(), 100, "the batch stays in the spool");
}

#[test]
fn jitter_is_full_and_comes_from_outside() {
    let numbers = [0.25, 0.5, 0.75];
    let mut next = numbers.into_iter();
    let jitter = Box::new(move || next.next().unwrap());
    let mut world = World::with_jitter(Policy::default(), jitter);
    world.arrive(100, 100);
    for expected in [0.25, 1.0, 3.0] {
        world.fail();
        assert_eq!(world.wake().as_secs_f64(), expected);
    }
}

#[test]
fn retry_after_of_the_server_is_kept() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    world.answer(Answer::undecided(Rest::Retry {
        reason: "slow down".to_owned(),
        after: Some(17 * SECOND),
        halve: false,
        doubt: Doubt::Nothing,
    }));
    assert_eq!(world.wake(), 17 * SECOND);
    assert_eq!(world.deliver(), 100);
}

#[test]
fn retry_after_is_kept_when_the_breaker_opens_for_less() {
    let mut world = World::new(Policy {
        max_retries: 0,
        breaker: BreakerPolicy {
            failures: 1,
            ..BreakerPolicy::default()
        },
        ..Policy::default()
    });
    world.arrive(100, 100);
    world.answer(Answer::undecided(Rest::Retry {
        reason: "slow down".to_owned(),
        after: Some(100 * SECOND),
        halve: false,
        doubt: Doubt::Nothing,
    }));
    assert_eq!(world.wake(), 100 * SECOND);
    assert_eq!(world.deliver(), 100);
}

#[test]
fn three_failed_rounds_open_the_breaker_and_one_probe_decides() {
    let mut world = World::new(Policy::default());
    world.arrive(300, 100);
    for _ in 0..2 {
        world.fail_round();
        assert_eq!(world.remembered, None);
        world.wake();
    }
    world.fail_round();
    assert!(matches!(world.machine.breaker(), BreakerState::Open { .. }));
    assert_eq!(world.remembered, Some(true));

    world.arrive(500, 100);
    assert_eq!(world.sent, None, "open means that nothing is sent");
    assert_eq!(world.wake(), 30 * SECOND);
    assert_eq!(world.machine.breaker(), BreakerState::HalfOpen);
    world.fail();
    assert_eq!(world.wake(), 60 * SECOND, "one probe, then twice as long");

    world.deliver();
    assert_eq!(world.machine.breaker(), BreakerState::Closed);
    assert_eq!(world.remembered, Some(false));
    assert_eq!(world.notices.last(), Some(&Notice::Recovered));
    for _ in 0..7 {
        world.deliver();
    }
    assert_eq!(world.delivered.len(), 800);
}

#[test]
fn breaker_that_was_open_before_a_restart_sends_one_probe() {
    let mut world = World::new(Policy::default());
    world.found(300, true);
    assert_eq!(world.machine.breaker(), BreakerState::HalfOpen);
    world.fail();
    assert!(matches!(world.machine.breaker(), BreakerState::Open { .. }));
}

#[test]
fn tripping_opens_at_once_and_keeps_the_records() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    let reason = "no such collection".to_owned();
    world.answer(Answer::undecided(Rest::Trip { reason }));
    assert_eq!(world.machine.trouble(), Some("no such collection"));
    assert_eq!(world.wake(), 30 * SECOND);
    assert_eq!(world.deliver(), 100);
    assert_eq!(world.machine.trouble(), None);
}

#[test]
fn missing_credential_waits_without_blaming_the_server() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    for _ in 0..10 {
        world.answer(Answer::undecided(Rest::Wait {
            reason: "no password".to_owned(),
            again_in: 5 * SECOND,
        }));
        assert_eq!(world.machine.breaker(), BreakerState::Closed);
        assert_eq!(world.wake(), 5 * SECOND);
    }
    assert_eq!(world.notices, [Notice::Waiting("no password".to_owned())]);
    assert_eq!(world.deliver(), 100);
}

#[test]
fn poison_is_buried_with_its_reason_and_the_rest_delivered() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    world.answer(settled(2, Verdict::Refused("too long".to_owned())));
    assert_eq!(world.sent_keys().len(), 99);
    assert_eq!(world.deliver(), 99);
    assert_eq!(world.buried, [(2, "too long".to_owned())]);
    assert_eq!(world.delivered.len(), 99);
}

#[test]
fn split_learns_what_the_server_takes() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    world.answer(Answer::undecided(Rest::Split { at_most: Some(40) }));
    let sizes = [world.deliver(), world.deliver(), world.deliver()];
    assert_eq!(sizes, [40, 40, 20]);
    world.arrive(80, 100);
    assert_eq!([world.deliver(), world.deliver()], [40, 40]);
    assert!(world.delivered.is_sorted());
}

#[test]
fn unreadable_batch_is_halved_down_to_the_one_to_blame() {
    const BAD: u64 = 37;
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    while world.sent.is_some() {
        let keys = world.sent_keys().to_vec();
        if !keys.contains(&BAD) {
            world.deliver();
        } else if keys.len() == 1 {
            world.answer(settled(0, Verdict::Refused("unreadable".to_owned())));
        } else {
            world.answer(Answer::undecided(Rest::Split { at_most: None }));
        }
        world.step(Event::Flush);
    }
    assert_eq!(world.buried, [(BAD, "unreadable".to_owned())]);
    assert_eq!(world.delivered.len(), 99);
}

#[test]
fn limit_after_halving_grows_back_slowly() {
    let mut world = World::new(Policy::default());
    world.arrive(2000, 100);
    world.answer(Answer::undecided(Rest::Retry {
        reason: "too much".to_owned(),
        after: None,
        halve: true,
        doubt: Doubt::Nothing,
    }));
    world.wake();
    let sizes: Vec<usize> = (0..10).map(|_| world.deliver()).collect();
    assert_eq!(sizes[..2], [50, 50]);
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert_eq!(sizes[9], 100, "{sizes:?}");
}

#[test]
fn lost_answer_is_resent_as_it_was_and_marked() {
    let mut world = World::new(Policy::default());
    world.arrive(50, 100);
    world.step(Event::Flush);
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    world.arrive(50, 100);
    world.wake();
    let (keys, resent) = world.sent.clone().unwrap();
    assert_eq!((keys.len(), resent), (50, true));
}

#[test]
fn lost_batch_keeps_its_composition_over_a_failed_round() {
    let mut world = World::new(Policy::default());
    world.arrive(50, 100);
    world.step(Event::Flush);
    for _ in 0..3 {
        world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
        world.wake();
    }
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    world.arrive(200, 100);
    world.wake();
    let (keys, resent) = world.sent.clone().unwrap();
    assert_eq!((keys.len(), resent), (50, true));
}

#[test]
fn records_that_an_earlier_process_may_have_sent_are_never_marked() {
    let mut world = World::new(Policy::default());
    world.found(100, false);
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    world.wake();
    assert_eq!(world.sent.as_ref().map(|(_, resent)| *resent), Some(false));
}

#[test]
fn records_that_may_have_been_sent_under_other_keys_are_never_marked() {
    let mut world = World::new(Policy::default());
    world.arrive_again(100, 100);
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    world.wake();
    assert_eq!(world.sent.as_ref().map(|(_, resent)| *resent), Some(false));
}

#[test]
fn records_that_another_lost_request_held_are_never_marked() {
    for first in [Doubt::AllOrNothing, Doubt::Any] {
        let mut world = World::new(Policy::default());
        world.arrive(100, 100);
        world.answer(Answer::undecided(Rest::Retry {
            reason: "lost".to_owned(),
            after: None,
            halve: true,
            doubt: first,
        }));
        world.wake();
        assert_eq!(world.sent_keys().len(), 50);
        world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
        world.wake();
        let resent = world.sent.as_ref().map(|(_, resent)| *resent);
        assert_eq!(resent, Some(false), "{first:?}");
    }
}

#[test]
fn destination_that_decides_nothing_is_not_asked_for_ever() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    for _ in 0..3 {
        world.answer(Answer::undecided(Rest::Resend));
    }
    assert_eq!(world.sent, None);
    assert_eq!(world.wake(), SECOND);
}

#[test]
fn draining_sends_what_is_not_due_and_finishes() {
    let mut world = World::new(Policy::default());
    world.arrive(150, 100);
    world.deliver();
    assert_eq!(world.sent, None);
    let until = world.now + 30 * SECOND;
    world.step(Event::Drain { until });
    assert!(!world.is_finished);
    assert_eq!(world.deliver(), 50);
    assert!(world.is_finished);
}

#[test]
fn draining_gives_up_at_its_deadline_with_a_request_on_its_way() {
    let mut world = World::new(Policy::default());
    world.arrive(150, 100);
    let until = world.now + 10 * SECOND;
    world.step(Event::Drain { until });
    assert_eq!(world.wake(), 10 * SECOND);
    assert!(world.is_finished);
    assert_eq!(world.spool.len(), 150);
}

#[test]
fn draining_does_not_wait_for_an_open_breaker() {
    let mut world = World::new(Policy::default());
    world.found(100, true);
    world.fail();
    let until = world.now + 3600 * SECOND;
    world.step(Event::Drain { until });
    assert!(world.is_finished);
}

#[test]
fn draining_tries_one_round() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    let until = world.now + 3600 * SECOND;
    world.step(Event::Drain { until });
    world.fail_round();
    assert!(world.is_finished);
}

#[test]
fn draining_nothing_finishes_at_once() {
    let mut world = World::new(Policy::default());
    world.step(Event::Drain { until: 9 * SECOND });
    assert!(world.is_finished);
}

#[test]
fn spool_that_is_opened_anew_forgets_what_was_known_of_its_keys() {
    let mut world = World::new(Policy::default());
    world.arrive(100, 100);
    world.answer(Answer::undecided(fault(Doubt::AllOrNothing)));
    world.spool.clear();
    world.found(100, false);
    world.wake();
    let (keys, resent) = world.sent.clone().unwrap();
    assert_eq!((keys.len(), resent), (100, false));
}

/// Random faults, seeded: everything arrives once, in order, and nothing hangs.
#[test]
fn whatever_happens_everything_arrives_when_the_faults_stop() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut jitter = random.fork();
        let policy = Policy {
            batch_records: random.usize(1..60),
            ..Policy::default()
        };
        let mut world = World::with_jitter(policy, Box::new(move || jitter.f64()));
        for _ in 0..300 {
            match random.u8(0..3) {
                0 => world.arrive(random.u64(1..40), 100),
                1 => world.pass(Duration::from_millis(random.u64(0..40_000))),
                _ if world.sent.is_some() => random_answer(&mut world, &mut random),
                _ => world.step(Event::Flush),
            }
        }
        while !world.spool.is_empty() {
            world.step(Event::Flush);
            if world.sent.is_some() {
                world.deliver();
            } else {
                world.wake();
            }
        }
        let mut all = world.delivered.clone();
        all.extend(world.buried.iter().map(|(key, _)| key));
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..world.next_key), "seed {seed}");
    }
}

fn random_answer(world: &mut World, random: &mut fastrand::Rng) {
    let count = world.sent_keys().len();
    let one = random.usize(0..count);
    let answer = match random.u8(0..9) {
        0..3 => Answer::delivered(count),
        3 => settled(one, Verdict::Refused("poison".to_owned())),
        4 => settled(one, Verdict::AlreadyStored),
        5 => Answer::undecided(Rest::Split { at_most: None }),
        6 => Answer::undecided(fault(Doubt::AllOrNothing)),
        7 => Answer::undecided(Rest::Retry {
            reason: "limited".to_owned(),
            after: Some(SECOND),
            halve: true,
            doubt: Doubt::Nothing,
        }),
        _ => Answer::undecided(Rest::Trip {
            reason: "gone".to_owned(),
        }),
    };
    world.answer(answer);
}

fn unexplained() -> Answer {
    Answer::undecided(Rest::Retry {
        reason: "no reason".to_owned(),
        after: None,
        halve: true,
        doubt: Doubt::Nothing,
    })
}

/// Answers until nothing is on its way; `bad` keys are refused without a reason.
fn serve_all_but(world: &mut World, bad: &[u64]) {
    for _ in 0..2_000 {
        if world.spool.is_empty() {
            return;
        }
        match &world.sent {
            None => {
                world.wake();
            }
            Some((keys, _)) if keys.iter().any(|key| bad.contains(key)) => {
                world.answer(unexplained());
            }
            Some(_) => {
                world.deliver();
            }
        }
    }
    panic!("{} records are stuck", world.spool.len());
}

#[test]
fn record_that_alone_is_refused_without_a_reason_is_buried_and_holds_up_nobody() {
    for bad in [&[0][..], &[7], &[99], &[10, 11, 12, 13]] {
        let mut world = World::new(Policy::default());
        world.arrive(120, 100);
        world.step(Event::Flush);
        serve_all_but(&mut world, bad);
        let mut buried: Vec<u64> = world.buried.iter().map(|(key, _)| *key).collect();
        buried.sort_unstable();
        assert_eq!(buried, bad);
        assert_eq!(world.delivered.len(), 120 - bad.len());
        assert!(world.buried[0].1.contains("it takes others"));
    }
}

#[test]
fn record_longer_than_a_batch_finds_its_witness() {
    let mut world = World::new(Policy {
        batch_bytes: 2_000,
        ..Policy::default()
    });
    world.arrive(5, 9_000);
    serve_all_but(&mut world, &[0]);
    assert_eq!(world.buried[0].0, 0);
    assert_eq!(world.delivered.len(), 4);
}

#[test]
fn destination_that_takes_nothing_convicts_no_record() {
    let mut world = World::new(Policy::default());
    world.arrive(50, 100);
    world.step(Event::Flush);
    for _ in 0..300 {
        if world.sent.is_some() {
            world.answer(unexplained());
        } else {
            world.wake();
        }
    }
    assert!(world.buried.is_empty());
    assert_eq!(world.spool.len(), 50);
    serve_all_but(&mut world, &[]);
    assert_eq!(world.delivered.len(), 50);
}

#[test]
fn what_cannot_even_be_sent_does_not_close_the_breaker() {
    let mut world = World::new(Policy::default());
    world.found(3, true);
    assert_eq!(world.machine.breaker(), BreakerState::HalfOpen);
    world.answer(settled(0, Verdict::Unsendable("no log line".to_owned())));
    assert_eq!(world.buried.len(), 1);
    assert_eq!(world.machine.breaker(), BreakerState::HalfOpen);
    world.deliver();
    assert_eq!(world.machine.breaker(), BreakerState::Closed);
}
