//! The relative likelihood attack (RMIA): how many records that nobody trained on does the target favour less than this one?
//!
//! With p(x) the target's probability of x's label, P(x) its expectation over other models and Z a population of records,
//!
//! ratio(x) = p(x)/P(x),  score(x) = share of the z in Z with ratio(x)/ratio(z) > γ
//!
//! With `p_in(x)` and `p_out(x)` the mean probabilities over the shadow models that saw x and over those that did not,
//!
//! online P = ½ (`p_in` + `p_out`),  offline P = ½ ((1 + a) `p_out` + 1 − a), from the guess `p_in` ≈ a `p_out` + 1 − a.
//!
//! 1. Take log p of every (model, record, query); all means are taken in logarithms.
//! 2. Sort log ratio(z) of the population once for each target and query.
//! 3. The share is one binary search for each record. Several queries give the mean of their scores.
//!
//! The population is [`Signals::population`], which every shadow is OUT for. Without one, Z is the other records of the pool, half of
//! them members of the target, which only shifts the scores of all records; their P(z) comes from their OUT shadows alone, so a z
//! counts as a record that was not trained on. Shares have at most |Z| + 1 values and so many ties;
//! [`RelativeLikelihood::with_ratio_ranking`] breaks them.
//!
//! # Privacy
//! None: this is an attack. One shadow model that did not see the record is enough for offline mode.
//!
//! # References
//! Zarifzadeh, Liu, Shokri, arXiv 2312.03262. γ = 1 with a strict comparison, a = 0.3 and the grid of the tuned a are those of the
//! authors' Privacy Meter; the paper's experiments use γ = 2 and another probability (a Taylor softmax).
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, Manifest, RelativeLikelihood, Signals};
//! // Two models, two records, two classes; model 1 saw none of them.
//! let logits = vec![3.0_f32, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, false], vec![0, 0], manifest)?;
//! assert_eq!(RelativeLikelihood::offline().score(&signals, 0)?, [1.0, 0.0]);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod ratios;

use super::shadows::{Shadows, every_model};
use super::{Attack, Mode, Signals};
use crate::roc::Roc;
use crate::stats::mean;
use crate::{Error, Result};
use ratios::{Tables, World, ratios};
use serde::{Deserialize, Serialize};

/// How the offline attack guesses what a model would say of a record that it saw: `p_in` ≈ a `p_out` + 1 − a.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum InGuess {
    /// This a, 0 to 1.
    Fixed(f64),
    /// For each target the a of 0, 0.1, .., 1 with the largest AUC when the other shadows attack the next model, whose members the
    /// attacker knows. Equal AUCs: the smallest a.
    Tuned,
}

/// How equal shares are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ties {
    /// Not at all: the share alone, as in the paper.
    #[default]
    Keep,
    /// By ratio(x): a term that grows with its mean logarithm and is smaller than the step between two shares.
    ByRatio,
}

/// RMIA. The default is online.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, RelativeLikelihood};
/// assert_eq!(RelativeLikelihood::offline().tuned().name(), "RMIA offline, a tuned");
/// ```
#[doc(alias = "RMIA")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RelativeLikelihood {
    /// Online uses the IN shadows as well.
    pub mode: Mode,
    /// γ > 0, how much larger than ratio(z) a ratio must be to count; Privacy Meter: 1, the paper: 2.
    pub gamma: f64,
    /// a of the offline mode; 0.3 unless said. Online mode does not use it.
    pub in_guess: InGuess,
    /// Ties among the shares.
    pub ties: Ties,
}

impl Default for RelativeLikelihood {
    fn default() -> Self {
        Self { mode: Mode::Online, gamma: 1.0, in_guess: InGuess::Fixed(0.3), ties: Ties::Keep }
    }
}

impl RelativeLikelihood {
    /// The attack that compares with IN and OUT models.
    #[must_use]
    pub fn online() -> Self {
        Self::default()
    }

    /// The attack that knows OUT models only.
    #[must_use]
    pub fn offline() -> Self {
        Self { mode: Mode::Offline, ..Self::default() }
    }

    /// The same attack with another γ.
    #[must_use]
    pub fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// The same attack with another a in offline mode.
    #[must_use]
    pub fn with_a(mut self, a: f64) -> Self {
        self.in_guess = InGuess::Fixed(a);
        self
    }

