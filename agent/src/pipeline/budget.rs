//! How much may be in memory at once.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are for this many bytes: a semaphore counts to 2^32 at most.
const UNIT: usize = 1024;

/// What a message takes while it is made into a segment, in multiples of its decompressed length:
/// the RLP itself, the replica made of it, and the AVRO with its hex digits and base64.
const DECODED_TIMES: usize = 4;

/// A number of bytes that the messages in flight share.
#[derive(Debug, Clone)]
pub(super) struct ByteBudget {
    permits: Arc<Semaphore>,
    total: u32,
}

impl ByteBudget {
    pub(super) fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until there is room for a message. One that is larger than the budget gets all of it,
    /// and is then in flight alone.
    pub(super) async fn take(&self, payload: usize, decoded: usize) -> OwnedSemaphorePermit {
        let bytes = decoded.saturating_mul(DECODED_TIMES).saturating_add(payload);
        let units = self.units(bytes);
        match Arc::clone(&self.permits).acquire_many_owned(units).await {
            Ok(permit) => permit,
            Err(_) => unreachable!("nobody closes this semaphore"),
        }
    }

    /// Waits until nothing else is in memory.
    pub(super) async fn take_all(&self) -> OwnedSemaphorePermit {
        self.take(usize::MAX, usize::MAX).await
    }

    /// Gives back what is more than this many bytes need.
    pub(super) fn shrink(&self, permit: &mut OwnedSemaphorePermit, bytes: usize) {
        let units = self.units(bytes) as usize;
        if let Some(excess) = permit.num_permits().checked_sub(units) {
            drop(permit.split(excess));
        }
    }

    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.total)
    }

    /// The bytes in use.
    pub(super) fn in_use(&self) -> usize {
        (self.total as usize).saturating_sub(self.permits.available_permits()) * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn what_is_no_longer_needed_is_given_back() {
        let budget = ByteBudget::new(1 << 20);
        let mut permit = budget.take(0, 128 << 10).await;
        budget.shrink(&mut permit, 10 << 10);
        assert_eq!(budget.in_use(), 10 << 10);
        budget.shrink(&mut permit, 20 << 10);
        assert_eq!(budget.in_use(), 10 << 10, "it never grows");
        drop(permit);
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test]
    async fn messages_share_a_budget_and_a_huge_one_is_alone() {
        let budget = ByteBudget::new(1 << 20);
        let half = budget.take(0, 128 << 10).await;
        assert_eq!(budget.in_use(), 512 << 10);
        assert!(budget.take(0, usize::MAX).now_or_never().is_none());
        drop(half);
        let all = budget.take(usize::MAX, usize::MAX).await;
        assert!(budget.take(1, 1).now_or_never().is_none());
        drop(all);
        assert_eq!(budget.in_use(), 0);
    }
}
