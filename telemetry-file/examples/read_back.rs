//! Prints the records of a log that are at least as severe as a level, from its
//! oldest archive to its active file.
//!
//! `cargo run -p telemetry-file --example read_back -- logs/daemon.log warn [SINCE]`

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use telemetry_file::read::{LogReader, Query};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().map(PathBuf::from);
    let path = path.ok_or("name a log file")?;
    let level = arguments.next().as_deref().unwrap_or("trace").parse()?;
    let since = arguments.next().map(|time| time.parse()).transpose()?;
    let query = Query {
        level: Some(level),
        since,
        ..Query::default()
    };
    let mut reader = LogReader::open(&path, &query)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for lines in reader.by_ref() {
        for line in lines.iter() {
            out.write_all(line.text)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    for error in reader.take_errors() {
        writeln!(io::stderr(), "{error}")?;
    }
    Ok(())
}
