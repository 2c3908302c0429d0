//! What to do next: a state machine without clock, thread or I/O.
//!
//! The machine is told what happened ([`Event`]) and when, and answers with
//! what to do ([`Action`]). It knows records by key and size only.
//!
//! # States
//! ```text
//!           something is due              loaded              taken up
//!  Idle ─────────────────────▶ Loading ───────────▶ Ready ─────────────▶ Sending
//!   ▲                             │ nothing there     ▲                     │
//!   ├─────────────────────────────┘                   │ more pieces left    │
//!   ├── the batch is settled ─────────────────────────┴─────────────────────┤
//!   └── time is over ◀── Resting ◀── retry, failed round, open breaker ─────┘
//! ```
//!
//! A *batch* is what was loaded; it is sent in *pieces*, one unless it had to
//! be split. A *round* is one send of a batch and up to `max_retries` resends;
//! progress (a record whose fate is decided) begins the count anew. A failed
//! round leaves the rest of the batch in the spool and counts one failure of
//! the breaker. Only one piece is on its way at a time, so the order of the
//! records is kept.
//!
//! # Line
//! A destination that has answered should not wait for us to load the next
//! batch. So while a piece is on its way and there is more to send, the next
//! pieces *stand in line*: they are given out already ([`Action::LineUp`]), under
//! a rule that both sides keep without talking: **the first in line is sent when
//! every record of the piece before it is settled, and the whole line is thrown
//! away when that is not so.** What is thrown away is loaded again.
//!
//! # Lost answers
//! When an answer is lost, the records of the piece may be stored. The same
//! piece is sent again, and a destination may conclude from the first record
//! for all of it, but only if no *other* request without an answer held any of
//! its records ([`Batch::resent`](super::Batch::resent)). The machine keeps the
//! last such piece and the greatest key that is tainted by another one; records
//! found in the spool at the start are tainted, since nobody knows what the
//! process before had sent, and so are those of a transaction that was repeated
//! after it had failed: the first one may have been carried out.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use super::backoff::full_jitter;
use super::breaker::{Breaker, BreakerPolicy, BreakerState};
use super::destination::{Answer, Doubt, Rest, Verdict};
use super::spool::Holdings;
use crate::planted;

/// A moment: the time since the driver started.
pub type Time = Duration;

/// A destination that asks twice in a row to resend without deciding anything
/// is treated as failing, or the machine would spin.
const MAX_IDLE_RESENDS: u32 = 2;

/// A record that was refused alone without a reason this often is put to the
/// test: see [`Suspect`].
const SUSPICIOUS_REFUSALS: u32 = 3;

/// A suspect is buried after so many proofs.
const PROOFS: u32 = 3;

/// So much is read to find a witness: two of the longest records, or a suspect
/// that is longer than a batch would never meet one.
const WITNESS_BYTES: usize = 4 * 1024 * 1024;

/// Most pieces that stand in line: enough to outlast a slow write of the spool.
pub(crate) const MAX_LINE: usize = 3;

/// A witness stands up to 2^10 places behind the suspect.
const MAX_WITNESS_DOUBLINGS: u32 = 10;

/// What the machine is to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A batch is due with this many records. Default 100.
    pub batch_records: usize,
    /// A batch is due with this many bytes. Default 1 MiB.
    pub batch_bytes: usize,
    /// A record waits no longer than this. Default 30 s.
    pub flush_interval: Duration,
    /// Resends in a round. Default 3.
    pub max_retries: u32,
    /// The longest wait before the first resend; each further one doubles it.
    /// Default 1 s.
    pub backoff_base: Duration,
    /// The longest wait before any resend. Default 30 s.
    pub backoff_cap: Duration,
    /// When to stop asking.
    pub breaker: BreakerPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            batch_records: 100,
            batch_bytes: 1024 * 1024,
            flush_interval: Duration::from_secs(30),
            max_retries: 3,
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(30),
            breaker: BreakerPolicy::default(),
        }
    }
}

