//! Names of places inside a segment, for error messages.

use std::fmt;

/// A field of a segment or replica by its names in the AVRO schema:
/// `replicaEvent[0].data.Transactions[3].gasPrice`.
///
/// Built from the inside out, and only once something went wrong, so that it costs nothing
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path of a field in the record at hand.
    pub(crate) fn field(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The path of one item of a list in the record at hand.
    pub(crate) fn item(list: &str, index: usize) -> Self {
        Self(format!("{list}[{index}]"))
    }

    /// The path of a field that the input named, cut to 64 characters.
    pub(crate) fn from_input(name: &str) -> Self {
        Self(name.chars().take(64).collect())
    }

    /// The path of one item of the list at hand.
    pub(crate) fn element(index: usize) -> Self {
        Self(format!("[{index}]"))
    }

    /// This path as seen from the record or list that holds `outer`, of which it is a part.
    pub(crate) fn inside(self, outer: Self) -> Self {
        let dot = if outer.0.is_empty() || self.0.is_empty() || self.0.starts_with('[') {
            ""
        } else {
            "."
        };
        Self(outer.0 + dot + &self.0)
    }

    /// The path as text; empty for the segment or replica as a whole.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "the whole" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_outwards() {
        let path = FieldPath::field("gasPrice")
            .inside(FieldPath::item("Transactions", 3))
            .inside(FieldPath::field("data"));
        assert_eq!(path.as_str(), "data.Transactions[3].gasPrice");
        let path = FieldPath::field("gasPrice")
            .inside(FieldPath::element(3))
            .inside(FieldPath::field("Transactions"));
        assert_eq!(path.as_str(), "Transactions[3].gasPrice");
        let path = FieldPath::element(0).inside(FieldPath::element(1));
        assert_eq!(path.as_str(), "[1][0]");
        assert_eq!(FieldPath::default().inside(path.clone()), path);
        assert_eq!(path.clone().inside(FieldPath::default()), path);
        assert_eq!(FieldPath::default().to_string(), "the whole");
    }
}
