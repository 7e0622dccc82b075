//! What the environment says.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The variable.
const VARIABLE: &str = "BSP_FAILPOINT";

/// A point, and what is to happen there.
#[derive(Debug)]
pub(crate) struct Chosen {
    point: String,
    /// How many times it has still to be reached. Wraps after that, so nothing happens twice.
    left: AtomicU64,
    deed: Deed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Die,
    /// Panic, as a fault in the code would.
    Panic,
    /// For so long, or permanently.
    Stall(Option<Duration>),
}

impl Chosen {
    pub(crate) fn from_env() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let chosen = Self::parse(&text);
        if chosen.is_none() {
            eprintln!("{VARIABLE}={text} is not understood: nothing will happen");
        }
        chosen
    }

    fn parse(text: &str) -> Option<Self> {
        let (point, time, deed) = if let Some(rest) = text.strip_prefix("stall:") {
            match rest.split_once(':') {
                Some((point, seconds)) => {
                    (point, 1, Deed::Stall(Some(Duration::from_secs(seconds.parse().ok()?))))
                }
                None => (rest, 1, Deed::Stall(None)),
            }
        } else {
            let (rest, deed) = match text.strip_prefix("panic:") {
                Some(rest) => (rest, Deed::Panic),
                None => (text, Deed::Die),
            };
            match rest.split_once(':') {
                Some((point, time)) => (point, time.parse().ok()?, deed),
                None => (rest, 1, deed),
            }
        };
        Some(Self { point: point.to_owned(), left: AtomicU64::new(time), deed })
    }

    pub(crate) fn hit(&self, name: &str) {
        if self.point == name && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.deed.do_it();
        }
    }
}

impl Deed {
    fn do_it(self) {
        match self {
            Self::Die => {
                use rustix::process::{Signal, getpid, kill_process};
                let _ = kill_process(getpid(), Signal::KILL);
            }
            Self::Panic => panic!("the environment asks for it"),
            Self::Stall(Some(time)) => std::thread::sleep(time),
            Self::Stall(None) => loop {
                std::thread::park();
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_where_and_what() {
        for (text, point, left, deed) in [
            ("after_store", "after_store", 1, Deed::Die),
            ("after_store:3", "after_store", 3, Deed::Die),
            ("panic:after_store", "after_store", 1, Deed::Panic),
            ("panic:after_store:2", "after_store", 2, Deed::Panic),
            ("stall:after_store", "after_store", 1, Deed::Stall(None)),
            ("stall:x:20", "x", 1, Deed::Stall(Some(Duration::from_secs(20)))),
        ] {
            let mut chosen = Chosen::parse(text).unwrap();
            let read = (chosen.point.as_str(), *chosen.left.get_mut(), chosen.deed);
            assert_eq!(read, (point, left, deed), "{text}");
        }
        for text in ["after_store:x", "stall:x:y", "a:1:2"] {
            assert!(Chosen::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_chosen_time_counts() {
        let mut chosen = Chosen {
            point: "here".to_owned(),
            left: AtomicU64::new(2),
            deed: Deed::Stall(Some(Duration::ZERO)),
        };
        chosen.hit("elsewhere");
        assert_eq!(*chosen.left.get_mut(), 2);
        chosen.hit("here");
        assert_eq!(*chosen.left.get_mut(), 1);
    }
}
