//! Where replicas go: the targets of the command line, and those of one's own.

use crate::{BspArgs, TargetList};
use bsp_replication::{Target, TargetError, attach_target};
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

type Open = dyn Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError> + Send + Sync;

/// What is installed: the arguments, and targets of one's own.
#[derive(Clone)]
pub struct Bsp {
    args: BspArgs,
    own_targets: Vec<Arc<Open>>,
}

impl Bsp {
    /// Delivers to the targets of the command line.
    pub const fn new(args: BspArgs) -> Self {
        Self { args, own_targets: Vec::new() }
    }

    /// Delivers to a target of one's own as well, or instead if the command line names none.
    ///
    /// `open` is called when the producer starts, on a thread that may block, and again later if it fails. The
    /// target has to stop waiting once the token is cancelled.
    #[must_use]
    pub fn with_target(
        mut self,
        open: impl Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.own_targets.push(Arc::new(open));
        self
    }

    /// The arguments.
    pub const fn args(&self) -> &BspArgs {
        &self.args
    }

    /// Opens them all. Blocks.
    pub(crate) fn open(
        &self,
        stop: &CancellationToken,
    ) -> Result<Vec<Box<dyn Target>>, TargetError> {
        let (urls, redis) = (self.urls(), self.args.redis_options());
        let named = urls.iter().flat_map(|urls| urls.iter());
        let named = named.map(|url| attach_target(url, &redis, stop));
        named.chain(self.own_targets.iter().map(|open| open(stop))).collect()
    }

    /// Those of the command line; `None` if there are none but one's own.
    fn urls(&self) -> Option<TargetList> {
        let is_default = self.args.targets.is_none();
        (!is_default || self.own_targets.is_empty()).then(|| self.args.targets())
    }
}

impl From<BspArgs> for Bsp {
    fn from(args: BspArgs) -> Self {
        Self::new(args)
    }
}

impl fmt::Debug for Bsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bsp")
            .field("args", &self.args)
            .field("own_targets", &self.own_targets.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_replication::FileTarget;

    fn names(bsp: &Bsp) -> Vec<String> {
        let targets = bsp.open(&CancellationToken::new()).unwrap();
        targets.iter().map(|target| target.name()).collect()
    }

    #[test]
    fn ones_own_target_takes_the_place_of_the_default_and_joins_those_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own");
        let own = move |stop: &CancellationToken| -> Result<Box<dyn Target>, TargetError> {
            Ok(Box::new(FileTarget::open(&path, stop.clone())?))
        };
        let default = Bsp::new(BspArgs::enabled());
        assert_eq!(names(&default), ["redis://127.0.0.1:6379/0?topic=replication"]);
        assert!(names(&default.with_target(own.clone()))[0].ends_with("/own"));
        let targets = "redis://elsewhere/?topic=replication".parse().unwrap();
        let named = BspArgs { targets: Some(targets), ..BspArgs::enabled() };
        let both = names(&Bsp::new(named).with_target(own));
        assert!(both[0].starts_with("redis://elsewhere") && both[1].ends_with("/own"), "{both:?}");
    }
}
