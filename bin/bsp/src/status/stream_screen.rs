//! The stream, for people.

use crate::{
    stream::{plain, span},
    words::wrapped,
};
use bsp_agent::{alarm::now_ms, source::redis::Overview};

/// The stream's part of the screen.
pub(super) fn show(seen: &Overview, columns: Option<usize>) -> String {
    let mut text = wrapped("stream ", &plain(&seen.source), columns);
    let mut line = |label: &str, value: &str| text += &wrapped(label, value, columns);
    line("  entries       ", &seen.length.to_string());
    let oldest = seen
        .oldest_age_ms
        .map_or_else(|| "none waits".to_owned(), |age| format!("{} old", span(age)));
    line("  oldest        ", &oldest);
    line("  dead letters  ", &seen.dead.to_string());
    let (before, after) = (seen.lost_undelivered, seen.lost.len());
    line("  lost          ", &format!("{before} before delivery, {after} after"));
    for lost in &seen.lost {
        let age = span(now_ms().saturating_sub(lost.found_ms));
        line("    ", &format!("{} (noticed {age} ago)", plain(&lost.entry)));
    }
    if let Some(unread) = &seen.unread {
        let count = unread.count.map_or_else(String::new, |count| format!("{count} "));
        let before = plain(&unread.before);
        let warning = format!(
            "{count}entries before {before} that no group will read: the group was made after \
             them, or they were acknowledged long ago. XGROUP SETID TOPIC GROUP 0 has all read \
             again, XTRIM TOPIC MINID {before} removes them"
        );
        line("  WARNING       ", &warning);
    }
    if !seen.groups.iter().any(|group| group.ours) {
        line("  ", "the URL's group does not exist yet: start the agent once");
    }
    for group in &seen.groups {
        let ours = if group.ours { "" } else { " (another's)" };
        let lag = group.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
        line("  group ", &format!("{}{ours}", plain(&group.name)));
        line("    to deliver  ", &lag);
        line("    pending     ", &group.pending.to_string());
        for consumer in &group.consumers {
            let (name, idle) = (plain(&consumer.name), span(consumer.idle_ms));
            let does = format!("{name}: {} pending, idle for {idle}", consumer.pending);
            line("    consumer ", &does);
        }
    }
    text
}
