//! The Rényi curve of a whole event.

use super::sampled::SampledGaussian;
use crate::privacy::flat::{Shape, shape};
use crate::privacy::{Adjacency, Event};
use crate::{Error, Result};

/// R at each order; for a record that comes or goes, and for one that is exchanged.
struct Curves {
    one: Vec<f64>,
    exchanged: Vec<f64>,
}

/// R(α) of `event` at every order.
pub(super) fn of(event: &Event, orders: &[f64], adjacency: Adjacency) -> Result<Vec<f64>> {
    if event.is_non_private() {
        return Ok(vec![f64::INFINITY; orders.len()]);
    }
    let curves = curves(event, orders, adjacency)?;
    Ok(match adjacency {
        Adjacency::AddOrRemoveOne => curves.one,
        Adjacency::ReplaceOne => curves.exchanged,
    })
}

fn curves(event: &Event, orders: &[f64], adjacency: Adjacency) -> Result<Curves> {
    let nothing = || Curves { one: vec![0.0; orders.len()], exchanged: vec![0.0; orders.len()] };
    Ok(match shape(event)? {
        Shape::Nothing => nothing(),
        Shape::Release { sigma, rate: 1.0, .. } => Curves {
            one: orders.iter().map(|order| bounded(order / (2.0 * sigma * sigma))).collect(),
            exchanged: orders.iter().map(|order| bounded(2.0 * order / (sigma * sigma))).collect(),
        },
        Shape::Release { sigma, rate, .. } => {
            if adjacency == Adjacency::ReplaceOne {
                return Err(Error::config(
                    format!("RDP cannot count Poisson({rate}, Gaussian(σ = {sigma})) under replace-one"),
                    "use the Pld accountant, or the relation AddOrRemoveOne",
                ));
            }
            let curve = SampledGaussian::new(sigma, rate).curve(orders);
            Curves { one: curve.into_iter().map(bounded).collect(), exchanged: vec![] }
        }
        Shape::Repeat { times, of } => {
            let mut inner = curves(&of, orders, adjacency)?;
            inner.one.iter_mut().chain(&mut inner.exchanged).for_each(|rdp| *rdp *= times as f64);
            inner
        }
        Shape::Sequence(parts) => {
            let mut total: Option<Curves> = None;
            for part in &parts {
                let next = curves(part, orders, adjacency)?;
                total = Some(match total {
                    None => next,
                    Some(sum) => Curves {
                        one: zip(&sum.one, &next.one, |a, b| a + b),
                        exchanged: zip(&sum.exchanged, &next.exchanged, |a, b| a + b),
                    },
                });
            }
            total.unwrap_or_else(nothing)
        }
        Shape::Parallel(parts) => {
            let (mut largest, mut second, mut exchanged) = (nothing().one, nothing().one, nothing().one);
            for part in &parts {
                let next = curves(part, orders, adjacency)?;
                second = zip(&second, &zip(&largest, &next.one, f64::min), f64::max);
                largest = zip(&largest, &next.one, f64::max);
                exchanged = zip(&exchanged, &next.exchanged, f64::max);
            }
            // A record leaves the most expensive part and another one joins the next: two independent releases change.
            let across = zip(&largest, &second, |a, b| a + b);
            Curves { one: largest, exchanged: zip(&exchanged, &across, f64::max) }
        }
    })
}

/// What could not be computed bounds nothing: minima and maxima would pass over it.
pub(super) fn bounded(rdp: f64) -> f64 {
    if rdp.is_finite() { rdp } else { f64::INFINITY }
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()
}
