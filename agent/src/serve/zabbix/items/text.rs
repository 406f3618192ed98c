//! How values are written: as `zabbix_agentd` writes them.

use std::fmt::Write as _;

/// A number with six decimals, C's `%f`.
pub(super) fn float(out: &mut String, number: f64) {
    // Writing to a String cannot fail.
    write!(out, "{number:.6}").unwrap_or_default();
}

/// A whole number.
pub(super) fn whole(out: &mut String, number: u64) {
    write!(out, "{number}").unwrap_or_default();
}

/// Part of a whole in percent, and what Zabbix says when there is no whole.
pub(super) fn percent(part: u64, whole: u64, of_nothing: f64) -> f64 {
    if whole == 0 {
        of_nothing
    } else {
        100.0 * part as f64 / whole as f64
    }
}

/// A JSON string with its quotes.
pub(super) fn json(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// A low-level discovery document: an array of flat objects whose values are texts.
pub(super) fn document<const N: usize>(
    out: &mut String,
    rows: impl IntoIterator<Item = [(&'static str, String); N]>,
) {
    out.push('[');
    for (index, row) in rows.into_iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        for (column, (name, value)) in row.iter().enumerate() {
            if column > 0 {
                out.push(',');
            }
            json(out, name);
            out.push(':');
            json(out, value);
        }
        out.push('}');
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_one_line_of_json() {
        let mut out = String::new();
        document(
            &mut out,
            [[("{#A}", "x\"y".to_owned()), ("{#B}", String::new())]],
        );
        document(&mut out, Vec::<[(&str, String); 1]>::new());
        assert_eq!(out, r#"[{"{#A}":"x\"y","{#B}":""}][]"#);
    }
}