/// A record as the machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its place in the spool.
    pub key: u64,
    /// Its size.
    pub bytes: usize,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time passed.
    Tick,
    /// The spool holds this now.
    Spooled(Holdings),
    /// The same after a transaction that had failed was repeated: it may have
    /// been carried out all the same, and its records sent under other keys.
    SpooledAgain(Holdings),
    /// The spool was opened anew: what is known of its keys is void.
    Reopened {
        /// What it holds.
        holdings: Holdings,
        /// Whether the breaker was open when it was used last.
        was_open: bool,
    },
    /// The answer to [`Action::Load`].
    Loaded(Vec<Item>),
    /// The answer to [`Action::Send`], or to the first [`Action::LineUp`] after
    /// an answer that settled everything.
    Answered(Answer),
    /// Everything in the spool is due now.
    Flush,
    /// Deliver what can be delivered until then, and finish.
    Drain {
        /// The moment to give up.
        until: Time,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read the oldest records, at most so many and so much, but at least one.
    Load {
        /// Only records behind this key.
        after: Option<u64>,
        /// Most records.
        records: usize,
        /// Most bytes.
        bytes: usize,
    },
    /// Upload these of the records that were loaded.
    Send {
        /// Their keys, ascending.
        keys: Vec<u64>,
        /// As in [`Batch::resent`](super::Batch::resent).
        resent: bool,
    },
    /// Upload these behind what was given out before, if all of that is settled
    /// then; otherwise forget them. See the [module](Machine) on the line.
    LineUp {
        /// Their keys, ascending.
        keys: Vec<u64>,
    },
    /// These are delivered: take them out of the spool.
    Remove(Vec<u64>),
    /// The destination refuses this one: write it to the dead letters, then
    /// take it out of the spool.
    Bury {
        /// Its key.
        key: u64,
        /// What the destination said.
        reason: String,
    },
    /// Remember for the next start whether the breaker is open.
    RememberBreaker(bool),
    /// Tell somebody.
    Announce(Notice),
    /// Draining is over.
    Finish,
}

/// A change that people want to know about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A round failed; the records wait.
    RoundFailed(String),
    /// Nothing is sent for that long.
    BreakerOpened {
        /// How long.
        open_for: Duration,
        /// Why.
        reason: String,
    },
    /// Something is missing here; records wait.
    Waiting(String),
    /// Records arrive again.
    Recovered,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoundFailed(reason) => write!(f, "upload failed: {reason}"),
            Self::BreakerOpened { open_for, reason } => {
                write!(f, "uploads paused for {open_for:?}: {reason}")
            }
            Self::Waiting(reason) => write!(f, "uploads wait: {reason}"),
            Self::Recovered => f.write_str("uploads work again"),
        }
    }
}

/// Where the machine is.
#[derive(Debug)]
enum Phase {
    Idle,
    Loading,
    Ready,
    Sending(Piece),
    Resting { until: Time },
    Finished,
}

/// Records that are sent together.
type Piece = Vec<Item>;

/// Pieces that stand in line.
#[derive(Debug, Default)]
struct Line {
    pieces: VecDeque<Piece>,
    /// More was asked for, and did not come yet.
    is_loading: bool,
}

impl Line {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(bytes_of).sum()
    }

    fn records(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }
}

fn bytes_of(piece: &Piece) -> usize {
    piece.iter().map(|item| item.bytes).sum()
}

/// The state machine; see the [crate's module](super).
pub struct Machine {
    policy: Policy,
    jitter: Box<dyn FnMut() -> f64 + Send>,
    breaker: Breaker,
    phase: Phase,
    pieces: VecDeque<Piece>,
    line: Line,
    holdings: Holdings,
    /// Records were taken out since the spool reported what it holds.
    holdings_are_stale: bool,
    /// Resends in this round.
    resends: u32,
    /// Resends that the destination asked for without deciding anything.
    idle_resends: u32,
    /// Failed rounds in a row: how far the backoff has come.
    failed_rounds: u32,
    /// Most records the destination seems to take; grows back slowly.
    limit: usize,
    /// Most records the destination has said it takes.
    server_limit: usize,
    due: Due,
    lost: Lost,
    suspect: Option<Suspect>,
    witnesses: u64,
    draining_until: Option<Time>,
    trouble: Option<String>,
}

