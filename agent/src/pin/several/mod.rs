//! Several pinners at once, of which a number is enough for a proof.
//!
//! All of them are given the content at the same time, and each is tried again for as long as it
//! fails. When enough hold it, the block goes on; the others get it after that, one content after
//! the other, from a queue with bounds.

mod behind;
mod enough;

pub use enough::{Enough, InvalidEnough};

use super::{Content, PinError, Pinner};
use crate::{
    alarm::AlarmKind,
    retry::{FAILURES_BEFORE_ALARM, MayPass, Retry},
};
use async_trait::async_trait;
use behind::{Behind, Late};
use bsp_common::Backoff;
use bytes::Bytes;
use cid::Cid;
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Several pinners, and how many have to hold a content.
#[derive(Debug)]
pub struct Several {
    members: Vec<Arc<Member>>,
    rule: Enough,
    retry: Retry,
}

/// One of them.
#[derive(Debug)]
struct Member {
    pinner: Arc<dyn Pinner>,
    behind: Behind,
}

/// How the attempts of a member at a content ended.
#[derive(Debug)]
enum Ended {
    Pinned,
    /// It will not pass on its own.
    Final(PinError),
    /// Others were enough.
    Behind,
    /// The process ends.
    Stopped,
}

impl Several {
    /// Pinners that work together by a rule. `retry` has the alarm to raise while one of them
    /// fails, and what ends the waiting. Has to be called on a runtime, to which each pinner adds a
    /// task.
    pub fn start(pinners: Vec<Arc<dyn Pinner>>, rule: Enough, retry: &Retry) -> Self {
        let local = pinners.iter().find(|pinner| pinner.is_local()).cloned();
        let members = pinners.into_iter().map(|pinner| {
            let behind = Behind::start(Arc::clone(&pinner), local.clone(), retry.clone());
            Arc::new(Member { pinner, behind })
        });
        Self { members: members.collect(), rule, retry: retry.clone() }
    }

    fn needed(&self) -> usize {
        self.rule.of(self.members.len())
    }
}

#[async_trait]
impl Pinner for Several {
    fn name(&self) -> String {
        let names: Vec<_> = self.members.iter().map(|member| member.pinner.name()).collect();
        format!("{} ({} of {})", names.join(", "), self.needed(), names.len())
    }

    /// On return enough of them hold the content. Fails only for good, or because the process ends.
    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        let enough = CancellationToken::new();
        let mut attempts: FuturesUnordered<_> = self
            .members
            .iter()
            .map(|member| {
                let work = Arc::clone(member).attempts(
                    content.clone(),
                    enough.clone(),
                    self.retry.clone(),
                );
                tokio::spawn(work)
            })
            .collect();
        let (mut held, mut failed, mut last) = (0, 0, None);
        while held < self.needed() {
            match attempts.next().await {
                Some(Ok(Ended::Pinned)) => held += 1,
                Some(Ok(Ended::Final(error))) => {
                    failed += 1;
                    last = Some(error);
                }
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(Ok(Ended::Stopped | Ended::Behind) | Err(_)) | None => {
                    let reason = "the agent ends".to_owned();
                    return Err(PinError::Temporary { pinner: self.name(), reason });
                }
            }
            if let Some(error) = last.take_if(|_| self.members.len() - failed < self.needed()) {
                // What the others do now helps nobody.
                attempts.iter().for_each(tokio::task::JoinHandle::abort);
                return Err(error);
            }
        }
        // Those that are at it go on with this attempt, and with no other.
        enough.cancel();
        Ok(())
    }

    /// Whether enough of them do.
    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let (mut held, mut unknown) = (0, None);
        for member in &self.members {
            match member.pinner.holds(content).await {
                Ok(holds) => held += usize::from(holds),
                Err(error) => unknown = Some(error),
            }
            if held >= self.needed() {
                return Ok(true);
            }
        }
        unknown.map_or(Ok(false), Err)
    }

    async fn check(&self) -> Result<String, PinError> {
        let checks = join_all(self.members.iter().map(|member| member.pinner.check())).await;
        let said: Result<Vec<_>, _> = checks.into_iter().collect();
        Ok(said?.join("; "))
    }

    fn is_local(&self) -> bool {
        self.members.iter().any(|member| member.pinner.is_local())
    }

    async fn local_content(&self, cid: &Cid) -> Result<Option<Bytes>, PinError> {
        for member in self.members.iter().filter(|member| member.pinner.is_local()) {
            if let Some(content) = member.pinner.local_content(cid).await? {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    async fn confirm(&self, cid: &Cid) -> Result<(), PinError> {
        for member in &self.members {
            member.pinner.confirm(cid).await?;
        }
        Ok(())
    }
}

impl Member {
    /// Tries until it is done, or until it fails when others have been enough.
    async fn attempts(
        self: Arc<Self>,
        content: Content,
        enough: CancellationToken,
        retry: Retry,
    ) -> Ended {
        let mut backoff = Backoff::default();
        let mut trouble = retry.alarms.trouble(retry.alarm);
        let name = &content.name;
        loop {
            let error = match self.pinner.pin(&content).await {
                Ok(()) => return Ended::Pinned,
                Err(error) => error,
            };
            if !error.may_pass() {
                tell_refusal(&retry, name, &error);
                return Ended::Final(error);
            }
            if retry.stop.is_cancelled() {
                trouble.outlasts_this_process();
                return Ended::Stopped;
            }
            let pause = backoff.next_pause();
            tracing::warn!("pinning {name}: {error}; trying again in {} ms", pause.as_millis());
            if backoff.failures() >= FAILURES_BEFORE_ALARM {
                trouble.report(format!("pinning {name}: {error}"));
            }
            tokio::select! {
                biased;
                () = enough.cancelled() => {
                    self.behind.add(Late::from(content));
                    return Ended::Behind;
                }
                () = retry.stop.cancelled() => {
                    trouble.outlasts_this_process();
                    return Ended::Stopped;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Tells that a pinner will not take a content, whatever is tried.
fn tell_refusal(retry: &Retry, name: &str, error: &PinError) {
    let message = format!("pinning {name}: {error}");
    tracing::warn!("{message}");
    if matches!(error, PinError::OtherCid { .. }) {
        retry.alarms.raise(AlarmKind::PinnerOtherCid, message);
    }
}

#[cfg(test)]
mod tests;
