//! Guesses what a misspelt word was meant to be.

/// Longer words are not misspelt keys; comparing them would only cost time and memory.
const LONGEST_WORD: usize = 64;

/// The candidate that is nearest to `written`, if one is near enough to be meant: at most a third of its letters differ.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > LONGEST_WORD {
        return None;
    }
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_wrong_is_forgiven_and_another_word_is_not() {
        let keys = ["max_size_mb", "keep_files", "enabled"];
        assert_eq!(nearest("max_sise_mb", keys), Some("max_size_mb"));
        assert_eq!(nearest("Enabeld", keys), Some("enabled"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn the_nearest_of_two_wins() {
        assert_eq!(nearest("job_ids", ["job_name", "job_id"]), Some("job_id"));
    }
}
