//! Defences beside each other: what they cost the honest client, and what they stop.
//!
//! 1. Each list of [`Defence`]s guards the same model. Accuracy and agreement (with the undefended answers) are those of its labels on a test set.
//! 2. Each membership attack asks about the pool once, knowing the defences, and is measured by AUC and TPR at 1 % FPR.
//! 3. If asked for, a copy of the model is trained on the answers about public records ([`CopyAttack`]).
//!
//! # Privacy
//! None: these are attacks. A row without success says that *these* attacks failed.
//!
//! # References
//! Shokri et al., arXiv 1610.05820, section VIII (mitigations); Choquette-Choo et al., arXiv 2007.14321 (they do not stop label-only attacks).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{Defence, DefenceStudy, Service};
//! let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
//! let train = Train::new(Arch::Logistic).with_epochs(3);
//! let shadows = Game::new(4).play(&Pipeline::direct(train.clone()), &toy, &lab)?;
//! let members: Vec<bool> = (0..toy.len()).map(|i| i < 60).collect();
//! let target = train.fit(&toy.subset(&(0..60).collect::<Vec<_>>())?, &lab)?;
//! let study = DefenceStudy::of(&[vec![], vec![Defence::LabelOnly]]).with_attack(LossThreshold::new());
//! let table = study.run(&Service::new(&target, &toy)?, &shadows, &toy, &members, &toy, &lab)?;
//! assert_eq!(table.rows()[1].agreement.value(), 1.0);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::copy::same;
use super::{BlackBox, CopyAttack, CopyReport, Defence, MembershipByService, Service};
use crate::attack::{Attack, Signals};
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::roc::Roc;
use crate::stats::{Estimate, Rate};
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Which defences and attacks to measure.
#[derive(Debug, Clone)]
pub struct DefenceStudy {
    defences: Vec<Vec<Defence>>,
    attacks: Vec<Arc<dyn Attack>>,
    copy: Option<(CopyAttack, Dataset)>,
}

/// One list of defences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DefenceRow {
    /// The defences.
    pub defences: Vec<Defence>,
    /// Share of test records that get the right label.
    pub accuracy: Rate,
    /// Share of test records that get the label they get without defences.
    pub agreement: Rate,
    /// The membership attacks.
    pub attacks: Vec<Measured>,
    /// The copy, if one was asked for.
    pub copy: Option<CopyReport>,
    /// Queries that each membership attack needs.
    pub queries: usize,
    /// What they cost.
    pub cost: f64,
}

/// What one membership attack achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub attack: String,
    /// Area under its curve.
    pub auc: Estimate,
    /// Members it finds at a false positive rate of at most 1 %.
    pub tpr_at_1_percent: Rate,
}

/// What [`DefenceStudy::run`] measured.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DefenceTable {
    rows: Vec<DefenceRow>,
    members: usize,
    non_members: usize,
    shadows: usize,
    seed: u64,
}

impl DefenceStudy {
    /// These lists of defences and no attack yet; an empty list is the undefended service.
    #[must_use]
    pub fn of(defences: &[Vec<Defence>]) -> Self {
        Self { defences: defences.to_vec(), attacks: vec![], copy: None }
    }

    /// The usual ones: none, label only, top 1 and 3, rounding to 1 to 3 decimals, temperature 5, noise of 1 nat.
    #[must_use]
    pub fn usual() -> Self {
        let alone = [
            Defence::LabelOnly,
            Defence::TopK(1),
            Defence::TopK(3),
            Defence::Rounding(1),
            Defence::Rounding(2),
            Defence::Rounding(3),
            Defence::Temperature(5.0),
            Defence::Noise { scale: 1.0 },
        ];
        Self::of(&std::iter::once(vec![]).chain(alone.map(|defence| vec![defence])).collect::<Vec<_>>())
    }

    /// The same study with one more membership attack.
    #[must_use]
    pub fn with_attack(mut self, attack: impl Attack + 'static) -> Self {
        self.attacks.push(Arc::new(attack));
        self
    }

    /// The same study, also copying the model through answers about these public records.
    #[must_use]
    pub fn with_copy(mut self, copy: CopyAttack, public: &Dataset) -> Self {
        self.copy = Some((copy, public.clone()));
        self
    }

    /// Guards `service` with each list in place of its own, its budgets anew each time. After the lab's time budget no row is begun.
    ///
    /// # Errors
    /// [`Error::Config`] for a defence that cannot work, a budget that does not cover the attacks or no time for one row, and as
    /// [`MembershipByService::attack`].
    pub fn run(
        &self,
        service: &Service,
        shadows: &Signals,
        pool: &Dataset,
        members: &[bool],
        test: &Dataset,
        lab: &Lab,
    ) -> Result<DefenceTable> {
        let deadline = lab.deadline();
        let mut progress = lab.progress("defences", self.defences.len());
        let bare = service.clone().with_defences(&[])?.look(test)?;
        let mut rows = vec![];
        for list in &self.defences {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let guarded = service.clone().with_defences(list)?;
            rows.push(self.row(&guarded, bare.labels(), shadows, pool, members, test, lab)?);
            progress.step(rows.len(), "");
        }
        if rows.is_empty() {
            let what = format!("0 of {} lists of defences were measured", self.defences.len());
            return Err(Error::config(what, "give at least one list (an empty one for no defence), and the lab more time"));
        }
        let count = |side: bool| members.iter().filter(|&&member| member == side).count();
        Ok(DefenceTable { rows, members: count(true), non_members: count(false), shadows: shadows.models(), seed: lab.seed_value() })
    }

