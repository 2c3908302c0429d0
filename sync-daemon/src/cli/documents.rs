//! `sync-daemon systemd`, `completions SHELL` and `man`: what belongs to an
//! installation besides the program.

use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::output::{print, say};
use super::{Cli, EXIT_FAILED};

/// The unit, as it is shipped.
const UNIT: &str = include_str!("../../../deploy/systemd/sync-daemon.service");

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    shell: Shell,
}

/// Prints a hardened unit for systemd.
pub fn systemd() -> ExitCode {
    ExitCode::from(print(UNIT))
}

/// Prints a script that completes commands and options.
pub fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sync-daemon", &mut script);
    ExitCode::from(print(&String::from_utf8_lossy(&script)))
}

/// Prints the manual: one page, each command with its options in it.
pub fn man() -> ExitCode {
    let code = match manual() {
        Ok(page) => print(&String::from_utf8_lossy(&page)),
        Err(error) => {
            say(&format!(
                "sync-daemon: the manual cannot be written: {error}"
            ));
            EXIT_FAILED
        }
    };
    ExitCode::from(code)
}

fn manual() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let program = Man::new(command.clone()).manual("sync-daemon");
    program.render_title(&mut page)?;
    program.render_name_section(&mut page)?;
    program.render_synopsis_section(&mut page)?;
    program.render_description_section(&mut page)?;
    program.render_options_section(&mut page)?;
    render_commands(&command, "sync-daemon", &mut page)?;
    program.render_version_section(&mut page)?;
    Ok(page)
}

/// A section for each command, with its own commands after it.
fn render_commands(
    parent: &clap::Command,
    parent_name: &str,
    page: &mut Vec<u8>,
) -> io::Result<()> {
    for command in parent.get_subcommands() {
        if command.get_name() == "help" || command.is_hide_set() {
            continue;
        }
        let name = format!("{parent_name} {}", command.get_name());
        let command = without_common_options(command);
        let man = Man::new(command.clone().disable_help_subcommand(true));
        page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        if command.get_arguments().any(|option| !option.is_hide_set()) {
            man.render_options_section(&mut section)?;
        }
        if let Some(after) = command.get_after_long_help() {
            section
                .extend_from_slice(format!(".SH NOTES\n{}\n", roff(&after.to_string())).as_bytes());
        }
        // The sections of a command are parts of its own.
        let section = String::from_utf8_lossy(&section).replace(".SH ", ".SS ");
        page.extend_from_slice(section.as_bytes());
        render_commands(&command, &name, page)?;
    }
    Ok(())
}

/// The command without the options that every command has: they are told once.
fn without_common_options(command: &clap::Command) -> clap::Command {
    command.clone().mut_args(|option| {
        let id = option.get_id().as_str();
        let is_common = option.is_global_set() || id == "help" || id == "version";
        option.hide(is_common)
    })
}

/// Plain text for roff: no line of it is a request, and paragraphs stay apart.
fn roff(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\\\").replace('-', "\\-");
        match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false if line.is_empty() => ".PP".to_owned(),
            false if line.starts_with(' ') => format!(".br\n{line}"),
            false => line,
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_has_every_command() {
        let page = String::from_utf8(manual().unwrap()).unwrap();
        for command in Cli::command().get_subcommands() {
            let section = format!(".SH \"SYNC-DAEMON {}\"", command.get_name().to_uppercase());
            assert!(page.contains(&section), "{section}");
        }
        assert!(page.contains("max\\-delete"), "options of a command");
        let told = page.matches("NO_COLOR is honoured").count();
        assert_eq!(told, 1, "common options are told once");
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sync-daemon", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("log-level"), "{shell}");
        }
    }

    #[test]
    fn the_unit_starts_what_there_is() {
        assert!(UNIT.contains("Type=notify"));
        assert!(UNIT.contains("sync-daemon start"));
    }
}
