//! What can have happened to the one record in which two data sets differ: an event without its nesting.

use crate::privacy::Event;
use crate::privacy::flat::{Shape, shape};
use crate::{Error, Result};

/// More ways than this are not tried.
const WAYS: usize = 256;

/// How the releases of a part are affected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// The record is there in the first data set only.
    Leaves,
    /// The record is there in the second data set only.
    Joins,
    /// The record is another one.
    Exchanged,
}

/// A sampled Gaussian release, `times` over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Release {
    pub(super) sigma: f64,
    pub(super) rate: f64,
    pub(super) change: Change,
    pub(super) times: u64,
}

/// The releases that a record takes part in.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct History {
    /// μ² of all unsampled releases together.
    pub(super) square: f64,
    /// The sampled ones.
    pub(super) sampled: Vec<Release>,
}

impl History {
    fn then(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.square += other.square;
        for release in &other.sampled {
            let same = |known: &&mut Release| (known.sigma, known.rate, known.change) == (release.sigma, release.rate, release.change);
            match both.sampled.iter_mut().find(same) {
                Some(known) => known.times = known.times.saturating_add(release.times),
                None => both.sampled.push(*release),
            }
        }
        both
    }

    fn repeat(&self, times: u64) -> Self {
        if times == 0 {
            return Self::default();
        }
        let sampled = self.sampled.iter().map(|release| Release { times: release.times.saturating_mul(times), ..*release }).collect();
        Self { square: self.square * times as f64, sampled }
    }

    /// Whether `other` reveals at least as much for certain: a smaller rate, more noise, fewer releases can be made from it by
    /// processing its output, or are a mixture of it and of nothing.
    fn is_covered_by(&self, other: &Self) -> bool {
        let mut free: Vec<&Release> = other.sampled.iter().collect();
        self.square <= other.square
            && self.sampled.iter().all(|mine| {
                let covers = |theirs: &&Release| {
                    mine.change == theirs.change && mine.rate <= theirs.rate && mine.sigma >= theirs.sigma && mine.times <= theirs.times
                };
                free.iter().position(covers).map(|at| free.swap_remove(at)).is_some()
            })
    }
}

/// Every way a record can take part in `event`, without those that another one covers.
pub(super) fn histories(event: &Event, change: Change) -> Result<Vec<History>> {
    let ways = match shape(event)? {
        Shape::Nothing => vec![History::default()],
        Shape::Release { sigma, rate: 1.0, .. } => {
            let sensitivity = if change == Change::Exchanged { 2.0 } else { 1.0 };
            vec![History { square: (sensitivity / sigma) * (sensitivity / sigma), sampled: vec![] }]
        }
        Shape::Release { of: 2.., .. } if change == Change::Exchanged => {
            return Err(Error::config(
                format!("PLD cannot count {event} under replace-one"),
                "use one Gaussian release per sample, or the relation AddOrRemoveOne",
            ));
        }
        Shape::Release { sigma, rate, .. } => {
            vec![History { square: 0.0, sampled: vec![Release { sigma, rate, change, times: 1 }] }]
        }
        Shape::Repeat { times, of } => repeated(&histories(&of, change)?, times, event)?,
        Shape::Sequence(parts) => {
            let mut all = vec![History::default()];
            for part in &parts {
                let next = histories(part, change)?;
                all = all.iter().flat_map(|before| next.iter().map(|after| before.then(after))).collect();
                all = essential(all, event)?;
            }
            all
        }
        Shape::Parallel(parts) => parallel(&parts, change, event)?,
    };
    essential(ways, event)
}

fn parallel(parts: &[Event], change: Change, event: &Event) -> Result<Vec<History>> {
    let mut all = vec![];
    let mut distinct: Vec<&Event> = vec![];
    for part in parts {
        if !distinct.contains(&part) {
            distinct.push(part);
            all.extend(histories(part, change)?);
        }
    }
    if change == Change::Exchanged {
        // The record leaves one part and another one joins a second part.
        for (i, from) in parts.iter().enumerate().filter(|(i, from)| parts.iter().position(|part| part == *from) == Some(*i)) {
            for to in &distinct {
                if *to == from && !parts[i + 1..].contains(from) {
                    continue;
                }
                let (leaving, joining) = (histories(from, Change::Leaves)?, histories(to, Change::Joins)?);
                all.extend(leaving.iter().flat_map(|first| joining.iter().map(|second| first.then(second))));
                all = essential(all, event)?;
            }
        }
    }
    if all.is_empty() {
        // No parts: nothing happened, which is one way and not none.
        all.push(History::default());
    }
    Ok(all)
}

