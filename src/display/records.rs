//! How data sets, their splits and the lab show themselves.

use super::number::count;
use super::{Figure, ImageGrid, Show, Table, show_inline};
use crate::data::{Membership, Split};
use crate::{Dataset, Lab, Result};

impl Show for Dataset {
    /// Up to ten images of each class, or the first and last rows of a table.
    fn figure(&self) -> Figure {
        picture(self, 10, 950, 20)
    }
}

impl Show for Split {
    /// Training and test set side by side.
    fn figure(&self) -> Figure {
        pair(("train", &self.train), ("test", &self.test))
    }
}

impl Show for Membership {
    /// Members and non-members side by side.
    fn figure(&self) -> Figure {
        pair(("members", &self.members), ("non-members", &self.non_members))
    }
}

impl Show for Lab {
    /// One line: device and seed.
    fn figure(&self) -> Figure {
        let devices: Vec<String> = self.devices().map(ToString::to_string).collect();
        Figure::text(format!("lab on {}, seed {}", devices.join(", "), self.seed_value()))
    }
}

show_inline!(Dataset, Split, Membership, Lab);

fn pair(left: (&str, &Dataset), right: (&str, &Dataset)) -> Figure {
    let side = |(role, data): (&str, &Dataset)| picture(data, 5, 440, 6).titled(&format!("{role}: {}", data.name()));
    // Tables are too wide to stand beside each other.
    if left.1.schema().is_some() { Figure::column([side(left), side(right)]) } else { Figure::row([side(left), side(right)]) }
}

fn picture(data: &Dataset, per_class: usize, width: u32, rows: usize) -> Figure {
    let figure = if data.schema().is_some() {
        Figure::or_failed(table(data, rows).map(|table| table.figure()))
    } else {
        ImageGrid::from_dataset(data, per_class).at_most(width).figure()
    };
    figure.titled(data.name()).captioned(&summary(data))
}

/// The ends of the set only: a frame of all records would take seconds.
fn table(data: &Dataset, rows: usize) -> Result<Table> {
    let n = data.len();
    let kept: Vec<usize> = if n <= rows { (0..n).collect() } else { (0..rows / 2).chain(n - rows / 2..n).collect() };
    Ok(Table::from_frame(&data.subset(&kept)?.frame()?).out_of_records(data))
}

/// n, kind and origin in one line.
fn summary(data: &Dataset) -> String {
    let [c, h, w] = data.shape();
    let kind = match data.schema() {
        Some(_) => format!("{} encoded features", count(data.features())),
        None => format!("{c} x {h} x {w} pixels"),
    };
    let sizes = data.per_class();
    let (least, most) = (sizes.iter().min().copied().unwrap_or(0), sizes.iter().max().copied().unwrap_or(0));
    let each = if least == most { count(least) } else { format!("{} to {}", count(least), count(most)) };
    let origin = data.origin();
    let how = if origin.config.is_null() {
        format!("real records ({})", origin.method)
    } else {
        format!("made by {}, seed {}, proven {}{}", origin.method, origin.seed, crate::privacy::stated(data.event()), study(origin))
    };
    format!("n = {}, {} classes of {each}, {kind}; {how}", count(data.len()), data.classes())
}

/// Whoever reads the seed can draw the noise again.
fn study(origin: &crate::data::Origin) -> &'static str {
    let noisy = origin.event.releases() > 0;
    if noisy && !origin.config.to_string().contains("\"Secure\"") { ", seeded noise: for study" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::data::Origin;

    fn images() -> Dataset {
        let x = (0..12 * 4).map(|i| i as f32 / 48.0).collect();
        Dataset::images("tiny", x, [1, 2, 2], (0..12).map(|i| i % 3).collect(), vec!["a".into(), "b".into(), "c".into()]).unwrap()
    }

    #[test]
    fn a_data_set_shows_name_size_and_origin() {
        let bundle = images().bundle();
        assert!(bundle.text.starts_with("tiny\n12 grey images of 2 x 2 pixels in 3 rows: a, b, c"), "{}", bundle.text);
        assert!(bundle.html.contains("n = 12, 3 classes of 4, 1 x 2 x 2 pixels; real records (tiny)"));
        let made = Origin { config: serde_json::json!({"per_class": 1}), seed: 7, ..Origin::real("herding") };
        let condensed = images().synthetic(vec![0.5; 12], vec![0, 1, 2], made).unwrap();
        assert!(condensed.bundle().text.contains("made by herding, seed 7, proven ε = ∞"));
    }

    #[test]
    fn two_sets_stand_side_by_side() {
        let split = Split { train: images(), test: images().named("other") };
        let html = split.bundle().html;
        assert!(html.contains("train: tiny") && html.contains("test: other"));
        let text = Membership { members: images(), non_members: images() }.bundle().text;
        assert!(text.contains("members: tiny") && text.contains("non-members: tiny"));
    }

    #[test]
    fn a_lab_is_one_line() {
        assert_eq!(Lab::on(Device::Cpu).unwrap().seed(7).bundle().text, "lab on cpu, seed 7");
    }
}
