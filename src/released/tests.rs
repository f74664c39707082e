//! What holds for every attack on releases.

use super::*;
use crate::Device;
use crate::display::Show;
use crate::generate::{MeanEmbedding, PrivateAutoencoder, PrivateVae};

pub(super) fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(3).quiet()
}

/// 40 members and 40 non-members of the toy set.
pub(super) fn halves() -> Membership {
    Dataset::toy().members(40, &lab()).unwrap()
}

/// The 40 records that are neither.
pub(super) fn public() -> Dataset {
    let Membership { members, non_members } = halves();
    Dataset::toy().without(&[&members, &non_members]).declared_public()
}

/// One release of each kind, trained for a moment.
fn releases() -> Vec<Released> {
    let members = halves().members;
    let both = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(20).fit_whole(&members, &lab()).unwrap();
    vec![
        Released::from(members.subset(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap()),
        Released::from(both.encoder().clone()),
        Released::from(both),
        Released::from(PrivateVae::new(1, 1.0).with_epochs(1).with_batch(4).fit(&members, &lab()).unwrap()),
        Released::from(MeanEmbedding::small(1, 1.0).with_steps(2).fit(&members, &lab()).unwrap()),
        Released::from(Train::new(Arch::Logistic).with_epochs(1).fit(&members, &lab()).unwrap()),
    ]
}

/// The library's list with small samples, so that tests are quick.
fn attacks() -> Vec<Box<dyn ReleaseAttack>> {
    let mut all = release_attacks(Some(&public()));
    all.pop();
    all.push(Box::new(TrainedModelLoss::new(Train::new(Arch::Logistic).with_epochs(2)).with_samples(5)));
    all
}

#[test]
fn every_attack_that_applies_gives_one_finite_score_for_each_candidate_and_follows_the_seed() {
    let toy = Dataset::toy();
    let mut applied = 0;
    for released in releases() {
        for attack in attacks() {
            if attack.applies(&released).is_err() {
                let message = attack.score(&released, &toy, &lab()).unwrap_err().to_string();
                assert!(message.contains(&attack.name()) && message.contains(&released.name()), "{message}");
                continue;
            }
            applied += 1;
            let scores = attack.score(&released, &toy, &lab()).unwrap();
            assert!(scores.len() == toy.len() && scores.iter().all(|score| score.is_finite()), "{attack:?} {released:?}");
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let alone = one.install(|| attack.score(&released, &toy, &lab()).unwrap());
            assert!(scores.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()), "{attack:?} {released:?}");
        }
    }
    // Set 5, encoder 1, autoencoder 1, VAE 5, mean embedding 4, model 1.
    assert_eq!(applied, 17);
}

#[test]
fn candidates_of_another_kind_are_refused_by_every_attack() {
    for released in releases() {
        for attack in attacks().iter().filter(|attack| attack.applies(&released).is_ok()) {
            for other in [Dataset::toy_table(), Dataset::digits().unwrap().test.subset(&[0, 1, 2]).unwrap()] {
                // The digits have the toy's shape but ten classes; an autoencoder has no classes, so it may read them.
                if other.shape() == [1, 8, 8] && matches!(released, Released::Encoder(_) | Released::Autoencoder(_)) {
                    continue;
                }
                assert!(attack.score(&released, &other, &lab()).is_err(), "{attack:?} on {released:?} took {other:?}");
            }
        }
    }
}

#[test]
fn every_reason_says_what_the_release_is_or_what_is_missing() {
    for released in releases() {
        for attack in release_attacks(None) {
            if let Err(why) = attack.applies(&released) {
                assert!(why.contains(released.kind()) || why.contains("with_reference"), "{attack:?} on {released:?}: {why}");
            }
        }
    }
    let reason = |attack: &dyn ReleaseAttack, at: usize| attack.applies(&releases()[at]).unwrap_err();
    assert_eq!(reason(&NearestNeighbour::pixels(), 5), "it compares with records; the release is a model, which makes none");
    assert!(reason(&SeedMembership::new(), 3).contains("a generator"));
    assert!(reason(&ReconstructionError::new(), 1).contains("with_reference(&public)"));
    assert!(reason(&DecoderLikelihood::new(), 4).contains("without a likelihood"));
    assert!(reason(&ModelLoss::new(), 0).contains("a classifier"));
}

#[test]
fn candidates_are_shuffled_and_keep_nothing_but_values_and_labels() {
    let truth = halves();
    let (candidates, members) = shuffled(&truth, &lab()).unwrap();
    assert_eq!((candidates.len(), members.iter().filter(|member| **member).count()), (80, 40));
    assert!(members[..40].iter().filter(|member| **member).count() < 32, "the order tells who is a member");
    for (i, member) in members.iter().enumerate() {
        let side = if *member { &truth.members } else { &truth.non_members };
        assert!((0..40).any(|j| side.record(j) == candidates.record(i) && side.labels()[j] == candidates.labels()[i]));
    }
    assert!(candidates.origin().started_from.is_empty() && candidates.soft_labels().is_none());
    let mixed = Membership { members: truth.members, non_members: Dataset::toy_table() };
    assert!(releases()[0].attack(&NearestNeighbour::pixels(), &mixed, &lab()).is_err());
}

#[test]
fn a_release_tells_its_kind_its_event_and_its_records() {
    let kinds: Vec<&str> = releases().iter().map(Released::kind).collect();
    assert_eq!(kinds, ["set", "encoder", "autoencoder", "generator", "generator", "model"]);
    for released in releases() {
        let html = released.figure().to_html();
        assert!(html.contains(&released.name()), "{html}");
        assert!(format!("{released:?}").starts_with("Released("));
        match released.records(3, &lab()) {
            Ok(records) if released.kind() == "generator" => assert_eq!(records.per_class(), vec![3; 4]),
            Ok(records) => assert_eq!(records.len(), 8),
            Err(e) => assert!(e.to_string().contains("expected a set or a generator")),
        }
    }
    assert_eq!(*releases()[1].event(), *releases()[2].event());
    assert!(releases()[3].event().releases() > 0);
}

#[test]
fn a_report_has_a_row_for_every_attack_and_is_saved_whole() {
    let truth = halves();
    let released = Released::from(truth.members.subset(&(0..20).collect::<Vec<_>>()).unwrap());
    let report = released.attack_all(&truth, Some(&public()), &lab()).unwrap();
    assert_eq!((report.rows().len(), report.rocs().curves().len()), (8, 5));
    assert_eq!(report.rows()[0].outcome.roc().unwrap().tpr_at(0.0).rate.hits, 20);
    assert_eq!(report.frame().column("auc").unwrap().null_count(), 3);
    let html = report.figure().to_html();
    for part in ["40 members, 40 non-members, seed 3", "does not apply", "nearest neighbour", "Guessing", "needs 1,000 non-members"] {
        assert!(html.contains(part), "the report lacks {part}");
    }
    let folder = std::env::temp_dir().join(format!("freelunch-release-{}", std::process::id()));
    report.save(&folder).unwrap();
    let read: ReleaseReport = serde_json::from_str(&std::fs::read_to_string(folder.join("release.json")).unwrap()).unwrap();
    assert!(read.frame().equals_missing(&report.frame()) && read.rows()[0].config == report.rows()[0].config);
    std::fs::remove_dir_all(folder).unwrap();
    assert!(format!("{report:?}").starts_with("ReleaseReport(set toy, 5 attacks of 8"), "{report:?}");
}
