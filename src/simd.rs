//! The one door to the processor's vector instructions.

pub(crate) mod elementary;

use pulp::WithSimd;

/// Runs `op` with AVX2 and FMA where the machine has them, with NEON on ARM, and without vectors elsewhere. Naming the sets that
/// matter keeps the number of compiled copies of every kernel small.
pub(crate) fn vectorize<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    {
        match pulp::x86::V3::try_new() {
            Some(simd) => pulp::Simd::vectorize(simd, op),
            None => pulp::Simd::vectorize(pulp::Scalar::new(), op),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    pulp::Arch::new().dispatch(op)
}

/// As [`vectorize`], with AVX-512 where the machine has it: for kernels that are bound by the multipliers, which are worth a third copy.
pub(crate) fn vectorize_wide<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new() {
        return pulp::Simd::vectorize(simd, op);
    }
    vectorize(op)
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
