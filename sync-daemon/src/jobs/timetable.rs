//! When a schedule starts its job: a pure calculation on two clocks.
//!
//! An interval counts on the monotonic clock, from the start of a run to the
//! start of the next. Cron counts on the clock on the wall, which may jump:
//! - a time that passes while the job itself runs is skipped, for both kinds:
//!   one mirror pass does the work of all that were missed;
//! - a cron time that passes while the machine sleeps is made up for by one run
//!   when it wakes;
//! - a wall clock that is set back by less than [`SET_BACK_LIMIT`] repeats no
//!   cron time; set back further, it counts as a new clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::cron::CronTimes;
use super::job::Trigger;
use crate::config::{Schedule, ScheduleKind};

/// How far the wall clock may be set back without a cron time coming twice.
const SET_BACK_LIMIT: SignedDuration = SignedDuration::from_hours(3);
/// A sleep is no longer than this, or a jump of the wall clock would go unseen.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What both clocks show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
}

/// The starts of one job.
#[derive(Debug)]
pub(super) struct Timetable {
    rhythm: Rhythm,
    next: Option<Due>,
    jitter: Duration,
    /// Of the next start.
    delay: Duration,
    random: fn() -> f64,
}

#[derive(Debug)]
enum Rhythm {
    Never,
    Interval(Duration),
    Cron(Box<CronTimes>),
}

#[derive(Debug, Clone, Copy)]
enum Due {
    Startup(Instant),
    Interval(Instant),
    Cron(Timestamp),
}

impl Timetable {
    /// The timetable of a checked schedule. `random` draws the jitter, from 0 to 1.
    pub(super) fn new(schedule: &Schedule, now: Moment, random: fn() -> f64) -> Self {
        let rhythm = match (schedule.kind, &schedule.expression) {
            (ScheduleKind::Interval, _) => Rhythm::Interval(schedule.interval),
            (ScheduleKind::Cron, Some(expression)) => {
                let times = CronTimes::parse(expression, &schedule.timezone);
                let times = times.expect("the configuration has checked the expression");
                Rhythm::Cron(Box::new(times))
            }
            (ScheduleKind::Cron, None) | (ScheduleKind::Manual, _) => Rhythm::Never,
        };
        let mut timetable = Self {
            rhythm,
            next: None,
            jitter: schedule.jitter,
            delay: Duration::ZERO,
            random,
        };
        timetable.plan(now);
        timetable
    }

    /// A timetable that starts nothing.
    pub(super) fn empty() -> Self {
        Self {
            rhythm: Rhythm::Never,
            next: None,
            jitter: Duration::ZERO,
            delay: Duration::ZERO,
            random: || 0.0,
        }
    }

    /// One more start, now, because the daemon has started.
    pub(super) fn at_start(mut self, now: Moment) -> Self {
        self.next = Some(Due::Startup(now.instant));
        self.delay = self.jitter.mul_f64((self.random)());
        self
    }

    /// How long to sleep before asking [`start`](Self::start); `None`: for ever.
    pub(super) fn sleep(&self, now: Moment) -> Option<Duration> {
        let left = self.left(now)?;
        Some(match self.next? {
            Due::Startup(_) | Due::Interval(_) => left,
            Due::Cron(_) => left.min(LONGEST_SLEEP),
        })
    }

    /// What to start the job for, if it is time; then the next start is planned.
    pub(super) fn start(&mut self, now: Moment) -> Option<Trigger> {
        self.notice_a_clock_set_back(now);
        if !self.left(now)?.is_zero() {
            return None;
        }
        let trigger = match self.next? {
            Due::Startup(_) => Trigger::Startup,
            Due::Interval(_) | Due::Cron(_) => Trigger::Schedule,
        };
        self.advance(now);
        Some(trigger)
    }

    /// A run has ended: what was due while it ran is not made up for.
    pub(super) fn skip_missed(&mut self, now: Moment) {
        if self.left(now).is_some_and(|left| left.is_zero()) {
            self.advance(now);
        }
    }

