use super::*;
use crate::attack::{Game, Pipeline};
use crate::condense::{DistributionMatching, Herding};
use crate::data::Split;
use crate::nn::Arch;
use crate::quality::Quality;
use crate::synthesize::Synthesize;
use crate::train::Train;
use crate::{Dataset, Device};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::sleep;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().quiet()
}

fn folder(of: &str) -> PathBuf {
    std::env::temp_dir().join(format!("freelunch-job-{of}-{}", std::process::id()))
}

/// Until it is true; a test that would wait for ever fails instead.
fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} never came");
        sleep(Duration::from_millis(1));
    }
}

/// A condensation with short steps.
fn matching(steps: usize) -> DistributionMatching {
    DistributionMatching::new(1).with_arch(Arch::Mlp { hidden: vec![8] }).with_batch(8).with_steps(steps)
}

/// A loop as the library's: some steps that sleep, with a deadline.
fn steps(lab: &Lab, total: usize, made: &AtomicUsize) -> usize {
    let (deadline, mut progress) = (lab.deadline(), lab.progress("sleeping", total));
    for step in 0..total {
        sleep(Duration::from_millis(2));
        made.store(step + 1, Ordering::SeqCst);
        progress.step(step + 1, &format!("loss {}", 1.0 / (step + 1) as f64));
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return step + 1;
        }
    }
    total
}

#[test]
fn a_cancel_ends_a_loop_within_two_steps_with_what_it_has() {
    let made = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&made);
    let job = lab().start("long", move |lab| Ok(steps(lab, 1_000_000, &theirs))).unwrap();
    until("a step", || made.load(Ordering::SeqCst) > 3);
    assert!(!job.done() && job.result().is_none() && job.state() == JobState::Running);
    // Read after the request, so that no step can hide between the two.
    job.cancel();
    let at = made.load(Ordering::SeqCst);
    let last = job.wait().unwrap();
    assert!(last <= at + 2, "{at} {last}");
    assert_eq!(job.state(), JobState::Cancelled);
    assert_eq!(job.clone().wait().unwrap(), last);
    let text = job.bundle().text;
    assert!(text.contains("cancelled") && text.contains("the result is what there was"), "{text}");
}

#[test]
fn a_snapshot_of_a_running_job_says_how_far_it_is() {
    let (go, wait) = channel::<()>();
    let (reached, at_half) = channel::<()>();
    let job = lab().start("half way", move |lab| {
        let mut progress = lab.progress("halving", 4);
        (1..=2).for_each(|step| progress.step(step, &format!("loss 0.{step}")));
        let mut part = lab.child("part", 0).progress("a part", 10);
        part.step(1, "");
        reached.send(()).ok();
        wait.recv().ok();
        Ok(())
    });
    let job = job.unwrap();
    at_half.recv().unwrap();
    let snapshot = job.snapshot();
    assert_eq!((snapshot.state(), snapshot.fraction()), (JobState::Running, 0.5));
    assert_eq!(snapshot.losses(), [(1.0, 0.1), (2.0, 0.2)]);
    assert_eq!(snapshot.rows().iter().map(|task| (task.what.as_str(), task.done)).collect::<Vec<_>>(), [("halving", 2), ("a part", 1)]);
    assert_eq!(snapshot.frame().unwrap().shape(), (2, 5));
    let bundle = job.bundle();
    assert!(bundle.text.contains("[####################--------------------]"), "{}", bundle.text);
    assert!(bundle.html.contains("halving 2/4 (50 %)") && bundle.html.contains("image/svg+xml") && !bundle.png.is_empty());
    go.send(()).unwrap();
    job.wait().unwrap();
    assert_eq!((job.state(), job.snapshot().fraction()), (JobState::Finished, 1.0));
    // What was shown stays as it was.
    assert_eq!(snapshot.fraction(), 0.5);
}

#[test]
fn a_panic_inside_is_an_error_with_its_text_and_a_remedy() {
    let job = lab().start("fragile", |_| -> Result<u8> { panic!("index 7 of 3") }).unwrap();
    let message = job.wait().unwrap_err().to_string();
    assert!(message.starts_with("job fragile: the work panicked (index 7 of 3)") && message.contains("start it again"), "{message}");
    // Every handle gets the same answer, and the display shows it.
    assert_eq!(job.result().unwrap().unwrap_err().to_string(), message);
    assert_eq!(job.state(), JobState::Failed);
    assert!(job.bundle().text.contains("index 7 of 3"));
}

