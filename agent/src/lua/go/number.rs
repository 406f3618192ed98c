//! Numbers as text and back: Go's `strconv` and gopher-lua's `tostring` and `tonumber`.

/// The fewest decimal digits that identify a finite number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    /// Without zeros at the end; a single `0` for zero.
    significant: String,
    /// The exponent of ten of the first digit.
    exponent: i32,
}

impl Digits {
    pub(super) fn new(number: f64) -> Self {
        let text = format!("{:e}", number.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        Self {
            negative: number.is_sign_negative(),
            significant: mantissa.replace('.', ""),
            exponent: exponent.parse().unwrap_or_default(),
        }
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// Without an exponent.
    pub(super) fn plain(&self) -> String {
        let (sign, digits) = (self.sign(), &self.significant);
        let Ok(exponent) = usize::try_from(self.exponent) else {
            let zeros = "0".repeat(self.exponent.unsigned_abs() as usize - 1);
            return format!("{sign}0.{zeros}{digits}");
        };
        match digits.split_at_checked(exponent + 1) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{digits:0<width$}", width = exponent + 1),
        }
    }

    /// With an exponent of at least so many digits.
    pub(super) fn scientific(&self, width: usize) -> String {
        let (first, rest) = self.significant.split_at_checked(1).unwrap_or(("0", ""));
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if self.exponent < 0 { '-' } else { '+' };
        let exponent = self.exponent.unsigned_abs();
        format!(
            "{}{first}{point}{rest}e{sign}{exponent:0width$}",
            self.sign()
        )
    }
}

/// Go's `%v` of a float64: as few digits as identify it, with an exponent of two or more digits
/// when it is below 1e-4, or at least 1e6; `NaN`, `+Inf`, `-Inf`.
pub fn format_g(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Inf" } else { "+Inf" }.to_owned();
    }
    let digits = Digits::new(number);
    if (-4..6).contains(&digits.exponent) {
        digits.plain()
    } else {
        digits.scientific(2)
    }
}

/// gopher-lua's `tostring` of a number: integers within 64 bits have no decimals and no exponent,
/// and zero has no sign; everything else is [`format_g`].
pub fn tostring(number: f64) -> String {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an integer within the range"
        )]
        let integer = number as i64;
        return integer.to_string();
    }
    format_g(number)
}

/// Why a text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not written as one.
    #[error("invalid syntax")]
    Syntax,
    /// It is too large.
    #[error("value out of range")]
    Range,
}