    /// What the clock on the wall will show at the next start.
    pub(super) fn next_run(&self, now: Moment) -> Option<Timestamp> {
        let left = SignedDuration::try_from(self.left(now)?).ok()?;
        now.wall.checked_add(left).ok()
    }

    fn left(&self, now: Moment) -> Option<Duration> {
        Some(match self.next? {
            Due::Startup(due) | Due::Interval(due) => {
                (due + self.delay).saturating_duration_since(now.instant)
            }
            Due::Cron(due) => {
                let until_due = due.duration_since(now.wall);
                let delay = SignedDuration::try_from(self.delay).ok()?;
                (until_due + delay).try_into().unwrap_or(Duration::ZERO)
            }
        })
    }

    fn plan(&mut self, now: Moment) {
        self.next = match &self.rhythm {
            Rhythm::Never => None,
            Rhythm::Interval(interval) => Some(Due::Interval(now.instant + *interval)),
            Rhythm::Cron(times) => times.after(now.wall).map(Due::Cron),
        };
        self.delay = self.jitter.mul_f64((self.random)());
    }

    /// Plans the first start that is still to come.
    fn advance(&mut self, now: Moment) {
        match (&self.rhythm, self.next) {
            (Rhythm::Interval(interval), Some(Due::Interval(due) | Due::Startup(due))) => {
                let passed = now.instant.saturating_duration_since(due).as_nanos();
                let multiples = passed / interval.as_nanos() + 1;
                let multiples = u32::try_from(multiples).unwrap_or(u32::MAX);
                let next = due + interval.saturating_mul(multiples);
                self.next = Some(Due::Interval(next));
                self.delay = self.jitter.mul_f64((self.random)());
            }
            (Rhythm::Cron(times), Some(Due::Cron(due))) => {
                // Not before the one that was due, where the clock has been set back a little.
                self.next = times.after(due.max(now.wall)).map(Due::Cron);
                self.delay = self.jitter.mul_f64((self.random)());
            }
            _ => self.plan(now),
        }
    }