/// Which records have waited long enough.
#[derive(Debug, Default)]
struct Due {
    /// Records up to this key are due.
    up_to: Option<u64>,
    /// The oldest of the others is due then.
    at: Option<Time>,
    /// The newest record that was seen.
    newest: Option<u64>,
}

/// What may be stored although nobody said so.
#[derive(Debug, Default)]
struct Lost {
    /// The keys of the last all-or-nothing piece without an answer.
    piece: Vec<u64>,
    /// Records up to this key may be stored by some other request.
    tainted_up_to: Option<u64>,
}

/// A record that is refused alone, without a reason: either it is the record,
/// or the destination takes none at present. So a later record is sent before
/// it, as a witness: if that one arrives and the suspect is refused once more,
/// and that three times, since the destination may have failed just
/// between the two, it is buried. Without this, one such record would hold up all others. A
/// witness that is refused as well proves nothing, and the next one is taken
/// from twice as far behind: bad records may come in rows.
#[derive(Debug)]
struct Suspect {
    key: u64,
    refusals: u32,
    /// Witnesses that were refused.
    bad_witnesses: u32,
    /// How often it was refused right after its witness had arrived.
    proofs: u32,
    /// Sent before it.
    witness: Option<u64>,
    /// The witness has arrived.
    is_witnessed: bool,
}

impl Suspect {
    /// How many places behind the suspect the next witness stands.
    fn distance(&self) -> usize {
        1 << self.bad_witnesses.min(MAX_WITNESS_DOUBLINGS)
    }
}

impl Machine {
    /// A machine without a spool: tell it of one with [`Event::Reopened`]. Its
    /// backoff draws from `jitter` (numbers of `[0, 1)`).
    pub fn new(policy: Policy, jitter: Box<dyn FnMut() -> f64 + Send>) -> Self {
        Self {
            policy,
            jitter,
            breaker: Breaker::new(policy.breaker, false),
            phase: Phase::Idle,
            pieces: VecDeque::new(),
            line: Line::default(),
            holdings: Holdings::default(),
            holdings_are_stale: false,
            resends: 0,
            idle_resends: 0,
            failed_rounds: 0,
            limit: policy.batch_records,
            server_limit: usize::MAX,
            due: Due::default(),
            lost: Lost::default(),
            suspect: None,
            witnesses: 0,
            draining_until: None,
            trouble: None,
        }
    }