/// Go's `strconv.ParseFloat` of a whole text: decimal digits with an optional sign, point and
/// exponent, or `inf`, `infinity` and `nan` in small or capital letters. No space around it, no
/// hexadecimal digits.
///
/// # Errors
/// When it is not a number, or too large for one.
pub fn parse_float(text: &[u8]) -> Result<f64, NumberError> {
    let unsigned = text.strip_prefix(b"+").or(text.strip_prefix(b"-"));
    let is = |name: &str, text: &[u8]| text.eq_ignore_ascii_case(name.as_bytes());
    if is("nan", text) {
        return Ok(f64::NAN);
    }
    let digits = unsigned.unwrap_or(text);
    if is("inf", digits) || is("infinity", digits) {
        let negative = text.starts_with(b"-");
        return Ok(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    // Rust's own syntax is the same but for the words.
    if !digits.iter().any(u8::is_ascii_digit) || is("nan", digits) {
        return Err(NumberError::Syntax);
    }
    let text = std::str::from_utf8(text).map_err(|_| NumberError::Syntax)?;
    let number: f64 = text.parse().map_err(|_| NumberError::Syntax)?;
    if number.is_infinite() {
        return Err(NumberError::Range);
    }
    Ok(number)
}

/// gopher-lua's `tonumber` of a text: spaces, tabs and line feeds around it do not count; with a
/// point in it it is a float, else an integer of 64 bits in the base, 2 to 36, or after `0x` in base
/// 16. So `1e5`, `inf` and integers with more than 64 bits are none.
pub fn tonumber(text: &[u8], base: u32) -> Option<f64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let end = text.iter().rposition(|byte| !is_space(byte))?;
    let text = std::str::from_utf8(text.get(start..=end)?).ok()?;
    if text.contains('.') {
        return parse_float(text.as_bytes()).ok();
    }
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let integer = match hexadecimal {
        Some(digits) if digits.starts_with(['+', '-']) => None,
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None if (2..=36).contains(&base) => i64::from_str_radix(text, base).ok(),
        None => None,
    };
    integer.map(|integer| integer as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shortest_digits_are_written_as_go_does() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (100_000.0, "100000"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (4_294_967_296.0, "4.294967296e+09"),
            (1.25e100, "1.25e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.5e-7, "-1.5e-07"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_g(number), expected);
        }
    }

    #[test]
    fn zalua_31_numbers_become_text() {
        for (number, expected) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (-3.0, "-3"),
            (-0.0, "0"),
            (8_253_988_864.0, "8253988864"),
            (1e15, "1000000000000000"),
            (-9_223_372_036_854_775_808.0, "-9223372036854775808"),
            (9_223_372_036_854_775_808.0, "9.223372036854776e+18"),
            (1_234_567.5, "1.2345675e+06"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(tostring(number), expected);
        }
    }

    #[test]
    fn zalua_34_samples_are_parsed_whole() {
        for (text, expected) in [
            ("1.5", 1.5),
            ("-2", -2.0),
            ("+.5", 0.5),
            ("1.", 1.0),
            ("1e5", 1e5),
            ("1E-2", 0.01),
            ("-Inf", f64::NEG_INFINITY),
            ("infinity", f64::INFINITY),
            ("1e-400", 0.0),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Ok(expected), "{text}");
        }
        assert!(parse_float(b"NaN").unwrap().is_nan());
        for text in [
            "", " 1", "1 ", "abc", "0x10", "1_000", ".", "e5", "+nan", "1e", "--1", "\u{661}",
        ] {
            assert_eq!(
                parse_float(text.as_bytes()),
                Err(NumberError::Syntax),
                "{text}"
            );
        }
        assert_eq!(parse_float(b"1e400"), Err(NumberError::Range));
        assert_eq!(parse_float(b"\xff"), Err(NumberError::Syntax));
    }

    #[test]
    fn texts_become_numbers_as_in_gopher_lua() {
        for (text, expected) in [
            ("10", Some(10.0)),
            (" \t-7\n", Some(-7.0)),
            ("0x10", Some(16.0)),
            ("0XfF", Some(255.0)),
            ("1.5", Some(1.5)),
            ("1.5e3", Some(1500.0)),
            ("9223372036854775807", Some(9_223_372_036_854_775_807.0)),
            ("9223372036854775808", None),
            ("1e5", None),
            ("inf", None),
            ("nan", None),
            ("", None),
            ("  ", None),
            ("1\r", None),
            ("0x", None),
            ("0x-1", None),
            ("-", None),
            ("1.2.3", None),
        ] {
            assert_eq!(tonumber(text.as_bytes(), 10), expected, "{text}");
        }
        assert_eq!(tonumber(b"ff", 16), Some(255.0));
        assert_eq!(tonumber(b"zz", 36), Some(1295.0));
        assert_eq!(tonumber(b"102", 2), None);
        assert_eq!(tonumber(b"1", 1), None);
        assert_eq!(tonumber(b"\xff", 10), None);
    }

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<f64>()) {
            let text = format_g(number);
            let back = parse_float(text.as_bytes()).unwrap();
            prop_assert!(back.to_bits() == number.to_bits() || number.is_nan());
            if number.is_finite() {
                prop_assert_eq!(tostring(number).parse::<f64>(), Ok(number));
            }
        }

        #[test]
        fn integers_come_back(number in any::<i32>()) {
            prop_assert_eq!(tonumber(tostring(number.into()).as_bytes(), 10), Some(number.into()));
        }

        #[test]
        fn any_bytes_are_a_number_or_none(text in any::<Vec<u8>>(), base in any::<u32>()) {
            let float = parse_float(&text);
            prop_assert!(float.is_ok() || float.is_err());
            if let Some(number) = tonumber(&text, base) {
                prop_assert!(number.is_finite());
            }
        }
    }
}
