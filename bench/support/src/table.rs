//! [`Table`]: figures as Markdown that is pleasant to read as it is.

/// Rows of cells under a head.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    pub fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Self {
        Self { head: head.into_iter().map(str::to_owned).collect(), rows: Vec::new() }
    }

    /// One row, a cell for each column.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown: columns padded to be read as they are, names to the left and figures to the right.
    #[must_use]
    pub fn markdown(&self) -> String {
        let width_of = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width_of).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let body: String = self.rows.iter().map(line).collect();
        format!("{}| {} |\n{body}", line(&self.head), rules.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_markdown() {
        let mut table = Table::new(["what", "µ"]);
        table.push(["a".to_owned(), "12345".to_owned()]);
        assert_eq!(table.markdown(), "| what | µ     |\n| ---- | ----- |\n| a    | 12345 |\n");
    }
}
