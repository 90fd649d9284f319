//! Which names a checkpoint can have, in every storage: what one of them takes, the others take too.

use super::error::{NameProblem, StorageError};

/// The longest name of a stored checkpoint, in bytes of UTF-8. A file system's 255 leave room for what stands behind it.
pub const MAX_STORED_NAME_BYTES: usize = 200;

/// How much of a name that can't be one an error shows.
const SHOWN_CHARS: usize = 64;

/// The name, if it can be one.
pub(super) fn checked(name: &str) -> Result<&str, StorageError> {
    let is_wrong = |letter: char| letter.is_control() || letter == '/' || letter == '\\';
    let problem = if name.is_empty() {
        NameProblem::Empty
    } else if name.len() > MAX_STORED_NAME_BYTES {
        NameProblem::TooLong { limit: MAX_STORED_NAME_BYTES, found: name.len() }
    } else if name.starts_with('.') {
        NameProblem::LeadingDot
    } else if let Some((at, letter)) = name.char_indices().find(|(_, letter)| is_wrong(*letter)) {
        NameProblem::Character { at, letter }
    } else {
        return Ok(name);
    };
    Err(StorageError::InvalidName { name: name.chars().take(SHOWN_CHARS).collect(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str) -> Option<NameProblem> {
        match checked(name) {
            Err(StorageError::InvalidName { problem, .. }) => Some(problem),
            other => {
                assert_eq!(other.unwrap(), name);
                None
            }
        }
    }

    #[test]
    fn a_name_is_a_plain_text_that_leads_nowhere() {
        for good in ["a", "sim_step_1000", "a.b", "a..b", "été 1", "a.rkcp", "CON", "~", &"é".repeat(100)]
        {
            assert_eq!(problem(good), None, "{good}");
        }
        assert_eq!(problem(""), Some(NameProblem::Empty));
        assert_eq!(problem(&"x".repeat(201)), Some(NameProblem::TooLong { limit: 200, found: 201 }));
        for dotted in [".", "..", ".hidden", "../x", ".new-00"] {
            assert_eq!(problem(dotted), Some(NameProblem::LeadingDot), "{dotted}");
        }
        for (name, at, letter) in [
            ("/etc", 0, '/'),
            ("a/../b", 1, '/'),
            ("a\\b", 1, '\\'),
            ("é\0", 2, '\0'),
            ("a\n", 1, '\n'),
            ("a\u{85}", 1, '\u{85}'),
        ] {
            assert_eq!(problem(name), Some(NameProblem::Character { at, letter }), "{name:?}");
        }
    }

    #[test]
    fn an_error_shows_only_the_beginning_of_a_long_name() {
        let Err(StorageError::InvalidName { name, .. }) = checked(&"é".repeat(100_000)) else { panic!() };
        assert_eq!(name.chars().count(), SHOWN_CHARS);
    }
}
