//! Gradients against central differences, the loss against its closed forms, experts against ordinary training, files against damage.

use super::expert_file::path;
use super::run::in_turn;
use super::student::Student;
use super::*;
use crate::Device as Kind;
use crate::condense::descent::State;
use crate::condense::init::Start;
use crate::nn::{AvgPool, Conv2d, Layer, Linear, Loss, Net};
use crate::train::{Pass, Rows};

fn lab() -> Lab {
    Lab::on(Kind::Cpu).unwrap().seed(3).quiet()
}

/// Small and quick: two experts of three epochs.
fn toy(per_class: usize) -> TrajectoryMatching {
    let small = TrajectoryMatching::small(per_class).with_arch(Arch::Mlp { hidden: vec![16] });
    small.with_step_size(0.004).with_rate(10.0).with_steps(3)
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("freelunch-experts-{name}-{}", std::process::id()))
}

/// A student whose loss is smooth, in a place where all terms of its gradient count.
struct Smooth {
    net: Net,
    matching: TrajectoryMatching,
    state: State,
    shape: [usize; 3],
    from: Vec<Vec<f32>>,
    target: Vec<Vec<f32>>,
}

impl Smooth {
    fn new(layers: Vec<Layer>, augment: Option<Augment>) -> Self {
        let real = Dataset::toy();
        let device = lab().open().unwrap();
        let net = Net::new(layers.clone(), &mut lab().rng("from", 0), &device);
        // Batches of 7 and of the 1 record that is left; 7 are more than one piece.
        let matching = TrajectoryMatching { student_steps: 5, augment, ..toy(2).with_batch(7) };
        let Start { x, labels, started_from } = Init::Real.start(&real, 2, &lab()).unwrap();
        let state = State { x, labels, started_from, ..State::default() };
        let from = net.host_weights().unwrap();
        let other = Net::new(layers, &mut lab().rng("target", 0), &device).host_weights().unwrap();
        let near = |a: &Vec<f32>, b: &Vec<f32>| a.iter().zip(b).map(|(a, b)| a + 0.2 * (b - a)).collect();
        let target = from.iter().zip(&other).map(|(a, b)| near(a, b)).collect();
        Self { net, matching, state, shape: real.shape(), from, target }
    }

    /// Loss, gradient in the records, gradient in the step size; the batches and their augmentation are always the same.
    fn at(&self, x: &[f32], step_size: f64) -> (f64, Vec<f32>, f64) {
        let device = lab().open().unwrap();
        let state = State { x: x.to_vec(), ..self.state.clone() };
        let batches = self.matching.batches(&state, self.shape, &mut lab().rng("batches", 0));
        let labels = &self.state.labels;
        let student = Student { net: self.net.clone(), loss: Loss::CrossEntropy, labels, shape: self.shape, classes: 4, device: &device };
        let (loss, gradient) = student.miss(&batches, x.len(), step_size, &self.from, &self.target).unwrap();
        (loss, gradient.in_x, gradient.in_step_size)
    }
}

fn smooth_cases() -> Vec<(&'static str, Smooth)> {
    let last = |inputs| Layer::Linear(Linear { inputs, outputs: 4 });
    let mlp = vec![Layer::Flatten, Layer::Linear(Linear { inputs: 64, outputs: 6 }), Layer::Tanh, last(6)];
    let conv = Layer::Conv2d(Conv2d { inputs: 1, outputs: 3, kernel: 3, stride: 1, padding: 1 });
    let conv = vec![conv, Layer::Tanh, Layer::AvgPool(AvgPool { size: 2 }), Layer::Flatten, last(48)];
    let each = Augment::dsa().with_pairing(Pairing::Independent);
    vec![("MLP", Smooth::new(mlp, None)), ("convolution, augmented", Smooth::new(conv, Some(each)))]
}

