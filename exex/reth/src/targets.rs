//! Where replicas go: the targets of the command line, and those of one's own.

use crate::args::{BspArgs, TargetList};
use bsp_replication::{DeferredTarget, Target, TargetError, attach_target};
use std::{fmt, sync::Arc};
use tokio_util::sync::CancellationToken;

type Open = dyn Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError> + Send + Sync;

/// What is installed: the arguments, and targets of one's own.
#[derive(Clone)]
pub struct Bsp {
    args: BspArgs,
    own_targets: Vec<OwnTarget>,
}

#[derive(Clone)]
struct OwnTarget {
    name: String,
    open: Arc<Open>,
}

impl Bsp {
    /// Delivers to the targets of the command line.
    pub const fn new(args: BspArgs) -> Self {
        Self { args, own_targets: Vec::new() }
    }

    /// Delivers to a target of one's own as well, or instead if the command line names none.
    ///
    /// The cursor is kept under the name, which has to be the same at each start of the node, and
    /// is in logs and metrics. `open` is called by the target's first delivery, on a thread that
    /// may block, and again later if it fails; other targets don't wait for it. The target has to
    /// stop waiting once the token is cancelled.
    #[must_use]
    pub fn with_target(
        mut self,
        name: impl Into<String>,
        open: impl Fn(&CancellationToken) -> Result<Box<dyn Target>, TargetError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.own_targets.push(OwnTarget { name: name.into(), open: Arc::new(open) });
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
        let (urls, options) = (self.urls(), self.args.target_options());
        let named = urls.iter().flat_map(|urls| urls.iter());
        let named = named.map(|url| attach_target(url, &options, stop));
        let own = self.own_targets.iter().map(|own| Ok(own.defer(stop)));
        named.chain(own).collect()
    }

    /// Those of the command line; `None` if there are none but one's own.
    fn urls(&self) -> Option<TargetList> {
        let is_default = self.args.named_targets().is_none();
        (!is_default || self.own_targets.is_empty()).then(|| self.args.targets())
    }
}

impl OwnTarget {
    fn defer(&self, stop: &CancellationToken) -> Box<dyn Target> {
        let (name, open) = (self.name.clone(), Arc::clone(&self.open));
        Box::new(DeferredTarget::new(name, move |stop| open(stop), stop.clone()))
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

    fn names(bsp: &Bsp) -> Vec<String> {
        let targets = bsp.open(&CancellationToken::new()).unwrap();
        targets.iter().map(|target| target.name()).collect()
    }

    /// A target that nobody could open.
    fn broken(_: &CancellationToken) -> Result<Box<dyn Target>, TargetError> {
        let (target, reason) = ("own".to_owned(), "it is broken".to_owned());
        Err(TargetError::Refused { target, reason })
    }

    #[test]
    fn ones_own_target_takes_the_place_of_the_default_and_joins_those_that_are_named() {
        let default = Bsp::new(BspArgs::enabled());
        assert_eq!(names(&default), ["redis://127.0.0.1:6379/0?topic=replication"]);
        assert_eq!(names(&default.with_target("own", broken)), ["own"]);
        let targets = "redis://elsewhere/?topic=replication".parse().unwrap();
        let named = BspArgs { targets: Some(targets), ..BspArgs::enabled() };
        let both = names(&Bsp::new(named).with_target("own", broken));
        assert!(both[0].starts_with("redis://elsewhere") && both[1] == "own", "{both:?}");
    }
}
