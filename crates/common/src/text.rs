//! Words for what operators read.

use std::error::Error;

/// A number with its noun, in the plural unless it is one.
///
/// ```
/// use bsp_common::text::counted;
///
/// assert_eq!(counted(1, "block"), "1 block");
/// assert_eq!(counted(0, "dead letter"), "0 dead letters");
/// assert_eq!(counted(2, "entry"), "2 entries");
/// assert_eq!(counted(2, "day"), "2 days");
/// ```
pub fn counted(count: u64, noun: &str) -> String {
    let stem = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match stem {
        _ if count == 1 => format!("{count} {noun}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {noun}s"),
    }
}

/// An error and its causes in one line, without a cause whose words are there already: some errors
/// say what their cause says.
///
/// ```
/// use bsp_common::text::with_causes;
/// use std::{fmt, io};
///
/// #[derive(Debug)]
/// struct Unreadable(io::Error);
///
/// impl fmt::Display for Unreadable {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "can't read it: {}", self.0)
///     }
/// }
///
/// impl std::error::Error for Unreadable {
///     fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
///         Some(&self.0)
///     }
/// }
///
/// let error = Unreadable(io::Error::other("no disk"));
/// assert_eq!(with_causes(&error), "can't read it: no disk");
/// ```
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let words = error.to_string();
        // Errors of other programs may have several lines. Blanks within one may be a path's.
        let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let words = lines.collect::<Vec<_>>().join(" ");
        if told.contains(&words) {
            continue;
        }
        if !told.is_empty() {
            told.push_str(": ");
        }
        told.push_str(&words);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{error, fmt, io};

    #[test]
    fn one_thing_is_one() {
        assert_eq!(counted(0, "block"), "0 blocks");
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(2, "block"), "2 blocks");
    }

    #[derive(Debug)]
    struct Unreadable(&'static str, io::Error);

    impl fmt::Display for Unreadable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl error::Error for Unreadable {
        fn source(&self) -> Option<&(dyn error::Error + 'static)> {
            Some(&self.1)
        }
    }

    fn told(words: &'static str, cause: &str) -> String {
        with_causes(&Unreadable(words, io::Error::other(cause)))
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let missing = "no such file";
        assert_eq!(told("cannot read x: no such file", missing), "cannot read x: no such file");
        assert_eq!(told("cannot read x", missing), "cannot read x: no such file");
    }

    #[test]
    fn an_error_is_one_line_with_its_blanks() {
        assert_eq!(
            told("cannot read a  b", "first\n\n  second\n"),
            "cannot read a  b: first second"
        );
    }
}
