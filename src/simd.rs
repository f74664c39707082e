//! The one door to the processor's vector instructions.

pub(crate) mod elementary;

use pulp::WithSimd;

/// Runs `op` with AVX-512 where the machine has it, else with AVX2 and FMA, with NEON on ARM, and without vectors elsewhere. Naming the
/// sets that matter keeps the number of compiled copies of every kernel at three.
pub(crate) fn vectorize<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return pulp::Simd::vectorize(simd, op);
        }
        vectorize_narrow(op)
    }
    #[cfg(not(target_arch = "x86_64"))]
    pulp::Arch::new().dispatch(op)
}

/// [`vectorize`] on a processor without AVX-512.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vectorize_narrow<Op: WithSimd>(op: Op) -> Op::Output {
    match pulp::x86::V3::try_new() {
        Some(simd) => pulp::Simd::vectorize(simd, op),
        None => pulp::Simd::vectorize(pulp::Scalar::new(), op),
    }
}

/// Runs a loop that the compiler vectorises by itself with the same instructions.
pub(crate) fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    struct Loop<F>(F);
    impl<T, F: FnOnce() -> T> WithSimd for Loop<F> {
        type Output = T;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> T {
            (self.0)()
        }
    }
    vectorize(Loop(work))
}