#[test]
fn an_error_of_the_work_keeps_its_text() {
    let job = lab().start("wrong", |_| -> Result<u8> { Err(Error::config("clip is 0", "expected a positive number")) }).unwrap();
    assert_eq!(job.wait().unwrap_err().to_string(), "job wrong: clip is 0: expected a positive number");
}

#[test]
fn two_jobs_go_on_at_once_and_only_the_cancelled_one_ends() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let jobs = counts.clone().map(|count| lab().start("one of two", move |lab| Ok(steps(lab, 1_000_000, &count))).unwrap());
    until("a step of both", || counts.iter().all(|count| count.load(Ordering::SeqCst) > 1));
    jobs[0].cancel();
    jobs[0].wait().unwrap();
    let at = counts[1].load(Ordering::SeqCst);
    until("a step of the other", || counts[1].load(Ordering::SeqCst) > at + 1);
    assert_eq!(jobs[1].state(), JobState::Running);
    jobs[1].cancel();
    jobs[1].wait().unwrap();
}

#[test]
fn a_cancel_after_the_end_changes_nothing() {
    let job = lab().start("short", |_| Ok(7)).unwrap();
    assert_eq!(job.wait().unwrap(), 7);
    job.cancel();
    assert_eq!((job.state(), job.wait().unwrap()), (JobState::Finished, 7));
}

#[test]
fn the_work_goes_on_when_its_handle_is_dropped() {
    let (done, heard) = channel();
    drop(lab().start("forgotten", move |_| done.send(5).map_err(|e| Error::config(e.to_string(), ""))).unwrap());
    assert_eq!(heard.recv_timeout(Duration::from_secs(60)).unwrap(), 5);
}

