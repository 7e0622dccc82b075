//! Which nonces are free, and which are missing below ours.

/// Looks in a row that find a nonce missing, before that is believed: pools and late answers catch
/// up by themselves.
const LOOKS_BEFORE_BELIEVED: u32 = 3;

/// What is known of the account's nonces.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    /// The account's nonce at the latest block: all below are used.
    latest: u64,
    /// The same with what is in the pool.
    pending: u64,
    /// The nonce after the highest that we saw used, or were told is. A late answer must not bring
    /// it back.
    spent: u64,
    /// Looks in a row that found the next nonce to be nobody's, and below ours.
    missing: u32,
}

impl Nonces {
    /// Takes a look into account. `ours` are the nonces of pending nonces.
    pub(crate) fn observe(&mut self, latest: u64, pending: u64, ours: &[u64]) {
        (self.latest, self.pending) = (latest, pending);
        let owned = ours.contains(&latest) || pending > latest;
        let above = self.spent > latest || ours.iter().any(|nonce| *nonce > latest);
        self.missing = if above && !owned { self.missing.saturating_add(1) } else { 0 };
        if self.missing >= LOOKS_BEFORE_BELIEVED {
            // It was given back by a reorg, or never used by whoever seemed to.
            self.spent = self.spent.min(latest);
        }
    }

    /// A nonce is used, or with somebody else.
    pub(crate) fn spend(&mut self, nonce: u64) {
        self.spent = self.spent.max(nonce.saturating_add(1));
    }

    /// Nonces that neither the chain, nor the pool, nor a pending nonce of ours has, lowest first.
    pub(crate) fn free(&self, ours: Vec<u64>) -> impl Iterator<Item = u64> + use<> {
        let start = self.latest.max(self.pending).max(self.spent);
        (start..u64::MAX).filter(move |nonce| !ours.contains(nonce))
    }

    /// The nonce that has to be used up before any of ours is mined, if there is one.
    pub(crate) fn hole(&mut self, ours: &[u64]) -> Option<u64> {
        let blocks_ours = ours.iter().any(|nonce| *nonce > self.latest);
        let believed = self.missing >= LOOKS_BEFORE_BELIEVED;
        if !believed || !blocks_ours || ours.contains(&self.latest) {
            return None;
        }
        self.missing = 0;
        Some(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(looks: u32, latest: u64, pending: u64, ours: &[u64]) -> Nonces {
        let mut nonces = Nonces::default();
        (0..looks).for_each(|_| nonces.observe(latest, pending, ours));
        nonces
    }

    #[test]
    fn the_lowest_free_nonces_are_given_out() {
        let nonces = after(1, 5, 7, &[7, 9]);
        assert_eq!(nonces.free(vec![7, 9]).take(3).collect::<Vec<_>>(), [8, 10, 11]);
    }

    #[test]
    fn a_hole_is_filled_after_some_looks() {
        let mut nonces = after(2, 5, 5, &[6, 7]);
        assert_eq!(nonces.hole(&[6, 7]), None);
        nonces.observe(5, 5, &[6, 7]);
        assert_eq!(nonces.hole(&[6, 7]), Some(5));
        // Once: it is a pending nonce of ours then.
        assert_eq!(nonces.hole(&[6, 7]), None);
    }

    #[test]
    fn a_nonce_that_somebody_has_is_no_hole() {
        assert_eq!(after(9, 5, 6, &[6]).hole(&[6]), None, "in the pool");
        assert_eq!(after(9, 5, 5, &[5, 6]).hole(&[5, 6]), None, "ours");
        assert_eq!(
            after(9, 5, 5, &[3, 4]).hole(&[3, 4]),
            None,
            "ours are mined and wait for depth"
        );
        assert_eq!(after(9, 5, 5, &[]).hole(&[]), None, "nothing of ours waits");
    }

    #[test]
    fn a_late_answer_does_not_bring_a_nonce_back_but_a_reorg_does() {
        let mut nonces = after(1, 5, 5, &[]);
        nonces.spend(5);
        nonces.observe(5, 5, &[]);
        assert_eq!(nonces.free(vec![]).next(), Some(6));
        nonces.observe(5, 5, &[]);
        assert_eq!(nonces.free(vec![]).next(), Some(6));
        nonces.observe(5, 5, &[]);
        assert_eq!(nonces.free(vec![]).next(), Some(5));
    }
}
