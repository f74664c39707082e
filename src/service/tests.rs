//! The service in this process: budgets, log, defences, attacks through it.

use super::*;
use crate::attack::{Attack, Game, LabelOnly, LikelihoodRatio, LossThreshold, Pipeline, Queries, Signals};
use crate::nn::Arch;
use crate::roc::Roc;
use crate::train::Train;
use crate::{Device, Lab};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(3).quiet()
}

pub(crate) fn toy_service() -> Service {
    let model = Train::new(Arch::Logistic).with_epochs(5).fit(&Dataset::toy(), &lab()).unwrap();
    Service::new(&model, &Dataset::toy()).unwrap()
}

fn halves() -> (Signals, Model, Vec<bool>) {
    let (toy, train) = (Dataset::toy(), Train::new(Arch::Mlp { hidden: vec![16] }).with_epochs(40).with_batch(8));
    let shadows = Game::new(6).play(&Pipeline::direct(train.clone()), &toy, &lab()).unwrap();
    let members: Vec<bool> = (0..toy.len()).map(|i| (i / 4) % 2 == 0).collect(); // half of each class
    let own: Vec<usize> = (0..toy.len()).filter(|&i| members[i]).collect();
    (shadows, train.fit(&toy.subset(&own).unwrap(), &lab().seed(9)).unwrap(), members)
}

#[test]
fn answers_show_every_record_and_every_class() {
    use crate::display::Show;
    let answers = Answers::new(vec![0.75, 0.25, 0.0, 1.0], vec![0, 1]).unwrap();
    assert!(answers.figure().to_html().contains("Answers(2 records, 2 classes)"));
    assert_eq!(answers.to_csv().unwrap().lines().collect::<Vec<_>>(), ["record,label,p(0),p(1)", "0,0,0.75,0.25", "1,1,0.0,1.0"]);
}

#[test]
fn undefended_answers_are_the_softmax_of_the_models_logits() {
    let (toy, service) = (Dataset::toy(), toy_service());
    let model = Train::new(Arch::Logistic).with_epochs(5).fit(&toy, &lab()).unwrap();
    let answers = service.client("a").ask(&toy).unwrap();
    let accuracy = copy::same(answers.labels(), toy.labels());
    assert_eq!(accuracy, model.accuracy(&toy).unwrap());
    for (z, p) in model.logits(&toy).unwrap().chunks(4).zip(answers.probabilities().chunks(4)) {
        let total: f64 = z.iter().map(|&z| f64::from(z).exp()).sum();
        assert!(z.iter().zip(p).all(|(&z, p)| (f64::from(z).exp() / total - p).abs() < 1e-14));
    }
}

#[test]
fn a_budget_is_refused_whole_and_stays_as_it_was() {
    let (toy, service) = (Dataset::toy(), toy_service().with_budget(200).with_client_budget(150));
    let (alice, bob) = (service.client("alice"), service.client("bob"));
    alice.ask(&toy).unwrap();
    let text = alice.ask(&toy).unwrap_err().to_string();
    assert!(text.contains("120 queries of client alice, 30 are left"), "{text}");
    assert_eq!((alice.queries_spent(), alice.queries_left(), bob.queries_left()), (120, Some(30), Some(80)));
    alice.ask(&toy.subset(&(0..30).collect::<Vec<_>>()).unwrap()).unwrap();
    assert_eq!((alice.queries_left(), bob.queries_left(), service.queries_left()), (Some(0), Some(50), Some(50)));
    assert!(bob.ask(&toy).unwrap_err().to_string().contains("50 are left"));
    let log = service.log();
    let verdicts: Vec<&str> = log.entries().iter().map(|entry| entry.verdict.name()).collect();
    assert_eq!(verdicts, ["answered", "over budget", "answered", "over budget"]);
    assert_eq!((log.clients()["alice"].queries, log.clients()["bob"].refused, log.frame().unwrap().height()), (150, 1, 4));
}