/// Each repetition may find the record in another part.
fn repeated(ways: &[History], times: u64, event: &Event) -> Result<Vec<History>> {
    if let [only] = ways {
        return Ok(vec![only.repeat(times)]);
    }
    let mut all = vec![(History::default(), times)];
    for (i, way) in ways.iter().enumerate() {
        let last = i + 1 == ways.len();
        let mut next = vec![];
        for (before, left) in all {
            for used in if last { left..=left } else { 0..=left } {
                next.push((before.then(&way.repeat(used)), left - used));
                if next.len() > WAYS {
                    return Err(too_many(event));
                }
            }
        }
        all = next;
    }
    Ok(all.into_iter().map(|(way, _)| way).collect())
}

fn essential(ways: Vec<History>, event: &Event) -> Result<Vec<History>> {
    let mut kept: Vec<History> = vec![];
    for way in ways {
        if !kept.iter().any(|other| way.is_covered_by(other)) {
            kept.retain(|other| !other.is_covered_by(&way));
            kept.push(way);
        }
        if kept.len() > WAYS {
            return Err(too_many(event));
        }
    }
    Ok(kept)
}

fn too_many(event: &Event) -> Error {
    let text: String = event.to_string().chars().take(120).collect();
    Error::config(
        format!("a record can take part in {text} in more than {WAYS} ways"),
        "where a record stays in its part, write Event::parallel of repeated parts, not a repeated parallel; or use the Rdp accountant",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rate: f64, sigma: f64) -> Event {
        Event::gaussian(sigma).unwrap().poisson(rate).unwrap()
    }

    #[test]
    fn only_what_is_not_covered_is_kept() {
        let parts = Event::parallel(vec![step(0.1, 1.0).repeat(5), step(0.1, 2.0).repeat(5), step(0.05, 1.0).repeat(3)]);
        assert_eq!(histories(&parts, Change::Leaves).unwrap().len(), 1);
        let parts = Event::parallel(vec![step(0.1, 1.0), step(0.2, 2.0)]);
        assert_eq!(histories(&parts, Change::Leaves).unwrap().len(), 2);
        assert_eq!(histories(&parts.clone().repeat(3), Change::Leaves).unwrap().len(), 4);
        assert!(histories(&parts.repeat(1000), Change::Leaves).unwrap_err().to_string().contains("more than 256 ways"));
    }

    #[test]
    fn an_exchange_across_parts_is_one_leaving_and_one_joining() {
        // Twice the same part: exchanged within one, or across both.
        let parts = Event::parallel(vec![step(0.1, 1.0), step(0.1, 1.0)]);
        let ways = histories(&parts, Change::Exchanged).unwrap();
        assert_eq!(ways.len(), 2);
        assert_eq!(ways[1].sampled.iter().map(|release| release.change).collect::<Vec<_>>(), [Change::Leaves, Change::Joins]);
    }

    #[test]
    fn unsampled_releases_become_one_and_a_sample_of_a_sample_one_sample() {
        let event = Event::gaussian(2.0).unwrap().repeat(4).and(step(0.1, 1.0).poisson(0.5).unwrap());
        let ways = histories(&event, Change::Leaves).unwrap();
        assert_eq!(ways, [History { square: 1.0, sampled: vec![Release { sigma: 1.0, rate: 0.05, change: Change::Leaves, times: 1 }] }]);
        let sample = Event::gaussian(2.0).unwrap().repeat(4).poisson(0.1).unwrap();
        assert_eq!(histories(&sample, Change::Leaves).unwrap()[0].sampled[0].sigma, 1.0);
        assert!(histories(&sample, Change::Exchanged).is_err());
        let mixed = step(0.1, 1.0).repeat(2).poisson(0.5).unwrap();
        assert!(histories(&mixed, Change::Leaves).unwrap_err().to_string().contains("Poisson(0.5, 2 × Poisson(0.1"));
    }

    #[test]
    fn parts_that_are_none_leave_one_way_and_no_repetition_leaves_nothing() {
        let none = Event::Parallel { parts: vec![] };
        for change in [Change::Leaves, Change::Joins, Change::Exchanged] {
            assert_eq!(histories(&none, change).unwrap(), [History::default()]);
        }
        assert_eq!(History { square: f64::INFINITY, sampled: vec![] }.repeat(0), History::default());
    }
}
