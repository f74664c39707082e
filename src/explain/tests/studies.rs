//! Results that need a model, an attack or a study to be made.

use super::*;
use crate::Dataset;
use crate::attack::{Game, LossThreshold, Pipeline};
use crate::condense::linear_matching::{influence_by_size, reconstruct_each};
use crate::condense::{Herding, Init, LinearMatching, RandomSubset};
use crate::data::Split;
use crate::federated::{ClientData, ClientPrivacy, Federation, FederationTable, Partition, Shares};
use crate::gan_attack::{GanAttack, GanAttackTable};
use crate::generate::{EncoderControls, PrivateAutoencoder};
use crate::gradient_leakage::{ClientUpdate, GradientLeakage, LeakageByNoise, sigmoid_mlp, untrained};
use crate::inversion::{InversionQuality, InversionTable, InversionTarget, ModelInversion};
use crate::leakage::{Leakage, LeakageSummary, Metric};
use crate::nn::Arch;
use crate::quality::Quality;
use crate::released::Released;
use crate::service::{Answers, BlackBoxInversion, CopyAttack, Defence, DefenceStudy, MembershipByService, Service};
use crate::synthesize::Synthesize;
use crate::train::Train;

#[test]
fn what_a_release_shows_is_explained_by_its_own_numbers() {
    let lab = lab();
    let halves = Dataset::toy().members(40, &lab).unwrap();
    let (real, others) = (&halves.members, &halves.non_members);
    let copies = RandomSubset::new(5).synthesize(real, &lab).unwrap();
    let report = Leakage::new(Metric::L2).with_holdout(others).measure(&copies, real, &lab).unwrap();
    check(&report, "100 % (20 of 20)");
    let mut summary = LeakageSummary::new("toy");
    check(&summary, "0 searches");
    summary.add("copies", &report);
    check(&summary, "The most re-identified is \"copies\" (100 %)");
    let noise = LinearMatching::new(2).with_init(Init::Noise).synthesize(real, &lab).unwrap();
    let blind = Leakage::new(Metric::L2).measure(&noise, real, &lab).unwrap();
    check(&blind, "None of them is known");
    summary.add("a name that is far too long to be read on any slide at all", &blind);
    check(&summary, "Of 2 searches");
    check(&Released::from(copies).attack_all(&halves, None, &lab).unwrap(), "20 of 40");
}

#[test]
fn the_linear_case_is_explained_by_its_own_numbers() {
    let (lab, toy) = (lab(), Dataset::toy());
    let method = LinearMatching::new(1).with_init(Init::Noise);
    check(&method.convergence(&toy, 16, &[0, 10], &lab).unwrap(), "after 10");
    check(&influence_by_size(&toy, 0, &[3, 30], &lab).unwrap(), "among 30");
    let released = method.synthesize(&toy, &lab).unwrap();
    let found = reconstruct_each(&released, &toy, &[7, 8]).unwrap();
    check(&found, &number(found.errors()[0].max(found.errors()[1])));
}

#[test]
fn studies_of_accuracy_are_explained_by_their_own_numbers() {
    let (lab, toy) = (lab(), Dataset::toy());
    let split = Split { train: toy.clone(), test: toy.clone() };
    let quality = Quality::new(&[Arch::Logistic]).with_networks(2).with_epochs(2).of(Herding::new(1));
    check(&quality.measure(&split, &lab).unwrap(), "As many random real records: ");
    let public = Split { train: toy.clone().declared_public(), test: toy.clone() };
    let autoencoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(30);
    let controls = EncoderControls::new(autoencoder, Train::new(Arch::Logistic).with_epochs(2)).with_sizes(&[40]).with_seeds(2);
    check(&controls.measure(&toy, &public, &lab).unwrap(), "With 40 public records");
}

#[test]
fn inversions_are_explained_by_their_own_numbers() {
    let lab = lab();
    let halves = Dataset::toy().members(60, &lab).unwrap();
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let (model, evaluator) = (train.fit(&halves.members, &lab).unwrap(), train.fit(&halves.non_members, &lab).unwrap());
    let inversion = ModelInversion::small().invert(&InversionTarget::model(&model), &lab).unwrap();
    check(&inversion, "For 4 classes");
    let report = InversionQuality::new(&evaluator, &halves.members).with_control(&halves.non_members).judge(&inversion).unwrap();
    check(&report, "of 4)");
    check(&inversion.judge(&evaluator, &halves.members).unwrap(), "No public control");
    let mut table = InversionTable::new("toy");
    check(&table, "0 inversions");
    table.add("raw", &report);
    check(&table, "best recognised is \"raw\"");
    let mallory = Service::new(&model, &halves.members).unwrap().client("mallory");
    check(&BlackBoxInversion::new().with_steps(2).with_directions(5).attack(&mallory, &halves.members, &lab).unwrap(), "With 92 queries");
}

