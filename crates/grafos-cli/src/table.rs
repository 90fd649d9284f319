//! [`Table`]: columns that line up.

/// Rows under a heading. The last column is as wide as it is.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right_aligned: Vec<bool>,
}

impl Table {
    /// A table with these headings; those that begin with `>` are aligned to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right_aligned = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![headings], right_aligned }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.right_aligned.len()).map(width).collect();
        let pad = |(column, cell): (usize, &String)| {
            let width = widths.get(column).copied().unwrap_or(0);
            if self.right_aligned.get(column) == Some(&true) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        };
        let line = |row: &Vec<String>| row.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ");
        self.rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[">slot", "state"]);
        table.row(vec!["0".to_owned(), "good".to_owned()]);
        table.row(vec!["12345".to_owned(), "blank".to_owned()]);
        assert_eq!(table.lines(), [" slot  state", "    0  good", "12345  blank"]);
    }
}
