//! Numbers as people read them in tables and on axes.

/// At most `digits` significant digits, without trailing zeros: `0.5123`, `12.3`, `1235`, `1.2e-7`, `∞`.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".to_string() } else { "-∞".to_string() };
    }
    if value == 0.0 {
        return "0".to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        return trimmed(&format!("{value:.decimals$}"));
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    match scientific.split_once('e') {
        Some((mantissa, power)) => format!("{}e{power}", trimmed(mantissa)),
        None => scientific,
    }
}

/// A number with `decimals` digits after the point, without trailing zeros.
fn trimmed(text: &str) -> String {
    if !text.contains('.') {
        return text.to_string();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// `10⁻³` for -3; 1 and 10 stay as they are.
pub(super) fn power_of_ten(exponent: i32) -> String {
    match exponent {
        0 => "1".to_string(),
        1 => "10".to_string(),
        _ => format!("10{}", exponent.to_string().chars().map(superscript).collect::<String>()),
    }
}

fn superscript(digit: char) -> char {
    match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
        other => other,
    }
}

/// A count with a space between thousands.
pub(super) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.5, "0.5"),
            (0.512_345, "0.5123"),
            (12.345_6, "12.35"),
            (1234.56, "1235"),
            (123_456.7, "123457"),
            (-0.000_123_44, "-0.0001234"),
            (1.0e-7, "1e-7"),
            (2.345_67e9, "2.346e9"),
            (9.999_96, "10"),
            (f64::INFINITY, "∞"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value, 4), text);
        }
    }

    #[test]
    fn powers_are_superscripts() {
        assert_eq!(power_of_ten(-5), "10⁻⁵");
        assert_eq!(power_of_ten(10), "10¹⁰");
        assert_eq!(power_of_ten(0), "1");
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!(count(999), "999");
        assert_eq!(count(60_000), "60\u{a0}000");
        assert_eq!(count(1_234_567), "1\u{a0}234\u{a0}567");
    }
}
