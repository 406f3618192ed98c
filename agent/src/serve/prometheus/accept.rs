//! What the client wants: the format out of `Accept`, compression out of `Accept-Encoding`.
//!
//! Both are lists with weights (RFC 9110, sections 12.4.2, 12.5.1 and 12.5.3). Pure; every text has
//! an answer, since a client that asks for what there is not still gets what there is.

/// A format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What goes into `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that fits best to the values of `Accept`: of those with the highest weight the
    /// one that is named first. Prometheus' own text where nothing fits, as everywhere else.
    pub fn accepted<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut best = (0.0, Self::Text);
        for entry in values.into_iter().flat_map(entries) {
            let Some(format) = Self::of(&entry) else {
                continue;
            };
            if entry.weight > best.0 {
                best = (entry.weight, format);
            }
        }
        best.1
    }

    fn of(entry: &Entry<'_>) -> Option<Self> {
        let version = entry.parameter("version");
        if is(entry.name, "application/openmetrics-text") {
            return matches!(version, None | Some("1.0.0")).then_some(Self::OpenMetrics);
        }
        let text = ["text/plain", "text/*", "*/*"]
            .iter()
            .any(|known| is(entry.name, known));
        (text && matches!(version, None | Some("0.0.4"))).then_some(Self::Text)
    }
}

/// Whether the values of `Accept-Encoding` allow gzip.
pub fn takes_gzip<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    let mut any = None;
    for entry in values.into_iter().flat_map(entries) {
        if is(entry.name, "gzip") || is(entry.name, "x-gzip") {
            return entry.weight > 0.0;
        }
        if entry.name == "*" {
            any = Some(entry.weight > 0.0);
        }
    }
    any.unwrap_or(false)
}

/// One entry of a list.
struct Entry<'a> {
    name: &'a str,
    parameters: &'a str,
    weight: f32,
}

impl<'a> Entry<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        parameters(self.parameters).find_map(|(key, value)| is(key, name).then_some(value))
    }
}

fn entries(list: &str) -> impl Iterator<Item = Entry<'_>> {
    list.split(',').filter_map(|entry| {
        let (name, rest) = entry.split_once(';').unwrap_or((entry, ""));
        let name = name.trim();
        let weight = parameters(rest)
            .find(|(key, _)| is(key, "q"))
            .map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0));
        (!name.is_empty()).then_some(Entry {
            name,
            parameters: rest,
            weight,
        })
    })
}

fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').filter_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        Some((key.trim(), value.trim().trim_matches('"')))
    })
}

fn is(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_heaviest_that_there_is_wins() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("application/json", Format::Text),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            (
                "application/openmetrics-text; version=1.0.0; q=0.1, text/plain; q=0.2",
                Format::Text,
            ),
            ("application/openmetrics-text; q=0, */*", Format::Text),
            ("application/openmetrics-text; q=much, */*", Format::Text),
            // Prometheus 2.45, as Debian has it, and Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted([accept]), format, "{accept}");
        }
        let two = ["*/*;q=0.2", "application/openmetrics-text"];
        assert_eq!(Format::accepted(two), Format::OpenMetrics);
    }

    #[test]
    fn gzip_is_used_where_it_is_taken() {
        for (header, taken) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*", true),
            ("*;q=0", false),
            ("br, zstd", false),
        ] {
            assert_eq!(takes_gzip([header]), taken, "{header}");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_an_answer(text in ".{0,80}", list in "[ -~]{0,80}") {
            Format::accepted([text.as_str(), &list]);
            takes_gzip([text.as_str(), &list]);
        }

        #[test]
        fn a_weight_of_its_own_decides(one in 1_u32..1000, other in 1_u32..1000) {
            let accept = format!(
                "text/plain;q={},application/openmetrics-text;q={}",
                f64::from(one) / 1000.0,
                f64::from(other) / 1000.0
            );
            let expected = if other > one { Format::OpenMetrics } else { Format::Text };
            prop_assert_eq!(Format::accepted([accept.as_str()]), expected);
        }
    }
}
