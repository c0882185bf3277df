//! `~SEQ(NAME, first, step, last)`, `~SEQx` (in hexadecimal) and `~LST(NAME, one, two)`, `~LST({A, B}, {1, 2}, {3, 4})`: the rest of the
//! line, once for each.

use super::Piece;
use super::values::is_name;

/// A line that is read several times.
pub(super) struct Repeat {
    names: Vec<String>,
    values: Values,
    pub(super) rest: Piece,
}

enum Values {
    Numbers { next: i64, step: i64, last: i64, hexadecimal: bool },
    Lists(std::vec::IntoIter<Vec<String>>),
}

impl Repeat {
    /// What the names stand for the next time.
    pub(super) fn next(&mut self) -> Option<Vec<(String, String)>> {
        let values = match &mut self.values {
            Values::Numbers { next, step, last, hexadecimal } => {
                let number = *next;
                if (*step > 0 && number > *last) || (*step < 0 && number < *last) {
                    return None;
                }
                *next = number.checked_add(*step)?;
                vec![if *hexadecimal { format!("{number:x}") } else { number.to_string() }]
            }
            Values::Lists(lists) => lists.next()?,
        };
        Some(self.names.iter().cloned().zip(values).collect())
    }
}

/// Reads the beginning of a line; `rest` is what stands behind it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn repeat(text: &str, rest: Piece) -> Result<Repeat, String> {
    let open = text.find('(').ok_or("has no '('")?;
    let close = text.rfind(')').filter(|close| *close > open).ok_or("has no ')'")?;
    let inner = &text[open + 1..close];
    match &text[..open] {
        "~SEQ" => sequence(inner, rest, false),
        "~SEQx" => sequence(inner, rest, true),
        "~LST" => list(inner, rest),
        _ => Err("is neither ~SEQ, ~SEQx nor ~LST".to_owned()),
    }
}

fn sequence(inner: &str, rest: Piece, hexadecimal: bool) -> Result<Repeat, String> {
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let (name, numbers) = parts.split_first().ok_or("is empty")?;
    let name = name_of(name)?;
    let numbers = numbers.iter().map(|text| number(text)).collect::<Result<Vec<i64>, String>>()?;
    let (first, step, last) = match numbers[..] {
        [last] => (if last < 0 { -1 } else { 1 }, None, last),
        [first, last] => (first, None, last),
        [first, step, last] => (first, Some(step), last),
        _ => return Err("has not one to three numbers".to_owned()),
    };
    let step = step.unwrap_or(if last < first { -1 } else { 1 });
    if step == 0 {
        return Err("has the step 0, which never ends".to_owned());
    }
    let values = Values::Numbers { next: first, step, last, hexadecimal };
    Ok(Repeat { names: vec![name], values, rest })
}

/// Decimal, hexadecimal with `0x`, or octal with `0`, as C reads it.
fn number(text: &str) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let parsed = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let in_range = parsed.ok().filter(|number| number.unsigned_abs() <= u64::from(u32::MAX));
    in_range.map(|number| sign * number).ok_or_else(|| format!("has {text:?} where a number belongs"))
}

fn list(inner: &str, rest: Piece) -> Result<Repeat, String> {
    let mut items = grouped(inner)?.into_iter();
    let names = items.next().ok_or("is empty")?;
    let names = names.iter().map(|name| name_of(name)).collect::<Result<Vec<String>, String>>()?;
    let values: Vec<Vec<String>> = items.collect();
    if values.is_empty() || values.iter().any(|values| values.len() != names.len()) {
        return Err(format!("has not {} values in each place", names.len()));
    }
    Ok(Repeat { names, values: Values::Lists(values.into_iter()), rest })
}

/// `a, {b, c}` as `[[a], [b, c]]`.
fn grouped(inner: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut groups, mut rest) = (Vec::new(), inner.trim());
    while !rest.is_empty() {
        let (group, after) = match rest.strip_prefix('{') {
            Some(open) => open.split_once('}').ok_or("has no '}'")?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        let many = rest.starts_with('{');
        let items = if many { group.split(',').map(str::trim).collect() } else { vec![group.trim()] };
        groups.push(items.into_iter().map(str::to_owned).collect());
        rest = after.trim_start().strip_prefix(',').unwrap_or(after).trim_start();
        if many && !rest.is_empty() && !after.trim_start().starts_with(',') {
            return Err("has something behind a '}'".to_owned());
        }
    }
    Ok(groups)
}

fn name_of(text: &str) -> Result<String, String> {
    is_name(text).then(|| text.to_owned()).ok_or_else(|| format!("has {text:?} where a name belongs"))
}