    #[expect(clippy::too_many_arguments, reason = "the study's data, once more")]
    fn row(
        &self,
        guarded: &Service,
        bare: &[u32],
        shadows: &Signals,
        pool: &Dataset,
        members: &[bool],
        test: &Dataset,
        lab: &Lab,
    ) -> Result<DefenceRow> {
        let said = guarded.look(test)?;
        let (mut attacks, mut queries) = (vec![], 0);
        let attacker = guarded.client("attacker");
        if let Some(first) = self.attacks.first() {
            // The same questions serve every attack; each alone would need as many.
            let signals = MembershipByService::of(Arc::clone(first)).signals(&attacker, shadows, pool, members, lab)?;
            queries = attacker.queries_spent();
            for attack in &self.attacks {
                let roc = Roc::new(&attack.score(&signals, shadows.models())?, members)?;
                attacks.push(Measured { attack: attack.name(), auc: roc.auc(), tpr_at_1_percent: roc.tpr_at(0.01).rate });
            }
        }
        let copy = match &self.copy {
            Some((copy, public)) => Some(copy.attack(&guarded.client("copier"), public, lab)?.compare(&said, test)?),
            None => None,
        };
        Ok(DefenceRow {
            defences: guarded.defences().to_vec(),
            accuracy: same(said.labels(), test.labels()),
            agreement: same(said.labels(), bare),
            attacks,
            copy,
            queries,
            cost: queries as f64 * attacker.price_per_query(),
        })
    }
}

impl DefenceTable {
    /// One row for each list of defences.
    #[must_use]
    pub fn rows(&self) -> &[DefenceRow] {
        &self.rows
    }

    /// A polars table: one row for each list of defences and attack.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let lines: Vec<(&DefenceRow, &Measured)> =
            self.rows.iter().flat_map(|row| row.attacks.iter().map(move |attack| (row, attack))).collect();
        let number = |name: &str, value: &dyn Fn(&DefenceRow, &Measured) -> f64| {
            Column::new(name.into(), lines.iter().map(|line| value(line.0, line.1)).collect::<Vec<f64>>())
        };
        let copy: Vec<Option<f64>> = lines.iter().map(|line| line.0.copy.as_ref().map(|copy| copy.agreement.value())).collect();
        let columns = vec![
            Column::new("defences".into(), lines.iter().map(|line| Defence::names(&line.0.defences)).collect::<Vec<String>>()),
            Column::new("attack".into(), lines.iter().map(|line| line.1.attack.as_str()).collect::<Vec<&str>>()),
            number("accuracy", &|row, _| row.accuracy.value()),
            number("agreement", &|row, _| row.agreement.value()),
            number("auc", &|_, attack| attack.auc.value),
            number("auc_low", &|_, attack| attack.auc.low),
            number("auc_high", &|_, attack| attack.auc.high),
            number("tpr_at_1_percent", &|_, attack| attack.tpr_at_1_percent.value()),
            number("tpr_at_1_percent_low", &|_, attack| attack.tpr_at_1_percent.low),
            number("tpr_at_1_percent_high", &|_, attack| attack.tpr_at_1_percent.high),
            Column::new("agreement_of_copy".into(), copy),
            Column::new("queries".into(), lines.iter().map(|line| line.0.queries as u64).collect::<Vec<u64>>()),
            number("cost", &|row, _| row.cost),
        ];
        DataFrame::new(lines.len(), columns).map_err(|cause| Error::table("defences", cause))
    }
}

impl Show for DefenceTable {
    fn figure(&self) -> Figure {
        let attacks = self.rows.first().map_or(&[][..], |row| &row.attacks);
        let mut headers = vec!["defences".to_string(), "accuracy".to_string(), "agreement".to_string()];
        headers.extend(attacks.iter().flat_map(|attack| [format!("{}: AUC", attack.attack), "TPR at 1 % FPR".to_string()]));
        headers.extend(["agreement of a copy".to_string(), "queries".to_string(), "cost".to_string()]);
        let mut table = Table::new(headers);
        for row in &self.rows {
            let mut cells: Vec<Cell> =
                vec![Defence::names(&row.defences).into(), row.accuracy.to_string().into(), row.agreement.to_string().into()];
            cells.extend(row.attacks.iter().flat_map(|attack| [attack.auc.to_string().into(), attack.tpr_at_1_percent.to_string().into()]));
            cells.push(row.copy.as_ref().map_or(Cell::Missing, |copy| copy.agreement.to_string().into()));
            cells.extend([Cell::from(row.queries), Cell::from(row.cost)]);
            table = table.row(cells);
        }
        let caption = format!(
            "{} members, {} non-members, {} shadows, seed {}; the attacker knows the defences. Guessing: AUC 0.5, TPR = FPR. Intervals: 95 % over the \
             records of one target. A defence is no ε: a row says what these attacks did.",
            self.members, self.non_members, self.shadows, self.seed
        );
        table.titled("Defences of a service").captioned(&caption).figure()
    }
}

show_inline!(DefenceTable);

impl fmt::Debug for DefenceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefenceTable({} lists of defences, {} attacks)", self.rows.len(), self.rows.first().map_or(0, |row| row.attacks.len()))
    }
}
