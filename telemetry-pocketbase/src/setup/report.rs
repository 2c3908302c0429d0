//! What was done or found.

use std::fmt;

/// Steps in the order in which they were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it was about.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there and is now.
    Created,
    /// It was there and is different now: how.
    Changed(String),
    /// It was as it should be.
    Good,
    /// Works, but somebody may want to know: what.
    Note(String),
    /// It is not as it should be: why, and what to do.
    Wrong(String),
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        !self
            .steps
            .iter()
            .any(|step| matches!(step.outcome, Outcome::Wrong(_)))
    }

    /// Whether anything on the server or disk is different now.
    pub fn has_changes(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step.outcome, Outcome::Created | Outcome::Changed(_)))
    }

    pub(super) fn add(&mut self, what: impl Into<String>, outcome: Outcome) {
        self.steps.push(Step {
            what: what.into(),
            outcome,
        });
    }
}

impl fmt::Display for Report {
    /// One line a step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match &self.outcome {
            Outcome::Created => write!(f, "created  {what}"),
            Outcome::Changed(how) => write!(f, "changed  {what}: {how}"),
            Outcome::Good => write!(f, "good     {what}"),
            Outcome::Note(note) => write!(f, "note     {what}: {note}"),
            Outcome::Wrong(why) => write!(f, "WRONG    {what}: {why}"),
        }
    }
}