#[test]
fn a_job_computes_what_the_cell_would_have() {
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let (theirs, data) = (train.clone(), Dataset::toy());
    let job = lab().start("training", move |lab| theirs.fit(&data, lab)).unwrap();
    let here = train.fit(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(job.wait().unwrap().weights(), here.weights());
}

#[test]
fn a_cancelled_condensation_returns_its_set_and_the_next_part_is_refused() {
    let (sender, receiver) = channel();
    let job = lab().start("two parts", move |lab| {
        let real = Dataset::toy();
        let set = matching(1_000_000).synthesize(&real, lab)?;
        sender.send(set.origin().trace.len()).ok();
        Train::new(Arch::Logistic).fit(&set, lab)
    });
    let job = job.unwrap();
    until("a picture", || job.snapshot().picture.is_some());
    assert!(job.bundle().html.contains("step "));
    job.cancel();
    let message = job.wait().unwrap_err().to_string();
    assert!(receiver.recv().unwrap() > 0);
    assert!(message.contains("was cancelled before the next part of its work began: start it again"), "{message}");
}

#[test]
fn a_part_that_was_cut_short_is_no_result() {
    let (whole, part) = (lab(), lab().child("part", 0));
    let live = Arc::new(Live::new("a job"));
    let (whole, part) = (whole.within(&live), part.within(&live));
    let fit = |lab: &Lab| {
        let reserved = crate::privacy::Reserved::new(lab, "a training", &Dataset::toy(), &crate::privacy::Event::NonPrivate)?;
        Ok::<_, Error>(move || reserved.settle(&crate::privacy::Event::NonPrivate))
    };
    let (ends, cut) = (fit(&whole).unwrap(), fit(&part).unwrap());
    live.stop();
    assert!(ends().is_ok() && cut().is_err());
    assert!(fit(&whole).is_err() && fit(&part).is_err());
    let split = Split { train: Dataset::toy(), test: Dataset::toy() };
    assert!(Quality::new(&[Arch::Logistic]).of(Herding::new(1)).without_whole().measure(&split, &whole).is_err());
}

#[test]
fn a_cancelled_game_keeps_only_whole_runs_and_goes_on_from_them() {
    let folder = folder("game");
    let kept = lab().keep(&folder).unwrap();
    let pool = Dataset::toy();
    let pipeline = || Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
    let game = || Game::new(4).with_test(&Dataset::toy());
    let live = Arc::new(Live::new("a game"));
    live.stop();
    let message = game().play(&pipeline(), &pool, &kept.within(&live)).unwrap_err().to_string();
    assert!(message.contains("a game was cancelled"), "{message}");
    assert_eq!(kept.runs().unwrap().rows()[0].done, 0);
    let here = game().play(&pipeline(), &pool, &kept).unwrap();
    let runs = kept.runs().unwrap();
    let row = &runs.rows()[0];
    assert_eq!((row.kind, row.done, row.planned, row.name.as_str()), (Kept::Game, 4, Some(4), pipeline().name().as_str()));
    let accuracies: Vec<f64> = here.manifest().runs.iter().filter_map(|run| run.test_accuracy).collect();
    assert_eq!(row.accuracy, Some(crate::stats::mean(&accuracies)));
    assert_eq!(row.interval.unwrap().n, 4);
    let sizes = std::fs::read_dir(&row.path).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with("run-"));
    assert_eq!(row.bytes, sizes.map(|e| e.metadata().unwrap().len()).sum::<u64>());
    assert!((0.0..600.0).contains(&row.age_s) && row.path.ends_with(format!("{}-{}", crate::file::slug(&row.name), row.key)));
    assert!(runs.bundle().text.contains("game") && runs.frame().unwrap().height() == 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_saved_result_is_read_and_another_setting_or_a_cancel_is_not() {
    let folder = folder("saved");
    let kept = lab().keep(&folder).unwrap();
    let start =
        |lab: &Lab, settings: u32| lab.start_saved("a sum", &settings, move |_| Ok(vec![0.1f64 + f64::from(settings), 2.0])).unwrap();
    assert_eq!(start(&kept, 1).wait().unwrap(), [1.1, 2.0]);
    let again = kept.start_saved("a sum", &1, |_| -> Result<Vec<f64>> { panic!("must be read") }).unwrap();
    assert_eq!(again.result().unwrap().unwrap(), [1.1, 2.0]);
    assert!(again.bundle().text.contains("delete it to compute it again"));
    assert_eq!(start(&kept, 2).wait().unwrap(), [2.1, 2.0]);
    assert_eq!(start(&kept.clone().seed(9), 1).wait().unwrap(), [1.1, 2.0]);
    // A value that JSON cannot hold is the job's result all the same, and not kept.
    let endless = kept.start_saved("endless", &0, |_| Ok(f64::INFINITY)).unwrap();
    assert_eq!(endless.wait().unwrap(), f64::INFINITY);
    assert!(endless.bundle().text.contains("not kept: the result is no JSON"));
    let made = AtomicUsize::new(0);
    let cut = kept.start_saved("cut", &0, move |lab| Ok(steps(lab, 1_000_000, &made))).unwrap();
    cut.cancel();
    cut.wait().unwrap();
    let rows = kept.runs().unwrap().rows().to_vec();
    assert_eq!(rows.iter().map(|row| (row.kind, row.name.as_str())).collect::<Vec<_>>(), [(Kept::Job, "a sum"); 3]);
    std::fs::write(&rows[0].path, "{").unwrap();
    assert_eq!(kept.runs().unwrap().rows().len(), 2);
    let broken = [1, 2].iter().filter_map(|settings| kept.start_saved("a sum", settings, |_| Ok(vec![0.0f64])).err()).count();
    let broken = broken + usize::from(kept.clone().seed(9).start_saved("a sum", &1, |_| Ok(vec![0.0f64])).is_err());
    assert_eq!(broken, 1);
    assert!(lab().start_saved("a sum", &1, |_| Ok(1)).unwrap_err().to_string().contains("lab.keep"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn condensations_are_listed_with_their_steps() {
    let folder = folder("condensation");
    let kept = lab().keep(&folder).unwrap();
    matching(3).synthesize(&Dataset::toy(), &kept).unwrap();
    std::fs::write(folder.join("notes.txt"), "not a run").unwrap();
    let runs = kept.runs().unwrap();
    assert_eq!(runs.rows().iter().map(|row| (row.kind, row.done)).collect::<Vec<_>>(), [(Kept::Condensation, 3)]);
    assert!(runs.rows()[0].name.starts_with("dm"), "{}", runs.rows()[0].name);
    assert!(lab().runs().unwrap_err().to_string().contains("lab.keep"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn handles_can_be_kept_by_a_notebook() {
    fn is_kept<T: Send + Sync + Clone + 'static>() {}
    is_kept::<Job<Dataset>>();
    is_kept::<Job<Vec<f64>>>();
    is_kept::<JobSnapshot>();
    is_kept::<Runs>();
}
