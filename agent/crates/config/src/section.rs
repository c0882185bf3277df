//! One table of the file: hands out its values by key, each read by a typed reader, and reports the keys it does not
//! know. Readers report what is wrong with a value at its place and go on, so that all findings come at once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;
use crate::report::Report;
use crate::value::{Value, kind, shown};

/// What a table says about one key.
#[derive(Clone, Debug, Default)]
pub(crate) enum Slot<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something wrong, which has been reported.
    Broken,
    /// A value.
    Given(Spot<T>),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot<T> {
    /// What was read.
    pub(crate) value: T,
    /// Where in the text.
    pub(crate) span: Range<usize>,
    /// Whether it comes from `defaults`.
    pub(crate) inherited: bool,
}

impl<T> Slot<T> {
    /// The value with its place.
    pub(crate) fn spot(&self) -> Option<&Spot<T>> {
        match self {
            Self::Given(spot) => Some(spot),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&T> {
        self.spot().map(|spot| &spot.value)
    }

    /// The value when the table itself, not `defaults`, says so.
    pub(crate) fn own(&self) -> Option<&Spot<T>> {
        self.spot().filter(|spot| !spot.inherited)
    }

    /// The value, or what is used when nothing (usable) is said.
    pub(crate) fn value_or(&self, default: T) -> T
    where
        T: Clone,
    {
        self.value().cloned().unwrap_or(default)
    }

    /// The value, or the type's default.
    pub(crate) fn value_or_default(&self) -> T
    where
        T: Clone + Default,
    {
        self.value_or(T::default())
    }

    /// Whether the table says nothing about it.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// This, or what `defaults` say when this is absent.
    pub(crate) fn or_inherit(self, defaults: &Self) -> Self
    where
        T: Clone,
    {
        match (self, defaults) {
            (Self::Absent, Self::Given(spot)) => Self::Given(Spot { inherited: true, ..spot.clone() }),
            (Self::Absent, Self::Broken) => Self::Broken,
            (own, _) => own,
        }
    }
}

/// A table of the file.
#[derive(Clone)]
pub(crate) struct Section<'t> {
    /// As it is called in messages, such as `[api]`.
    pub(crate) title: String,
    /// Its header, or the whole of an inline table.
    pub(crate) span: Range<usize>,
    table: &'t DeTable<'t>,
}

impl<'t> Section<'t> {
    /// A table under the name it has in messages.
    pub(crate) fn new(title: impl Into<String>, span: Range<usize>, table: &'t DeTable<'t>) -> Self {
        Self { title: title.into(), span, table }
    }

    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// The value of a key through a typed reader, which reports what is wrong with it.
    pub(crate) fn read<T>(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        reader: impl FnOnce(&Value<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Slot<T> {
        let Some(value) = self.get(key) else {
            return Slot::Absent;
        };
        let value = Value { key, span: value.span(), inner: value.get_ref() };
        match reader(&value, report) {
            Some(read) => Slot::Given(Spot { value: read, span: value.span, inherited: false }),
            None => Slot::Broken,
        }
    }

    /// The value of a key that must be there; `remedy` says what to add when it is not.
    pub(crate) fn required<T>(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        remedy: &str,
        reader: impl FnOnce(&Value<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Option<Spot<T>> {
        match self.read(report, key, reader) {
            Slot::Given(spot) => Some(spot),
            Slot::Broken => None,
            Slot::Absent => {
                report.error(&self.span, format!("{} has no {key}", self.title), remedy);
                None
            }
        }
    }

    /// Reports every key that is not among `known`, with what `elsewhere` says about it, or the nearest known key.
    pub(crate) fn reject_unknown(
        &self,
        report: &mut Report<'_>,
        known: &[&'static str],
        elsewhere: impl Fn(&str) -> Option<String>,
    ) {
        for (key, _) in self.table {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let remedy = elsewhere(word)
                .or_else(|| nearest(word, known.iter().copied()).map(|near| format!("did you mean {near}?")))
                .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
            let message = format!("{} has no key {}", self.title, shown(word));
            report.error(&key.span(), message, remedy);
        }
    }
}

impl<'t> Section<'t> {
    /// The table of a key, under the title it has in messages; `None` when it is absent or reported as no table.
    pub(crate) fn table(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        title: &str,
    ) -> Option<Section<'t>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(title, value.span(), table)),
            DeValue::Array(array) if array.iter().all(|element| element.get_ref().is_table()) => {
                let message = format!("{title} stands in two brackets, as if there were several");
                report.error(&value.span(), message, format!("write {title}"));
                None
            }
            other => {
                let message = format!("{key} is {}", kind(other));
                report.error(
                    &value.span(),
                    message,
                    format!("write {title} on a line of its own, its keys below"),
                );
                None
            }
        }
    }
}
