//! `sync-daemon pocketbase setup | check | files`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use telemetry_pocketbase::setup::{self, AdminLogin, FilesFor, Report};
use telemetry_pocketbase::{PocketBaseConfig, PocketBaseError, Secret};
use uuid::Uuid;

use super::output::{print, say};
use super::{EXIT_FAILED, EXIT_USAGE, Global, settings};
use crate::config::PocketbaseLogging;
use crate::telemetry::pocketbase::{PASSWORD_VARIABLE, uploader_config};

/// The variable that may hold the superuser's password.
const ADMIN_PASSWORD_VARIABLE: &str = "SYNC_DAEMON_ADMIN_PASSWORD";

/// Arguments of `pocketbase`.
#[derive(Debug, Args)]
pub struct PocketBaseArgs {
    /// What to do with the server.
    #[command(subcommand)]
    pub command: PocketBaseCommand,
}

/// The commands of `pocketbase`.
#[derive(Debug, Subcommand)]
pub enum PocketBaseCommand {
    /// Create collections, rules, indexes, settings and the daemon's account
    #[command(
        after_long_help = "The superuser's password comes from SYNC_DAEMON_ADMIN_PASSWORD or is asked for.\n\n\
The daemon's account is `telemetry.pocketbase_logging.identity`. Its password is read from \
`password_file`, and made up and written there (0600) if the file is missing.\n\n\
Run it again at any time: it changes only what is not as it should be."
    )]
    Setup {
        /// E-mail address of a superuser of the server
        #[arg(long, value_name = "EMAIL")]
        admin: String,
    },
    /// Say what the server lacks, and how fast it takes records; leaves a few probe records there
    Check,
    /// Write files for the server: ./pb_migrations, and ./pb_hooks with the route for uploads in bulk and the retention
    Files {
        /// For PocketBase 0.22 and older
        #[arg(long)]
        legacy: bool,
    },
}

/// Why a command did nothing, and the exit code for it.
struct Stop(u8, String);

impl From<PocketBaseError> for Stop {
    fn from(error: PocketBaseError) -> Self {
        Self(EXIT_FAILED, error.to_string())
    }
}

/// Runs `pocketbase`.
pub fn run(args: &PocketBaseArgs, global: &Global) -> ExitCode {
    let config = match settings::load(global) {
        Ok(found) => found.loaded.config,
        Err(code) => return ExitCode::from(code),
    };
    let settings = &config.telemetry.pocketbase_logging;
    let uploader = uploader_config(settings, &config.daemon.state_dir);
    let done = match &args.command {
        PocketBaseCommand::Setup { admin } => set_up(settings, uploader, admin),
        PocketBaseCommand::Check => with_identity(uploader).and_then(|uploader| {
            let report = setup::check(&uploader)?;
            Ok(report)
        }),
        PocketBaseCommand::Files { legacy } => write_files(settings, *legacy).map_err(Stop::from),
    };
    ExitCode::from(match done {
        Ok(report) => tell(&report),
        Err(Stop(code, why)) => {
            say(&format!("sync-daemon: {why}"));
            code
        }
    })
}

/// Data goes to stdout; what is wrong makes the command fail.
fn tell(report: &Report) -> u8 {
    let printed = print(&report.to_string());
    if report.is_good() {
        printed
    } else {
        EXIT_FAILED
    }
}

fn write_files(settings: &PocketbaseLogging, legacy: bool) -> Result<Report, PocketBaseError> {
    let here = Path::new(".");
    if legacy {
        return setup::write_legacy_files(here, &settings.collection);
    }
    let files = FilesFor {
        collection: &settings.collection,
        auth_collection: &settings.auth_collection,
        retention_days: settings.retention_days,
    };
    setup::write_files(here, files)
}

fn set_up(
    settings: &PocketbaseLogging,
    uploader: PocketBaseConfig,
    admin: &str,
) -> Result<Report, Stop> {
    let uploader = with_identity(uploader)?;
    let admin = AdminLogin {
        email: admin.to_owned(),
        password: admin_password(admin)?,
    };
    let password = account_password(settings, &uploader)?;
    Ok(setup::prepare(&uploader, &admin, &password)?)
}

fn with_identity(uploader: PocketBaseConfig) -> Result<PocketBaseConfig, Stop> {
    if uploader.identity.is_empty() {
        return Err(Stop(
            EXIT_USAGE,
            "the daemon's account has no name; set `telemetry.pocketbase_logging.identity` to an e-mail address"
                .to_owned(),
        ));
    }
    Ok(uploader)
}

fn admin_password(admin: &str) -> Result<Secret, Stop> {
    if let Ok(password) = std::env::var(ADMIN_PASSWORD_VARIABLE)
        && !password.is_empty()
    {
        return Ok(Secret::new(password));
    }
    rpassword::prompt_password(format!("Password of {admin}: "))
        .map(Secret::new)
        .map_err(|error| {
            let why = format!(
                "cannot ask for the password of {admin}: {error}; set {ADMIN_PASSWORD_VARIABLE}"
            );
            Stop(EXIT_USAGE, why)
        })
}

/// The password that there is, or a new one in the password file.
fn account_password(
    settings: &PocketbaseLogging,
    uploader: &PocketBaseConfig,
) -> Result<Secret, Stop> {
    let why = match uploader.password.find() {
        Ok(password) => return Ok(password),
        Err(why) => why,
    };
    let missing = |path: &&PathBuf| !path.exists();
    let Some(path) = settings.password_file.as_ref().filter(missing) else {
        let why = format!(
            "no password for the daemon's account: {why}; set `telemetry.pocketbase_logging.password_file` (it is written if it is missing) or {PASSWORD_VARIABLE}"
        );
        return Err(Stop(EXIT_USAGE, why));
    };
    let password = Secret::new(Uuid::new_v4().simple().to_string());
    match write_private(path, password.expose()) {
        Ok(()) => {
            say(&format!(
                "made up a password and wrote it to {}",
                path.display()
            ));
            Ok(password)
        }
        Err(error) => Err(Stop(
            EXIT_FAILED,
            format!("cannot write {}: {error}", path.display()),
        )),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
