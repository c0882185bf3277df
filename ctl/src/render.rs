//! From views to text: tables for readers, the envelope for programs. No I/O.

mod envelope;
mod table;
mod text;

pub(crate) use self::envelope::{Item, Report, end_line, jsonl_line, report};
pub(crate) use self::table::{Cell, Layout, Table, line};
pub(crate) use self::text::{Paint, Times, clean, paint, utc};
