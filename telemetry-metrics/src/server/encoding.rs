//! Compressed answers.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// Below it an answer fits into one packet anyway.
const MIN_BYTES: usize = 1024;

/// How an answer may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// The one that the client would take; gzip where it may choose.
    pub(crate) fn accepted_by(headers: &HeaderMap) -> Self {
        let mut any = None;
        let mut gzip = None;
        for header in headers.get_all(ACCEPT_ENCODING) {
            let choices = header.to_str().unwrap_or_default().split(',');
            for (name, is_accepted) in choices.map(choice) {
                match name {
                    name if name.eq_ignore_ascii_case("gzip") => gzip = Some(is_accepted),
                    "*" => any = Some(is_accepted),
                    _ => {}
                }
            }
        }
        if gzip.or(any).unwrap_or(false) {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    /// The body in this encoding, or in another that is better for it: look at
    /// the answer. Takes CPU time in proportion to the text.
    pub(crate) fn encode(self, text: String) -> (Self, Vec<u8>) {
        if self == Self::Gzip
            && text.len() >= MIN_BYTES
            && let Ok(packed) = gzip(text.as_bytes())
        {
            return (Self::Gzip, packed);
        }
        (Self::Plain, text.into_bytes())
    }
}

/// "gzip;q=0.5": the name, and whether the client takes it at all.
fn choice(written: &str) -> (&str, bool) {
    let (name, parameters) = written.split_once(';').unwrap_or((written, ""));
    let weight = parameters.trim().strip_prefix("q=").map(str::trim);
    let is_zero = weight.is_some_and(|q| q.parse() == Ok(0.0_f32));
    (name.trim(), !is_zero)
}

/// Fast rather than small: metrics repeat themselves so much that the best level
/// saves little more.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use hyper::header::HeaderValue;

    use super::*;

    fn accepted(value: &'static str) -> Encoding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        Encoding::accepted_by(&headers)
    }

    #[test]
    fn gzip_is_chosen_where_the_client_takes_it() {
        for value in ["gzip", "GZip", "br, gzip;q=0.1", "*", "deflate, *;q=0.5"] {
            assert_eq!(accepted(value), Encoding::Gzip, "{value}");
        }
        for value in ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, *", "*;q=0"] {
            assert_eq!(accepted(value), Encoding::Plain, "{value}");
        }
        let nothing = Encoding::accepted_by(&HeaderMap::new());
        assert_eq!(nothing, Encoding::Plain);
    }

    #[test]
    fn long_text_is_packed_and_comes_back_whole() {
        let text = "metric{label=\"value\"} 1\n".repeat(1000);
        let (encoding, packed) = Encoding::Gzip.encode(text.clone());
        assert_eq!(encoding, Encoding::Gzip);
        assert!(packed.len() < text.len() / 10, "{} bytes", packed.len());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
    }

    #[test]
    fn short_text_is_sent_as_it_is() {
        let (encoding, body) = Encoding::Gzip.encode("short".to_owned());
        assert_eq!((encoding, &body[..]), (Encoding::Plain, &b"short"[..]));
    }
}
