//! A size that is costly to measure, and grows by known steps in between.

/// It is measured again when this part of its limit was added since.
const STEP: u64 = 16;

/// What was measured last, in bytes, and what was added since.
#[derive(Debug, Default)]
pub(crate) struct MeasuredSize {
    measured: Option<u64>,
    added: u64,
}

impl MeasuredSize {
    /// Never measured.
    pub(crate) const UNKNOWN: Self = Self { measured: None, added: 0 };

    /// The size now.
    pub(crate) const fn set(&mut self, measured: u64) {
        *self = Self { measured: Some(measured), added: 0 };
    }

    /// Notes bytes that were added.
    pub(crate) const fn note_added(&mut self, bytes: u64) {
        self.added = self.added.saturating_add(bytes);
    }

    /// What was measured last.
    pub(crate) fn last(&self) -> u64 {
        self.measured.unwrap_or(0)
    }

    /// Whether it is below a limit without another look.
    pub(crate) fn is_known_to_fit(&self, limit: u64) -> bool {
        let size = self.measured.map(|measured| measured.saturating_add(self.added));
        size.is_some_and(|size| size < limit) && self.added < limit / STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_measured_again_before_it_could_be_too_large() {
        let mut size = MeasuredSize::UNKNOWN;
        assert!(!size.is_known_to_fit(1600), "never measured");
        size.set(1000);
        assert!(size.is_known_to_fit(1600));
        size.note_added(99);
        assert!(size.is_known_to_fit(1600));
        size.note_added(1);
        assert!(
            !size.is_known_to_fit(1600),
            "a sixteenth was added, and others may have added too"
        );
        size.set(1550);
        size.note_added(50);
        assert!(!size.is_known_to_fit(1600), "perhaps too large");
        size.set(0);
        assert!(size.is_known_to_fit(1600));
        size = MeasuredSize::UNKNOWN;
        assert!(!size.is_known_to_fit(1600));
    }
}