#[test]
fn gan_attacks_are_explained_by_their_own_numbers() {
    let lab = lab();
    let halves = Dataset::toy().members(50, &lab).unwrap();
    let (victim, others) = (&halves.members, &halves.non_members);
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let evaluator = train.fit(others, &lab).unwrap();
    let own = others.subset(&others.of_class(0)).unwrap();
    let result = GanAttack::small(3).with_own(&own).invert(&train.fit(victim, &lab).unwrap(), 2, &lab).unwrap();
    check(&result, "After 2 rounds");
    let report = result.judge(&evaluator, victim, others, &lab).unwrap();
    check(&report, &format!("p = {}", number(report.distances().p_value)));
    let mut table = GanAttackTable::new("toy");
    check(&table, "0 rows");
    table.add("nothing", &report, evaluator.accuracy(victim).unwrap());
    check(&table, "those of \"nothing\"");
}

#[test]
fn gradient_leakage_is_explained_by_its_own_numbers() {
    let lab = lab();
    let halves = Dataset::toy().members(50, &lab).unwrap();
    let (client, public) = (&halves.members, &halves.non_members);
    let model = untrained(sigmoid_mlp(&[16], client), client, &lab).unwrap();
    let batch = client.subset(&[7, 10]).unwrap();
    let update = ClientUpdate::gradient(&model, &batch, &lab).unwrap();
    let attack = GradientLeakage::idlg().with_iterations(5);
    let recovered = attack.clone().attack(&model, &update, &lab).unwrap();
    check(&recovered, "2 records");
    check(&recovered.judge(&batch).unwrap(), "no public control");
    let score = recovered.judge_with_control(&batch, public).unwrap();
    check(&score, &format!("{} dB PSNR", number(score.psnr())));
    let sweep = LeakageByNoise::new(attack).with_batches(2).with_noises(&[1.0]);
    check(&sweep.measure(&model, client, None, public, &lab).unwrap(), "for one release");
}

#[test]
fn federations_are_explained_by_their_own_numbers() {
    let (lab, toy) = (lab(), Dataset::toy());
    let parts = Partition::iid().split(&toy, 3, &lab).unwrap();
    check(&Shares::of(&parts), "3 clients with 40 to 40 records");
    check(&Shares::of(&[]), "0 clients");
    let clients = ClientData::each(&parts);
    let federation = Federation::new(Train::new(Arch::Logistic).with_batch(10), 2).with_test(&toy);
    let run = federation.run(&clients, &lab).unwrap();
    check(&run, "3 clients trained one model in 2 rounds");
    let mut table = FederationTable::new("toy", &toy);
    check(&table, "0 rows");
    table.add("plain", &run).unwrap();
    check(&table, "No row was attacked");
    table.add_attacked("attacked", &run, &roc(100.0)).unwrap();
    check(&table, &number(roc(100.0).auc().value));
    let by_client = federation.with_client_privacy(ClientPrivacy::new(0.5, 1.0)).run(&clients, &lab).unwrap();
    check(&by_client, "Promise for a whole client: ε ");
}

#[test]
fn services_are_explained_by_their_own_numbers() {
    let (lab, toy) = (lab(), Dataset::toy());
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let shadows = Game::new(4).play(&Pipeline::direct(train.clone()), &toy, &lab).unwrap();
    let members: Vec<bool> = (0..toy.len()).map(|i| i < 60).collect();
    let target = train.fit(&toy.subset(&(0..60).collect::<Vec<_>>()).unwrap(), &lab).unwrap();
    let service = Service::new(&target, &toy).unwrap();
    check(&service.log(), "0 requests by 0 clients");
    let attack = MembershipByService::new(LossThreshold::new());
    check(&attack.attack(&service.client("mallory"), &shadows, &toy, &members, &lab).unwrap(), "With 120 queries");
    check(&Answers::new(vec![0.75, 0.25, 0.0, 1.0], vec![0, 1]).unwrap(), "2 records answered over 2 classes; 1 with a probability");
    check(&service.log(), "1 request by 1 client: 1 answered, 0 refused; most by mallory: 120 queries");
    let guarded = Service::new(&target, &toy).unwrap().with_defences(&[Defence::LabelOnly]).unwrap();
    let naive = attack.naive().attack(&guarded.client("mallory"), &shadows, &toy, &members, &lab).unwrap();
    assert!(naive.explain().does_not_mean().contains("ignores the defences"));
    check(&naive, "1 defence");
    let study = DefenceStudy::of(&[vec![], vec![Defence::LabelOnly]]).with_attack(LossThreshold::new());
    check(&study.run(&service, &shadows, &toy, &members, &toy, &lab).unwrap(), "2 rows");
    let stolen = CopyAttack::new(train).attack(&service.client("eve"), &toy, &lab).unwrap();
    check(&stolen.compare(&service.look(&toy).unwrap(), &toy).unwrap(), "After 120 queries");
}
