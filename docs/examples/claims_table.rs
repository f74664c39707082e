//! The claims of arXiv 1812.02274 (DP-AuGM and DP-VaeGM), each measured beside its control: model inversion, membership inference, machine learning
//! as a service, federated learning, the GAN attack. Writes `docs/results/claims.md` and, under `docs/results/claims`, the tables with their pictures.
//!
//! `cargo run --example claims_table` takes about a quarter of an hour on two cores (bundled Fashion-MNIST mini). Kept shadow runs are found
//! again (`$FREELUNCH_RUNS`, default: `freelunch-runs` in the temporary folder).
//!
//! Every private row has a twin of the same method without noise: what the twin achieves as well was not bought by differential privacy.

use freelunch::attack::{OnRelease, Outcome};
use freelunch::federated::{ClientData, FederatedMembership, Federation, Partition};
use freelunch::gan_attack::{GanAttack, GanAttackReport, GanAttackTable, with_fake_class};
use freelunch::inversion::{CodeDecoder, InversionQuality, InversionReport, InversionTable, InversionTarget, ModelInversion};
use freelunch::prelude::*;
use freelunch::privacy::DpSgd;
use freelunch::released::{NearestNeighbour, ReconstructionError};
use freelunch::service::{CopyAttack, Defence, MembershipByService, Service};
use freelunch::stats::Rate;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const DELTA: f64 = 1e-5;
const EPSILON: f64 = 3.0;
const RUNS: usize = 16;
const CLIENTS: usize = 4;
/// The class that the GAN attack wants: trousers.
const WANTED: usize = 1;

/// Who holds what.
struct World {
    /// The private records, and as many that were not taken: the pool of the membership game.
    pool: Dataset,
    private: Dataset,
    not_taken: Dataset,
    /// Records of the same kind that anyone may use.
    public: Dataset,
    /// What the judge of pictures learned from.
    outside: Dataset,
    test: Dataset,
    judge: Model,
}

/// How the owner of records trains.
#[derive(Clone)]
enum Release {
    Records(Train),
    Made { method: Method, train: Train },
    Codes(PrivateAutoencoder),
}

#[derive(Clone)]
enum Method {
    Matching(DistributionMatching),
    Vae(PrivateVae),
}