#[test]
fn the_gradient_of_the_whole_trajectory_agrees_with_central_differences() {
    const STEP_SIZE: f64 = 0.4;
    for (name, case) in smooth_cases() {
        let x = case.state.x.clone();
        let (loss, in_x, in_step_size) = case.at(&x, STEP_SIZE);
        assert!(loss > 0.1, "{name}: a student that arrives has no gradient");
        for k in 1..6 {
            // One direction moves all records, the others one each.
            let d = x.len() / case.state.labels.len();
            let moves = |i: usize| k == 1 || i / d == k;
            let along: Vec<f32> = (0..x.len()).map(|i| if moves(i) { ((i * 7919 * k) % 13) as f32 / 6.0 - 1.0 } else { 0.0 }).collect();
            let at = |step: f32| {
                let moved: Vec<f32> = x.iter().zip(&along).map(|(x, a)| x + step * a).collect();
                case.at(&moved, STEP_SIZE).0
            };
            let slope: f64 = in_x.iter().zip(&along).map(|(g, a)| f64::from(*g) * f64::from(*a)).sum();
            let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
            // The weights are f32, so that a loss of about 1 is good to 1e-6 and its difference quotient to 1e-4.
            assert!(difference.abs() > 5e-3, "{name}, direction {k}: nothing to see in {difference}");
            assert!((slope - difference).abs() < 1e-4 + 1e-3 * difference.abs(), "{name}, direction {k}: {slope} against {difference}");
        }
        let difference = (case.at(&x, STEP_SIZE + 1e-2).0 - case.at(&x, STEP_SIZE - 1e-2).0) / 2e-2;
        assert!((in_step_size - difference).abs() < 1e-4 + 1e-3 * difference.abs(), "{name}: {in_step_size} against {difference}");
    }
}

#[test]
fn the_loss_is_1_for_a_student_that_stays_and_0_for_one_that_arrives() {
    for (name, mut case) in smooth_cases() {
        let x = case.state.x.clone();
        // Weights of f32 do not move by so little; sums in f64 leave 1e-15.
        assert!((case.at(&x, 1e-12).0 - 1.0).abs() < 1e-12, "{name}");
        // An expert that made the same five steps on the same records.
        let batches = case.matching.batches(&case.state, case.shape, &mut lab().rng("batches", 0));
        let mut net = case.net.clone();
        for batch in &batches {
            let rows: Vec<u32> = batch.positions.iter().map(|&i| case.state.labels[i]).collect();
            let rows = Rows { x: &batch.x, labels: &rows, soft: None, shape: case.shape, classes: 4 };
            let all: Vec<usize> = (0..rows.labels.len()).collect();
            let pass = Pass { loss: Loss::CrossEntropy, augment: None, rng: lab().rng("unused", 0) };
            let (_, gradients) = rows.gradients(&net, &all, pass, &Kind::Cpu).unwrap();
            Optimizer::Sgd { rate: 0.4, momentum: 0.0, weight_decay: 0.0 }.start().step(&mut net.weights, gradients, 1.0);
        }
        case.target = net.host_weights().unwrap();
        let (loss, in_x, in_step_size) = case.at(&x, 0.4);
        // Sums in another order: 1e-7 of the weights, squared, against steps of about 0.1.
        assert!(loss < 1e-9, "{name}: {loss}");
        assert!(in_x.iter().all(|g| g.abs() < 1e-3) && in_step_size.abs() < 1e-2, "{name}");
    }
}

#[test]
fn every_record_is_used_before_one_is_used_again() {
    let state = State { x: vec![0.0; 10 * 64], labels: vec![0; 10], ..State::default() };
    let matching = TrajectoryMatching { student_steps: 6, ..toy(1).with_batch(4) };
    let positions = |index| -> Vec<Vec<usize>> {
        matching.batches(&state, [1, 8, 8], &mut lab().rng("student", index)).into_iter().map(|batch| batch.positions).collect()
    };
    let batches = positions(0);
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2]);
    for pass in batches.chunks(3) {
        let mut all = pass.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
    assert!(batches[..3] != batches[3..] && batches != positions(1));
}

