//! Home directories, and the user's roots.

use std::ops::Range;

use super::{Scan, What};
use crate::text::{Text, is_quote};

/// Looks at a place such as `/home/` or `\Users\`.
pub(super) fn look(scan: &mut Scan<'_, '_>, hit: Range<usize>) {
    let text = &scan.text;
    let found = if text.slice(hit.clone()) == b"/media/" {
        media_owner(text, &hit)
    } else if text.ends_with(hit.end, "/root") {
        root_home(text, &hit)
    } else if text.has(hit.start, "%5cusers%5c") {
        encoded_windows_home(text, &hit)
    } else if let Some(name) = spool_owner(text, &hit) {
        name
    } else if text.slice(hit.clone()).ends_with(b"\\") {
        windows_home(text, &hit)
    } else {
        posix_home(text, &hit)
    };
    if let Some(found) = found {
        scan.take(found, What::Home);
    }
}

/// Looks at one of the user's roots (or the process's own home directory).
pub(super) fn look_root(scan: &mut Scan<'_, '_>, index: u16, hit: Range<usize>) {
    let text = &scan.text;
    let is_exact = text.as_str().get(hit.clone()) == Some(scan.triggers.root(index));
    if is_exact && ends_component(text, hit.end) && path_start(text, hit.start).is_some() {
        scan.take(hit, scan.triggers.root_replacement(index));
    }
}

/// The user in `/var/mail/NAME`, `/var/spool/cron/crontabs/NAME` and
/// `/run/media/NAME/disk`.
fn spool_owner(text: &Text<'_>, hit: &Range<usize>) -> Option<Option<Range<usize>>> {
    let places = ["/spool/cron/", "/var/mail/", "/spool/mail/", "/run/media/"];
    places.iter().find(|place| text.has(hit.start, place))?;
    let tables = "crontabs/";
    let start = match text.has(hit.end, tables) {
        true => hit.end + tables.len(),
        false => hit.end,
    };
    let is_whole = text.ends_with(hit.start, "/var") || text.at(hit.start + 1) != b's';
    let is_file = path_start(text, hit.start).is_some() || text.ends_with(hit.start, "/var");
    let end = name_end(text, start, false, b'/')?;
    let is_user = text.slice(start..end) != b"root";
    Some((is_whole && is_file && is_user).then_some(start..end))
}

/// Looks for `~bob/x` at the start of a word.
pub(super) fn look_tildes(scan: &mut Scan<'_, '_>) {
    for tilde in memchr::memchr_iter(b'~', scan.text.bytes()) {
        if let Some(found) = tilde_home(&scan.text, tilde) {
            scan.take(found, What::Home);
        }
    }
}

/// The home directory of the user whose name stands behind the `~`.
fn tilde_home(text: &Text<'_>, tilde: usize) -> Option<Range<usize>> {
    let before = text.before(tilde);
    let starts = matches!(
        before,
        0 | b'"' | b'\'' | b'`' | b'=' | b':' | b'(' | b'[' | b','
    );
    if !starts && !before.is_ascii_whitespace() {
        return None;
    }
    let start = tilde + 1;
    let end = text.run(start, start + 64, |byte| is_user_byte(byte) && byte != b'~');
    let name = text.slice(start..end);
    let is_name = name
        .first()
        .is_some_and(|&byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    let is_code = before == b'=' && matches!(name, b"m" | b"s" | b"tr" | b"y" | b"qr");
    (is_name && text.at(end) == b'/' && !is_code).then_some(tilde..end)
}

/// The user in `/media/NAME/disk`; other names say what is mounted there.
fn media_owner(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    #[rustfmt::skip] // A list of words, not one a line.
    const THINGS: [&str; 44] = [
        "audio", "backup", "backups", "books", "card", "cd", "cdrom", "data", "disk", "disks", "documents",
        "downloads", "drive", "dvd", "external", "files", "floppy", "hdd", "images", "img", "internal", "iso", "library",
        "media", "movies", "music", "nas", "net", "nfs", "photos", "pictures", "plex", "sdcard", "share",
        "ssd", "static", "storage", "tv", "uploads", "usb", "usbdisk", "usbstick", "video", "videos",
    ];
    path_start(text, hit.start)?;
    let end = text.run(hit.end, hit.end + 64, is_user_byte);
    let name = text.slice(hit.end..end);
    let stem_end = text.run_back(end, hit.end, |byte| {
        byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    });
    let stem = text.slice(hit.end..stem_end);
    let is_thing = THINGS
        .iter()
        .any(|thing| stem.eq_ignore_ascii_case(thing.as_bytes()));
    let is_name = name.len() > 1
        && !name[0].is_ascii_digit()
        && name[0] != b'.'
        && !is_thing
        && !stem.is_empty();
    (is_name && text.at(hit.end - 7) == b'/' && text.at(end) == b'/').then_some(hit.end..end)
}

/// `/root`, alone or as the start of a path.
fn root_home(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let start = path_start(text, hit.start)?;
    let of_mac = text.ends_with(hit.end, "/var/root");
    let starts = start == hit.start || of_mac;
    let exact = text.slice(hit.end - 4..hit.end) == b"root";
    let hit = start..hit.end;
    (exact && starts && ends_component(text, hit.end)).then(|| hit.clone())
}

fn ends_component(text: &Text<'_>, at: usize) -> bool {
    let byte = text.at(at);
    let dot = byte == b'.' && text.at(at + 1).is_ascii_alphanumeric();
    !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | 0x80..) || dot)
}

