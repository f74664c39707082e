//! When a run must end: the time budget's end, or now because its job was cancelled.
//!
//! Loops ask `Instant::now() > deadline` between two steps, as they would with a plain moment; after a cancel the answer is always yes.

use crate::job::live::Live;
use std::cmp::Ordering;
use std::time::Instant;

/// The moment after which a run must stop with what it has; it can move to now, when the run's [`Job`](crate::job::Job) is cancelled.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use std::time::Instant;
/// let lab = Lab::new()?.budget_s(60.0)?;
/// let deadline = lab.deadline();
/// assert!(deadline.is_some_and(|deadline| Instant::now() < deadline && !deadline.passed()));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Deadline<'a> {
    at: Option<Instant>,
    live: Option<&'a Live>,
}

impl<'a> Deadline<'a> {
    /// `None` where neither a budget nor a job can end the run.
    pub(crate) fn of(at: Option<Instant>, live: Option<&'a Live>) -> Option<Self> {
        (at.is_some() || live.is_some()).then_some(Self { at, live })
    }

    /// Whether the run must stop.
    #[must_use]
    pub fn passed(&self) -> bool {
        Instant::now() > *self
    }

    /// The deadline of the first of `parts` equal parts of the time that is left.
    pub(crate) fn of_first(self, parts: usize) -> Self {
        let now = Instant::now();
        Self { at: self.at.map(|at| now + at.saturating_duration_since(now) / parts.max(1) as u32), ..self }
    }
}

impl PartialEq<Deadline<'_>> for Instant {
    fn eq(&self, deadline: &Deadline<'_>) -> bool {
        self.partial_cmp(deadline) == Some(Ordering::Equal)
    }
}

impl PartialOrd<Deadline<'_>> for Instant {
    fn partial_cmp(&self, deadline: &Deadline<'_>) -> Option<Ordering> {
        if deadline.live.is_some_and(Live::is_stopped) {
            return Some(Ordering::Greater);
        }
        // Without a budget there is always time.
        Some(deadline.at.map_or(Ordering::Less, |at| self.cmp(&at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stop_passes_every_deadline_and_nothing_else_passes_one_without_a_moment() {
        let (live, now) = (Live::new("a job"), Instant::now());
        let hour = Duration::from_secs(3600);
        let open = Deadline::of(None, Some(&live)).unwrap();
        let late = Deadline::of(Some(now + hour), Some(&live)).unwrap();
        assert!(now + hour < open && !open.passed() && now < late && now + 2 * hour > late);
        live.stop();
        assert!(now > open && now >= late && open.passed() && late.passed() && late.of_first(3).passed());
        assert!(Deadline::of(None, None).is_none());
    }

    #[test]
    fn the_first_part_has_its_share_of_the_time_that_is_left() {
        let now = Instant::now();
        let part = Deadline::of(Some(now + Duration::from_secs(90)), None).unwrap().of_first(3);
        // 30 s, give or take what passed between the two lines.
        assert!(now + Duration::from_secs(29) < part && now + Duration::from_secs(31) > part);
    }
}
