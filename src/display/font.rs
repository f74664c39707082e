//! The bundled typeface (DejaVu Sans): pictures need no installed font and have the same bytes on every machine.

use crate::{Error, Result};
use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};
use std::sync::OnceLock;

/// The name under which plotters finds the bundled font, and the list a browser reads for the text of an SVG: the others are
/// narrower, so text that was measured with the first fits in all.
const FAMILY: &str = "DejaVu Sans, Helvetica, Arial, sans-serif";

/// plotters calls the height of a line the size of a font; everywhere else here a size is that of an em.
const LINE: f64 = 1.24;

const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSans-subset.ttf");
const BOLD: &[u8] = include_bytes!("fonts/DejaVuSans-Bold-subset.ttf");

/// How thick letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// The typeface at `size` pixels per em.
pub(super) fn typeface(size: f64, weight: Weight) -> Result<FontDesc<'static>> {
    // A static, because plotters' own table of fonts is one: registering before every text would lock and parse each time.
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED
        .get_or_init(|| register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok() && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok());
    if !registered {
        return Err(Error::figure("text", "the bundled font cannot be read"));
    }
    let style = match weight {
        Weight::Regular => FontStyle::Normal,
        Weight::Bold => FontStyle::Bold,
    };
    // plotters divides by LINE again when it writes SVG: take the neighbour that gives the size back without a tail of digits.
    let line = size * LINE;
    let line = [line, line.next_down(), line.next_up()].into_iter().find(|line| line / LINE == size).unwrap_or(line);
    Ok(FontDesc::new(FontFamily::Name(FAMILY), line, style))
}

/// Drawn SVG with another list of families. The list stands in attributes only: text has its quotes escaped.
pub(super) fn in_families(svg: &str, families: &str) -> String {
    svg.replace(&format!("font-family=\"{FAMILY}\""), &format!("font-family=\"{families}\""))
}

/// Width of one line of text in pixels.
pub(super) fn width(text: &str, size: f64, weight: Weight) -> Result<f64> {
    // plotters answers in whole pixels: ask for a large size.
    const PRECISION: f64 = 1000.0;
    let (across, _) = typeface(PRECISION, weight)?.box_size(text).map_err(|e| Error::figure("text", e))?;
    Ok(f64::from(across) * size / PRECISION)
}

/// The widest of several lines.
pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64, weight: Weight) -> Result<f64> {
    texts.into_iter().try_fold(0.0f64, |most, text| Ok(most.max(width(text, size, weight)?)))
}

/// What a line may break between: a no-break space holds together what it parts.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() && c != '\u{a0}').filter(|word| !word.is_empty())
}

/// Breaks text at spaces into lines that fit into `room` pixels; line breaks in the text stay, a longer word is cut.
pub(super) fn wrap(text: &str, size: f64, weight: Weight, room: f64) -> Result<Vec<String>> {
    let mut lines = vec![];
    for paragraph in text.lines() {
        if width(paragraph, size, weight)? <= room {
            lines.push(paragraph.to_string()); // keeps the inner spaces of a line that fits
            continue;
        }
        let mut line = String::new();
        for word in words(paragraph) {
            let longer = if line.is_empty() { word.to_string() } else { format!("{line} {word}") };
            if line.is_empty() || width(&longer, size, weight)? <= room {
                line = longer;
            } else {
                lines.push(std::mem::replace(&mut line, word.to_string()));
            }
        }
        lines.push(line);
    }
    lines.into_iter().map(|line| cut(&line, size, weight, room)).collect()
}

/// Breaks a name at spaces into at most `most` lines; what is left over is cut.
pub(super) fn broken(name: &str, size: f64, room: f64, most: usize) -> Result<Vec<String>> {
    let mut lines = wrap(name, size, Weight::Regular, room)?;
    if lines.len() > most {
        let rest = lines.split_off(most.saturating_sub(1)).join(" ");
        lines.push(cut(&rest, size, Weight::Regular, room)?);
    }
    Ok(lines)
}

/// The text, shortened with an ellipsis if it is wider than `room` pixels.
pub(super) fn cut(text: &str, size: f64, weight: Weight, room: f64) -> Result<String> {
    if width(text, size, weight)? <= room {
        return Ok(text.to_string());
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let shorter = format!("{}…", kept.iter().collect::<String>().trim_end());
        if width(&shorter, size, weight)? <= room {
            return Ok(shorter);
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_wide_as_its_letters() {
        let one = width("m", 10.0, Weight::Regular).unwrap();
        assert!((width("mmmm", 10.0, Weight::Regular).unwrap() - 4.0 * one).abs() < 0.1);
        // DejaVu Sans: the advance of "m" is 0.974 em.
        assert!((one - 9.74).abs() < 0.02, "{one}");
        assert!(width("m", 10.0, Weight::Bold).unwrap() > one);
    }

    #[test]
    fn the_signs_of_our_field_have_glyphs() {
        let missing = width("\u{e000}", 100.0, Weight::Regular).unwrap();
        for sign in "εδσ±×≤≥∞→–—…·⁻¹²³⁴⁵⁶⁷⁸⁹⁰∇θ√✓éßł".chars() {
            let across = width(&sign.to_string(), 100.0, Weight::Regular).unwrap();
            assert!((across - missing).abs() > 0.05, "no glyph for {sign}");
        }
    }

    #[test]
    fn wrapped_lines_fit_and_lose_no_word() {
        let text = "n = 1000 members and as many non-members, seed 7, intervals of 95 %";
        let lines = wrap(text, 12.0, Weight::Regular, 150.0).unwrap();
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width(line, 12.0, Weight::Regular).unwrap() <= 150.0));
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrap("60\u{a0}000 records", 12.0, Weight::Regular, 60.0).unwrap(), ["60\u{a0}000", "records"]);
        assert_eq!(wrap("a\nb", 12.0, Weight::Regular, 150.0).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_name_takes_no_more_lines_than_allowed() {
        let lines = broken("likelihood ratio on distribution matching with noise", 12.0, 100.0, 2).unwrap();
        assert!(lines.len() == 2 && lines[0] == "likelihood ratio" && lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(broken("short", 12.0, 100.0, 2).unwrap(), ["short"]);
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        let short = cut("a name that is far too long", 12.0, Weight::Regular, 60.0).unwrap();
        assert!(short.ends_with('…') && short.starts_with("a name"));
        assert_eq!(cut("fits", 12.0, Weight::Regular, 60.0).unwrap(), "fits");
    }
}
