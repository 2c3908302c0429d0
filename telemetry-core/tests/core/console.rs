//! What a person sees, and what becomes of it when nobody can.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

use telemetry_core::{Console, Format, Health, LossReason, Numbered};
use tracing::Level;

use crate::support::{assert_law, captured_by, lock, parse, stats_of};

/// A stream in memory that can be broken.
#[derive(Clone, Default)]
struct Stream(Arc<Mutex<(String, bool)>>);

impl Stream {
    fn text(&self) -> String {
        lock(&self.0).0.clone()
    }
    fn set_broken(&self, broken: bool) {
        lock(&self.0).1 = broken;
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = lock(&self.0);
        if stream.1 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        stream
            .0
            .push_str(std::str::from_utf8(bytes).expect("UTF-8"));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a console of this format shows, without the time.
fn shown(format: Format, emit: impl FnOnce()) -> String {
    let stream = Stream::default();
    captured_by(Console::to(format, Box::new(stream.clone())), emit);
    stream.text()
}

fn pretty(emit: impl FnOnce()) -> String {
    let text = shown(Format::Pretty { color: false }, emit);
    let (time, rest) = text.split_at("2024-01-01T12:00:00.000Z".len());
    time.parse::<jiff::Timestamp>().expect("a time");
    rest.to_owned()
}

#[test]
fn pretty_shows_everything_on_one_line() {
    let text = pretty(|| {
        let _outer = tracing::info_span!("job", id = 7, name = "my docs").entered();
        let _inner = tracing::info_span!("scan").entered();
        tracing::warn!(target: "mirror", files = 42, path = "/a b", empty = "", ok = true, "slow disk");
    });
    let expected = "  WARN mirror: slow disk files=42 path=\"/a b\" empty=\"\" ok=true \
        in job{id=7 name=\"my docs\"}:scan\n";
    assert_eq!(text, expected);
}

#[test]
fn colours_come_only_when_asked_for() {
    let emit = || tracing::error!(target: "t", a = 1, "red");
    let colored = shown(Format::Pretty { color: true }, emit);
    assert!(
        colored.contains("\x1b[31m ERROR \x1b[0m\x1b[2mt\x1b[0m"),
        "{colored:?}"
    );
    assert!(
        colored.contains("\x1b[3ma\x1b[0m\x1b[2m=\x1b[0m1\n"),
        "{colored:?}"
    );
    assert_eq!(pretty(emit), " ERROR t: red a=1\n");
}

#[test]
fn nothing_in_a_record_can_take_over_the_terminal() {
    let hostile = "\x1b]0;owned\x07\r\n\u{9b}2J\0";
    let text = pretty(|| {
        let _inside = tracing::info_span!("s", hostile).entered();
        tracing::info!(hostile, quoted = "say \"\x1b\"", "{hostile}");
    });
    let (line, rest) = text.split_at(text.len() - 1);
    assert_eq!(rest, "\n");
    assert!(!line.contains(char::is_control), "{line:?}");
    assert!(
        line.contains(r"\u{1b}]0;owned\u{7}\r\n\u{9b}2J\u{0}"),
        "{line}"
    );
    assert!(line.contains(r#"quoted="say \"\u{1b}\"""#), "{line}");
}

#[test]
fn json_is_the_line_of_the_file() {
    let stream = Stream::default();
    let console = Console::to(Format::Json, Box::new(stream.clone()));
    captured_by(Numbered::new(console), || tracing::info!(a = 1, "text"));
    let text = stream.text();
    let line = text.strip_suffix('\n').expect("a line");
    assert_eq!(parse(line)["seq"], 1);
}

#[test]
fn a_broken_stream_is_counted_and_tried_again() {
    let stream = Stream::default();
    let console = Console::to(Format::Pretty { color: false }, Box::new(stream.clone()));
    let console = Arc::new(console);
    stream.set_broken(true);
    captured_by(Arc::clone(&console), || {
        tracing::info!("lost");
        tracing::warn!("lost");
    });
    let stats = stats_of(&console);
    assert_law(&stats);
    assert_eq!(stats.lost.of(LossReason::IoError, Level::INFO), 1);
    assert_eq!(stats.lost.of(LossReason::IoError, Level::WARN), 1);
    assert!(matches!(stats.health, Health::Failing(_)));

    stream.set_broken(false);
    captured_by(Arc::clone(&console), || tracing::info!("seen"));
    let stats = stats_of(&console);
    assert_law(&stats);
    assert_eq!((stats.delivered, stats.dropped), (1, 2));
    assert_eq!(stats.health, Health::Good);
    assert!(stream.text().ends_with("seen\n"));
}

/// Takes something only when it is let to.
struct Stopped(mpsc::Receiver<()>);

impl Write for Stopped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn accounts_of_a_stopped_stream_are_told_at_once() {
    let (resume, resumed) = mpsc::channel();
    let console = Console::to(Format::Json, Box::new(Stopped(resumed)));
    let console = Arc::new(console);
    let writer = {
        let console = Arc::clone(&console);
        std::thread::spawn(move || captured_by(console, || tracing::info!("stuck")))
    };
    let stats = loop {
        let stats = stats_of(&console);
        if stats.accepted == 1 {
            break stats;
        }
        std::thread::yield_now();
    };
    assert_law(&stats);
    assert_eq!((stats.delivered, stats.pending), (0, 1));
    drop(resume);
    writer.join().expect("no panic");
    let stats = stats_of(&console);
    assert_law(&stats);
    assert_eq!((stats.delivered, stats.pending), (1, 0));
}

#[test]
fn priorities_for_the_journal_begin_each_line() {
    let emit = || {
        tracing::error!(target: "t", "e");
        tracing::warn!(target: "t", "w");
        tracing::info!(target: "t", "i");
        tracing::debug!(target: "t", "d");
        tracing::trace!(target: "t", "t");
    };
    for format in [Format::Pretty { color: false }, Format::Json] {
        let stream = Stream::default();
        let console = Console::to(format, Box::new(stream.clone())).with_priorities(true);
        captured_by(console, emit);
        let text = stream.text();
        let prefixes: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
        assert_eq!(prefixes, ["<3>", "<4>", "<6>", "<7>", "<7>"], "{text}");
    }
}
