//! Files that hold one secret.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

use crate::error::MetricsError;

/// A token or hash is far shorter; whatever is longer is another file.
const MAX_BYTES: u64 = 4096;

/// The text of the file without the white space around it.
///
/// # Errors
/// [`MetricsError::CredentialsUnreadable`], and
/// [`MetricsError::CredentialsInvalid`] if there is no text, or more than a
/// secret would be.
pub(crate) fn read(path: &Path) -> Result<String, MetricsError> {
    let unreadable = |source| MetricsError::CredentialsUnreadable {
        path: path.to_owned(),
        source,
    };
    let invalid = |problem| MetricsError::CredentialsInvalid {
        path: path.to_owned(),
        problem,
    };
    let bytes = bounded(path).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("it is longer than 4096 bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not text"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid("it is empty"));
    }
    Ok(text.to_owned())
}

fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_the_secret_is_no_part_of_it() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("secret");
        std::fs::write(&file, " word\r\n\n").unwrap();
        assert_eq!(read(&file).unwrap(), "word");
    }

    #[test]
    fn missing_empty_endless_and_binary_files_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("secret");
        let problem = || read(&file).unwrap_err().to_string();
        assert!(problem().contains("cannot read"), "{}", problem());
        std::fs::write(&file, " \n").unwrap();
        assert!(problem().ends_with("it is empty"), "{}", problem());
        std::fs::write(&file, "x".repeat(5000)).unwrap();
        assert!(problem().ends_with("4096 bytes"), "{}", problem());
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(problem().ends_with("not text"), "{}", problem());
        let directory = read(place.path()).unwrap_err();
        assert!(matches!(
            directory,
            MetricsError::CredentialsUnreadable { .. }
        ));
    }
}
