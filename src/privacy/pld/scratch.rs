use super::*;
use crate::privacy::golden::*;
#[test]
fn scratch_report() {
    let (mut worst, mut worst_pld) = (0f64, 0f64);
    let opacus = crate::privacy::Rdp::new()
        .with_orders((1..100).map(|i| 1.0 + f64::from(i) / 10.0).chain((12..64).map(f64::from)).collect::<Vec<_>>());
    for row in accounting() {
        let d = row.number("delta").unwrap();
        let g = row.number("eps_rdp_opacus").unwrap();
        worst = worst.max((opacus.epsilon(&event(&row), d).unwrap().value / g - 1.0).abs());
        let p = Pld::new().epsilon(&event(&row), d).unwrap().value;
        worst_pld = worst_pld.max((p - row.number("eps_pld_dp_accounting").unwrap()).abs());
    }
    let mut o = 0f64;
    for row in rows("rdp_orders.csv") {
        let n = |name: &str| row.number(name).unwrap();
        let f = crate::privacy::Rdp::new().with_orders([n("alpha")]).curve(&sampled(n("q"), n("sigma"), 1)).unwrap()[0].1;
        o = o.max((f / n("rdp_per_step_exact_mpmath40") - 1.0).abs());
    }
    println!("REPORT rdp rel {worst:.2e} orders rel {o:.2e} pld abs {worst_pld:.2e}");
    for (q, s, t) in [
        (1e-3, 1.0, 1_000_000u64),
        (0.01, 0.3, 1000),
        (0.1, 0.3, 100),
        (0.001, 0.05, 10),
        (0.5, 0.1, 1),
        (1e-4, 0.5, 1_000_000),
        (0.01, 20.0, 1_000_000),
        (0.01, 100.0, 1),
        (0.999, 1.0, 3),
        (1e-6, 1.0, 1000),
        (0.01, 1.0, 1_000_000_000),
    ] {
        for a in [Adjacency::AddOrRemoveOne, Adjacency::ReplaceOne] {
            let st = std::time::Instant::now();
            let e = Pld::new().with_adjacency(a).epsilon(&sampled(q, s, t), 1e-5);
            let r = crate::privacy::Rdp::new().epsilon(&sampled(q, s, t), 1e-5).unwrap().value;
            println!(
                "REPORT {q} {s} {t}: {} rdp {r:.6} {:?}",
                e.map(|e| format!("{:.6} {e}", e.value)).unwrap_or_else(|e| e.to_string()),
                st.elapsed()
            );
        }
    }
}