/// `C:%5CUsers%5CNAME`.
fn encoded_windows_home(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let colon = hit.start - usize::from(text.before(hit.start) == b':');
    let colon = if text.ends_with(hit.start, "%3a") {
        hit.start - 3
    } else {
        colon
    };
    let is_drive = colon < hit.start && text.before(colon).is_ascii_alphabetic();
    let end = text.run(hit.end, hit.end + 64, |byte| {
        is_user_byte(byte) && byte != b'%'
    });
    (is_drive && end > hit.end && !is_shared(text.slice(hit.end..end))).then(|| colon - 1..end)
}

fn posix_home(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let start = path_start(text, hit.start)?;
    let word = text.slice(hit.clone());
    let on_windows = text.at(start + 1) == b':';
    let exact = word.windows(4).any(|w| w == b"home") || word.windows(5).any(|w| w == b"Users");
    if !exact && !on_windows {
        return None;
    }
    let is_encoded = text.at(hit.start) == b'%';
    let name = text.run(hit.end, hit.end + 4, |byte| byte == b'/');
    let name = name + 2 * usize::from(text.has(name, "./")); // `/home/./bob`.
    let end = name_end(text, name, is_encoded, b'/')?;
    let name = text.slice(name..end);
    let is_number = word.windows(5).any(|w| w == b"Users") && name.iter().all(u8::is_ascii_digit);
    (!is_number).then_some(start..end)
}

/// `C:\Users\NAME`, `\\server\Users\NAME`, with any number of backslashes.
fn windows_home(text: &Text<'_>, hit: &Range<usize>) -> Option<Range<usize>> {
    let name = text.run(hit.end, hit.end + 8, |byte| byte == b'\\');
    let end = name_end(text, name, false, b'\\')?;
    let slash = text.run_back(hit.start, hit.start.saturating_sub(8), |byte| byte == b'\\');
    if text.before(slash) == b':' && text.before(slash - 1).is_ascii_alphabetic() {
        let drive = slash - 2;
        let prefix = text.run_back(drive, drive.saturating_sub(16), |b| {
            matches!(b, b'\\' | b'?')
        });
        let start = if text.slice(prefix..drive).contains(&b'?') {
            prefix
        } else {
            drive
        };
        return Some(start..end);
    }
    let start = text.run_back(slash, slash.saturating_sub(128), |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'\\' | b'.' | b'-' | b'_' | b'$' | b'@' | b'?')
    });
    let is_share = text.at(start) == b'\\' && text.at(start + 1) == b'\\';
    let is_rooted = start == slash && slash < hit.end;
    let is_device = text.has(start, "\\Device\\Harddisk"); // As the kernel names a drive.
    (is_share || is_rooted || is_device).then_some(start..end)
}

