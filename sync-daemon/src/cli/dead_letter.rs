//! `sync-daemon dead-letter list | show | replay | drop`: what the server
//! refused.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;
use telemetry_pocketbase::PocketBaseError;
use telemetry_pocketbase::delivery::Letter;
use telemetry_pocketbase::leftovers::Leftovers;

use super::output::{print, say};
use super::spool::complain;
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global, settings};
use crate::config::Config;

/// Arguments of `dead-letter`.
#[derive(Debug, Args)]
pub struct DeadLetterArgs {
    /// What to do with the dead letters.
    #[command(subcommand)]
    pub command: DeadLetterCommand,
}

/// The commands of `dead-letter`.
#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// One line for each: id, time, level, reason and message
    List,
    /// Print one as it stands in the file, or all
    Show {
        /// Id of the record; all without it
        id: Option<String>,
    },
    /// Put them back into the spool, to be sent again; the daemon must not run
    Replay(Chosen),
    /// Remove them for ever; the daemon must not run
    Drop(Chosen),
}

/// Which dead letters.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Chosen {
    /// Ids of the records
    pub ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

impl Chosen {
    fn picks(&self, letter: &Letter) -> bool {
        self.all || self.ids.contains(&letter.id)
    }

    /// Says which ids are none; true if there are such.
    fn has_strangers(&self, letters: &[Letter]) -> bool {
        let is_known = |id: &&String| letters.iter().any(|letter| &letter.id == *id);
        let strangers: Vec<_> = self.ids.iter().filter(|id| !is_known(id)).collect();
        for stranger in &strangers {
            say(&format!("sync-daemon: there is no dead letter {stranger}"));
        }
        !strangers.is_empty()
    }
}

/// Runs `dead-letter`.
pub fn run(args: &DeadLetterArgs, global: &Global) -> ExitCode {
    let config = match settings::load(global) {
        Ok(found) => found.loaded.config,
        Err(code) => return ExitCode::from(code),
    };
    let leftovers = Leftovers::of(&config.daemon.state_dir);
    let done = match &args.command {
        DeadLetterCommand::List => list(&leftovers),
        DeadLetterCommand::Show { id } => show(&leftovers, id.as_deref()),
        DeadLetterCommand::Replay(chosen) => replay(&leftovers, chosen, &config),
        DeadLetterCommand::Drop(chosen) => drop_chosen(&leftovers, chosen),
    };
    ExitCode::from(done.unwrap_or_else(|error| complain(&error)))
}

fn list(leftovers: &Leftovers) -> Result<u8, PocketBaseError> {
    let (letters, others) = leftovers.dead_letters()?;
    let text: String = letters.iter().map(summary).collect();
    if others > 0 {
        say(&format!("{others} lines of the file are no dead letters"));
    }
    Ok(print(&text))
}

fn summary(letter: &Letter) -> String {
    let record: Value = serde_json::from_str(letter.record.get()).unwrap_or_default();
    let text = |name: &str| {
        record[name]
            .as_str()
            .unwrap_or("-")
            .escape_debug()
            .to_string()
    };
    let (id, at, reason) = (&letter.id, &letter.at, &letter.reason);
    format!(
        "{id} {at} {} {reason} | {}\n",
        text("level"),
        text("message")
    )
}

fn show(leftovers: &Leftovers, id: Option<&str>) -> Result<u8, PocketBaseError> {
    let (letters, _) = leftovers.dead_letters()?;
    let chosen = letters
        .iter()
        .filter(|letter| id.is_none_or(|id| letter.id == id));
    let text: String = chosen
        .filter_map(|letter| serde_json::to_string(letter).ok())
        .map(|line| line + "\n")
        .collect();
    if let (Some(id), true) = (id, text.is_empty()) {
        say(&format!("sync-daemon: there is no dead letter {id}"));
        return Ok(EXIT_FAILED);
    }
    Ok(print(&text))
}

fn replay(leftovers: &Leftovers, chosen: &Chosen, config: &Config) -> Result<u8, PocketBaseError> {
    if chosen.has_strangers(&leftovers.dead_letters()?.0) {
        return Ok(EXIT_FAILED);
    }
    let max_bytes = config.telemetry.pocketbase_logging.spool_max_bytes;
    if max_bytes == 0 {
        say("sync-daemon: there is no spool to put them into: `spool_max_mb` is 0");
        return Ok(EXIT_USAGE);
    }
    let done = leftovers.replay(max_bytes, |letter| chosen.picks(letter))?;
    say(&format!("{} put back into the spool", done.replayed));
    if done.impossible > 0 {
        say(&format!("{} are no records and stay", done.impossible));
        return Ok(EXIT_FAILED);
    }
    Ok(EXIT_OK)
}

fn drop_chosen(leftovers: &Leftovers, chosen: &Chosen) -> Result<u8, PocketBaseError> {
    if chosen.has_strangers(&leftovers.dead_letters()?.0) {
        return Ok(EXIT_FAILED);
    }
    let count = leftovers.drop_dead_letters(|letter| chosen.picks(letter))?;
    say(&format!("{count} dropped"));
    Ok(EXIT_OK)
}
