//! What a statement gives back, and what it is given.

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the server tells it. Two columns may have the same.
    pub name: String,
    /// The server's name for its type in lower case: `int8`, `timestamptz`, `varchar`, `integer`;
    /// `oid 16432` for a PostgreSQL type that was made by a user.
    pub type_name: String,
}

/// One value: a cell of a result, or a parameter of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// SQL's NULL.
    Null,
    /// A truth value. Only PostgreSQL has them; the others say 0 and 1.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// Everything that has a text: strings, dates and times, `numeric`, JSON, UUIDs, arrays.
    Text(String),
    /// Bytes: `bytea` and blobs, and texts that are not UTF-8.
    Bytes(Vec<u8>),
}

impl Cell {
    /// A text, or the bytes when they are not UTF-8 (a database with the encoding `SQL_ASCII`
    /// stores anything).
    pub(super) fn text(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    /// A whole number, or its text when it does not fit.
    pub(super) fn integer(bytes: &[u8]) -> Self {
        parsed(bytes).map_or_else(|| Self::text(bytes), Self::Integer)
    }

    /// A number with a point, or its text when it is none.
    pub(super) fn float(bytes: &[u8]) -> Self {
        parsed(bytes).map_or_else(|| Self::text(bytes), Self::Float)
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let inside = match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) => 0,
        };
        inside.saturating_add(size_of::<Self>())
    }
}

fn parsed<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The result of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The columns, in order. Empty when no row came: the driver tells columns only with a row.
    pub columns: Vec<Column>,
    /// The rows in the server's order, each with one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that the statements changed, or found, by the server's own count.
    pub affected: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_stay_texts() {
        assert_eq!(Cell::integer(b"-42"), Cell::Integer(-42));
        assert_eq!(
            Cell::integer(b"18446744073709551615"),
            Cell::Text("18446744073709551615".to_owned())
        );
        assert_eq!(Cell::float(b"1.1"), Cell::Float(1.1));
        assert_eq!(Cell::float(b"-Infinity"), Cell::Float(f64::NEG_INFINITY));
        assert!(matches!(Cell::float(b"NaN"), Cell::Float(number) if number.is_nan()));
        assert_eq!(Cell::float(b"soon"), Cell::Text("soon".to_owned()));
    }

    #[test]
    fn what_is_not_utf_8_stays_bytes() {
        assert_eq!(Cell::text("Grün".as_bytes()), Cell::Text("Grün".to_owned()));
        assert_eq!(Cell::text(b"Gr\xfcn"), Cell::Bytes(b"Gr\xfcn".to_vec()));
    }
}
