//! Uploads: the sink beside bare clients, on a real PocketBase, in the program of `telemetry-pocketbase/examples`.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::machine;
use super::measure::{cpu_of, median};
use crate::step::say;
use crate::tools;

const DEFAULT_ROUNDS: usize = 5;
/// Records of a backlog that is opened and drained.
const DEFAULT_BACKLOG: u64 = 1_000_000;
const BATCH: u64 = 100;
const START_LIMIT: Duration = Duration::from_secs(30);
const SUPERUSER: &str = "root@example.com";

/// Who uploads what: name, way, collection, records.
struct Contestant {
    name: &'static str,
    way: &'static str,
    collection: &'static str,
    records: u64,
}

/// The first is the one that the others are compared to.
const CONTESTANTS: [Contestant; 5] = [
    Contestant {
        name: "bare client, one POST a record",
        way: "post",
        collection: "plain_logs",
        records: 2_000,
    },
    Contestant {
        name: "bare client, `/api/batch`",
        way: "batch",
        collection: "plain_logs",
        records: 10_000,
    },
    Contestant {
        name: "the sink, `/api/batch`",
        way: "sink",
        collection: "plain_logs",
        records: 10_000,
    },
    Contestant {
        name: "bare client, bulk route",
        way: "bulk",
        collection: "daemon_logs",
        records: 100_000,
    },
    Contestant {
        name: "the sink, bulk route",
        way: "sink",
        collection: "daemon_logs",
        records: 100_000,
    },
];

struct Options {
    rounds: usize,
    backlog: u64,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: DEFAULT_ROUNDS,
            backlog: DEFAULT_BACKLOG,
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let value = args
                .next()
                .with_context(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--rounds" => options.rounds = value.parse().context("--rounds takes a number")?,
                "--backlog" => {
                    options.backlog = value.parse().context("--backlog takes a number")?;
                }
                _ => bail!("unknown option {option}"),
            }
        }
        ensure!(
            options.rounds > 0,
            "without a round there is nothing to tell"
        );
        Ok(options)
    }
}

/// Runs everybody in turn against one server, then opens and drains a backlog; prints tables for `BENCHMARKS.md`.
///
/// # Errors
/// If the options are wrong, PocketBase is missing, or a contestant fails.
pub(super) fn run(shell: &Shell, args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let program = tools::path(shell, "pocketbase")?;
    let program = program.context("PocketBase is missing; `cargo xtask tools` fetches it")?;
    let client = build(shell)?;
    let place = shell.create_temp_dir()?;
    let server = Server::start(&program, &client, place.path())?;
    let mut samples: Vec<Vec<Sample>> = CONTESTANTS.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        say(&format!(
            "round {} of {}, load {}",
            round + 1,
            options.rounds,
            machine::load()
        ));
        for place in 0..CONTESTANTS.len() {
            // Not always the same neighbours.
            let turn = (place + round) % CONTESTANTS.len();
            samples[turn].push(server.measure(&client, &CONTESTANTS[turn])?);
        }
    }
    say(&format!(
        "\n{}, {}, medians of {} rounds, load at the end {}\n\n{}",
        machine::describe(shell)?,
        machine::version(shell, &program)?,
        options.rounds,
        machine::load(),
        table(&samples)
    ));
    if options.backlog > 0 {
        backlog(&server, &client, place.path(), options.backlog)?;
    }
    Ok(())
}

