//! What is printed: tables for people, the same as one JSON document for programs.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::{Map, Value, json};

use crate::statistics::Distribution;

/// A cell of a table.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Text(String),
    /// A number and the decimals that mean something.
    Number(f64, usize),
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number, _) if number.is_nan() => "-".to_owned(),
            Self::Number(number, decimals) => format!("{number:.decimals$}"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number, _) => json!(number),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as f64, 0)
    }
}

/// Rows under columns.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<String>,
    samples: Map<String, Value>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
            notes: Vec::new(),
            samples: Map::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// A line under the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Every sample behind a row, for the JSON document only.
    pub(crate) fn samples(&mut self, name: impl Into<String>, distribution: &Distribution) {
        self.samples.insert(name.into(), json!(distribution.samples()));
    }

    fn text(&self) -> String {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect();
        let width = |place: usize| {
            let widths = cells.iter().filter_map(|row| row.get(place)).chain(self.columns.get(place));
            widths.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = format!("\n{}\n", self.title);
        let is_number =
            |place: usize| self.rows.iter().any(|row| matches!(row.get(place), Some(Cell::Number(..))));
        for row in std::iter::once(&self.columns).chain(&cells) {
            for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = if is_number(place) {
                    write!(text, "  {cell:>width$}")
                } else {
                    write!(text, "  {cell:<width$}")
                };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        self.notes.iter().for_each(|note| text.push_str(&format!("  {note}\n")));
        text
    }

    fn json(&self) -> Value {
        let row = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().cloned().zip(row.iter().map(Cell::json));
            Value::Object(pairs.collect())
        };
        json!({
            "title": self.title,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "notes": self.notes,
            "samples": self.samples,
        })
    }
}

/// Everything a run prints.
#[derive(Debug)]
pub(crate) struct Report {
    is_json: bool,
    machine: String,
    load: String,
    tables: Vec<Value>,
    failures: Vec<String>,
}

impl Report {
    pub(crate) fn begin(is_json: bool) -> Self {
        let report =
            Self { is_json, machine: machine(), load: load(), tables: Vec::new(), failures: Vec::new() };
        if !is_json {
            println!("{}; load average at the start {}", report.machine, report.load);
        }
        report
    }

    /// Prints a table as soon as it is complete.
    pub(crate) fn add(&mut self, table: &Table) {
        if self.is_json {
            self.tables.push(table.json());
        } else {
            println!("{}", table.text());
        }
    }

    /// Something did not happen: the run goes on, and ends with status 1.
    pub(crate) fn fail(&mut self, what: String) {
        eprintln!("FAILED: {what}");
        self.failures.push(what);
    }

    pub(crate) fn end(self) -> ExitCode {
        let Self { is_json, machine, load: before, tables, failures } = self;
        let after = load();
        if is_json {
            let document = json!({
                "machine": machine,
                "load_before": before,
                "load_after": after,
                "tables": tables,
                "failures": failures,
            });
            println!("{document}");
        } else {
            println!("load average at the end {after}");
        }
        if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Tells on standard error how far a long run is.
pub(crate) fn progress(text: &str) {
    eprintln!("... {text}");
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map(usize::from).unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, Linux {}", kernel.trim())
}

/// The load averages of 1, 5 and 15 minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_aligns_and_the_json_has_the_same() {
        let mut table = Table::new("Times", &["who", "ms"]);
        table.row(vec!["agent".into(), Cell::Number(1.25, 1)]);
        table.row(vec!["keepalived".into(), Cell::Number(f64::NAN, 1)]);
        table.note("in ms");
        assert_eq!(
            table.text(),
            "\nTimes\n  who          ms\n  agent       1.2\n  keepalived    -\n  in ms\n"
        );
        assert_eq!(table.json()["rows"][0]["ms"], 1.25);
        assert_eq!(table.json()["rows"][1]["ms"], Value::Null);
    }
}