/// One row, with its cells as they are printed.
struct Row {
    name: &'static str,
    release: Release,
    cells: Vec<(&'static str, String)>,
}

fn main() -> Result<()> {
    let runs = std::env::var("FREELUNCH_RUNS").map_or_else(|_| std::env::temp_dir().join("freelunch-runs"), Into::into);
    let (kept, lab) = (Lab::new()?.seed(1).keep(runs)?, Lab::new()?.seed(2).quiet());
    let world = World::new(&lab)?;
    let mut rows = rows(&world)?;
    let mut pictures = (InversionTable::new("Model inversion"), GanAttackTable::new("trousers"));
    for row in &mut rows {
        eprintln!("{}", row.name);
        row.measure(&world, [&kept, &lab], &mut pictures)?;
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results"));
    for (name, saved) in
        [("inversion", pictures.0.save(folder.join("claims/inversion"))), ("gan_attack", pictures.1.save(folder.join("claims/gan_attack")))]
    {
        saved?;
        small(&folder.join("claims").join(name));
    }
    let text = page(&world, &rows)?;
    println!("{text}");
    written(&folder.join("claims.md"), &text)
}

/// Leaves the table and the picture: with every image in it, a vector figure has tens of megabytes.
fn small(folder: &Path) {
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.path().extension().is_some_and(|end| ["html", "json", "svg"].iter().any(|large| end == *large)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

fn written(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|e| Error::config(format!("{} cannot be written: {e}", path.display()), "check the folder"))
}

impl World {
    fn new(lab: &Lab) -> Result<Self> {
        let Split { train, test } = Dataset::fashion_mini()?;
        let shuffled = train.sample(train.len(), lab)?;
        let part = |from: usize, to: usize| shuffled.subset(&(from..to).collect::<Vec<_>>());
        let (pool, public, outside) = (part(0, 2_000)?, part(2_000, 3_000)?.declared_public(), part(3_000, train.len())?);
        let judge = Train::new(Arch::Mlp { hidden: vec![256] }).with_epochs(30).fit(&outside, lab)?;
        Ok(Self { private: part(0, 1_000)?, not_taken: part(1_000, 2_000)?, pool, public, outside, test, judge })
    }
}

fn train() -> Train {
    Train::new(Arch::Mlp { hidden: vec![128] }).with_epochs(40)
}

fn rows(world: &World) -> Result<Vec<Row>> {
    let private_sgd = train().with_batch(100).with_epochs(30).with_privacy(DpSgd::new(1.0)).to_epsilon(EPSILON, DELTA, &world.private)?;
    let vae = PrivateVae::new(100, 1.0).with_epochs(30).with_batch(20).to_epsilon(EPSILON, DELTA, &world.private)?;
    let encoder = PrivateAutoencoder::new(16, 1.0).with_epochs(40).with_batch(100).to_epsilon(EPSILON, DELTA, &world.private)?;
    let made = |method| Release::Made { method, train: train() };
    let condensed = DistributionMatching::small(10).with_init(Init::Noise).with_steps(60);
    let row = |name, release| Row { name, release, cells: vec![] };
    Ok(vec![
        row("records as they are", Release::Records(train())),
        row("DP-SGD", Release::Records(private_sgd)),
        row("condensed by DM from noise", made(Method::Matching(condensed))),
        row("DP-VaeGM", made(Method::Vae(vae.clone()))),
        row("VaeGM without noise", made(Method::Vae(vae.without_privacy()))),
        row("DP-AuGM", Release::Codes(encoder.clone())),
        row("AuGM without noise", Release::Codes(encoder.without_privacy())),
    ])
}

impl Row {
    fn pipeline(&self, world: &World) -> Pipeline {
        let pipeline = match &self.release {
            Release::Records(train) => Pipeline::direct(train.clone()),
            Release::Made { method: Method::Matching(method), train } => Pipeline::through(method.clone(), train.clone()),
            Release::Made { method: Method::Vae(method), train } => Pipeline::through(method.clone(), train.clone()),
            Release::Codes(encoder) => Pipeline::encoded(encoder.clone(), &world.public, train()),
        };
        pipeline.named(self.name)
    }

    fn say(&mut self, column: &'static str, value: String) {
        eprintln!("  {column}: {value}");
        self.cells.push((column, value));
    }

    fn measure(&mut self, world: &World, labs: [&Lab; 2], pictures: &mut (InversionTable, GanAttackTable)) -> Result<()> {
        let [kept, lab] = labs;
        let outcome = self.pipeline(world).run(&world.private, lab)?;
        let epsilon = Recommended::new().epsilon(outcome.event(), DELTA)?;
        self.say("ε", epsilon.to_string());
        self.say("accuracy", percent(outcome.accuracy(&world.test)?));
        self.invert(world, &outcome, lab, &mut pictures.0)?;
        let shadows = self.shadows(world, kept)?;
        self.serve(world, &outcome, &shadows, lab)?;
        self.federate(world, &outcome, lab)?;
        self.generate(world, &outcome, lab, &mut pictures.1)
    }

    /// Pictures from the model, and for a model of codes also with what the paper's attacker left out.
    fn invert(&mut self, world: &World, outcome: &Outcome, lab: &Lab, table: &mut InversionTable) -> Result<()> {
        let attack = ModelInversion::small().with_starts(3).with_prior(&world.public);
        let quality = InversionQuality::new(&world.judge, &world.private).with_control(&world.public);
        let judged = |target: &InversionTarget| quality.judge(&attack.invert(target, lab)?);
        let model = outcome.model();
        let Released::Encoder(encoder) = outcome.released() else {
            let report = judged(&InversionTarget::model(model))?;
            table.add(self.name, &report);
            self.say("inversion", recognised(&report));
            self.say("inversion, adaptive", "the same".into());
            return Ok(());
        };
        let decoder = CodeDecoder::fit(encoder, &world.public, lab)?;
        let naive = judged(&InversionTarget::naive(encoder, model))?;
        let decoded = judged(&InversionTarget::decoded(encoder, model, &decoder))?;
        let through = judged(&InversionTarget::through(encoder, model))?;
        table.add(&format!("{}, decoded", self.name), &decoded);
        table.add(&format!("{}, through the encoder", self.name), &through);
        self.say("inversion", recognised(&naive));
        self.say("inversion, adaptive", format!("decoded {}, through {}", recognised(&decoded), recognised(&through)));
        Ok(())
    }

    fn shadows(&mut self, world: &World, kept: &Lab) -> Result<Signals> {
        let game = Game::new(RUNS).with_test(&world.test);
        let (game, on_release) = match &self.release {
            Release::Records(_) => (game, None),
            Release::Made { .. } => {
                let attack = NearestNeighbour::pixels();
                (game.with_release_attack(attack.clone()), Some(OnRelease::new(&attack.name())))
            }
            Release::Codes(_) => {
                let attack = ReconstructionError::new().with_reference(&world.public);
                (game.with_release_attack(attack.clone()), Some(OnRelease::new(&attack.name())))
            }
        };
        let signals = game.play(&self.pipeline(world), &world.pool, kept)?;
        let roc = LikelihoodRatio::online().roc(&signals)?;
        self.say("membership (LiRA)", format!("AUC {}, TPR at 1 % {}", roc.auc(), percent(roc.tpr_at(0.01).rate)));
        let released =
            on_release.map_or(Ok("is the model".to_string()), |attack| attack.roc(&signals).map(|roc| format!("AUC {}", roc.auc())))?;
        self.say("membership (release)", released);
        Ok(signals)
    }

    /// The model behind a service that tells one decimal.
    fn serve(&mut self, world: &World, outcome: &Outcome, shadows: &Signals, lab: &Lab) -> Result<()> {
        let service = Service::new(outcome, &world.private)?.with_defences(&[Defence::Rounding(1)])?;
        let members: Vec<bool> = (0..world.pool.len()).map(|i| i < world.private.len()).collect();
        let spy = service.client("membership");
        let found = MembershipByService::new(LikelihoodRatio::online()).attack(&spy, shadows, &world.pool, &members, lab)?;
        self.say("service: membership", format!("AUC {} for {} queries", found.roc.auc(), found.queries));
        let copy = CopyAttack::new(train()).attack(&service.client("copy"), &world.public, lab)?;
        let report = copy.compare(&service.look(&world.test)?, &world.test)?;
        self.say(
            "service: copy agrees",
            format!("{} (public labels alone: {})", percent(report.agreement), percent(report.agreement_of_control)),
        );
        Ok(())
    }

    /// What one client of the federation holds, and how it trains.
    fn client(&self, name: &str, records: &Dataset, public: &Dataset, outcome: &Outcome, lab: &Lab) -> Result<ClientData> {
        match (&self.release, outcome.released()) {
            (Release::Made { method: Method::Matching(method), .. }, _) => ClientData::synthesized(name, records, method, lab),
            // A client has fewer records of a class than the owner of all, so the noise is found anew.
            (Release::Made { method: Method::Vae(method), .. }, _) => {
                let smallest = records.per_class().into_iter().filter(|&count| count > 0).min().unwrap_or(1);
                let method = method.clone().with_batch((smallest / 2).max(1));
                let method = if method.privacy.is_some() { method.to_epsilon(EPSILON, DELTA, records)? } else { method };
                ClientData::synthesized(name, records, &method, lab)
            }
            (Release::Codes(_), Released::Encoder(encoder)) => ClientData::encoded(name, public, encoder),
            _ => Ok(ClientData::new(name, records)),
        }
    }

    fn local(&self, rounds: usize, records: &Dataset) -> Result<Train> {
        let recipe = train().with_batch(25);
        let Release::Records(Train { privacy: Some(_), .. }) = &self.release else { return Ok(recipe) };
        let rounds = recipe.clone().with_epochs(rounds).with_privacy(DpSgd::new(1.0)).to_epsilon(EPSILON, DELTA, records)?;
        Ok(Train { privacy: rounds.privacy, ..recipe })
    }

    fn federate(&mut self, world: &World, outcome: &Outcome, lab: &Lab) -> Result<()> {
        const ROUNDS: usize = 20;
        let parts = Partition::iid().split(&world.private, CLIENTS, lab)?;
        let public = Partition::iid().split(&world.public, CLIENTS, lab)?;
        let name = |i: usize| format!("client {i}");
        let clients = (0..CLIENTS).map(|i| self.client(&name(i), &parts[i], &public[i], outcome, lab)).collect::<Result<Vec<_>>>()?;
        let seen = |data: &Dataset| match outcome.released() {
            Released::Encoder(encoder) => encoder.encode(data),
            _ => Ok(data.clone()),
        };
        let federation = Federation::new(self.local(ROUNDS, &parts[0])?, ROUNDS).with_trace();
        let run = federation.run(&clients, lab)?;
        self.say("federated: accuracy", percent(run.model().accuracy(&seen(&world.test)?)?));
        let others = world.not_taken.subset(&(0..parts[0].len()).collect::<Vec<_>>())?;
        let roc = FederatedMembership::participant().roc(&run, 0, &seen(&parts[0])?, &seen(&others)?)?;
        let server = FederatedMembership::server().roc(&run, 0, &seen(&parts[0])?, &seen(&others)?)?;
        self.say("federated: membership", format!("participant AUC {}, server AUC {}", roc.auc(), server.auc()));
        Ok(())
    }

    /// Two participants: one holds all classes, the attacker all but one.
    fn generate(&mut self, world: &World, outcome: &Outcome, lab: &Lab, table: &mut GanAttackTable) -> Result<()> {
        const ROUNDS: usize = 30;
        let halves = Partition::iid().split(&world.public, 2, lab)?;
        let known: Vec<usize> = (0..halves[1].len()).filter(|&i| halves[1].labels()[i] as usize != WANTED).collect();
        let own = halves[1].subset(&known)?;
        let own = match outcome.released() {
            Released::Encoder(encoder) => encoder.encode(&own)?,
            _ => own,
        };
        let held = self.client("victim", &world.private, &halves[0], outcome, lab)?;
        let victim = ClientData::new("victim", &with_fake_class(held.data())?);
        let mut attack = GanAttack::small(WANTED).with_own(&with_fake_class(&own)?);
        let run = Federation::new(self.local(ROUNDS, &world.private)?, ROUNDS).run_with(&[victim], &mut attack, lab)?;
        let mut result = attack.result()?;
        let mut test = world.test.clone();
        if let Released::Encoder(encoder) = outcome.released() {
            let decoder = CodeDecoder::fit(encoder, &world.public, lab)?;
            result = result.decoded(&decoder.decode(result.images(), lab)?)?;
            test = encoder.encode(&test)?;
        }
        let report = result.judge(&world.judge, &world.private, &world.outside, lab)?;
        table.add(self.name, &report, run.model().accuracy(&with_fake_class(&test)?)?);
        self.say("GAN attack", generated(&report));
        Ok(())
    }
}

fn percent(rate: Rate) -> String {
    format!("{:.1} [{:.1}, {:.1}] %", 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high)
}

/// Of how many inverted classes the judge sees what they should be.
fn recognised(report: &InversionReport) -> String {
    report.accuracy().map_or_else(|| "no picture".to_string(), |rate| format!("{} of {}", rate.hits, rate.of))
}

fn generated(report: &GanAttackReport) -> String {
    let distance = report.relative_distance().map_or_else(String::new, |ratio| format!(", distance {ratio:.2}"));
    let chance = report.distances().p_value;
    format!("recognised {}{distance}, p = {chance:.2} that only the class is known", percent(report.recognised()))
}

fn page(world: &World, rows: &[Row]) -> Result<String> {
    let mut text = String::from(include_str!("claims_table.md"));
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    let columns = |row: &Row| row.cells.iter().map(|cell| cell.0.to_string()).collect::<Vec<_>>();
    let heads = rows.first().map(columns).unwrap_or_default();
    line(&mut std::iter::once("what the owner does".to_string()).chain(heads.iter().cloned()));
    line(&mut std::iter::repeat_n("---".to_string(), heads.len() + 1));
    for row in rows {
        line(&mut std::iter::once(row.name.to_string()).chain(row.cells.iter().map(|cell| cell.1.clone())));
    }
    let judge = world.judge.accuracy(&world.test)?;
    let _ = writeln!(text, "\nThe judge of pictures gets {} of test records right.", percent(judge));
    Ok(text)
}
