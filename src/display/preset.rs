//! Where a figure will stand: widths, letters and families for notebooks, papers and slides.

/// Sizes for which letters and lines are chosen so that nothing has to be scaled afterwards: no letter of a paper's figure is smaller
/// than 7 points.
///
/// # Example
/// ```
/// use freelunch::Dataset;
/// use freelunch::display::{Preset, Show};
/// let column = Dataset::toy().figure().sized(Preset::Column);
/// assert!(column.to_svg()?.starts_with("<svg"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A plot has 480 x 360 pixels: two fit side by side in a notebook.
    Notebook,
    /// One column of a paper: 85 mm wide.
    Column,
    /// Both columns of a paper: 178 mm wide.
    TwoColumns,
    /// 960 x 540 pixels with large letters.
    Slide,
}

/// CSS pixels of a point, the unit of letters in print.
pub(super) const POINT: f64 = 96.0 / 72.0;

impl Preset {
    /// The width of a whole figure at most, in CSS pixels.
    pub(super) fn room(self) -> u32 {
        match self {
            Self::Notebook => 972,
            Self::Column => 321,
            Self::TwoColumns => 672,
            Self::Slide => 960,
        }
    }

    /// The same in millimetres where it is a width of paper.
    pub(super) fn millimetres(self) -> Option<u32> {
        match self {
            Self::Column => Some(85),
            Self::TwoColumns => Some(178),
            Self::Notebook | Self::Slide => None,
        }
    }

    /// Letters, in CSS pixels: 8 points on paper, so that captions (0.88 of it) have 7.
    pub(super) fn em(self) -> f64 {
        match self {
            Self::Notebook => 12.0,
            Self::Column | Self::TwoColumns => 8.0 * POINT,
            Self::Slide => 20.0,
        }
    }

    /// The size of one plot that stands alone.
    pub(super) fn plot(self) -> (u32, u32) {
        match self {
            Self::Notebook => (480, 360),
            Self::Column => (321, 241),
            Self::TwoColumns => (672, 290),
            Self::Slide => (960, 540),
        }
    }
}

/// A list of families for SVG that ends in a generic one: what a name falls back to where it is not installed.
pub(super) fn families(wanted: &str) -> String {
    // What could end the attribute or the declaration has no place in a family's name.
    let sound: String = wanted.chars().filter(|c| c.is_alphanumeric() || " ,-".contains(*c)).collect();
    let mut names: Vec<&str> = sound.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let last = names.last().map(|name| name.to_lowercase()).unwrap_or_default();
    let generic = ["serif", "sans-serif", "monospace"].into_iter().find(|generic| *generic == last);
    if generic.is_some() {
        names.pop();
    }
    let all = names.join(" ").to_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| all.contains(mark));
    let like = generic.unwrap_or_else(|| {
        if has(&["mono", "courier", "consol", "typewriter"]) {
            "monospace"
        } else if has(&["times", "roman", "georgia", "garamond", "palatino", "cambria", "libertine", "charter", "serif"]) && !has(&["sans"])
        {
            "serif"
        } else {
            "sans-serif"
        }
    });
    let more = match like {
        "serif" => ["Times New Roman", "Times", "Liberation Serif", "serif"],
        "monospace" => ["Courier New", "Courier", "Liberation Mono", "monospace"],
        _ => ["Helvetica", "Arial", "DejaVu Sans", "sans-serif"],
    };
    for name in more {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paper_s_presets_hold_its_millimetres_and_seven_points() {
        for preset in [Preset::Column, Preset::TwoColumns] {
            let width = f64::from(preset.room()) / 96.0 * 25.4;
            let most = f64::from(preset.millimetres().unwrap());
            assert!(width <= most && width > most - 0.3, "{width} mm");
            assert!(0.875 * preset.em() / POINT >= 7.0 - 1e-12);
        }
    }

    #[test]
    fn every_list_of_families_ends_in_a_generic_one() {
        assert_eq!(families("serif"), "Times New Roman, Times, Liberation Serif, serif");
        assert_eq!(families("Times New Roman"), "Times New Roman, Times, Liberation Serif, serif");
        assert_eq!(families("Fira Sans"), "Fira Sans, Helvetica, Arial, DejaVu Sans, sans-serif");
        assert_eq!(families("Open Sans, sans-serif"), "Open Sans, Helvetica, Arial, DejaVu Sans, sans-serif");
        assert!(families("JetBrains Mono").ends_with("monospace") && families("").ends_with("sans-serif"));
    }

    #[test]
    fn a_family_cannot_leave_its_attribute() {
        let list = families("x\"/><script>alert(1)</script>; }");
        assert!(list.chars().all(|c| c.is_alphanumeric() || " ,-".contains(c)), "{list}");
    }
}
