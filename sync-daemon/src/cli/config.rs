//! `sync-daemon config init | check | show | schema`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{print, say};
use super::settings::{load, load_file, nothing_found};
use super::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, Global};
use crate::config::{Config, LOCAL_CONFIG_FILE, Loaded, Metrics, Telemetry, exposed_secrets};
use crate::telemetry::TelemetryError;

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with the configuration.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a file with every key, its default and a sentence
    Init {
        /// Where to; `-` is standard output [default: the file of --config, or ./sync-daemon.toml]
        path: Option<PathBuf>,
        /// Overwrite the file if it is there
        #[arg(long)]
        force: bool,
    },
    /// Say everything that is wrong with the configuration, and which rules redact the log
    Check,
    /// Print the effective values as TOML
    Show {
        /// Say after each value where it comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON schema of the configuration, for editors
    Schema,
}

/// Runs `config`. Data goes to stdout, everything else to stderr.
pub fn run(args: &ConfigArgs, global: &Global) -> ExitCode {
    let code = match &args.command {
        ConfigCommand::Init { path, force } => init(path.as_deref(), *force, global),
        ConfigCommand::Check => check(global),
        ConfigCommand::Show { origin } => show(*origin, global),
        ConfigCommand::Schema => print(&format!("{:#}\n", Config::json_schema())),
    };
    ExitCode::from(code)
}

fn init(path: Option<&Path>, force: bool, global: &Global) -> u8 {
    let named = path.or(global.config.first().map(PathBuf::as_path));
    let path = named.unwrap_or(Path::new(LOCAL_CONFIG_FILE));
    if path == Path::new("-") {
        return print(&Config::commented_defaults());
    }
    match write_new(path, force) {
        Ok(()) => {
            say(&format!("wrote {}", path.display()));
            EXIT_OK
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            say(&format!(
                "{} is there already; --force overwrites it",
                path.display()
            ));
            EXIT_FAILED
        }
        Err(error) => {
            say(&format!("cannot write {}: {error}", path.display()));
            EXIT_FAILED
        }
    }
}

fn write_new(path: &Path, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(!force)
        .create(force)
        .truncate(force);
    options
        .open(path)?
        .write_all(Config::commented_defaults().as_bytes())
}

fn check(global: &Global) -> u8 {
    match load_file(global) {
        Ok(loaded) => {
            for note in exposed_secrets(&loaded) {
                say(&format!("warning: {note}"));
            }
            match redaction(&loaded.config.telemetry) {
                Ok(rules) => print(&(summary(&loaded) + &rules)),
                Err(error) => {
                    say(&format!("{}: {error}", sources(&loaded)));
                    EXIT_USAGE
                }
            }
        }
        Err(code) => code,
    }
}

fn show(origin: bool, global: &Global) -> u8 {
    let found = match load(global) {
        Ok(found) => found,
        Err(code) => return code,
    };
    if found.search.files.is_empty() {
        say(&format!(
            "{}; these are the defaults",
            nothing_found(&found.search)
        ));
    }
    let Loaded {
        config, origins, ..
    } = &found.loaded;
    print(&match origin {
        true => config.to_toml_with_origins(origins),
        false => config.to_toml(),
    })
}

/// One line: what was read, the jobs, and what will listen or upload.
fn summary(loaded: &Loaded) -> String {
    let telemetry = &loaded.config.telemetry;
    let metrics = match telemetry.metrics.enabled {
        true => format!("metrics on {}", endpoint(&telemetry.metrics)),
        false => "metrics off".to_owned(),
    };
    let upload = match telemetry.pocketbase_logging.enabled {
        true => format!("logs to {}", telemetry.pocketbase_logging.url),
        false => "PocketBase off".to_owned(),
    };
    let jobs = jobs(&loaded.config);
    format!("{}: ok: {jobs}, {metrics}, {upload}\n", sources(loaded))
}

/// The files and variables that were read.
fn sources(loaded: &Loaded) -> String {
    let files = loaded.files.iter().map(|path| path.display().to_string());
    let sources: Vec<String> = files.chain(loaded.variables.iter().cloned()).collect();
    sources.join(", ")
}

/// What happens to secrets, line by line.
///
/// # Errors
/// If rules that are right by themselves are not together: a pattern with the name of a
/// built-in rule.
#[cfg(feature = "sanitize")]
fn redaction(telemetry: &Telemetry) -> Result<String, TelemetryError> {
    let settings = &telemetry.sanitize;
    let rules = crate::telemetry::rules(settings)?;
    if !settings.enabled {
        return Ok("  redaction: off, secrets reach the log as they are\n".to_owned());
    }
    let mut lines = vec![format!("{} rules:", rules.len())];
    lines.extend(wrapped(&rules));
    let lists = [
        ("also redacted by name", &settings.deny_fields),
        ("never redacted by name", &settings.allow_fields),
    ];
    let named = lists.iter().filter(|(_, names)| !names.is_empty());
    lines.extend(named.map(|(what, names)| format!("{what}: {}", names.join(", "))));
    let roots = settings.roots.iter();
    let mut paths: Vec<String> = roots
        .map(|(path, name)| format!("{} -> {name}", path.display()))
        .collect();
    if settings.normalize_paths {
        paths.insert(0, "home directories -> ~".to_owned());
    }
    lines.push(format!("paths: {}", or_none(&paths)));
    let switch = |is_on| if is_on { "on" } else { "off" };
    lines.push(format!(
        "personal data: {}; keyed hash: {}",
        switch(settings.pii),
        switch(settings.keyed_hash)
    ));
    let rest = lines.split_off(1);
    let rest = rest.iter().map(|line| format!("    {line}\n"));
    Ok(format!(
        "  redaction: {}\n{}",
        lines[0],
        rest.collect::<String>()
    ))
}

