//! Gathers the rows of one result and stops a result that is too large.

use super::{Cell, Column, Rows, SqlError};

/// Most rows of one result: a plugin that wants more should let the database sum up.
pub const ROWS_MAX: usize = 100_000;

/// Most memory of all cells of one result, in bytes.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A result in the making.
#[derive(Default)]
pub(super) struct Gather {
    rows: Rows,
    bytes: usize,
    /// A statement that returned rows is over.
    whole: bool,
}

impl Gather {
    /// Takes a row; `columns` is asked with the first one only.
    ///
    /// # Errors
    /// When the result grows too large, or is a second one.
    pub(super) fn row(
        &mut self,
        columns: impl FnOnce() -> Vec<Column>,
        cells: Vec<Cell>,
    ) -> Result<(), SqlError> {
        if self.whole {
            return Err(SqlError::TwoResults);
        }
        if self.rows.rows.is_empty() {
            self.rows.columns = columns();
        }
        if self.rows.rows.len() >= ROWS_MAX {
            return Err(SqlError::TooManyRows);
        }
        let size = cells.iter().fold(size_of::<Vec<Cell>>(), |sum, cell| {
            sum.saturating_add(cell.size())
        });
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > BYTES_MAX {
            return Err(SqlError::TooLarge);
        }
        self.rows.rows.push(cells);
        Ok(())
    }

    /// A statement is over; `affected` is the server's count.
    pub(super) fn end_of_statement(&mut self, affected: u64) {
        self.rows.affected = self.rows.affected.saturating_add(affected);
        self.whole = !self.rows.rows.is_empty();
    }

    /// The whole result.
    pub(super) fn finish(self) -> Rows {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_column() -> Vec<Column> {
        vec![Column {
            name: "n".to_owned(),
            type_name: "int8".to_owned(),
        }]
    }

    #[test]
    fn rows_are_counted() {
        let mut gather = Gather::default();
        for number in 0..ROWS_MAX {
            let cell = Cell::Integer(i64::try_from(number).unwrap());
            gather.row(one_column, vec![cell]).unwrap();
        }
        assert_eq!(
            gather.row(one_column, vec![Cell::Null]),
            Err(SqlError::TooManyRows)
        );
    }

    #[test]
    fn bytes_are_counted() {
        let mut gather = Gather::default();
        let half = || vec![Cell::Text("x".repeat(BYTES_MAX / 2 - 100))];
        gather.row(one_column, half()).unwrap();
        gather.row(one_column, half()).unwrap();
        assert_eq!(
            gather.row(one_column, vec![Cell::Text("x".repeat(200))]),
            Err(SqlError::TooLarge)
        );
    }

    #[test]
    fn statements_without_rows_may_stand_around_one_with_rows() {
        let mut gather = Gather::default();
        gather.end_of_statement(3);
        gather.row(one_column, vec![Cell::Integer(1)]).unwrap();
        gather.end_of_statement(1);
        gather.end_of_statement(0);
        assert_eq!(
            gather.row(one_column, vec![Cell::Integer(2)]),
            Err(SqlError::TwoResults)
        );
        let rows = gather.finish();
        assert_eq!((rows.columns, rows.affected), (one_column(), 4));
    }
}
