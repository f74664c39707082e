//! A stand-in for a GPU in tests: the processor, reached by the code of other devices, with a count of the reads that a GPU would have to be
//! waited for.
//!
//! What differs elsewhere: whole batches in place of chunks, and burn's operations in place of the fused blocks.

use std::cell::Cell;

thread_local! {
    static READS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Whether this thread is to take the processor for another device.
pub(crate) fn pretended() -> bool {
    READS.get().is_some()
}

/// Notes that values were read back.
pub(crate) fn read() {
    READS.set(READS.get().map(|reads| reads + 1));
}

/// What `work` gives when the processor is taken for another device, and how often it read values back.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> (T, usize) {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one_thread.install(|| {
        READS.set(Some(0));
        let result = work();
        (result, READS.take().unwrap())
    })
}

mod tests {
    use super::run;
    use crate::condense::{DistributionMatching, GradientMatching};
    use crate::nn::{Arch, Optimizer};
    use crate::privacy::DpSgd;
    use crate::synthesize::Synthesize;
    use crate::train::Train;
    use crate::{Dataset, Device, Lab};

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(5).quiet()
    }

    fn records() -> Dataset {
        Dataset::digits().unwrap().train.subset(&(0..96).collect::<Vec<_>>()).unwrap()
    }

    fn net() -> Arch {
        Arch::conv_net().with_width(8).with_depth(2)
    }

    #[test]
    fn training_waits_for_a_device_once_an_epoch_however_many_batches() {
        let data = records();
        let reads =
            |epochs: usize, batch: usize| run(|| Train::new(net()).with_epochs(epochs).with_batch(batch).fit(&data, &lab()).unwrap()).1;
        assert_eq!(reads(3, 16) - reads(1, 16), 2);
        assert_eq!(reads(2, 96), reads(2, 8));
    }

    #[test]
    fn private_training_waits_twice_a_batch() {
        let data = records();
        let recipe = || Train::new(net()).with_optimizer(Optimizer::sgd(0.1)).with_privacy(DpSgd::new(1.0));
        let reads = |epochs: usize| run(|| recipe().with_epochs(epochs).with_batch(24).fit(&data, &lab()).unwrap()).1;
        // 96 records in samples of 24 on average are 4 batches an epoch.
        assert_eq!(reads(3) - reads(1), 2 * 4 * 2);
    }

    #[test]
    fn condensation_waits_twice_for_each_class_and_step() {
        let data = records();
        let matching = |steps: usize| run(|| DistributionMatching::small(1).with_steps(steps).synthesize(&data, &lab()).unwrap()).1;
        assert_eq!(matching(3) - matching(1), 2 * 10 * 2);
        let gradients = |steps: usize| run(|| GradientMatching::small(1).with_steps(steps).synthesize(&data, &lab()).unwrap()).1;
        assert_eq!(gradients(3) - gradients(1), 2 * 10 * 2);
    }

    #[test]
    fn the_code_of_other_devices_agrees_with_that_of_the_processor() {
        let data = records();
        let fit = || Train::new(net()).with_epochs(2).with_batch(16).fit(&data, &lab()).unwrap().logits(&data).unwrap();
        let (elsewhere, here) = (run(fit).0, fit());
        let largest = here.iter().fold(0f32, |most, z| most.max(z.abs()));
        for (a, b) in elsewhere.iter().zip(&here) {
            assert!((a - b).abs() < 1e-3 * largest, "{a} {b} of {largest}");
        }
    }
}