    fn notice_a_clock_set_back(&mut self, now: Moment) {
        let (Rhythm::Cron(times), Some(Due::Cron(due))) = (&self.rhythm, self.next) else {
            return;
        };
        let fresh = times.after(now.wall);
        if fresh.is_some_and(|fresh| due.duration_since(fresh) > SET_BACK_LIMIT) {
            self.next = fresh.map(Due::Cron);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn moment() -> Moment {
        Moment {
            instant: Instant::now(),
            wall: "2026-03-01T10:00:30Z".parse().unwrap(),
        }
    }

    fn later(now: Moment, by: Duration) -> Moment {
        Moment {
            instant: now.instant + by,
            wall: now.wall + by,
        }
    }

    fn interval(secs: u64) -> Schedule {
        Schedule {
            kind: ScheduleKind::Interval,
            interval: Duration::from_secs(secs),
            ..Schedule::default()
        }
    }

    fn cron(expression: &str) -> Schedule {
        Schedule {
            kind: ScheduleKind::Cron,
            expression: Some(expression.to_owned()),
            ..Schedule::default()
        }
    }

    fn timetable(schedule: &Schedule, now: Moment) -> Timetable {
        Timetable::new(schedule, now, || 0.5)
    }

    #[test]
    fn a_manual_job_is_never_due() {
        let now = moment();
        let schedule = Schedule::default();
        assert_eq!(schedule.kind, ScheduleKind::Manual);
        assert_eq!(timetable(&schedule, now).sleep(now), None);
        let mut at_start = timetable(&schedule, now).at_start(now);
        assert_eq!(at_start.start(now), Some(Trigger::Startup));
        assert_eq!(at_start.sleep(now), None);
    }

    #[test]
    fn an_interval_counts_from_start_to_start() {
        let now = moment();
        let mut table = timetable(&interval(60), now);
        assert_eq!(table.sleep(now), Some(MINUTE));
        assert_eq!(table.start(now), None);
        // Woken a little late: the next start is not.
        let late = later(now, MINUTE + Duration::from_secs(1));
        assert_eq!(table.start(late), Some(Trigger::Schedule));
        assert_eq!(table.sleep(late), Some(Duration::from_secs(59)));
    }

    #[test]
    fn what_an_interval_missed_during_a_run_is_skipped() {
        let now = moment();
        let mut table = timetable(&interval(60), now);
        let begun = later(now, MINUTE);
        assert_eq!(table.start(begun), Some(Trigger::Schedule));
        let ended = later(begun, Duration::from_secs(150));
        table.skip_missed(ended);
        assert_eq!(table.start(ended), None);
        assert_eq!(table.sleep(ended), Some(Duration::from_secs(30)));
    }

    #[test]
    fn jitter_delays_each_start_and_does_not_add_up() {
        let now = moment();
        let mut schedule = interval(60);
        schedule.jitter = Duration::from_secs(10);
        let mut table = timetable(&schedule, now);
        let first = later(now, Duration::from_secs(65));
        assert_eq!(table.start(later(now, MINUTE)), None);
        assert_eq!(table.start(first), Some(Trigger::Schedule));
        assert_eq!(table.sleep(first), Some(MINUTE));
    }

    #[test]
    fn the_start_at_start_is_named_and_the_interval_counts_from_it() {
        let now = moment();
        let mut table = timetable(&interval(60), now).at_start(now);
        assert_eq!(table.start(now), Some(Trigger::Startup));
        assert_eq!(table.sleep(now), Some(MINUTE));
    }

    #[test]
    fn cron_waits_for_the_wall_clock_in_short_sleeps() {
        let now = moment();
        let mut table = timetable(&cron("5 10 * * *"), now);
        assert_eq!(table.sleep(now), Some(LONGEST_SLEEP));
        let due = later(now, Duration::from_secs(270));
        assert_eq!(table.next_run(now), Some(due.wall));
        assert_eq!(table.start(later(now, Duration::from_secs(269))), None);
        assert_eq!(table.start(due), Some(Trigger::Schedule));
        assert_eq!(table.start(due), None);
        let tomorrow = "2026-03-02T10:05:00Z".parse().unwrap();
        assert_eq!(table.next_run(due), Some(tomorrow));
    }

    #[test]
    fn a_machine_that_slept_through_cron_times_runs_once() {
        let now = moment();
        let mut table = timetable(&cron("*/5 * * * *"), now);
        // The monotonic clock stands still meanwhile.
        let awake = Moment {
            instant: now.instant,
            wall: now.wall + Duration::from_secs(3600),
        };
        assert_eq!(table.start(awake), Some(Trigger::Schedule));
        assert_eq!(table.start(awake), None);
    }

    #[test]
    fn a_clock_set_back_a_little_repeats_nothing() {
        let now = moment();
        let mut table = timetable(&cron("0 * * * *"), now);
        let due = later(now, Duration::from_secs(3570));
        assert_eq!(table.start(due), Some(Trigger::Schedule));
        let back = Moment {
            instant: due.instant,
            wall: due.wall - Duration::from_secs(600),
        };
        assert_eq!(table.start(back), None);
        assert_eq!(table.start(later(back, Duration::from_secs(600))), None);
        assert_eq!(
            table.start(later(back, Duration::from_secs(600 + 3600))),
            Some(Trigger::Schedule)
        );
    }

    #[test]
    fn a_clock_that_was_years_ahead_is_forgotten() {
        let now = moment();
        let wrong = Moment {
            instant: now.instant,
            wall: "2050-01-01T00:00:30Z".parse().unwrap(),
        };
        let mut table = timetable(&cron("* * * * *"), wrong);
        assert_eq!(table.start(now), None);
        assert_eq!(
            table.start(later(now, MINUTE)),
            Some(Trigger::Schedule),
            "the next minute of the right time"
        );
    }
}
