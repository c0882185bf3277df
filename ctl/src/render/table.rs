//! Aligned columns. Widths are those of the bare text; colours come on top of it.

use crate::render::text::{Paint, clean, paint};

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A cell without colour.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Cell::painted(Paint::Plain, text)
    }

    /// A cell with one.
    pub(crate) fn painted(paint: Paint, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let text = if text.is_empty() { "-".to_owned() } else { clean(&text).into_owned() };
        Cell { text, paint }
    }

    /// Its text, made harmless.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Its colour.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows of cells, with a line to follow each row where there is more to say about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    headers: Vec<&'static str>,
    rows: Vec<(Vec<Cell>, Vec<String>)>,
}

impl Table {
    /// With these headers.
    pub(crate) fn new(headers: Vec<&'static str>) -> Self {
        Table { headers, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push((cells, Vec::new()));
    }

    /// Adds a row and lines, already painted, that follow it.
    pub(crate) fn row_with(&mut self, cells: Vec<Cell>, lines: Vec<String>) {
        self.rows.push((cells, lines));
    }

    /// The whole table, with a newline at the end of each line.
    pub(crate) fn render(&self, headers: bool) -> String {
        let mut widths: Vec<usize> =
            if headers { self.headers.iter().map(|header| header.len()).collect() } else { Vec::new() };
        for (cells, _) in &self.rows {
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        let mut out = String::new();
        if headers && !self.headers.is_empty() {
            let cells: Vec<Cell> =
                self.headers.iter().map(|header| Cell::painted(Paint::Dim, *header)).collect();
            out.push_str(&line(&cells, &widths));
        }
        for (cells, lines) in &self.rows {
            out.push_str(&line(cells, &widths));
            for more in lines {
                out.push_str(more);
                out.push('\n');
            }
        }
        out
    }
}

/// One line of cells with at least these widths; the last cell is not padded.
pub(crate) fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut out = String::new();
    for (index, cell) in cells.iter().enumerate() {
        out.push_str(&paint(cell.paint, &cell.text));
        if index + 1 < cells.len() {
            let width = widths.get(index).copied().unwrap_or(0);
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_the_bare_text() {
        let mut table = Table::new(vec!["NAME", "STATE", "WHY"]);
        table.row(vec![Cell::new("a"), Cell::painted(Paint::Good, "ACTIVE"), Cell::new("")]);
        table.row_with(
            vec![Cell::new("längere"), Cell::new("FAULT"), Cell::new("link down")],
            vec!["  more".to_owned()],
        );
        let bare = anstream::adapter::strip_str(&table.render(true)).to_string();
        assert_eq!(bare, "NAME     STATE   WHY\na        ACTIVE  -\nlängere  FAULT   link down\n  more\n");
        assert!(table.render(true).contains("\u{1b}[32mACTIVE\u{1b}[0m"));
        assert!(table.render(false).starts_with("a        "));
    }
}