#[test]
fn eight_threads_never_get_more_than_the_budget() {
    let (toy, service, answered) = (Dataset::toy(), toy_service().with_budget(100), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (toy, service, answered) = (&toy, &service, &answered);
            scope.spawn(move || {
                let client = service.client(&format!("client {}", thread % 3));
                for size in [7, 5, 3, 7, 1, 1] {
                    if let Ok(answers) = client.ask(&toy.subset(&(0..size).collect::<Vec<_>>()).unwrap()) {
                        answered.fetch_add(answers.len(), Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let answered = answered.load(Ordering::SeqCst);
    // They want 192 in all, so something was refused, and at that moment fewer than 7 were left.
    assert!((94..=100).contains(&answered), "{answered}");
    assert_eq!(service.queries_left(), Some(100 - answered));
    assert_eq!(service.log().clients().values().map(|totals| totals.queries).sum::<usize>(), answered);
}

#[test]
fn records_of_another_shape_are_refused_and_not_counted() {
    let service = toy_service().with_budget(10);
    let other = Dataset::images("other", vec![0.0; 9], [1, 3, 3], vec![0], vec!["a".into()]).unwrap();
    let text = service.client("a").ask(&other).unwrap_err().to_string();
    assert!(text.contains("[1, 3, 3]") && text.contains("[1, 8, 8]"), "{text}");
    assert_eq!((service.queries_left(), service.log().entries()[0].verdict), (Some(10), Verdict::Invalid));
    let text = Service::new(&Train::new(Arch::Logistic).with_epochs(1).fit(&Dataset::toy(), &lab()).unwrap(), &other).unwrap_err();
    assert!(text.to_string().contains("the model was trained on"), "{text}");
}

#[test]
fn noise_is_consistent_over_questions_batches_and_clients() {
    let (toy, service) = (Dataset::toy(), toy_service().with_defences(&[Defence::Noise { scale: 1.0 }]).unwrap().with_seed(5));
    let both = service.client("a").ask(&toy).unwrap();
    assert_eq!(both, service.client("b").ask(&toy).unwrap());
    let one = service.client("b").ask(&toy.subset(&[7]).unwrap()).unwrap();
    // The model itself may round differently in another batch, in f32.
    assert!(one.probabilities().iter().zip(&both.probabilities()[28..32]).all(|(a, b)| (a - b).abs() < 1e-5));
    assert_ne!(both, service.with_seed(6).look(&toy).unwrap());
}

#[test]
fn membership_through_an_undefended_service_is_the_attack_on_the_model_itself() {
    let (toy, (shadows, target, members)) = (Dataset::toy(), halves());
    let logits: Vec<f64> = target.logits(&toy).unwrap().into_iter().map(f64::from).collect();
    let of_shadows = (0..6).flat_map(|model| shadows.log_probabilities(model).unwrap());
    let direct = Signals::new(
        of_shadows.chain(logits).collect::<Vec<f64>>(),
        [7, 120, 1, 4],
        [shadows.membership(), &members].concat(),
        toy.labels().to_vec(),
        shadows.manifest().clone(),
    )
    .unwrap();
    let client = Service::new(&target, &toy).unwrap().with_price_per_query(0.5).client("mallory");
    let attacks: [Box<dyn Attack>; 3] = [Box::new(LossThreshold::new()), Box::new(LikelihoodRatio::online()), Box::new(LabelOnly::gap())];
    for attack in attacks {
        let expected = attack.score(&direct, 6).unwrap();
        let found = MembershipByService::of(attack.into()).attack(&client, &shadows, &toy, &members, &lab()).unwrap();
        // log p of p near 1 differs from the logits' by rounding.
        assert!(expected.iter().zip(&found.scores).all(|(a, b)| (a - b).abs() < 1e-6 * (1.0 + a.abs())), "{found:?}");
        let roc = Roc::new(&expected, &members).unwrap();
        assert_eq!((roc.auc(), roc.tpr_at(0.01).rate), (found.roc.auc(), found.roc.tpr_at(0.01).rate));
        assert_eq!((found.queries, found.cost, found.frame().unwrap().height()), (120, 60.0, 1));
    }
}

#[test]
fn attacks_stay_finite_under_every_defence_and_label_only_is_the_gap_attack() {
    let (toy, (shadows, target, members)) = (Dataset::toy(), halves());
    let service = Service::new(&target, &toy).unwrap();
    let study = DefenceStudy::usual()
        .with_attack(LossThreshold::new())
        .with_attack(LikelihoodRatio::online())
        .with_attack(LabelOnly::gap())
        .with_copy(CopyAttack::new(Train::new(Arch::Logistic).with_epochs(3)), &toy);
    let table = study.run(&service, &shadows, &toy, &members, &toy, &lab()).unwrap();
    assert_eq!((table.rows().len(), table.frame().unwrap().height()), (9, 27));
    for row in table.rows() {
        assert_eq!((row.queries, row.copy.as_ref().unwrap().queries), (120, 120));
        let keeps_labels = !matches!(row.defences[..], [Defence::Noise { .. }]);
        assert!(row.agreement.value() == 1.0 || !keeps_labels, "{:?}", row.defences);
    }
    let label_only = &table.rows()[1].attacks;
    assert_eq!(label_only[0].auc, label_only[2].auc, "a label has no more to tell than whether it is right");
    println!("{}", crate::display::Show::bundle(&table).text);
}

#[test]
fn an_attacker_who_knows_the_temperature_loses_nothing() {
    let (toy, (shadows, target, members)) = (Dataset::toy(), halves());
    let attack = MembershipByService::new(LikelihoodRatio::online());
    let run = |attack: &MembershipByService, defences: &[Defence]| {
        let client = Service::new(&target, &toy).unwrap().with_defences(defences).unwrap().client("m");
        attack.attack(&client, &shadows, &toy, &members, &lab()).unwrap().roc.auc().value
    };
    let (bare, hot) = (run(&attack, &[]), [Defence::Temperature(8.0)]);
    let (adaptive, naive) = (run(&attack, &hot), run(&attack.clone().naive(), &hot));
    println!("bare {bare:.3}, adaptive {adaptive:.3}, naive {naive:.3}");
    assert!((adaptive - bare).abs() < 0.1, "{adaptive} against {bare}");
    assert!(naive < adaptive, "{naive} against {adaptive}");
}

#[test]
fn more_queries_and_a_budget_too_small_for_them() {
    let toy = Dataset::toy();
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let game = Game::new(2).with_queries(Queries::Mirrored).with_test(&toy);
    let shadows = game.play(&Pipeline::direct(train.clone()), &toy, &lab()).unwrap();
    let members: Vec<bool> = (0..120).map(|i| i < 50).collect();
    let service = toy_service().with_budget(479);
    let attack = MembershipByService::new(LabelOnly::augmented()).with_population(&toy);
    let run = |attack: &MembershipByService, service: &Service| {
        attack.attack(&service.client("m"), &shadows, &toy, &members, &lab()).map(|found| found.queries)
    };
    assert!(run(&attack, &service).unwrap_err().to_string().contains("2 in 4"));
    let attack = attack.with_queries(Queries::Mirrored);
    assert!(run(&attack, &service).unwrap_err().to_string().contains("needs 480 queries, 479 are left"));
    assert_eq!(service.queries_left(), Some(479));
    assert_eq!(run(&attack, &service.with_budget(480)).unwrap(), 480);
}

#[test]
fn a_copy_agrees_more_than_its_control_and_inversion_climbs() {
    let (toy, service) = (Dataset::toy(), toy_service());
    // Shuffled own labels: the control learns nothing, the copy never saw them.
    let labels = (0..120).map(|i| ((i / 4) % 4) as u32).collect();
    let public = toy.synthetic(toy.x().to_vec(), labels, toy.origin().clone()).unwrap();
    let client = service.client("m");
    let stolen = CopyAttack::new(Train::new(Arch::Logistic).with_epochs(10)).attack(&client, &public, &lab()).unwrap();
    let report = stolen.compare(&service.look(&toy).unwrap(), &toy).unwrap();
    println!("copy {} control {}", report.agreement, report.agreement_of_control);
    assert!(report.agreement.low > report.agreement_of_control.high);
    assert_eq!((report.queries, report.frame().unwrap().height()), (120, 3));
    let found = BlackBoxInversion::new().with_steps(10).with_directions(16).attack(&client, &toy, &lab()).unwrap();
    println!("inversion {:?}", found.confidence);
    assert!(found.confidence.iter().all(|ends| ends[1] > 2.0 * ends[0]), "{:?}", found.confidence);
    assert_eq!(found.queries, 4 * (1 + 10 * 33));
    assert!(BlackBoxInversion::new().with_rate(0.0).attack(&client, &toy, &lab()).is_err());
}
