//! Federated training: what is shared, and who is protected.

use super::{Explain, Explanation, count, most, number, percent, promise, share, short, texts};
use crate::federated::{FederatedRun, FederationTable, Shares};

const AVERAGING: &str = "McMahan et al. 2017, arXiv 1602.05629";
const CLIENTS: &str = "client by client: McMahan et al. 2018, arXiv 1710.06963";
const UPDATE: &str = "w ← w + η_s Σ_k (n_k / Σ_j n_j) (w_k − w), over the clients of the round";

impl Explain for FederatedRun {
    fn explain(&self) -> Explanation {
        let tested = self.rounds().iter().rev().find_map(|round| round.test_accuracy);
        let by_client = self.federation().client_privacy.is_some();
        Explanation {
            title: "A federated training".into(),
            means: format!(
                "{} trained one model in {}; test accuracy {}. Promise for {}: {}.",
                count(self.clients().len(), "client"),
                count(self.rounds().len(), "round"),
                tested.map_or_else(|| "not measured".to_string(), |rate| share(&rate)),
                if by_client { "a whole client" } else { "one record" },
                promise(self.event())
            ),
            does_not_mean: if by_client {
                "The server sees every update and is trusted: ε covers the global models only. It says nothing for one record beyond its \
                     client, and who took part must stay secret. A simulation in one process, without secure aggregation."
                    .into()
            } else {
                "That records stay at home protects nothing by itself: updates and models leak them. An ε here covers the updates, too, \
                     and takes the clients' records as disjoint. A simulation in one process, without secure aggregation."
                    .into()
            },
            would_change: "DP-SGD at the clients protects records, ClientPrivacy whole clients. More clients and rounds, less skewed \
                 shares and more local epochs move accuracy."
                .into(),
            formula: UPDATE.into(),
            references: texts(&[AVERAGING, CLIENTS]),
        }
    }
}

impl Explain for FederationTable {
    fn explain(&self) -> Explanation {
        let best = most(self.rows(), |row| row.accuracy.value());
        let attacked = self.rows().iter().filter_map(|row| row.attack.as_ref().map(|(_, auc)| (row, auc)));
        let found = most(attacked, |(_, auc)| auc.value);
        let found = found.map_or_else(
            || "No row was attacked.".to_string(),
            |(row, auc)| {
                format!(
                    "Highest attack AUC: {} (\"{}\"; 95 %: {} to {}).",
                    number(auc.value),
                    short(&row.name),
                    number(auc.low),
                    number(auc.high)
                )
            },
        );
        Explanation {
            title: "Federations beside each other".into(),
            means: match best {
                None => "0 rows: no run was added yet.".into(),
                Some(row) => format!(
                    "Of {} the most accurate is \"{}\", {}: {}. {found}",
                    count(self.rows().len(), "run"),
                    short(&row.name),
                    share(&row.accuracy),
                    if row.event.is_non_private() { "ε = ∞".to_string() } else { promise(&row.event) }
                ),
            },
            does_not_mean: "An ε for clients and one for records do not compare: neighbours differ by different things. AUC near 0.5 is \
                 not \"private\", and a row without an attack is not one that withstood."
                .into(),
            would_change: "Equal rounds and epochs, other seeds and partitions (each row is one run), stronger attacks by insiders. \
                 Skewed shares cost accuracy."
                .into(),
            formula: UPDATE.into(),
            references: texts(&[AVERAGING, CLIENTS]),
        }
    }
}

impl Explain for Shares {
    fn explain(&self) -> Explanation {
        let sizes: Vec<usize> = self.counts().iter().map(|client| client.iter().sum()).collect();
        // The largest share of one class is 1 for a client of one class and 1/classes for an even one.
        let skews = self.counts().iter().zip(&sizes).filter(|(_, size)| **size > 0);
        let skews: Vec<f64> = skews.map(|(client, size)| client.iter().copied().max().unwrap_or(0) as f64 / *size as f64).collect();
        Explanation {
            title: "Who holds what".into(),
            means: match skews.len() {
                0 => format!("{} and no record.", count(sizes.len(), "client")),
                n => format!(
                    "{} with {} to {} records; a client's largest class is {} of its records on average.",
                    count(sizes.len(), "client"),
                    sizes.iter().min().unwrap_or(&0),
                    sizes.iter().max().unwrap_or(&0),
                    percent(skews.iter().sum::<f64>() / n as f64)
                ),
            },
            does_not_mean: "Counts of classes are themselves information about clients: showing them is no part of any ε. Even shares are \
                 not fairness, and a simulated split is not how people differ."
                .into(),
            would_change: "The partition: iid shares are even, shards give few classes, a small α of the Dirichlet distribution skews \
                 them. Another seed draws another split."
                .into(),
            formula: "iid; shards of sorted labels; or q ~ Dir(α p) for each client, p the shares of the whole set".into(),
            references: texts(&[AVERAGING, "Hsu, Qi, Brown 2019, arXiv 1909.06335"]),
        }
    }
}
