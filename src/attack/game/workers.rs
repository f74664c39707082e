//! Independent pieces of work on all cores, each on its own.

use crate::device::guarded;
use crate::{Device, Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The results of `work` on 0 .. `count`, in order. Each device takes the next piece when it is done with one. The processor counts as
/// several: each piece runs there on as many threads as its share of the cores, so that the pieces do not wait for each other and a piece
/// that is begun is the next to be finished. After an error no piece is begun.
pub(super) fn each<T: Send>(count: usize, devices: &[&Device], work: impl Fn(usize, &Device) -> Result<T> + Sync) -> Result<Vec<T>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(vec![]);
    let take_all = |device: &Device, threads: Option<usize>| -> Result<()> {
        let pool = threads.map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build()).transpose();
        let pool = pool.map_err(|e| Error::config(format!("no threads for a worker ({e})"), "close other programs"))?;
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let work = || guarded(device, || work(piece, device));
            let result = pool.as_ref().map_or_else(work, |pool| pool.install(work));
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((piece, result));
        }
    };
    let workers: Vec<(&Device, Option<usize>)> = devices.iter().flat_map(|device| workers_of(device, count)).collect();
    match workers[..] {
        // On this thread, where the caller's own pool is.
        [(device, None)] => take_all(device, None)?,
        _ => std::thread::scope(|scope| {
            let take_all = &take_all;
            let started: Vec<_> = workers.iter().map(|&(device, threads)| scope.spawn(move || take_all(device, threads))).collect();
            started.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => Err(Error::config("a worker thread panicked", "run it again with one thread to see where")),
            })
        })?,
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|result| result.0);
    done.into_par_iter().map(|result| result.1).collect::<Vec<_>>().into_iter().collect()
}

/// Who works on a device, with the number of threads of each; no number where the work happens elsewhere.
fn workers_of(device: &Device, count: usize) -> Vec<(&Device, Option<usize>)> {
    if *device != Device::Cpu {
        return vec![(device, None)];
    }
    let cores = rayon::current_num_threads();
    let workers = cores.min(count).max(1);
    // What the cores leave over goes to the first workers.
    (0..workers).map(|worker| (device, Some(cores / workers + usize::from(worker < cores % workers)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let squares = pool.install(|| each(5, &[&Device::Cpu], |i, _| Ok((0..=i).into_par_iter().sum::<usize>())));
            assert_eq!(squares.unwrap(), [0, 1, 3, 6, 10]);
        }
        assert!(each(0, &[&Device::Cpu], |_, _| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn several_devices_take_the_pieces_between_them() {
        let elsewhere = Device::Remote("ws://elsewhere:1".into());
        // Each device's first piece waits until the other one has begun: nobody can take all of them.
        let (begun, both) = (Mutex::new(vec![]), std::sync::Barrier::new(2));
        let work = |piece: usize, device: &Device| {
            let first = {
                let mut begun = begun.lock().unwrap();
                let first = !begun.contains(device);
                begun.push(device.clone());
                first
            };
            if first {
                both.wait();
            }
            Ok(piece)
        };
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one_thread.install(|| each(6, &[&Device::Cpu, &elsewhere], work)).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert!(begun.lock().unwrap().contains(&elsewhere));
    }

    #[test]
    fn an_error_or_a_panic_of_one_piece_is_the_answer() {
        let fail = |i: usize, _: &Device| if i == 2 { Err(Error::config("piece 2", "none")) } else { Ok(i) };
        assert!(each(9, &[&Device::Cpu], fail).unwrap_err().to_string().starts_with("piece 2"));
        let panicking = |i: usize, _: &Device| if i == 1 { panic!("out of memory") } else { Ok(i) };
        assert!(each(3, &[&Device::Cpu], panicking).unwrap_err().to_string().contains("out of memory"));
    }
}