/// Names in lines that a terminal shows whole.
#[cfg(feature = "sanitize")]
fn wrapped(names: &[String]) -> Vec<String> {
    const WIDTH: usize = 90;
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() <= WIDTH => line.push_str(&format!(", {name}")),
            _ => lines.push(name.clone()),
        }
    }
    lines
}

#[cfg(not(feature = "sanitize"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with the feature there may be an error"
)]
fn redaction(_: &Telemetry) -> Result<String, TelemetryError> {
    Ok("  redaction: off, this build has no feature `sanitize`\n".to_owned())
}

#[cfg(feature = "sanitize")]
fn or_none(parts: &[String]) -> String {
    if parts.is_empty() {
        return "as they are".to_owned();
    }
    parts.join(", ")
}

fn endpoint(metrics: &Metrics) -> SocketAddr {
    SocketAddr::new(metrics.bind_address, metrics.port)
}

fn jobs(config: &Config) -> String {
    let ids: Vec<&str> = config.sync_jobs.iter().map(|job| job.id.as_str()).collect();
    match ids.as_slice() {
        [] => "no sync jobs".to_owned(),
        [id] => format!("1 sync job ({id})"),
        ids => format!("{} sync jobs ({})", ids.len(), ids.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::EXIT_USAGE;
    use super::*;
    use crate::config::{Environment, LoadOptions};

    fn global(config: &Path) -> Global {
        Global {
            config: vec![config.to_owned()],
            quiet: false,
            verbose: false,
            color: super::super::Color::Never,
        }
    }

    #[test]
    fn init_writes_a_file_that_passes_check() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.toml");
        assert_eq!(init(Some(&path), false, &global(&path)), EXIT_OK);
        assert_eq!(check(&global(&path)), EXIT_OK);
    }

    #[test]
    fn init_overwrites_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, "# mine").unwrap();
        assert_eq!(init(Some(&path), false, &global(&path)), EXIT_FAILED);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine");
        assert_eq!(init(Some(&path), true, &global(&path)), EXIT_OK);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, Config::commented_defaults());
    }

    #[test]
    fn a_bad_configuration_is_bad_usage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bad.toml");
        std::fs::write(&path, "colour = 1").unwrap();
        assert_eq!(check(&global(&path)), EXIT_USAGE);
        assert_eq!(show(false, &global(&path)), EXIT_USAGE);
        assert_eq!(
            check(&global(&directory.path().join("missing.toml"))),
            EXIT_USAGE
        );
    }

    #[cfg(feature = "sanitize")]
    #[test]
    fn check_tells_the_rules_that_are_in_effect() {
        use crate::config::{Pattern, Sanitize};
        let mut telemetry = Telemetry::default();
        let told = redaction(&telemetry).unwrap();
        assert!(
            told.contains(" rules:") && told.contains("password"),
            "{told}"
        );
        assert!(told.contains("home directories -> ~"), "{told}");
        assert!(!told.contains("by name"), "{told}");
        telemetry.sanitize = Sanitize {
            deny_fields: vec!["employee_id".to_owned()],
            allow_fields: vec!["token_count".to_owned()],
            patterns: vec![Pattern {
                name: "ticket".to_owned(),
                regex: "TCK-[0-9]{8}".to_owned(),
            }],
            normalize_paths: false,
            roots: [("/srv/data".into(), "<data>".to_owned())].into(),
            pii: true,
            ..Sanitize::default()
        };
        let told = redaction(&telemetry).unwrap();
        for part in [
            "ticket",
            "also redacted by name: employee_id",
            "never redacted by name: token_count",
            "paths: /srv/data -> <data>\n",
            "personal data: on; keyed hash: off",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        telemetry.sanitize.enabled = false;
        assert!(redaction(&telemetry).unwrap().contains("off"));
        telemetry.sanitize.patterns[0].name = "password".to_owned();
        let error = redaction(&telemetry).unwrap_err();
        assert!(error.to_string().contains("is taken"), "{error}");
    }

    #[test]
    fn check_says_what_it_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        let job = "[[sync_jobs]]\nid = \"docs\"\nsource_path = \"/s\"\ndestination_path = \"/d\"\n";
        std::fs::write(&path, job).unwrap();
        let options = LoadOptions::new(vec![path.clone()], Environment::default());
        let metrics = match cfg!(feature = "metrics") {
            true => "metrics on 127.0.0.1:9090",
            false => "metrics off",
        };
        assert_eq!(
            summary(&Config::load(&options).unwrap()),
            format!(
                "{}: ok: 1 sync job (docs), {metrics}, PocketBase off\n",
                path.display()
            )
        );
    }
}