fn build(shell: &Shell) -> Result<PathBuf> {
    cmd!(
        shell,
        "cargo build --quiet --release --package telemetry-pocketbase --example upload_benchmark"
    )
    .quiet()
    .run()
    .context("the contestants cannot be built")?;
    Ok(tools::target(shell)?.join("release/examples/upload_benchmark"))
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Sample {
    records_per_second: f64,
    client_cpu_micros: f64,
    server_cpu_micros: f64,
}

/// A PocketBase of our own. Dropping kills it.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// A server with the hook file and both collections, in `place`.
    fn start(program: &Path, client: &Path, place: &Path) -> Result<Self> {
        let command = |subcommand: &str| {
            let mut command = Command::new(program);
            command.arg(subcommand).arg("--automigrate=false");
            for (option, name) in [
                ("--dir", "pb_data"),
                ("--hooksDir", "pb_hooks"),
                ("--migrationsDir", "pb_migrations"),
            ] {
                command.arg(option).arg(place.join(name));
            }
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let status = command("superuser")
            .args(["upsert", SUPERUSER, &password()])
            .status()?;
        ensure!(status.success(), "PocketBase takes no superuser");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let serve = || -> Result<Self> {
            let process = command("serve")
                .arg(format!("--http=127.0.0.1:{port}"))
                .spawn()?;
            let server = Self {
                process,
                url: format!("http://127.0.0.1:{port}"),
            };
            let begun = Instant::now();
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                ensure!(begun.elapsed() < START_LIMIT, "PocketBase does not start");
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(server)
        };
        let server = serve()?;
        let place_name = place.to_string_lossy();
        let prepare = ["prepare", &server.url, SUPERUSER, &place_name];
        measured(client, &prepare)?;
        // It reads the hook file when it starts.
        drop(server);
        serve()
    }

    fn measure(&self, client: &Path, contestant: &Contestant) -> Result<Sample> {
        let (records, batch) = (contestant.records.to_string(), BATCH.to_string());
        let before = cpu_of(self.process.id())?;
        let arguments = [
            contestant.way,
            &self.url,
            contestant.collection,
            &records,
            &batch,
        ];
        let result = measured(client, &arguments)?;
        let cpu = cpu_of(self.process.id())? - before;
        Ok(Sample {
            records_per_second: figure(&result, "records_per_second")?,
            client_cpu_micros: figure(&result, "client_cpu_micros")?,
            server_cpu_micros: cpu * 1e6 / contestant.records as f64,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The passwords of a server that lives as long as the benchmark.
fn password() -> String {
    format!("of benchmark {}", std::process::id())
}

/// Runs the program of the contestants; the last line that it prints. It ends like a killed one where that is what is measured.
fn measured(client: &Path, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(client)
        .args(arguments)
        .env("PB_PASSWORD", password())
        .env("PB_ADMIN_PASSWORD", password())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next_back().with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{arguments:?} has measured nothing: {errors}")
    })?;
    Ok(serde_json::from_str(line)?)
}

fn figure(result: &Value, name: &str) -> Result<f64> {
    let value = result.get(name).and_then(Value::as_f64);
    value.with_context(|| format!("no {name} in {result}"))
}

fn table(samples: &[Vec<Sample>]) -> String {
    let mut text = String::from(
        "| who, how | records/s | times one POST a record | server CPU, µs/record | client CPU, µs/record |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for (contestant, own) in CONTESTANTS.iter().zip(samples) {
        let of = |value: fn(&Sample) -> f64| median(own.iter().map(value));
        let ratios = own
            .iter()
            .zip(&samples[0])
            .map(|(own, other)| own.records_per_second / other.records_per_second);
        text.push_str(&format!(
            "| {} | {:.0} | {:.1} | {:.0} | {:.1} |\n",
            contestant.name,
            of(|sample| sample.records_per_second),
            median(ratios),
            of(|sample| sample.server_cpu_micros),
            of(|sample| sample.client_cpu_micros),
        ));
    }
    text
}

/// A spool of many records, left by a process that was killed: opened, and drained by the bulk route.
fn backlog(server: &Server, client: &Path, place: &Path, records: u64) -> Result<()> {
    let spool = place.join("backlog");
    let spool = spool.to_string_lossy();
    let filled = measured(client, &["fill", &spool, &records.to_string()])?;
    let opened = measured(client, &["open", &spool])?;
    let drained = measured(client, &["drain", &server.url, "daemon_logs", &spool])?;
    say(&format!(
        "backlog of {records} records, load {}: filled at {:.0}/s; opened in {:.3} s with {:.1} MB; drained at {:.0}/s with {:.1} MB, {:.1} µs of client CPU a record\n",
        machine::load(),
        figure(&filled, "records_per_second")?,
        figure(&opened, "secs")?,
        figure(&opened, "peak_mb")?,
        figure(&drained, "records_per_second")?,
        figure(&drained, "peak_mb")?,
        figure(&drained, "client_cpu_micros")?,
    ));
    ensure!(
        figure(&opened, "records")? as u64 == records,
        "a record of the backlog is missing"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_a_typo_is_refused() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Options::parse(&args)
        };
        let options = parse(&["--rounds", "3", "--backlog", "0"]).expect("valid");
        assert_eq!((options.rounds, options.backlog), (3, 0));
        assert!(parse(&["--rounds", "0"]).is_err());
        assert!(parse(&["--round", "1"]).is_err());
    }

    #[test]
    fn ratios_compare_within_a_round() {
        let sample = |records_per_second: f64| Sample {
            records_per_second,
            client_cpu_micros: 1.0,
            server_cpu_micros: 2.0,
        };
        let mut samples = vec![vec![sample(100.0), sample(200.0), sample(100.0)]];
        samples.extend(
            (1..CONTESTANTS.len()).map(|_| vec![sample(1_500.0), sample(1_600.0), sample(1_700.0)]),
        );
        let table = table(&samples);
        assert!(
            table.contains("| the sink, bulk route | 1600 | 15.0 | 2 | 1.0 |"),
            "{table}"
        );
    }
}
