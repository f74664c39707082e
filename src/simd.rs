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

/// Loops that the compiler makes vector instructions of by itself. Each is a type of its own with `#[inline(always)]` on [`Loops::run`]:
/// a closure cannot be marked so, and one that stays outside its caller is compiled without vectors.
pub(crate) trait Loops {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs loops with the instructions of [`vectorize`].
pub(crate) fn vectorized<L: Loops>(loops: L) -> L::Output {
    struct Run<L>(L);
    impl<L: Loops> WithSimd for Run<L> {
        type Output = L::Output;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> L::Output {
            self.0.run()
        }
    }
    vectorize(Run(loops))
}