#[test]
fn experts_take_turns() {
    for pass in 0..4 {
        let mut seen: Vec<usize> = (0..5).map(|i| in_turn(5, 5 * pass + i, &lab())).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
    assert!((0..4).any(|pass| in_turn(5, 5 * pass, &lab()) != in_turn(5, 0, &lab())));
}

#[test]
fn an_expert_is_what_training_makes_after_every_epoch() {
    let real = Dataset::toy();
    let matching = toy(1).with_augment(Augment::dsa());
    let experts = Experts::of_run(&matching, &real, &lab()).unwrap();
    for epochs in 1..=3 {
        let recipe = Train { epochs, ..matching.expert.clone() };
        let model = recipe.fit(&real, &lab().child("expert", 1)).unwrap();
        assert_eq!(experts.weights(1, epochs).unwrap(), model.weights(), "{epochs} epochs");
    }
    assert_ne!(experts.weights(0, 0).unwrap(), experts.weights(1, 0).unwrap());
    let message = experts.weights(2, 0).unwrap_err().to_string();
    assert!(message.contains("expert 2") && message.contains("below 2"), "{message}");
}

#[test]
fn experts_are_kept_read_again_and_only_those_that_are_missing_trained() {
    let (real, folder) = (Dataset::toy(), folder("kept"));
    let train = |matching: &TrajectoryMatching| Experts::train(matching, &real, &folder, &lab()).unwrap();
    let last = |experts: &Experts, expert| experts.weights(expert, 3).unwrap().concat();
    let first = train(&toy(1));
    let weights = [last(&first, 0), last(&first, 1)];
    assert_eq!(last(&Experts::of_run(&toy(1), &real, &lab()).unwrap(), 1), weights[1], "in memory and on disk");
    // Other weights in the first file show that it is read; the second is gone and made again.
    let file = path(&folder, 0);
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&7.0f32.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(path(&folder, 1)).unwrap();
    let again = train(&toy(1).with_experts(3));
    assert_eq!(again.count(), 3);
    assert_eq!(last(&again, 0).last(), Some(&7.0));
    assert_eq!(last(&again, 1), weights[1]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn damaged_and_foreign_experts_are_named_with_a_remedy() {
    let (real, folder) = (Dataset::toy(), folder("damaged"));
    let train = |matching: &TrajectoryMatching, lab: &Lab| Experts::train(matching, &real, &folder, lab);
    let one = toy(1).with_experts(1);
    train(&one, &lab()).unwrap();
    let file = path(&folder, 0);
    let whole = std::fs::read(&file).unwrap();
    for cut in [0, 5, 200, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let error = train(&one, &lab()).unwrap_err();
        assert!(matches!(error, Error::Data { .. }) && error.to_string().contains("delete the file"), "{cut} bytes: {error}");
    }
    Train::new(Arch::mlp()).with_epochs(1).fit(&real, &lab()).unwrap().save(&file).unwrap();
    assert!(train(&one, &lab()).unwrap_err().to_string().contains("not an expert"));
    std::fs::write(&file, &whole).unwrap();
    let error = train(&one, &lab().seed(4)).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }) && error.to_string().contains("seed is 3 in the file, 4 now"), "{error}");
    let mut longer = one.clone();
    longer.expert.epochs = 9;
    let message = train(&longer.with_augment(Augment::dsa()), &lab()).unwrap_err().to_string();
    assert!(message.contains("recipe.epochs is 3 in the file, 9 now") && message.contains("recipe.augment"), "{message}");
    let half = real.subset(&(0..60).collect::<Vec<_>>()).unwrap();
    let message = Experts::train(&one, &half, &folder, &lab()).unwrap_err().to_string();
    assert!(message.contains("data is") && !message.contains("seed"), "{message}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_loss_falls_and_the_step_size_learns_on_toy_data() {
    let matching = toy(2).with_steps(40);
    let made = matching.synthesize_with_step_size(&Dataset::toy(), &lab()).unwrap();
    let trace = &made.synthetic.origin().trace;
    let mean = |part: &[(usize, f64)]| part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64;
    let (early, late) = (mean(&trace[..4]), mean(&trace[trace.len() - 4..]));
    assert!(late < 0.8 * early, "{early} to {late}");
    assert!(made.step_size > 0.0 && made.step_size != matching.step_size, "{}", made.step_size);
}

#[test]
fn the_same_seed_gives_the_same_bytes_from_memory_and_from_a_folder_and_a_kept_run_is_found_again() {
    let (real, folder) = (Dataset::toy(), folder("runs"));
    let matching = toy(1);
    let run = |matching: &TrajectoryMatching, lab: &Lab| matching.synthesize_with_step_size(&real, lab).unwrap();
    let plain = run(&matching, &lab());
    let there = run(&matching.clone().with_experts_in(folder.join("there")), &lab());
    assert_eq!((plain.synthetic.digest(), plain.step_size), (there.synthetic.digest(), there.step_size));
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| run(&matching, &lab())).synthetic.digest(), plain.synthetic.digest());
    assert_ne!(plain.synthetic.digest(), run(&matching, &lab().seed(4)).synthetic.digest());
    let keeping = lab().keep(&folder).unwrap();
    let kept = run(&matching, &keeping);
    assert_eq!(kept.synthetic.digest(), plain.synthetic.digest());
    // A run that is complete asks for no expert.
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("experts-") {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    let found = run(&matching, &keeping);
    assert_eq!((found.synthetic.digest(), found.step_size), (plain.synthetic.digest(), plain.step_size));
    assert!(!std::fs::read_dir(&folder).unwrap().flatten().any(|e| e.file_name().to_string_lossy().starts_with("experts-")));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_time_budget_begins_no_further_expert() {
    let lab = lab().budget_s(1e-6).unwrap();
    assert_eq!(Experts::of_run(&toy(1).with_experts(50), &Dataset::toy(), &lab).unwrap().count(), 1);
}

#[test]
fn the_small_preset_condenses_images_and_tables() {
    let matching = TrajectoryMatching::small(1).with_steps(2).with_step_size(0.004).with_rate(10.0);
    let images = matching.synthesize(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(images.per_class(), vec![1; 4]);
    assert_eq!(images.origin().config, matching.config());
    let table = matching.with_arch(Arch::mlp()).synthesize(&Dataset::toy_table(), &lab()).unwrap();
    assert_eq!(table.schema(), Dataset::toy_table().schema());
}

#[test]
fn parameters_out_of_range_are_named() {
    let message = |matching: TrajectoryMatching| matching.synthesize(&Dataset::toy(), &lab()).unwrap_err().to_string();
    assert!(message(toy(1).with_rate(-1.0)).contains("rate is -1"));
    assert!(message(toy(1).with_batch(0)).contains("batch is 0"));
    assert!(message(toy(1).with_experts(0)).contains("experts is 0"));
    assert!(message(toy(0)).contains("per_class is 0"));
    let few = message(TrajectoryMatching { latest_start: 3, ..toy(1) });
    assert!(few.contains("expert.epochs is 3") && few.contains("= 4"), "{few}");
    let mut cosine = toy(1);
    cosine.expert.schedule = Schedule::Cosine;
    assert!(message(cosine).contains("schedule is Cosine"));
    let table = TrajectoryMatching::new(1).with_arch(Arch::mlp()).synthesize(&Dataset::toy_table(), &lab()).unwrap_err().to_string();
    assert!(table.contains("table"), "{table}");
}

#[test]
fn a_student_that_is_thrown_off_is_an_error_that_tells_its_step_size() {
    let error = toy(1).with_step_size(1e6).synthesize(&Dataset::toy(), &lab()).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }) && error.to_string().contains("steps of 1000000"), "{error}");
}

#[test]
fn the_rate_of_the_step_size_goes_with_its_square() {
    let changed = TrajectoryMatching::new(1).with_step_size(0.02);
    assert!((changed.step_size_rate - 4e-5).abs() < 1e-15);
}
