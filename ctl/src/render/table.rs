//! Aligned columns. Widths are those of the bare text; colours come on top of it.

use std::borrow::Cow;

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
    headers: Vec<Cow<'static, str>>,
    rows: Vec<(Vec<Cell>, Vec<String>)>,
}

impl Table {
    /// With these headers.
    pub(crate) fn new(headers: Vec<&'static str>) -> Self {
        Table { headers: headers.into_iter().map(Cow::Borrowed).collect(), rows: Vec::new() }
    }

    /// With headers that others have chosen, made harmless.
    pub(crate) fn with_headers(headers: impl IntoIterator<Item = String>) -> Self {
        let harmless = |header: String| Cow::Owned(clean(&header).into_owned());
        Table { headers: headers.into_iter().map(harmless).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push((cells, Vec::new()));
    }

    /// Adds a row and lines, already painted, that follow it.
    pub(crate) fn row_with(&mut self, cells: Vec<Cell>, lines: Vec<String>) {
        self.rows.push((cells, lines));
    }

    /// The whole table, with a newline at the end of each line. Columns that the layout has no room for follow their row on lines of
    /// their own, each value after its header: a terminal that wraps lines takes columns apart.
    pub(crate) fn render(&self, layout: Layout) -> String {
        let widths = self.widths(layout.headers);
        let kept = layout.width.map_or(widths.len(), |width| fitting(&widths, width));
        let mut out = String::new();
        if layout.headers && !self.headers.is_empty() {
            let cells: Vec<Cell> = self
                .headers
                .iter()
                .take(kept)
                .map(|header| Cell::painted(Paint::Dim, header.as_ref()))
                .collect();
            out.push_str(&line(&cells, &widths));
        }
        for (cells, lines) in &self.rows {
            out.push_str(&line(&cells[..kept.min(cells.len())], &widths));
            if let Some(width) = layout.width {
                out.push_str(&self.rest(cells, kept, width));
            }
            for more in lines {
                out.push_str(more);
                out.push('\n');
            }
        }
        out
    }

    /// How wide each column is.
    fn widths(&self, headers: bool) -> Vec<usize> {
        let mut widths: Vec<usize> = if headers {
            self.headers.iter().map(|header| header.chars().count()).collect()
        } else {
            Vec::new()
        };
        for (cells, _) in &self.rows {
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        widths
    }

    /// The cells from `kept` on, as many on a line as fit.
    fn rest(&self, cells: &[Cell], kept: usize, width: usize) -> String {
        let (mut out, mut used) = (String::new(), 0);
        for (header, cell) in self.headers.iter().zip(cells).skip(kept).filter(|(_, cell)| cell.text != "-") {
            let wide = header.chars().count() + 1 + cell.width();
            let begins = used == 0 || used + 2 + wide > width;
            if begins && used > 0 {
                out.push('\n');
            }
            out.push_str(if begins { "    " } else { "  " });
            out.push_str(&format!("{} {}", paint(Paint::Dim, header), paint(cell.paint, &cell.text)));
            used = if begins { 4 + wide } else { used + 2 + wide };
        }
        if used > 0 {
            out.push('\n');
        }
        out
    }
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// With a header line.
    pub headers: bool,
    /// In no more than this many columns of characters; none = as many as it needs.
    pub width: Option<usize>,
}

/// How many of the first columns fit into a width; at least one.
fn fitting(widths: &[usize], width: usize) -> usize {
    let ends = widths.iter().scan(0, |end, column| {
        let start = if *end == 0 { 0 } else { *end + 2 };
        *end = start + column;
        Some(*end)
    });
    ends.take_while(|end| *end <= width).count().max(1)
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
        let wide = |headers| Layout { headers, width: None };
        let bare = anstream::adapter::strip_str(&table.render(wide(true))).to_string();
        assert_eq!(bare, "NAME     STATE   WHY\na        ACTIVE  -\nlängere  FAULT   link down\n  more\n");
        assert!(table.render(wide(true)).contains("\u{1b}[32mACTIVE\u{1b}[0m"));
        assert!(table.render(wide(false)).starts_with("a        "));
    }

    #[test]
    fn columns_that_do_not_fit_follow_their_row_each_after_its_header() {
        let mut table = Table::new(vec!["NAME", "STATE", "SINCE", "WHY", "VIPS"]);
        let cells = ["web", "ACTIVE", "02:14", "a long reason that has no room", "10.0.0.10"];
        table.row(cells.map(Cell::new).to_vec());
        table.row_with(vec![Cell::new("db"), Cell::new("FAULT")], vec!["  more".to_owned()]);
        for (width, expected) in [
            (
                80,
                "NAME  STATE   SINCE  WHY                             VIPS\nweb   ACTIVE  02:14  a long reason that has no room  10.0.0.10\n",
            ),
            (
                30,
                "NAME  STATE   SINCE\nweb   ACTIVE  02:14\n    WHY a long reason that has no room\n    VIPS 10.0.0.10\n",
            ),
            (
                12,
                "NAME  STATE\nweb   ACTIVE\n    SINCE 02:14\n    WHY a long reason that has no room\n    VIPS 10.0.0.10\n",
            ),
            (1, "NAME\nweb\n    STATE ACTIVE\n    SINCE 02:14\n"),
        ] {
            let text = table.render(Layout { headers: true, width: Some(width) });
            let bare = anstream::adapter::strip_str(&text).to_string();
            assert!(bare.starts_with(expected), "{width}:\n{bare}");
            assert!(bare.ends_with("  more\n") && bare.contains("FAULT"), "{bare}");
        }
    }
}