    /// The same attack with the a that serves best against one of the shadow models.
    #[must_use]
    pub fn tuned(mut self) -> Self {
        self.in_guess = InGuess::Tuned;
        self
    }

    /// The same attack with equal shares ranked by ratio(x).
    #[must_use]
    pub fn with_ratio_ranking(mut self) -> Self {
        self.ties = Ties::ByRatio;
        self
    }

    /// log ratio(x) of every record under `target`, the mean over its queries: the same ranking without the comparison with a
    /// population, so without ties, but not comparable across targets.
    ///
    /// # Errors
    /// As [`Attack::score`].
    pub fn log_ratios(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        let tables = self.tables(signals)?;
        let world = World::new(&tables, signals, target)?;
        self.check_shadows(&world.pool)?;
        let a = self.a_for(&world)?;
        Ok(ratios(&world.pool, self.mode, a).chunks(signals.queries()).map(mean).collect())
    }

    fn check(&self) -> Result<()> {
        if !(self.gamma > 0.0 && self.gamma.is_finite()) {
            return Err(Error::config(format!("gamma is {}", self.gamma), "expected a positive number"));
        }
        match self.in_guess {
            InGuess::Fixed(a) if !(0.0..=1.0).contains(&a) => Err(Error::config(format!("a is {a}"), "expected 0 to 1, such as 0.3")),
            _ => Ok(()),
        }
    }

    fn check_shadows(&self, shadows: &Shadows) -> Result<()> {
        shadows.check_side(&self.name(), false)?;
        if self.mode == Mode::Online { shadows.check_side(&self.name(), true) } else { Ok(()) }
    }

    fn tables(&self, signals: &Signals) -> Result<Tables> {
        self.check()?;
        let log_p = |of: &Signals| every_model(of, |model| Ok(of.loss(model)?.into_iter().map(|loss| -loss).collect()));
        Ok(Tables { pool: log_p(signals)?, population: signals.population().map(log_p).transpose()? })
    }

    fn score_target(&self, tables: &Tables, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        let world = World::new(tables, signals, target)?;
        self.check_shadows(&world.pool)?;
        if world.population.is_none() && signals.len() < 2 {
            return Err(Error::config("1 record and no population", "a ratio is compared with those of other records"));
        }
        let a = self.a_for(&world)?;
        Ok(world.scores(self, a))
    }

    /// The a to use against the target of `world`.
    fn a_for(&self, world: &World) -> Result<f64> {
        match (self.mode, self.in_guess) {
            (Mode::Online, _) => Ok(0.0),
            (Mode::Offline, InGuess::Fixed(a)) => Ok(a),
            (Mode::Offline, InGuess::Tuned) => self.tune(world),
        }
    }

    fn tune(&self, world: &World) -> Result<f64> {
        let models = world.pool.signals.models();
        let (victim, count) = ((world.pool.target + 1) % models, world.pool.all_models().len());
        let rehearsal = world.against_shadow(victim);
        let members = world.pool.signals.members_of(victim)?;
        // A record that no other shadow left out has no ratio.
        let usable: Vec<usize> = (0..members.len()).filter(|&record| rehearsal.pool.models(record, false).next().is_some()).collect();
        let truth: Vec<bool> = usable.iter().map(|&record| members[record]).collect();
        if truth.iter().all(|&member| member) || !truth.contains(&true) {
            let what = format!("a cannot be tuned with {count} shadow models: of model {victim}, {} records can be tried", usable.len());
            return Err(Error::config(what, "expected members and non-members of it: play the game with more models, or give an a"));
        }
        let mut best = (0.0, f64::NEG_INFINITY);
        for step in 0..=10 {
            let a = f64::from(step) / 10.0;
            let scores = rehearsal.scores(self, a);
            let auc = Roc::new(&usable.iter().map(|&record| scores[record]).collect::<Vec<_>>(), &truth)?.auc().value;
            if auc > best.1 {
                best = (a, auc);
            }
        }
        Ok(best.0)
    }
}

