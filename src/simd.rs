//! The one door to the processor's vector instructions.

use pulp::WithSimd;

/// Runs `op` with the best instruction set of this machine.
pub(crate) fn vectorize<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(simd, op);
    }
    pulp::Arch::new().dispatch(op)
}
