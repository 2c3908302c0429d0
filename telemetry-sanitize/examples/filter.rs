//! Filters text: reads lines on stdin, writes them sanitized on stdout, and
//! reports on stderr how often each rule replaced something.
//!
//! ```text
//! journalctl -u my.service | cargo run -p telemetry-sanitize --example filter
//! ```

use std::io::{self, BufRead, BufWriter, Write};

use telemetry_sanitize::{Lines, Sanitizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sanitizer = Sanitizer::builder().build()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    let mut lines = Lines::new(&sanitizer);
    let mut input = io::stdin().lock();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let content = text.trim_end_matches(['\n', '\r']);
        out.write_all(lines.next(content).as_bytes())?;
        out.write_all(&text.as_bytes()[content.len()..])?;
        line.clear();
    }
    out.flush()?;
    report(&sanitizer)?;
    Ok(())
}

fn report(sanitizer: &Sanitizer) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for (rule, count) in sanitizer.redactions() {
        if count > 0 {
            writeln!(err, "{count:8} {rule}")?;
        }
    }
    Ok(())
}
