//! An event with its samples pushed inwards: what every accountant recurses over.
//!
//! A sample of a sample is a sample at the product of the rates; a sample of disjoint parts is the parts, each sampled; several
//! Gaussian releases on one sample are one release on that sample with 1/σ² = Σ 1/σᵢ².

use super::Event;
use crate::{Error, Result};

/// One level of an event.
pub(super) enum Shape {
    Nothing,
    /// A Gaussian release on a Poisson sample; rate 1 is no sample.
    Release {
        sigma: f64,
        rate: f64,
        /// How many Gaussian releases on the one sample it stands for.
        of: u64,
    },
    Repeat {
        times: u64,
        of: Event,
    },
    Sequence(Vec<Event>),
    Parallel(Vec<Event>),
}

/// The outermost level of `event`, which has no non-private part.
///
/// # Errors
/// [`Error::Config`] for a sample on which sampled or parted events follow each other: their samples depend on each other.
pub(super) fn shape(event: &Event) -> Result<Shape> {
    Ok(match event {
        Event::NoOp | Event::NonPrivate => Shape::Nothing,
        Event::Gaussian { sigma } => Shape::Release { sigma: *sigma, rate: 1.0, of: 1 },
        Event::Repeat { times: 0, .. } => Shape::Nothing,
        Event::Repeat { times, of } => Shape::Repeat { times: *times, of: (**of).clone() },
        Event::Sequence { parts } => Shape::Sequence(parts.clone()),
        Event::Parallel { parts } => Shape::Parallel(parts.clone()),
        Event::Poisson { rate: 1.0, of } => shape(of)?,
        Event::Poisson { rate, of } => sampled(*rate, of)?,
    })
}

fn sampled(rate: f64, of: &Event) -> Result<Shape> {
    if !rate.is_normal() {
        // 0 would be no release at all.
        return Err(Error::config(format!("the rate of a sample of {of} is {rate:e}"), "expected rates whose product is at least 1e-300"));
    }
    if let Some(precision) = precision(of) {
        if !precision.is_finite() {
            return Err(Error::config(
                format!("{of} has no more noise than a release without any"),
                "expected more noise or fewer releases",
            ));
        }
        return Ok(if precision == 0.0 {
            Shape::Nothing
        } else {
            Shape::Release { sigma: 1.0 / precision.sqrt(), rate, of: of.releases() }
        });
    }
    match of {
        Event::Poisson { rate: inner, of } => sampled(rate * inner, of),
        Event::Repeat { times: 1, of } => sampled(rate, of),
        Event::Sequence { parts } if parts.len() == 1 => sampled(rate, &parts[0]),
        Event::Parallel { parts } => {
            let one = |part: &Event| Event::Poisson { rate, of: Box::new(part.clone()) };
            Ok(Shape::Parallel(parts.iter().map(one).collect()))
        }
        _ => Err(Error::config(
            format!("no accountant counts Poisson({rate}, {of})"),
            "expected a sample of Gaussian releases; for one sample per release write event.poisson(rate) first and repeat it then",
        )),
    }
}

/// Σ 1/σ² of an event made of Gaussian releases only.
pub(super) fn precision(event: &Event) -> Option<f64> {
    match event {
        Event::NoOp | Event::Repeat { times: 0, .. } => Some(0.0),
        Event::Parallel { parts } if parts.is_empty() => Some(0.0),
        Event::Gaussian { sigma } => Some(1.0 / (sigma * sigma)),
        Event::Repeat { times, of } => Some(*times as f64 * precision(of)?),
        Event::Sequence { parts } => parts.iter().map(precision).sum(),
        Event::Poisson { rate: 1.0, of } => precision(of),
        Event::NonPrivate | Event::Poisson { .. } | Event::Parallel { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_whose_product_is_zero_are_refused() {
        let deep = Event::gaussian(1.0).unwrap().poisson(1e-200).unwrap().poisson(1e-200).unwrap();
        assert!(shape(&deep).is_err());
        assert!(shape(&Event::gaussian(1.0).unwrap().poisson(1e-100).unwrap().poisson(1e-100).unwrap()).is_ok());
        // Such an event has no noise to speak of: σ would be 0.
        let Ok(loud) = Event::gaussian(1e-150).unwrap().repeat(u64::MAX).poisson(0.5) else { panic!() };
        assert!(shape(&loud).is_err());
    }

    #[test]
    fn a_sample_of_everything_is_what_it_is_a_sample_of() {
        let steps = Event::gaussian(1.0).unwrap().poisson(0.1).unwrap().repeat(5);
        let all = Event::Poisson { rate: 1.0, of: Box::new(steps) };
        assert!(matches!(shape(&all), Ok(Shape::Repeat { times: 5, .. })));
    }

    #[test]
    fn nothing_repeated_zero_times_has_no_precision() {
        let zero = |event: Event| precision(&Event::Repeat { times: 0, of: Box::new(event) });
        assert_eq!(zero(Event::gaussian(1.0).unwrap()), Some(0.0));
        assert_eq!(zero(Event::Gaussian { sigma: 1e-200 }), Some(0.0));
        assert_eq!(zero(Event::gaussian(1.0).unwrap().poisson(0.1).unwrap()), Some(0.0));
    }
}
