//! What of a line or an area lies inside the axes: the square from 0 to 1.

use crate::display::pen::Point;

/// The parts of a line through points that lie inside (Liang and Barsky, one piece after the other).
pub(super) fn line(points: &[Point]) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = vec![];
    let mut open = false;
    for pair in points.windows(2) {
        let Some((from, to)) = piece(pair[0], pair[1]) else {
            open = false;
            continue;
        };
        match parts.last_mut() {
            Some(part) if open && part.last() == Some(&from) => part.push(to),
            _ => parts.push(vec![from, to]),
        }
        open = to == pair[1];
    }
    parts
}

fn piece(a: Point, b: Point) -> Option<(Point, Point)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut enter, mut leave) = (0.0f64, 1.0f64);
    for (step, room) in [(-dx, a.0), (dx, 1.0 - a.0), (-dy, a.1), (dy, 1.0 - a.1)] {
        if step == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if step < 0.0 {
            enter = enter.max(room / step);
        } else {
            leave = leave.min(room / step);
        }
    }
    // A NaN anywhere fails the comparison, so it breaks the line.
    let inside = enter <= leave && (dx + dy).is_finite();
    let from = if enter > 0.0 { (a.0 + enter * dx, a.1 + enter * dy) } else { a };
    let to = if leave < 1.0 { (a.0 + leave * dx, a.1 + leave * dy) } else { b };
    inside.then_some((from, to))
}

/// The part of a polygon that lies inside (Sutherland and Hodgman, one side after the other).
pub(super) fn polygon(corners: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = corners.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
    let sides: [fn(Point) -> f64; 4] = [|p| p.0, |p| 1.0 - p.0, |p| p.1, |p| 1.0 - p.1];
    for inside_by in sides {
        let mut next = Vec::with_capacity(kept.len() + 4);
        for (i, &to) in kept.iter().enumerate() {
            let from = kept[(i + kept.len() - 1) % kept.len()];
            let (before, after) = (inside_by(from), inside_by(to));
            if (before < 0.0) != (after < 0.0) {
                let t = before / (before - after);
                next.push((from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1)));
            }
            if after >= 0.0 {
                next.push(to);
            }
        }
        kept = next;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_inside_stays_whole() {
        let points = [(0.0, 0.0), (0.5, 0.2), (1.0, 1.0)];
        assert_eq!(line(&points), [points.to_vec()]);
    }

    #[test]
    fn a_line_is_cut_where_it_crosses() {
        assert_eq!(line(&[(-1.0, 0.5), (1.0, 0.5), (1.0, 3.0)]), [vec![(0.0, 0.5), (1.0, 0.5), (1.0, 1.0)]]);
        assert!(line(&[(-1.0, 0.0), (-0.1, 1.0)]).is_empty());
    }

    #[test]
    fn a_missing_value_breaks_the_line() {
        let parts = line(&[(0.0, 0.1), (0.2, 0.1), (f64::NAN, 0.1), (0.6, 0.1), (0.8, 0.1)]);
        assert_eq!(parts, [vec![(0.0, 0.1), (0.2, 0.1)], vec![(0.6, 0.1), (0.8, 0.1)]]);
    }

    #[test]
    fn a_polygon_is_cut_on_all_sides() {
        let square = polygon(&[(-1.0, -1.0), (2.0, -1.0), (2.0, 2.0), (-1.0, 2.0)]);
        let area = |c: &[Point]| (0..c.len()).map(|i| c[i].0 * c[(i + 1) % c.len()].1 - c[(i + 1) % c.len()].0 * c[i].1).sum::<f64>() / 2.0;
        assert!((area(&square) - 1.0).abs() < 1e-12);
        assert!(polygon(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)]).is_empty());
    }
}