    /// Takes in what happened at `now`; returns what to do, in order.
    ///
    /// After [`Action::Remove`] and [`Action::Bury`] the machine waits for
    /// [`Event::Spooled`] before it asks for more.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Tick => {}
            Event::Spooled(holdings) => self.spooled(now, holdings),
            Event::SpooledAgain(holdings) => {
                self.lost.tainted_up_to = self.lost.tainted_up_to.max(holdings.last_key);
                self.spooled(now, holdings);
            }
            Event::Reopened { holdings, was_open } => {
                if was_open && !self.breaker.is_tripped() {
                    self.breaker = Breaker::new(self.policy.breaker, true);
                }
                self.adopt(holdings);
            }
            Event::Loaded(items) => self.loaded(items, &mut actions),
            Event::Answered(answer) => self.answered(now, answer, &mut actions),
            Event::Flush => self.due.up_to = self.holdings.last_key,
            Event::Drain { until } => {
                self.draining_until = Some(until);
                self.due.up_to = Some(u64::MAX);
            }
        }
        self.go_on(now, &mut actions);
        actions
    }

    /// When to call [`step`](Self::step) with [`Event::Tick`], unless something
    /// else happens before.
    pub fn wake_at(&self) -> Option<Time> {
        let own = match self.phase {
            Phase::Idle => self.due.at,
            Phase::Resting { until } => Some(until),
            Phase::Loading | Phase::Ready | Phase::Sending(_) | Phase::Finished => None,
        };
        own.into_iter().chain(self.draining_until).min()
    }

    /// The state of the breaker.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// What keeps records from arriving at present.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Records that were sent before older ones, as witnesses against them.
    pub fn witnesses(&self) -> u64 {
        self.witnesses
    }

    /// True while a piece is on its way.
    pub fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Sending(_))
    }

    /// Greatest key of the batch in work; a full spool must not give up
    /// records up to here, since they may be stored already.
    pub fn in_work_up_to(&self) -> Option<u64> {
        let sending = match &self.phase {
            Phase::Sending(piece) => piece.last(),
            _ => None,
        };
        let waiting = self.pieces.iter().chain(&self.line.pieces);
        let waiting = waiting.filter_map(|piece| piece.last());
        sending.into_iter().chain(waiting).map(|i| i.key).max()
    }

    /// Starts from a spool whose records are all overdue and all in doubt.
    fn adopt(&mut self, holdings: Holdings) {
        self.pieces.clear();
        self.line = Line::default();
        if !matches!(self.phase, Phase::Resting { .. } | Phase::Finished) {
            self.phase = Phase::Idle;
        }
        self.due = Due {
            up_to: holdings.last_key,
            at: None,
            newest: holdings.last_key,
        };
        self.lost = Lost {
            piece: Vec::new(),
            tainted_up_to: holdings.last_key,
        };
        if self.draining_until.is_some() {
            self.due.up_to = Some(u64::MAX);
        }
        self.hold(holdings);
    }

    fn hold(&mut self, holdings: Holdings) {
        self.holdings = holdings;
        self.holdings_are_stale = false;
    }

    fn spooled(&mut self, now: Time, holdings: Holdings) {
        if holdings.last_key > self.due.newest {
            self.due.newest = holdings.last_key;
            // The clock of the oldest record runs: a steady trickle of new
            // ones must not start it anew.
            let at = now + self.policy.flush_interval;
            if planted!(StarvesTrickle) {
                self.due.at = Some(at);
            }
            self.due.at.get_or_insert(at);
        }
        self.hold(holdings);
    }

    fn loaded(&mut self, mut items: Vec<Item>, actions: &mut Vec<Action>) {
        if self.line.is_loading {
            self.line_up(items, actions);
            return;
        }
        if !matches!(self.phase, Phase::Loading) {
            return;
        }
        if items.is_empty() {
            self.phase = Phase::Idle;
            self.holdings_are_stale = true;
            return;
        }
        if let Some((suspect, witness)) = self.suspect_with_witness(&items) {
            self.pieces.push_back(vec![witness]);
            self.pieces.push_back(vec![suspect]);
            self.phase = Phase::Ready;
            return;
        }
        self.forget_lost_suspect(&items);
        items.truncate(self.batch_records());
        // A piece whose answer was lost is sent again as it was, so that the
        // destination can conclude from its first record for all of it.
        let again = self.lost.piece.len();
        let same = items.len() > again
            && items
                .iter()
                .zip(&self.lost.piece)
                .all(|(item, key)| item.key == *key);
        if again > 0 && same {
            let (first, second) = items.split_at(again);
            self.pieces.push_back(first.to_vec());
            self.pieces.push_back(second.to_vec());
        } else {
            self.pieces.push_back(items);
        }
        self.phase = Phase::Ready;
    }

    fn answered(&mut self, now: Time, answer: Answer, actions: &mut Vec<Action>) {
        let Phase::Sending(piece) = std::mem::replace(&mut self.phase, Phase::Ready) else {
            // The answer to a request from before the spool was reopened.
            return;
        };
        let sent = piece.len();
        let rest = self.settle(piece, &answer.settled, actions);
        let is_news = |(_, verdict): &(usize, Verdict)| !matches!(verdict, Verdict::Unsendable(_));
        if answer.settled.iter().any(is_news) {
            self.progress(sent, rest.is_empty(), actions);
        }
        let line = std::mem::take(&mut self.line);
        if rest.is_empty() {
            // The destination has the first in line already.
            self.advance_line(line);
            return;
        }
        match answer.rest {
            Rest::Resend => self.resend(now, rest, actions),
            Rest::Retry {
                reason,
                halve: true,
                ..
            } if self.is_convicted(&rest) => self.convict(rest, reason, actions),
            Rest::Split { at_most } => self.split(now, rest, at_most, actions),
            Rest::Retry {
                reason,
                after,
                halve,
                doubt,
            } => {
                self.note_doubt(&rest, doubt);
                if halve && rest.len() == 1 {
                    self.accuse(rest[0].key);
                    if self.suspect_needs_witness() {
                        // Not the same again: the next load brings a witness.
                        self.pieces.clear();
                        self.retry(now, reason, after, actions);
                        return;
                    }
                }
                if halve && rest.len() > 1 {
                    self.limit = (rest.len() / 2).max(1);
                    self.put_back_in_parts(rest, self.limit);
                } else {
                    self.pieces.push_front(rest);
                }
                self.retry(now, reason, after, actions);
            }
            Rest::Wait { reason, again_in } => {
                self.pieces.clear();
                self.rest(now + again_in);
                self.tell_once(Notice::Waiting(reason.clone()), reason, actions);
                self.give_up_draining(actions);
            }
            Rest::Trip { reason } => {
                self.pieces.clear();
                let open_for = self.breaker.trip(now);
                self.opened(now + open_for, open_for, reason, actions);
            }
        }
    }

    /// Carries out the verdicts; returns the records that have none.
    fn settle(
        &mut self,
        piece: Piece,
        settled: &[(usize, Verdict)],
        actions: &mut Vec<Action>,
    ) -> Piece {
        let mut verdicts: Vec<Option<&Verdict>> = vec![None; piece.len()];
        for (index, verdict) in settled {
            if let Some(place) = verdicts.get_mut(*index) {
                *place = Some(verdict);
            }
        }
        let mut delivered = Vec::new();
        let mut rest = Vec::new();
        for (item, verdict) in piece.into_iter().zip(verdicts) {
            match verdict {
                Some(Verdict::Stored | Verdict::AlreadyStored) => delivered.push(item.key),
                Some(Verdict::Refused(reason) | Verdict::Unsendable(reason)) => {
                    actions.push(Action::Bury {
                        key: item.key,
                        reason: reason.clone(),
                    })
                }
                None => rest.push(item),
            }
        }
        self.hear_witness(&delivered);
        if !delivered.is_empty() {
            actions.push(Action::Remove(delivered));
        }
        self.holdings_are_stale |= !settled.is_empty();
        rest
    }

    /// The destination decides things: it works.
    fn progress(&mut self, sent: usize, complete: bool, actions: &mut Vec<Action>) {
        self.resends = 0;
        self.idle_resends = 0;
        self.failed_rounds = 0;
        if self.breaker.success() {
            actions.push(Action::RememberBreaker(false));
        }
        if self.trouble.take().is_some() {
            actions.push(Action::Announce(Notice::Recovered));
        }
        if complete && sent >= self.limit {
            // Slowly, since a server whose limit was met refuses all above it.
            self.limit = (self.limit + self.limit.div_ceil(8)).min(self.most_records());
        }
    }

    /// Notes that a record was refused alone and without a reason.
    fn accuse(&mut self, key: u64) {
        match &mut self.suspect {
            Some(suspect) if suspect.key == key => {
                suspect.refusals += 1;
                suspect.proofs += u32::from(suspect.is_witnessed);
                suspect.is_witnessed = false;
            }
            Some(suspect) if suspect.witness == Some(key) => {
                suspect.bad_witnesses += 1;
                suspect.witness = None;
            }
            _ => {
                self.suspect = Some(Suspect {
                    key,
                    refusals: 1,
                    bad_witnesses: 0,
                    proofs: 0,
                    witness: None,
                    is_witnessed: false,
                });
            }
        }
    }

    fn suspect_needs_witness(&self) -> bool {
        self.suspect
            .as_ref()
            .is_some_and(|suspect| suspect.refusals >= SUSPICIOUS_REFUSALS && !suspect.is_witnessed)
    }

    fn suspect_with_witness(&mut self, items: &[Item]) -> Option<(Item, Item)> {
        let suspect = self.suspect.as_mut()?;
        let [first, .., _] = items else {
            return None;
        };
        if suspect.key != first.key || suspect.refusals < SUSPICIOUS_REFUSALS {
            return None;
        }
        let witness = items[suspect.distance().min(items.len() - 1)];
        self.witnesses += 1;
        suspect.witness = Some(witness.key);
        suspect.is_witnessed = false;
        Some((*first, witness))
    }

    /// The oldest record is another one: the suspect was given up meanwhile.
    fn forget_lost_suspect(&mut self, items: &[Item]) {
        let oldest = items.first().map(|item| item.key);
        if self.suspect.as_ref().map(|suspect| suspect.key) < oldest {
            self.suspect = None;
        }
    }

    fn hear_witness(&mut self, delivered: &[u64]) {
        let Some(suspect) = &mut self.suspect else {
            return;
        };
        if delivered.contains(&suspect.key) {
            self.suspect = None;
        } else if suspect.witness.is_some_and(|key| delivered.contains(&key)) {
            suspect.is_witnessed = true;
        }
    }

    fn is_convicted(&self, rest: &Piece) -> bool {
        let suspect = self.suspect.as_ref();
        suspect.is_some_and(|suspect| {
            suspect.is_witnessed
                && suspect.proofs + 1 >= PROOFS
                && rest.len() == 1
                && rest[0].key == suspect.key
        })
    }

    fn convict(&mut self, rest: Piece, reason: String, actions: &mut Vec<Action>) {
        self.suspect = None;
        self.progress(0, false, actions);
        self.holdings_are_stale = true;
        let reason = format!("{reason}; it takes others");
        actions.extend(rest.into_iter().map(|item| Action::Bury {
            key: item.key,
            reason: reason.clone(),
        }));
    }

    fn resend(&mut self, now: Time, rest: Piece, actions: &mut Vec<Action>) {
        self.pieces.push_front(rest);
        self.idle_resends += 1;
        if self.idle_resends > MAX_IDLE_RESENDS {
            let reason = "the destination decides nothing".to_owned();
            self.retry(now, reason, None, actions);
        }
    }

    fn split(&mut self, now: Time, rest: Piece, at_most: Option<usize>, actions: &mut Vec<Action>) {
        if rest.len() == 1 {
            self.pieces.push_front(rest);
            let reason = "the destination finds one record too many".to_owned();
            self.retry(now, reason, None, actions);
            return;
        }
        let half = rest.len() / 2;
        if let Some(most) = at_most {
            self.server_limit = most.max(1);
        }
        let most = at_most.unwrap_or(half).clamp(1, rest.len() - 1);
        self.limit = self.limit.min(most);
        self.put_back_in_parts(rest, most);
    }

    fn put_back_in_parts(&mut self, rest: Piece, most: usize) {
        let mut parts: Vec<Piece> = rest.chunks(most).map(<[Item]>::to_vec).collect();
        if !planted!(SplitsBackwards) {
            parts.reverse();
        }
        for part in parts {
            self.pieces.push_front(part);
        }
    }

    /// Keeps account of what may be stored without our knowing.
    fn note_doubt(&mut self, rest: &Piece, doubt: Doubt) {
        let keys: Vec<u64> = rest.iter().map(|item| item.key).collect();
        match doubt {
            Doubt::Nothing => {}
            Doubt::AllOrNothing if keys == self.lost.piece => {}
            Doubt::AllOrNothing => {
                let before = self.lost.piece.last().copied();
                self.lost.tainted_up_to = self.lost.tainted_up_to.max(before);
                self.lost.piece = keys;
            }
            Doubt::Any => {
                self.lost.tainted_up_to = self.lost.tainted_up_to.max(keys.last().copied());
            }
        }
    }

    fn is_resent(&self, keys: &[u64]) -> bool {
        if planted!(ForgetsTaint) {
            return keys.first() == self.lost.piece.first();
        }
        keys == self.lost.piece && keys.first().copied() > self.lost.tainted_up_to
    }

    /// The front piece failed: another try, or the end of the round.
    fn retry(
        &mut self,
        now: Time,
        reason: String,
        after: Option<Duration>,
        actions: &mut Vec<Action>,
    ) {
        let is_probe = self.breaker.is_tripped();
        if self.resends >= self.policy.max_retries || is_probe {
            self.fail_round(now, reason, after, actions);
            return;
        }
        let after = after.filter(|_| !planted!(IgnoresRetryAfter));
        let wait = self.backoff(self.resends).max(after.unwrap_or_default());
        self.resends += 1;
        self.rest(now + wait);
    }

    fn fail_round(
        &mut self,
        now: Time,
        reason: String,
        after: Option<Duration>,
        actions: &mut Vec<Action>,
    ) {
        if planted!(GivesUpFailedRounds) {
            let keys = self.pieces.drain(..).flatten().map(|item| item.key);
            actions.push(Action::Remove(keys.collect()));
            self.holdings_are_stale = true;
        }
        self.pieces.clear();
        self.resends = 0;
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        if let Some(open_for) = self.breaker.failure(now) {
            // The destination's own word counts if it asks for more.
            let pause = open_for.max(after.unwrap_or_default());
            self.opened(now + pause, open_for, reason, actions);
            return;
        }
        let attempt = self.policy.max_retries.saturating_add(self.failed_rounds);
        let wait = self.backoff(attempt).max(after.unwrap_or_default());
        self.rest(now + wait);
        self.tell_once(Notice::RoundFailed(reason.clone()), reason, actions);
        self.give_up_draining(actions);
    }

    fn opened(
        &mut self,
        until: Time,
        open_for: Duration,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        let until = if planted!(SendsWhileOpen) {
            until.saturating_sub(open_for / 2)
        } else {
            until
        };
        self.rest(until);
        actions.push(Action::RememberBreaker(true));
        let notice = Notice::BreakerOpened {
            open_for,
            reason: reason.clone(),
        };
        self.trouble = Some(reason);
        actions.push(Action::Announce(notice));
        self.give_up_draining(actions);
    }

    fn rest(&mut self, until: Time) {
        self.resends_end_with_the_batch();
        self.phase = Phase::Resting { until };
    }

    fn resends_end_with_the_batch(&mut self) {
        if self.pieces.is_empty() {
            self.resends = 0;
            self.idle_resends = 0;
        }
    }

    fn backoff(&mut self, attempt: u32) -> Duration {
        let jitter = (self.jitter)();
        full_jitter(
            self.policy.backoff_base,
            self.policy.backoff_cap,
            attempt,
            jitter,
        )
    }

    /// Announces a trouble unless it is the one that is known already.
    fn tell_once(&mut self, notice: Notice, reason: String, actions: &mut Vec<Action>) {
        if self.trouble.as_ref() != Some(&reason) {
            actions.push(Action::Announce(notice));
            self.trouble = Some(reason);
        }
    }

    /// While draining there is one round: a second would hold up the exit for a
    /// server that is not there.
    fn give_up_draining(&mut self, actions: &mut Vec<Action>) {
        if self.draining_until.is_some() && !matches!(self.phase, Phase::Finished) {
            self.finish(actions);
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Finished;
        self.pieces.clear();
        self.line = Line::default();
        actions.push(Action::Finish);
    }

    /// Does everything that can be done without waiting for anybody.
    fn go_on(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.must_finish(now) {
            self.finish(actions);
            return;
        }
        if let Phase::Resting { until } = self.phase {
            if now < until {
                return;
            }
            if !planted!(StaysOpen) {
                self.breaker.advance(now);
            } else if self.breaker.is_tripped() {
                return;
            }
            self.phase = Phase::Ready;
        }
        if matches!(self.phase, Phase::Ready) {
            match self.pieces.pop_front() {
                Some(piece) => self.send(piece, actions),
                None => self.phase = Phase::Idle,
            }
        }
        if matches!(self.phase, Phase::Idle) && self.is_due(now) {
            self.phase = Phase::Loading;
            actions.push(self.load());
        }
        if let Some(after) = self.line_wants_more() {
            self.line.is_loading = true;
            actions.push(Action::Load {
                after: Some(after),
                records: self.batch_records(),
                bytes: self.policy.batch_bytes,
            });
        }
    }

    /// Behind which key the next piece in line begins, if there is to be one:
    /// a full batch, or what is due anyway.
    fn line_wants_more(&self) -> Option<u64> {
        let Phase::Sending(piece) = &self.phase else {
            return None;
        };
        // In trouble one step is taken at a time.
        let is_simple = self.pieces.is_empty()
            && self.limit >= self.most_records()
            && self.suspect.is_none()
            && !self.breaker.is_tripped()
            && !self.holdings_are_stale
            && !self.line.is_loading;
        let has_room =
            self.line.pieces.len() < MAX_LINE && self.line.bytes() < self.policy.batch_bytes;
        if !is_simple || !has_room {
            return None;
        }
        let last = self.line.pieces.back().unwrap_or(piece).last()?.key;
        let taken = (piece.len() + self.line.records()) as u64;
        let left = self.holdings.total().saturating_sub(taken);
        let taken_bytes = bytes_of(piece) + self.line.bytes();
        let left_bytes = self.holdings.bytes.saturating_sub(taken_bytes as u64);
        let is_due = left >= self.batch_records() as u64
            || left_bytes >= self.policy.batch_bytes as u64
            || (left > 0 && self.due.up_to > Some(last));
        is_due.then_some(last)
    }

    fn line_up(&mut self, mut items: Vec<Item>, actions: &mut Vec<Action>) {
        self.line.is_loading = false;
        items.truncate(self.batch_records());
        if items.is_empty() {
            self.holdings_are_stale = true;
            return;
        }
        let keys = items.iter().map(|item| item.key).collect();
        self.line.pieces.push_back(items);
        actions.push(Action::LineUp { keys });
    }

    fn advance_line(&mut self, line: Line) {
        self.line = line;
        if let Some(piece) = self.line.pieces.pop_front() {
            self.phase = Phase::Sending(piece);
        }
    }

    fn load(&self) -> Action {
        if let Some(suspect) = self.suspect.as_ref()
            && self.suspect_needs_witness()
        {
            // The suspect and its witness.
            return Action::Load {
                after: None,
                records: 1 + suspect.distance(),
                bytes: self.policy.batch_bytes.max(WITNESS_BYTES),
            };
        }
        Action::Load {
            after: None,
            records: self.batch_records(),
            bytes: self.policy.batch_bytes,
        }
    }

    fn must_finish(&self, now: Time) -> bool {
        let Some(until) = self.draining_until else {
            return false;
        };
        match self.phase {
            _ if planted!(OverrunsDrain) => false,
            Phase::Finished => false,
            Phase::Idle => now >= until || (self.holdings.is_empty() && !self.holdings_are_stale),
            // An open breaker or a long backoff would outlast the deadline.
            Phase::Resting { until: awake } => {
                now >= until || awake >= until || self.pieces.is_empty()
            }
            Phase::Loading | Phase::Ready | Phase::Sending(_) => now >= until,
        }
    }

    fn send(&mut self, piece: Piece, actions: &mut Vec<Action>) {
        let keys: Vec<u64> = piece.iter().map(|item| item.key).collect();
        let resent = self.is_resent(&keys);
        self.phase = Phase::Sending(piece);
        actions.push(Action::Send { keys, resent });
    }

    fn batch_records(&self) -> usize {
        self.most_records().min(self.limit).max(1)
    }

    /// What a batch may hold when nothing is wrong.
    fn most_records(&self) -> usize {
        self.policy.batch_records.min(self.server_limit)
    }

    fn is_due(&mut self, now: Time) -> bool {
        if self.due.at.is_some_and(|at| at <= now) {
            self.due.at = None;
            self.due.up_to = self.due.up_to.max(self.due.newest);
        }
        if self.holdings_are_stale || self.holdings.is_empty() {
            return false;
        }
        let full = self.holdings.total() >= self.batch_records() as u64
            || self.holdings.bytes >= self.policy.batch_bytes as u64;
        full || self.holdings.first_key <= self.due.up_to
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("phase", &self.phase)
            .field("breaker", &self.breaker)
            .field("holdings", &self.holdings)
            .field("pieces", &self.pieces.len())
            .field("line", &self.line.pieces.len())
            .field("due", &self.due)
            .field("lost", &self.lost)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
