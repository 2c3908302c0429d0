//! One contestant, one measurement, one JSON object on stdout; see `README.md`.

mod contestant;
mod measure;
mod ours;
mod peers;
mod work;

use std::process::ExitCode;

use contestant::Contestant;
use ours::Pipeline;
use peers::{Logforth, Slog, Spdlog, TracingAppender};
use serde_json::Value;

const USAGE: &str = "usage: logging-benchmark list | CONTESTANT MEASUREMENT [EVENTS]
measurements: latency-1, latency-4, throughput-1, throughput-4, disabled, plain";

macro_rules! contestants {
    ($($name:literal => $contestant:ty),* $(,)?) => {
        const NAMES: &[&str] = &[$($name),*];

        fn run(name: &str, measurement: &str, events: Option<usize>) -> Option<Value> {
            match name {
                $($name => measure_one::<$contestant>(measurement, events),)*
                _ => None,
            }
        }
    };
}

contestants! {
    "ours" => Pipeline<true>,
    "ours-unsanitized" => Pipeline<false>,
    "tracing-appender" => TracingAppender,
    "slog-async" => Slog,
    "spdlog-rs" => Spdlog,
    "logforth" => Logforth,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["list"] => Some(NAMES.into()),
        [name, measurement] => run(name, measurement, None),
        [name, measurement, events] => {
            let events = events.parse().ok();
            events.and_then(|events| run(name, measurement, Some(events)))
        }
        _ => None,
    };
    let Some(result) = result else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("{result}");
    ExitCode::SUCCESS
}

fn measure_one<C: Contestant>(measurement: &str, events: Option<usize>) -> Option<Value> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let or = |default| events.unwrap_or(default);
    Some(match measurement {
        "latency-1" => measure::latency::<C>(directory, 1, or(50_000)),
        "latency-4" => measure::latency::<C>(directory, 4, or(80_000)),
        "throughput-1" => measure::throughput::<C>(directory, 1, or(200_000)),
        "throughput-4" => measure::throughput::<C>(directory, 4, or(200_000)),
        "disabled" => measure::disabled::<C>(directory, or(2_000_000)),
        "plain" => measure::plain::<C>(directory, or(10_000)),
        _ => return None,
    })
}
