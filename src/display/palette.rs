//! The colours of series: five of Okabe and Ito, and two in place of their orange and sky blue, which are too pale for lines on white.

/// Blue, vermilion, green, purple, brick, violet, black: apart for people with any kind of colour vision (see the tests), each with a
/// contrast of at least 3 against white.
pub(super) const PALETTE: [[u8; 3]; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0x9c, 0x24, 0x09],
    [0x87, 0x7d, 0xff],
    [0x00, 0x00, 0x00],
];

/// WCAG's ratio of luminances, 1 to 21.
pub(super) fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let luminance = |color| linear(color).iter().zip([0.2126, 0.7152, 0.0722]).map(|(c, weight)| c * weight).sum::<f64>();
    let (a, b): (f64, f64) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// sRGB without its gamma.
fn linear(color: [u8; 3]) -> [f64; 3] {
    color.map(|channel| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Matrix = [[f64; 3]; 3];

    const NORMAL: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    /// Machado, Oliveira, Fernandes, *IEEE TVCG* 15 (2009): severity 1.0, on linear RGB.
    const PROTANOPIA: Matrix = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
    const DEUTERANOPIA: Matrix = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
    const TRITANOPIA: Matrix = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]];

    fn times(matrix: Matrix, v: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
    }

    /// CIELAB under D65 of linear RGB.
    fn lab(rgb: [f64; 3]) -> [f64; 3] {
        let to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]];
        let [x, y, z] = times(to_xyz, rgb);
        let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        let [fx, fy, fz] = [f(x / 0.95047), f(y), f(z / 1.08883)];
        [116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)]
    }

    /// CIEDE2000 as in Sharma, Wu, Dalal, *Color Research and Application* 30 (2005).
    fn difference([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
        let seventh = |c: f64| (c.powi(7) / (c.powi(7) + 25f64.powi(7))).sqrt();
        let g = 0.5 * (1.0 - seventh((a1.hypot(b1) + a2.hypot(b2)) / 2.0));
        let (a1, a2) = (a1 * (1.0 + g), a2 * (1.0 + g));
        let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
        let (h1, h2) = (b1.atan2(a1).to_degrees().rem_euclid(360.0), b2.atan2(a2).to_degrees().rem_euclid(360.0));
        let grey = c1 * c2 == 0.0;
        let turn = if grey { 0.0 } else { (h2 - h1 + 180.0).rem_euclid(360.0) - 180.0 };
        let (dl, dc, dh) = (l2 - l1, c2 - c1, 2.0 * (c1 * c2).sqrt() * (turn / 2.0).to_radians().sin());
        let (l, c) = ((l1 + l2) / 2.0, (c1 + c2) / 2.0);
        let h = if grey {
            h1 + h2
        } else if (h1 - h2).abs() <= 180.0 {
            (h1 + h2) / 2.0
        } else if h1 + h2 < 360.0 {
            (h1 + h2 + 360.0) / 2.0
        } else {
            (h1 + h2 - 360.0) / 2.0
        };
        let cosine = |degrees: f64| degrees.to_radians().cos();
        let t = 1.0 - 0.17 * cosine(h - 30.0) + 0.24 * cosine(2.0 * h) + 0.32 * cosine(3.0 * h + 6.0) - 0.2 * cosine(4.0 * h - 63.0);
        let sl = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
        let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
        let rotation = -(60.0 * (-((h - 275.0) / 25.0).powi(2)).exp()).to_radians().sin() * 2.0 * seventh(c);
        let (l, c, h) = (dl / sl, dc / sc, dh / sh);
        (l * l + c * c + h * h + rotation * c * h).sqrt()
    }

    #[test]
    fn the_difference_of_colours_agrees_with_published_pairs() {
        // Pairs 1, 17 and 34 of Sharma, Wu, Dalal's table.
        let pairs = [
            ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
            ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
            ([2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514], 0.9082),
        ];
        for (a, b, published) in pairs {
            assert!((difference(a, b) - published).abs() < 1e-4, "{} for {published}", difference(a, b));
        }
    }

    #[test]
    fn any_two_colours_differ_for_any_kind_of_colour_vision() {
        // About 2 is the least that is seen side by side; the original seven reach 10.9.
        const APART: f64 = 12.0;
        for (name, view) in [("all", NORMAL), ("protan", PROTANOPIA), ("deutan", DEUTERANOPIA), ("tritan", TRITANOPIA)] {
            let seen = PALETTE.map(|color| lab(times(view, linear(color)).map(|c| c.clamp(0.0, 1.0))));
            for i in 0..seen.len() {
                for j in 0..i {
                    let found = difference(seen[i], seen[j]);
                    assert!(found > APART, "colours {j} and {i}: {found} with {name}");
                }
            }
        }
    }

    #[test]
    fn every_colour_stands_out_from_white() {
        for color in PALETTE {
            // WCAG 2.1, 1.4.11: graphical objects.
            assert!(contrast(color, [255; 3]) >= 3.0, "{color:?}: {}", contrast(color, [255; 3]));
        }
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    }
}
