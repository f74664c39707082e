use super::*;
use crate::Device;
use crate::display::Show;
use crate::generate::{NoisyGroupMeans, PrivateAutoencoder, PrivateVae};
use crate::nn::{Arch, Optimizer};
use crate::privacy::{DpSgd, Event, Ledger};
use crate::train::Schedule;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(4).quiet()
}

fn plain() -> Train {
    let optimizer = Optimizer::Sgd { rate: 0.2, momentum: 0.0, weight_decay: 1e-3 };
    Train::new(Arch::Mlp { hidden: vec![12] }).with_batch(10).with_optimizer(optimizer).with_schedule(Schedule::Constant)
}

fn clients(partition: Partition, count: usize) -> Vec<ClientData> {
    ClientData::each(&partition.split(&Dataset::toy(), count, &lab()).unwrap())
}

/// The largest distance between two weights.
fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn fed_sgd_with_all_clients_is_gradient_descent_in_one_place() {
    // 7 clients of 17 or 18 records of few classes: only the right weights make one gradient of theirs.
    let federation = Federation::new(plain(), 6).fed_sgd();
    let run = federation.run(&clients(Partition::shards(2), 7), &lab()).unwrap();
    let reference = federation.centralised(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(reference.history().len(), 6);
    // Rounding of sums in another order.
    assert!(distance(run.model().weights(), reference.weights()) < 1e-5);
    let equal = federation.with_weighting(Weighting::Equal).run(&clients(Partition::shards(2), 7), &lab()).unwrap();
    assert!(distance(equal.model().weights(), reference.weights()) > 1e-5);
}

#[test]
fn fed_avg_of_one_client_is_local_training() {
    let (data, all) = (Dataset::toy(), Dataset::toy().len());
    // Batches of all records, so that their order is only rounding; no momentum, which rounds would reset.
    let recipe = plain().with_batch(all);
    let run = Federation::new(recipe.clone(), 2).fed_avg(3).run(&ClientData::each(std::slice::from_ref(&data)), &lab()).unwrap();
    let reference = recipe.with_epochs(6).fit(&data, &lab()).unwrap();
    assert!(distance(run.model().weights(), reference.weights()) < 1e-5);
}

#[test]
fn the_average_is_its_closed_form_over_those_who_answered() {
    let parts = Partition::iid().split(&Dataset::toy(), 5, &lab()).unwrap();
    let sizes = [24, 5, 11, 24, 2];
    let parts: Vec<Dataset> = parts.iter().zip(sizes).map(|(part, n)| part.subset(&(0..n).collect::<Vec<_>>()).unwrap()).collect();
    let federation = Federation::new(plain(), 6).fed_avg(2).with_dropout(0.5).with_server_rate(0.7).with_fraction(0.8).with_trace();
    let run = federation.run(&ClientData::each(&parts), &lab()).unwrap();
    assert!(run.rounds().iter().any(|round| !round.vanished.is_empty()));
    for (i, round) in run.rounds().iter().enumerate() {
        assert_eq!(round.answered.len() + round.vanished.len(), 4);
        let total: f64 = round.answered.iter().map(|&client| sizes[client] as f64).sum();
        let (before, after) = (run.globals()[i].weights(), run.globals()[i + 1].weights());
        for (at, (w, new)) in before.iter().flatten().zip(after.iter().flatten()).enumerate() {
            let sent = |client: usize| f64::from(*run.sent(i, client).unwrap().weights().iter().flatten().nth(at).unwrap());
            let mean: f64 = round.answered.iter().map(|&client| sizes[client] as f64 / total * sent(client)).sum();
            let expected = if round.answered.is_empty() { f64::from(*w) } else { 0.3 * f64::from(*w) + 0.7 * mean };
            // One rounding to 32 bits of numbers below 2.
            assert!((f64::from(*new) - expected).abs() < 2e-7, "{i} {at}");
        }
        assert!(round.vanished.iter().all(|&client| run.sent(i, client).is_none()));
    }
}

#[test]
fn a_round_that_nobody_answers_leaves_the_model_and_goes_on() {
    let federation = Federation::new(plain(), 8).with_dropout(0.9).with_trace();
    let run = federation.run(&clients(Partition::iid(), 2), &lab()).unwrap();
    let empty = run.rounds().iter().position(|round| round.answered.is_empty()).unwrap();
    assert_eq!(run.globals()[empty].weights(), run.globals()[empty + 1].weights());
    assert_eq!(run.rounds()[empty].training_loss, None);
    assert!(run.figure().to_text().contains("skipped"));
}

#[test]
fn client_level_privacy_has_the_event_of_its_rounds_and_lists_nobody() {
    let privacy = ClientPrivacy::new(0.5, 1.5);
    let federation = Federation::new(plain(), 9).with_fraction(0.3).with_client_privacy(privacy).with_test(&Dataset::toy());
    let clients = clients(Partition::iid(), 10);
    let run = federation.run(&clients, &lab()).unwrap();
    let expected = Event::gaussian(1.5).unwrap().poisson(0.3).unwrap().repeat(9);
    assert_eq!((run.event(), run.model().event(), &federation.event(&clients).unwrap()), (&expected, &expected, &expected));
    assert!(run.rounds().iter().all(|round| round.answered.is_empty() && round.vanished.is_empty() && round.training_loss.is_none()));
    let text = run.figure().to_text();
    assert!(text.contains("one client") && !text.contains("skipped"), "{text}");
    let message = Federation::new(plain().with_privacy(DpSgd::new(1.0)), 2).with_client_privacy(privacy).run(&clients, &lab());
    assert!(message.unwrap_err().to_string().contains("choose one"));
}

#[test]
fn without_noise_to_speak_of_a_client_moves_the_model_by_its_clipped_update_over_the_expected_number() {
    let clip = 0.05;
    let federation = Federation::new(plain(), 1).fed_avg(5).with_client_privacy(ClientPrivacy::new(clip, 1e-9)).with_trace();
    let length = |a: &Model, b: &Model| {
        a.weights().iter().flatten().zip(b.weights().iter().flatten()).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let run = federation.run(&clients(Partition::iid(), 1), &lab()).unwrap();
    let (before, after) = (&run.globals()[0], &run.globals()[1]);
    assert!(length(run.sent(0, 0).unwrap(), before) > 10.0 * clip);
    // Rounding of some 800 weights of about 0.3 to 32 bits.
    assert!((length(after, before) - clip).abs() < 1e-5);
    // With dropout 0.5 the expected number of answers is a half: the step doubles in the rounds that are answered.
    let half = Federation { rounds: 6, ..federation.with_dropout(0.5) }.run(&clients(Partition::iid(), 1), &lab()).unwrap();
    for (i, pair) in half.globals().windows(2).enumerate() {
        let expected = if half.sent(i, 0).is_some() { 2.0 * clip } else { 0.0 };
        assert!((length(&pair[1], &pair[0]) - expected).abs() < 1e-5, "{i}");
    }
}

#[test]
fn record_level_privacy_composes_the_steps_of_all_rounds_and_the_ledger_has_them() {
    let path = std::env::temp_dir().join(format!("freelunch-federation-{}.json", std::process::id()));
    std::fs::remove_file(&path).ok();
    Ledger::open(&path, 1000.0, 1e-3).unwrap();
    let lab = lab().with_ledger(&path).unwrap();
    let clients = clients(Partition::iid(), 4);
    let federation = Federation::new(plain().with_privacy(DpSgd::new(2.0)), 5).fed_avg(2);
    let run = federation.run(&clients, &lab).unwrap();
    // 30 records in samples of 10: 3 steps an epoch, 2 epochs, 5 rounds.
    assert_eq!(run.event(), &Event::gaussian(2.0).unwrap().poisson(1.0 / 3.0).unwrap().repeat(30));
    assert!(run.rounds().iter().all(|round| round.training_loss.is_none()));
    assert_eq!(&Ledger::read(&path).unwrap().event(), run.event());
    // With dropout fewer steps are made than planned, client by client.
    let fewer = federation.clone().with_dropout(0.5).run(&clients, &lab).unwrap();
    assert!(fewer.event().releases() < 30 || matches!(fewer.event(), Event::Parallel { .. }), "{}", fewer.event());
    assert_eq!(Ledger::read(&path).unwrap().entries()[1].event, *fewer.event());
    // What has no ε is refused.
    assert!(Federation::new(plain(), 1).run(&clients, &lab).unwrap_err().to_string().contains("∞"));
    let one_step = Federation::new(plain().with_privacy(DpSgd::new(2.0)), 3).fed_sgd();
    assert_eq!(one_step.event(&clients).unwrap(), Event::gaussian(2.0).unwrap().repeat(3));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn two_rounds_and_two_clients_never_share_noise() {
    // Clipped to almost nothing, so that a step is noise alone.
    let recipe = plain().with_batch(30).with_privacy(DpSgd::new(1e4).with_clip(1e-6));
    let run = Federation::new(recipe, 2).with_trace().run(&clients(Partition::iid(), 4), &lab()).unwrap();
    let mut updates: Vec<Vec<f32>> = vec![];
    for round in 0..2 {
        for client in 0..4 {
            let (before, after) = (run.globals()[round].weights(), run.sent(round, client).unwrap().weights());
            updates.push(before.iter().flatten().zip(after.iter().flatten()).map(|(a, b)| b - a).collect());
        }
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    for (i, a) in updates.iter().enumerate() {
        for b in &updates[..i] {
            // Of some 830 independent values: deviation 0.035, and 28 pairs.
            let correlation = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!(correlation.abs() < 0.2, "{correlation}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let federation = Federation::new(plain(), 3).fed_avg(2).with_fraction(0.6).with_dropout(0.2).with_test(&Dataset::toy());
    let private = Federation::new(plain().with_privacy(DpSgd::new(1.0)), 2);
    for federation in [federation.clone(), federation.with_client_privacy(ClientPrivacy::new(1.0, 0.5)), private] {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| federation.run(&clients(Partition::dirichlet(1.0), 5), &lab()).unwrap())
        };
        let (one, many) = (with(1), with(5));
        assert_eq!((one.model().weights(), one.rounds()), (many.model().weights(), many.rounds()));
    }
}

#[test]
fn clients_may_hold_synthetic_sets_and_codes_and_their_events_stay() {
    let (lab, toy) = (lab(), Dataset::toy());
    let parts = Partition::iid().split(&toy, 2, &lab).unwrap();
    let small = NoisyGroupMeans::new(2, 1.0).with_batch(5);
    let vae = PrivateVae::new(5, 1.0).with_epochs(1).with_batch(5);
    let methods: [&dyn crate::synthesize::Synthesize; 2] = [&small, &vae];
    let held: Vec<ClientData> =
        methods.iter().zip(&parts).map(|(method, part)| ClientData::synthesized("x", part, *method, &lab).unwrap()).collect();
    let run = Federation::new(plain(), 2).run(&held, &lab).unwrap();
    assert_eq!(run.event(), &Event::parallel(vec![held[0].event().clone(), held[1].event().clone()]));
    assert!(!run.event().is_non_private() && run.figure().to_text().contains("DP-VaeGM"));
    let encoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(15).fit(&toy, &lab).unwrap();
    let public = toy.clone().declared_public();
    let codes: Vec<ClientData> = (0..2).map(|_| ClientData::encoded("y", &public, &encoder).unwrap()).collect();
    let run = Federation::new(plain(), 2).run(&codes, &lab).unwrap();
    assert_eq!((run.event(), run.model().accuracy(codes[0].data()).unwrap().of), (encoder.event(), 120));
    let message = Federation::new(plain(), 2).run(&[held[0].clone(), codes[0].clone()], &lab).unwrap_err().to_string();
    assert!(message.contains("same shape"), "{message}");
}

#[derive(Debug)]
struct Spy {
    data: Dataset,
    seen: Vec<(usize, Vec<Vec<f32>>)>,
}

impl Participant for Spy {
    fn name(&self) -> String {
        "a spy".into()
    }

    fn local_data(&mut self, round: usize, global: &Model, _lab: &Lab) -> Result<Dataset> {
        self.seen.push((round, global.weights().to_vec()));
        Ok(self.data.clone())
    }

    fn observe(&mut self, round: usize, global: &Model, _lab: &Lab) -> Result<()> {
        self.seen.push((round, global.weights().to_vec()));
        Ok(())
    }
}

#[test]
fn a_participant_sees_the_model_before_and_after_every_round_and_counts_as_one_more_client() {
    let all = clients(Partition::iid(), 3);
    let mut spy = Spy { data: all[2].data().clone(), seen: vec![] };
    let federation = Federation::new(plain(), 3).with_trace();
    let run = federation.run_with(&all[..2], &mut spy, &lab()).unwrap();
    assert_eq!(run.rounds()[0].answered, [0, 1, 2]);
    let expected = (0..3).flat_map(|r| [(r, run.globals()[r].weights().to_vec()), (r, run.globals()[r + 1].weights().to_vec())]);
    assert_eq!(spy.seen, expected.collect::<Vec<_>>());
    assert_eq!(run.model().weights(), federation.run(&all, &lab()).unwrap().model().weights());
    let mut honest = Honest::new("honest", all[2].data());
    assert_eq!(run.model().weights(), federation.run_with(&all[..2], &mut honest, &lab()).unwrap().model().weights());
    let mut stranger = Honest::new("stranger", &Dataset::toy_table());
    assert!(federation.run_with(&all, &mut stranger, &lab()).is_err());
}

#[test]
fn an_overfitted_victim_is_found_by_the_server_and_noise_hides_it() {
    let data = Dataset::digits().unwrap().train;
    let halves = data.members(200, &lab()).unwrap();
    let parts = Partition::iid().split(&halves.members, 4, &lab()).unwrap();
    let recipe = Train::new(Arch::Mlp { hidden: vec![64] }).with_batch(10);
    let run = Federation::new(recipe.clone(), 5).fed_avg(10).with_trace().run(&ClientData::each(&parts), &lab()).unwrap();
    let auc = |attack: FederatedMembership| attack.roc(&run, 1, &parts[1], &halves.non_members).unwrap().auc().value;
    let (server, participant) = (auc(FederatedMembership::server()), auc(FederatedMembership::participant()));
    assert!(server > 0.7 && participant > 0.5 && server > participant, "{server} {participant}");
    for statistic in [Statistic::LastLoss, Statistic::Fall, Statistic::GradientNorm] {
        let found = auc(FederatedMembership::server().with_statistic(statistic));
        assert!(found > 0.55, "{statistic:?} {found}");
    }
    let noisy = recipe.with_privacy(DpSgd::new(20.0));
    let run = Federation::new(noisy, 2).with_trace().run(&ClientData::each(&parts), &lab()).unwrap();
    let roc = FederatedMembership::server().roc(&run, 1, &parts[1], &halves.non_members).unwrap();
    // Deviation of an AUC of 50 against 200: about 0.046; three of them.
    assert!((roc.auc().value - 0.5).abs() < 0.14, "{:?}", roc.auc());
    let points = FederatedMembership::server().trajectory(&run, 1, &parts[1]).unwrap();
    assert_eq!(points.iter().map(|point| point.0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn attacks_say_what_they_lack() {
    let (all, toy) = (clients(Partition::iid(), 3), Dataset::toy());
    let attack = FederatedMembership::server();
    let untraced = Federation::new(plain(), 1).run(&all, &lab()).unwrap();
    assert!(attack.scores(&untraced, 0, &toy).unwrap_err().to_string().contains("with_trace"));
    let run = Federation::new(plain(), 1).with_fraction(0.4).with_trace().run(&all, &lab()).unwrap();
    assert!(attack.scores(&run, 3, &toy).unwrap_err().to_string().contains("there are 3"));
    let absent = (0..3).find(|client| !run.rounds()[0].answered.contains(client)).unwrap();
    assert!(attack.scores(&run, absent, &toy).unwrap_err().to_string().contains("none of 1 rounds"));
    assert!(attack.scores(&run, run.rounds()[0].answered[0], &Dataset::toy_table()).is_err());
}

#[test]
fn the_game_gives_signals_with_balanced_members() {
    let federation = Federation::new(plain(), 2).fed_avg(3);
    let signals = FederatedGame::new(4, 3).play(&federation, &Partition::iid(), &Dataset::toy(), &lab()).unwrap();
    assert_eq!((signals.models(), signals.len(), signals.manifest().event.clone()), (4, 120, Event::NonPrivate));
    for record in 0..120 {
        assert_eq!((0..4).filter(|&m| signals.members_of(m).unwrap()[record]).count(), 2);
    }
    assert!(FederatedGame::new(3, 3).play(&federation, &Partition::iid(), &Dataset::toy(), &lab()).is_err());
}

#[test]
fn the_table_sets_federations_beside_one_place() {
    let (toy, lab) = (Dataset::toy(), lab());
    let federation = Federation::new(plain(), 4).fed_avg(2).with_test(&toy).with_trace();
    let mut table = FederationTable::new("toy", &toy);
    assert!(table.figure().to_text().contains("no run yet"));
    let all = clients(Partition::shards(1), 4);
    let run = federation.run(&all, &lab).unwrap();
    let half = toy.subset(&(0..60).collect::<Vec<_>>()).unwrap();
    let roc = FederatedMembership::participant().roc(&run, 0, all[0].data(), &half).unwrap();
    table.add_attacked("shards", &run, &roc).unwrap();
    table.add_reference("in one place", &federation.centralised(&toy, &lab).unwrap()).unwrap();
    let frame = table.frame();
    assert_eq!((frame.height(), table.rows()[1].rounds, table.rows()[1].curve.len()), (2, 8, 8));
    let text = table.figure().to_text();
    for part in ["shards", "in one place", "one record", "participant, mean loss", "Clopper-Pearson"] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    let folder = std::env::temp_dir().join(format!("freelunch-federations-{}", std::process::id()));
    table.save(&folder).unwrap();
    run.save(&folder).unwrap();
    for file in ["federations.csv", "federations.json", "federation.json", "federation.png", "federation.safetensors"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    assert_eq!(Model::load(folder.join("federation.safetensors")).unwrap().weights(), run.model().weights());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_work_is_refused_with_its_value() {
    let all = clients(Partition::iid(), 3);
    let message = |federation: Federation| federation.run(&all, &lab()).unwrap_err().to_string();
    let sound = || Federation::new(plain(), 1);
    for (wrong, expected) in [
        (Federation::new(plain(), 0), "rounds is 0"),
        (sound().fed_avg(0), "local epochs is 0"),
        (sound().with_fraction(0.0), "fraction is 0"),
        (sound().with_fraction(1.1), "fraction is 1.1"),
        (sound().with_dropout(1.0), "dropout is 1"),
        (sound().with_server_rate(f64::NAN), "server_rate is NaN"),
        (sound().with_client_privacy(ClientPrivacy::new(0.0, 1.0)), "clip is 0"),
        (sound().with_client_privacy(ClientPrivacy::new(1.0, 0.0)), "noise is 0"),
        (sound().with_test(&Dataset::toy_table()), "same shape"),
        (Federation::new(plain().with_batch(41).with_privacy(DpSgd::new(1.0)), 1), "client 0 has 40 records for a batch of 41"),
        (Federation::new(plain().with_optimizer(Optimizer::sgd(1e30)), 3), "lower the learning rate"),
    ] {
        let message = message(wrong);
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    }
    assert!(sound().run(&[], &lab()).unwrap_err().to_string().contains("0 clients"));
}

#[test]
fn a_time_budget_ends_a_run_between_rounds() {
    let lab = lab().budget_s(1e-3).unwrap();
    let run = Federation::new(plain(), 500).run(&clients(Partition::iid(), 3), &lab).unwrap();
    assert!(!run.rounds().is_empty() && run.rounds().len() < 500);
}

#[test]
#[ignore = "a measurement"]
fn ten_clients_on_digits() {
    let split = Dataset::digits().unwrap();
    for partition in [Partition::iid(), Partition::shards(2), Partition::dirichlet(0.5)] {
        let clients = ClientData::each(&partition.split(&split.train, 10, &lab()).unwrap());
        let start = std::time::Instant::now();
        let run =
            Federation::new(Train::new(Arch::mlp()).with_batch(10), 20).fed_avg(1).with_test(&split.test).run(&clients, &lab()).unwrap();
        println!("{}: {} in {:?}", partition.name(), run.rounds()[19].test_accuracy.unwrap(), start.elapsed());
    }
}
