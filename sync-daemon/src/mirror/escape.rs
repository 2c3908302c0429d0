//! File names as people and logs may see them.

use std::fmt::Write as _;

/// A file name or path as one line of printable text that tells every name apart.
///
/// Printable UTF-8 stays as it is. A backslash is doubled; control characters and bytes that are
/// not UTF-8 become `\n`, `\t`, `\r` or `\xNN`, so that a name cannot forge a line of a log nor
/// drive a terminal.
pub fn escape(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            escape_character(character, &mut out);
        }
        for byte in chunk.invalid() {
            escape_byte(*byte, &mut out);
        }
    }
    out
}

fn escape_character(character: char, out: &mut String) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        _ if character.is_control() || is_format_control(character) => {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                escape_byte(byte, out);
            }
        }
        _ => out.push(character),
    }
}

/// Line separators and the marks that turn the direction of writing: invisible, and able to make
/// one name look like another.
fn is_format_control(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape_byte(byte: u8, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_stays() {
        assert_eq!(escape("Straße 7/файл".as_bytes()), "Straße 7/файл");
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        assert_eq!(escape(b"a\nb\x1b[31m\\\xff"), "a\\nb\\x1b[31m\\\\\\xff");
        assert_eq!(escape("\u{202e}x".as_bytes()), "\\xe2\\x80\\xaex");
    }
}
