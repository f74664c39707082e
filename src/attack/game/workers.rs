//! Independent pieces of work on all cores, each on its own.

use crate::device::guarded;
use crate::{Device, Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The results of `work` on 0 .. `count`, in order. On the processor each piece runs on as many threads as its share of the cores, so
/// that the pieces do not wait for each other and a piece that is begun is the next to be finished; elsewhere they run one by one. After an error no piece is begun.
pub(super) fn each<T: Send>(count: usize, device: &Device, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let work = |piece: usize| guarded(device, || work(piece));
    if *device != Device::Cpu {
        return (0..count).map(work).collect();
    }
    let cores = rayon::current_num_threads();
    let workers = cores.min(count).max(1);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(vec![]);
    let one_worker = |threads: usize| -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| Error::config(format!("no threads for a worker ({e})"), "close other programs"))?;
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= count || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let result = pool.install(|| work(piece));
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((piece, result));
        }
    };
    // What the cores leave over goes to the first workers.
    let threads = |worker: usize| cores / workers + usize::from(worker < cores % workers);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|worker| scope.spawn(move || one_worker(threads(worker)))).collect();
        started.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => Err(Error::config("a worker thread panicked", "run it again with one thread to see where")),
        })
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|result| result.0);
    done.into_par_iter().map(|result| result.1).collect::<Vec<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let squares = pool.install(|| each(5, &Device::Cpu, |i| Ok((0..=i).into_par_iter().sum::<usize>())));
            assert_eq!(squares.unwrap(), [0, 1, 3, 6, 10]);
        }
        assert!(each(0, &Device::Cpu, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn an_error_or_a_panic_of_one_piece_is_the_answer() {
        let fail = |i: usize| if i == 2 { Err(Error::config("piece 2", "none")) } else { Ok(i) };
        assert!(each(9, &Device::Cpu, fail).unwrap_err().to_string().starts_with("piece 2"));
        let panicking = |i: usize| if i == 1 { panic!("out of memory") } else { Ok(i) };
        assert!(each(3, &Device::Cpu, panicking).unwrap_err().to_string().contains("out of memory"));
    }
}
