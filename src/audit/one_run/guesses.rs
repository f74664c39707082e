//! On which canaries a one-run audit guesses: the highest and the lowest scores.

use serde::{Deserialize, Serialize};

/// On how many canaries guesses are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Guesses {
    /// As many as said, in advance.
    Fixed {
        /// Canaries with the highest scores that are guessed in.
        members: usize,
        /// Canaries with the lowest scores that are guessed out.
        non_members: usize,
    },
    /// Parts of the canaries that do best on a random part of them; the others count.
    Split {
        /// Part of the canaries that choose, in (0, 1); 0.5 is usual.
        share: f64,
    },
    /// The best of so many pairs, each with (1 − confidence)/candidates to err: ½, ¼, ⅛, .. of the canaries, guessed half in and half out,
    /// all in, and all out.
    Bonferroni {
        /// Number of pairs, at least 1; about 10 costs little.
        candidates: usize,
    },
}

/// Numbers of canaries that are guessed in and out.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) members: usize,
    pub(super) non_members: usize,
}

/// The coins from the highest score to the lowest, with the members among the first k for every k.
pub(super) struct Ranked {
    pub(super) coins: Vec<bool>,
    members_until: Vec<usize>,
}

impl Ranked {
    pub(super) fn of(mut trials: Vec<(f64, bool)>) -> Self {
        // Stable, so that equal scores stay in an order that knows nothing of the coins. Adding 0 makes −0 the 0 it equals.
        trials.sort_by(|a, b| (b.0 + 0.0).total_cmp(&(a.0 + 0.0)));
        let coins: Vec<bool> = trials.into_iter().map(|(_, coin)| coin).collect();
        let mut members_until = vec![0];
        let mut members = 0;
        for &coin in &coins {
            members += usize::from(coin);
            members_until.push(members);
        }
        Self { coins, members_until }
    }

    /// Right guesses of a pair that fits.
    pub(super) fn right(&self, pair: Pair) -> usize {
        let last = self.coins.len().saturating_sub(pair.non_members);
        let until = |k: usize| self.members_until.get(k).copied().unwrap_or(0);
        until(pair.members) + pair.non_members - (until(self.coins.len()) - until(last))
    }
}

/// m/2, m/4, m/8, .. guesses, each half in and half out, all in, and all out.
pub(super) fn halvings(m: usize, candidates: usize) -> Vec<Pair> {
    let mut pairs = vec![];
    let mut guesses = (m / 2).max(1);
    while guesses > 0 && pairs.len() < candidates {
        pairs.push(Pair { members: guesses.div_ceil(2), non_members: guesses / 2 });
        pairs.push(Pair { members: guesses, non_members: 0 });
        pairs.push(Pair { members: 0, non_members: guesses });
        guesses /= 2;
    }
    pairs.truncate(candidates);
    pairs
}

/// Every pair of m/2, m/4, m/8, .. and 0, at most 169 of them.
pub(super) fn grid(m: usize) -> Vec<Pair> {
    let sizes: Vec<usize> = (1..13).map(|halved| m >> halved).filter(|&size| size > 0).chain([0]).collect();
    let pairs = sizes.iter().flat_map(|&members| sizes.iter().map(move |&non_members| Pair { members, non_members }));
    pairs.filter(|pair| pair.members + pair.non_members > 0).collect()
}