/// Where the path starts in which `/home/` (at `at`) is the place of homes, or
/// `None` when it is something else: part of a URL or of a deeper directory.
fn path_start(text: &Text<'_>, at: usize) -> Option<usize> {
    let start = text.run_back(at, at.saturating_sub(128), |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'/' | b'.' | b'_' | b'-' | b'~' | b'+' | b'$' | 0x80..
            )
    });
    let drive = at.saturating_sub(4);
    if text.has(drive + 1, "%3a") && text.before(drive + 1).is_ascii_alphabetic() {
        return Some(drive); // `file:///c%3A/Users/bob`.
    }
    let lead = text.slice(start..at);
    let schemes = ["file:%2f%2f", "file%3a%2f%2f"];
    if schemes.iter().any(|scheme| text.ends_with(at, scheme)) {
        return Some(at);
    }
    if lead.is_empty() {
        let is_link = |name: &&str| text.ends_with(at.saturating_sub(1), name);
        if is_quote(text.before(at)) && ["href=", "src=", "action="].iter().any(is_link) {
            return None; // A page of a site.
        }
        return starts_at(text, at);
    }
    if text.before(start) == b'\\' && matches!(lead, b"n" | b"t" | b"r") {
        return Some(at);
    }
    if lead.starts_with(b"//") && text.before(start) == b':' {
        return has_file_scheme(text, start).then_some(at);
    }
    if lead == b"/" && text.before(start) != b':' {
        return Some(start); // `//home//bob`.
    }
    let is_share = lead.starts_with(b"//") && lead.len() > 3 && !lead[2..].contains(&b'/');
    if is_share && text.before(start) != b':' {
        return Some(start); // `//server/Users/bob`.
    }
    if is_remote(text, start, lead) {
        return Some(at);
    }
    let named = text.run_back(start, start.saturating_sub(40), |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_')
    });
    if !lead.contains(&b'/') && text.ends_with(named, "/volumes/") {
        return Some(named - "/volumes/".len()); // `/Volumes/Macintosh HD/Users/bob`.
    }
    let is_flag = lead.len() == 2 && lead[0] == b'-' && lead[1].is_ascii_alphabetic();
    if is_flag {
        return Some(at);
    }
    is_home_parent(lead).then_some(start)
}

/// The schemes whose paths are those of a file system.
fn has_file_scheme(text: &Text<'_>, colon: usize) -> bool {
    const SCHEMES: [&str; 12] = [
        "webpack:",
        "vscode-remote:",
        "file:",
        "sftp:",
        "scp:",
        "ssh:",
        "smb:",
        "rsync:",
        "nfs:",
        "afp:",
        "cifs:",
        "vscode:",
    ];
    SCHEMES.iter().any(|scheme| text.ends_with(colon, scheme))
}

/// `sftp://bob@host/home/bob`: `lead` is what stands right before the path.
fn is_remote(text: &Text<'_>, start: usize, lead: &[u8]) -> bool {
    let is_host = !lead.is_empty() && !lead.contains(&b'/');
    if !is_host || text.before(start) != b'@' {
        return false;
    }
    let user = text.run_back(start - 1, start.saturating_sub(64), |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
    });
    text.ends_with(user, "://") && has_file_scheme(text, user - 2)
}

/// Nothing stands before the path; but a request's path is no file.
fn starts_at(text: &Text<'_>, at: usize) -> Option<usize> {
    const METHODS: [&str; 7] = [
        "GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS ",
    ];
    let before = &text.bytes()[..at];
    if METHODS
        .iter()
        .any(|method| before.ends_with(method.as_bytes()))
    {
        return None;
    }
    let is_drive = text.before(at) == b':'
        && at >= 2
        && text.at(at - 2).is_ascii_alphabetic()
        && !text.before(at - 2).is_ascii_alphanumeric()
        && text.before(at - 2) != b'@';
    Some(if is_drive { at - 2 } else { at })
}

/// Directories that hold a `home` or `Users` of their own.
fn is_home_parent(lead: &[u8]) -> bool {
    let known: [&[u8]; 15] = [
        b"/timemachine",
        b"/backup",
        b"/mnt",
        b"/opt",
        b"/srv",
        b"/data",
        b"/private/var",
        b"/var",
        b"/usr",
        b"/export",
        b"/private",
        b"/nfs",
        b"/c",
        b"/System/Volumes/Data",
        b"/host",
    ];
    let mounted: [&[u8]; 6] = [
        b"/mnt/",
        b"/media/",
        b"/net/",
        b"/Volumes/",
        b"/cygdrive/",
        b"/mount/",
    ];
    const LAST: [&[u8]; 14] = [
        b"/..",
        b"/nfs",
        b"/rootfs",
        b"/snap",
        b"/backup",
        b"/backups",
        b"/chroot",
        b"/sysroot",
        b"/merged",
        b"/_data",
        b"/hostfs",
        b"/nas",
        b"/storage",
        b"/exports",
    ];
    let is_rooted = lead.starts_with(b"/") && !lead.starts_with(b"//");
    let is_last = is_rooted && LAST.iter().any(|last| lead.ends_with(last));
    let is_volume = lead.starts_with(b"/var/lib/docker/volumes/") || lead.starts_with(b"//wsl");
    known.contains(&lead)
        || is_last
        || is_volume
        || mounted.iter().any(|mount| lead.starts_with(mount))
}

