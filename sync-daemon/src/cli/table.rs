//! Columns of text.

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header.
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; what is no printable character becomes visible.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        let printable = |cell: String| crate::mirror::escape(cell.as_bytes());
        self.rows.push(cells.into_iter().map(printable).collect());
    }

    /// The table as lines; empty without rows.
    pub(super) fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let header: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut text = self.line(&header);
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            text.push_str(&self.line(&cells));
        }
        text
    }

    fn line(&self, cells: &[&str]) -> String {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = self.width(column);
            match self.columns[column].1 {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            }
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([self.columns[column].0.len()])
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        assert_eq!(table.render(), "");
        table.row(vec!["documents".to_owned(), "1".to_owned()]);
        table.row(vec!["a\nb".to_owned(), "1234".to_owned()]);
        assert_eq!(
            table.render(),
            "NAME          N\ndocuments     1\na\\nb       1234\n"
        );
    }
}
