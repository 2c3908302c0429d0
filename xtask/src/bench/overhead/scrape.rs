//! Asking for the metrics, as Prometheus does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Result, ensure};

/// What one scrape took.
pub(super) struct Scrape {
    pub(super) secs: f64,
    pub(super) bytes: usize,
}

/// # Errors
/// If there is no answer, or it has no metrics.
pub(super) fn scrape(address: &str) -> Result<Scrape> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the scrape failed");
    Ok(Scrape {
        secs: begun.elapsed().as_secs_f64(),
        bytes: answer.len(),
    })
}