impl Attack for RelativeLikelihood {
    fn name(&self) -> String {
        let mode = if self.mode == Mode::Online { "online" } else { "offline" };
        let mut name = format!("RMIA {mode}");
        match self.in_guess {
            _ if self.mode == Mode::Online => {}
            InGuess::Tuned => name.push_str(", a tuned"),
            InGuess::Fixed(a) if a != 0.3 => name.push_str(&format!(", a = {a}")),
            InGuess::Fixed(_) => {}
        }
        if self.gamma != 1.0 {
            name.push_str(&format!(", γ = {}", self.gamma));
        }
        name.push_str(if self.ties == Ties::ByRatio { ", ties by ratio" } else { "" });
        name
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.members_of(target)?;
        self.score_target(&self.tables(signals)?, signals, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let tables = self.tables(signals)?;
        (0..signals.models()).map(|target| self.score_target(&tables, signals, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::super::signals::tests::made_up;
    use super::*;

    /// Two classes, the label's probabilities given, `[models][n]`.
    fn signals(p: &[&[f64]], membership: &[bool]) -> Signals {
        let logits: Vec<f64> = p.iter().copied().flatten().flat_map(|p| [(p / (1.0 - p)).ln(), 0.0]).collect();
        let (shape, manifest) = ([p.len(), p[0].len(), 1, 2], Manifest::new(serde_json::Value::Null, 0, ""));
        Signals::new(logits, shape, membership.to_vec(), vec![0; p[0].len()], manifest).unwrap()
    }

    #[test]
    fn ratios_and_shares_are_the_formulas_of_the_paper() {
        // The target is model 2; record 0 is IN for shadow 0.
        let pool = signals(&[&[0.9, 0.5], &[0.4, 0.6], &[0.8, 0.3]], &[true, false, false, false, true, false]);
        // Ratios of the population: offline 0.5/(0.65·p_out + 0.35), online 0.5/p_out, with p_out = 0.2, 0.5, 0.95.
        let population = signals(&[&[0.1, 0.4, 0.95], &[0.3, 0.6, 0.95], &[0.5, 0.5, 0.5]], &[false; 9]);
        let pool = pool.with_population(population).unwrap();
        let offline = RelativeLikelihood::offline().log_ratios(&pool, 2).unwrap();
        assert!((offline[0].exp() - 0.8 / (0.65 * 0.4 + 0.35)).abs() < 1e-14); // 1.31
        assert!((offline[1].exp() - 0.3 / (0.65 * 0.55 + 0.35)).abs() < 1e-14); // 0.42
        // Those of z are 1.04, 0.74 and 0.52.
        assert_eq!(RelativeLikelihood::offline().score(&pool, 2).unwrap(), [1.0, 0.0]);
        // With γ = 1.5 a z counts below 0.87; with γ = 2 below 0.66.
        assert_eq!(RelativeLikelihood::offline().with_gamma(1.5).score(&pool, 2).unwrap()[0], 2.0 / 3.0);
        assert_eq!(RelativeLikelihood::offline().with_gamma(2.0).score(&pool, 2).unwrap()[0], 1.0 / 3.0);
        let text = RelativeLikelihood::online().score(&pool, 2).unwrap_err().to_string();
        assert!(text.starts_with("record 1 is IN for 0 of the 2 shadow models"), "{text}");
        // Online, record 0: 0.8/(½ (0.9 + 0.4)) = 1.23 against 2.5, 1 and 0.53.
        let first = pool.subset(&[0]).unwrap();
        assert_eq!(RelativeLikelihood::online().score(&first, 2).unwrap(), [2.0 / 3.0]);
    }

    #[test]
    fn an_equal_ratio_does_not_count() {
        let pool = signals(&[&[0.5, 0.5, 0.5], &[0.7, 0.7, 0.6]], &[false; 6]);
        assert_eq!(RelativeLikelihood::offline().score(&pool, 1).unwrap(), [0.5, 0.5, 0.0], "a record is not in its own population");
    }

    #[test]
    fn probabilities_of_nearly_0_and_1_give_finite_scores() {
        let logits = vec![800.0, 0.0, -800.0, 0.0, 0.0, 0.0, 800.0, 0.0, -800.0, 0.0, 0.0, 0.0];
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let signals = Signals::new(logits, [2, 3, 1, 2], vec![false; 6], vec![0; 3], manifest).unwrap();
        for a in [0.0, 1.0] {
            let attack = RelativeLikelihood::offline().with_a(a).with_ratio_ranking();
            assert!(attack.score(&signals, 0).unwrap().iter().all(|score| score.is_finite()));
            assert!(attack.log_ratios(&signals, 0).unwrap().iter().all(|ratio| ratio.is_finite()));
        }
    }

    #[test]
    fn ratio_ranking_breaks_ties_and_no_order() {
        let signals = made_up(60);
        let population = signals.subset(&(0..7).collect::<Vec<_>>()).unwrap();
        let (shape, manifest) = ([6, 7, 1, 3], population.manifest().clone());
        let population = Signals::new(population.logits().clone(), shape, vec![false; 42], population.labels().to_vec(), manifest).unwrap();
        let signals = signals.with_population(population).unwrap();
        for attack in [RelativeLikelihood::online(), RelativeLikelihood::offline()] {
            let (plain, ranked) = (attack.score(&signals, 1).unwrap(), attack.with_ratio_ranking().score(&signals, 1).unwrap());
            let ratios = attack.log_ratios(&signals, 1).unwrap();
            for i in 0..60 {
                for j in 0..60 {
                    assert!(plain[i] <= plain[j] || ranked[i] > ranked[j]);
                    assert!(ratios[i] <= ratios[j] || (ranked[i] > ranked[j] && plain[i] >= plain[j]));
                }
            }
        }
    }

    #[test]
    fn several_queries_give_the_mean_of_their_scores() {
        let one = made_up(12);
        let twice: Vec<f32> = (0..6 * 12)
            .flat_map(|at| [at, (at + 5) % 72])
            .flat_map(|row| (0..3).map(move |c| (row, c)))
            .map(|(row, c)| {
                let super::super::Logits::F32(logits) = one.logits() else { unreachable!() };
                logits[row * 3 + c]
            })
            .collect();
        let with = |logits: Vec<f32>, queries: usize| {
            let shape = [6, 12, queries, 3];
            Signals::new(logits, shape, one.membership().to_vec(), one.labels().to_vec(), one.manifest().clone()).unwrap()
        };
        let half = |query: usize| twice.chunks(3).skip(query).step_by(2).flatten().copied().collect::<Vec<f32>>();
        let attack = RelativeLikelihood::offline();
        let both = attack.score(&with(twice.clone(), 2), 3).unwrap();
        let (a, b) = (attack.score(&with(half(0), 1), 3).unwrap(), attack.score(&with(half(1), 1), 3).unwrap());
        for record in 0..12 {
            assert!((both[record] - 0.5 * (a[record] + b[record])).abs() < 1e-15);
        }
    }

    #[test]
    fn the_tuned_a_is_the_best_against_the_next_model() {
        let signals = made_up(60);
        let tuned = RelativeLikelihood::offline().tuned();
        let tables = tuned.tables(&signals).unwrap();
        let a = tuned.a_for(&World::new(&tables, &signals, 2).unwrap()).unwrap();
        // By hand: model 3 attacked with all models but 2.
        let rest = signals.keep_models(&[0, 1, 3, 4, 5]).unwrap();
        let auc = |a: f64| RelativeLikelihood::offline().with_a(a).roc_of_model(&rest, 2).unwrap().auc().value;
        for step in 0..=10 {
            let other = f64::from(step) / 10.0;
            assert!(auc(other) < auc(a) || (auc(other) == auc(a) && other >= a), "{a} or {other}");
        }
        assert_eq!(tuned.score(&signals, 2).unwrap(), RelativeLikelihood::offline().with_a(a).score(&signals, 2).unwrap());
        assert!(tuned.score(&signals.keep_models(&[0, 1]).unwrap(), 0).is_err());
    }

    #[test]
    fn impossible_parameters_and_shadows_are_refused() {
        let signals = made_up(12);
        for attack in [RelativeLikelihood::offline().with_a(1.5), RelativeLikelihood::online().with_gamma(0.0)] {
            assert!(attack.score(&signals, 0).is_err());
        }
        assert!(RelativeLikelihood::offline().with_a(f64::NAN).score(&signals, 0).is_err());
        assert!(RelativeLikelihood::offline().score(&signals.keep_models(&[0]).unwrap(), 0).is_err());
        assert!(RelativeLikelihood::online().score(&signals.keep_models(&[0, 1]).unwrap(), 0).is_err());
        assert!(RelativeLikelihood::online().score(&signals, 6).is_err());
        let alone = made_up(1).keep_models(&[0, 1, 2]).unwrap();
        assert!(RelativeLikelihood::offline().score(&alone, 0).unwrap_err().to_string().contains("no population"));
    }
}