/// Where the user's name ends; `None` for none, a placeholder or a shared place.
fn name_end(text: &Text<'_>, start: usize, is_encoded: bool, separator: u8) -> Option<usize> {
    let mut end = word_end(text, start, is_encoded);
    while end > start && text.at(end) == b' ' {
        let Some(next) = next_word_end(text, end, is_encoded, separator) else {
            break;
        };
        end = next;
    }
    let closed = text.at(end) == separator || text.at(end) == b'\\';
    let end = if closed {
        end
    } else {
        text.run_back(end, start, |byte| matches!(byte, b'.' | b',' | b'!'))
    };
    let name = text.slice(start..end);
    (!name.is_empty() && !is_shared(name) && !matches!(name[0], b'.' | b'*')).then_some(end)
}

fn word_end(text: &Text<'_>, start: usize, is_encoded: bool) -> usize {
    let mut end = start;
    loop {
        end = text.run(end, text.len(), |byte| {
            is_user_byte(byte) && !(is_encoded && byte == b'%')
        });
        let escaped_blank = text.at(end) == b'\\' && text.at(end + 1) == b' ';
        let encoded_byte = is_encoded && text.at(end) == b'%' && !text.has(end, "%2f");
        let is_apostrophe = text.at(end) == b'\''
            && matches!(text.before(end), b'O' | b'D')
            && text.at(end + 1).is_ascii_uppercase(); // `O'Brien`.
        if !escaped_blank && !encoded_byte && !is_apostrophe {
            return end.min(text.len());
        }
        end += 1 + usize::from(escaped_blank);
    }
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-' | b'.' | b'@' | b'+' | b'%' | b'~' | 0x80..
        )
}

/// `Jane Doe`: a further word with a capital, in a name that a separator ends.
fn next_word_end(text: &Text<'_>, blank: usize, is_encoded: bool, separator: u8) -> Option<usize> {
    const PARTICLES: [&str; 12] = [
        "de ", "del ", "den ", "der ", "di ", "da ", "dos ", "la ", "ten ", "van ", "von ", "zu ",
    ];
    let mut word = blank + 1;
    for _ in 0..2 {
        let particle = PARTICLES.iter().find(|particle| text.has(word, particle));
        word += particle.map_or(0, |particle| particle.len());
    }
    if !text.at(word).is_ascii_uppercase() {
        return number_end(text, word, separator);
    }
    let end = word_end(text, word, is_encoded);
    let further = text.at(end) == b' ' && next_word_end_once(text, end, is_encoded, separator);
    let closed = text.at(end) == separator || matches!(text.at(end), b'"' | b'\'');
    (closed || further).then_some(end)
}

/// The number behind a name that a separator ends: `Jane Doe 2`.
fn number_end(text: &Text<'_>, at: usize, separator: u8) -> Option<usize> {
    let end = text.run(at, at + 3, |byte| byte.is_ascii_digit());
    (end > at && text.at(end) == separator).then_some(end)
}

fn next_word_end_once(text: &Text<'_>, blank: usize, is_encoded: bool, separator: u8) -> bool {
    if number_end(text, blank + 1, separator).is_some() {
        return true;
    }
    let end = word_end(text, blank + 1, is_encoded);
    let closed = text.at(end) == separator || matches!(text.at(end), b'"' | b'\'');
    text.at(blank + 1).is_ascii_uppercase() && closed
}

/// Places that belong to nobody.
fn is_shared(name: &[u8]) -> bool {
    const SHARED: [&str; 10] = [
        "Users", // `\\server\profiles\Users\bob`.
        "Shared",
        "Public",
        "Default",
        "All",
        "Guest",
        "linuxbrew",
        "lost+found",
        "runner",
        "~",
    ];
    SHARED
        .iter()
        .any(|shared| name.eq_ignore_ascii_case(shared.as_bytes()))
        || is_quote(name[0])
}
