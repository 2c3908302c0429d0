//! Private members of JSON web keys: `{"kty":"RSA","n":"…","d":"…"}`.

use std::ops::Range;

use super::{Scan, string};
use crate::rules::Kind;
use crate::text::is_quote;

/// How far from `"kty"` the members are looked for, to either side.
const REACH: usize = 2048;
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Looks at the object around the name `kty` at `hit`.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let floor = hit.start.saturating_sub(REACH);
    let start = scan.text.run_back(hit.start, floor, |byte| byte != b'{');
    let limit = (hit.end + REACH).min(scan.text.len());
    let mut at = start;
    while at < limit && scan.text.at(at) != b'}' {
        let quote = scan
            .text
            .run(at, limit, |byte| byte != b'"' && byte != b'}');
        if scan.text.at(quote) != b'"' {
            return;
        }
        let depth = quote - scan.text.run_back(quote, at, |byte| byte == b'\\');
        let name = string::quoted(&scan.text, quote, depth);
        let colon = scan.text.run(name.end, name.end + 2 * depth + 4, |byte| {
            byte == b'\\' || byte == b'"' || byte == b':' || byte == b' '
        });
        at = name.end + depth + 1;
        let is_private = PRIVATE
            .iter()
            .any(|private| scan.text.slice(name.clone()) == private.as_bytes());
        let open = colon.saturating_sub(1);
        if is_private && is_quote(scan.text.at(open)) && open > name.end + depth {
            let content = string::quoted(&scan.text, open, depth);
            at = content.end + depth + 1;
            if content.len() >= 16 {
                scan.redact(content, Kind::PrivateKey);
            }
        }
    }
}
