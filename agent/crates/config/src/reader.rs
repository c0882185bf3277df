//! Readers of values that several sections have: hosts, shares, paths, commands, octets.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::de::DeValue;

use crate::address::unusable;
use crate::model::{Command, Host};
use crate::report::Report;
use crate::section::Section;
use crate::settings::name_problem;
use crate::value::{Value, kind, shown};

/// An IP address or a DNS name (RFC 1123 §2.1, with underscores).
pub(crate) fn host(value: &Value<'_>, report: &mut Report<'_>) -> Option<Host> {
    let text = value.text(report)?;
    let host = parse_host(text);
    if host.is_none() {
        let message = format!("{} {} is neither an IP address nor a host name", value.key, shown(text));
        report.error(&value.span, message, host_remedy(text));
    }
    host
}

/// An address, in brackets or not, or a name in lower case without a trailing dot.
pub(crate) fn parse_host(text: &str) -> Option<Host> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Some(Host::Address(address));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let hyphens_inside = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(is_allowed) && hyphens_inside
    };
    // RFC 3696 §2: a last label of digits only would be a misspelt address.
    let last_is_number =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|c| c.is_ascii_digit()));
    let is_name = name.len() <= 253 && !last_is_number && name.split('.').all(is_label);
    is_name.then(|| Host::Name(name.to_ascii_lowercase()))
}

fn host_remedy(text: &str) -> String {
    if text.contains("://") {
        return "write the host alone, without a scheme and a path".to_owned();
    }
    match text.rsplit_once(':') {
        Some((host, port)) if parse_host(host).is_some() && port.parse::<u16>().is_ok() => {
            format!("write the port by itself: \"{host}\" here, and port = {port}")
        }
        _ => "write an address such as \"10.0.0.1\" or a name such as \"www.example.org\"".to_owned(),
    }
}

/// An IP address to connect to.
pub(crate) fn connect_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    let address = value.address(report)?;
    if let Some(what) = unusable(address) {
        let message = format!("{} {address} cannot be connected to: it is {what}", value.key);
        report.error(&value.span, message, "write the address of a server");
        return None;
    }
    Some(address)
}

/// A port to connect to.
pub(crate) fn port(value: &Value<'_>, report: &mut Report<'_>) -> Option<u16> {
    value.integer(report, 1_u16..=u16::MAX)
}

/// A share written `"25%"`, in whole percent.
pub(crate) fn percent(value: &Value<'_>, report: &mut Report<'_>, range: RangeInclusive<u8>) -> Option<u8> {
    let (least, most) = (*range.start(), *range.end());
    if let DeValue::Integer(number) = value.inner {
        let number = number.as_str().parse().ok().filter(|number| range.contains(number)).unwrap_or(most);
        let message = format!("{} is a number without a unit", value.key);
        report.error(&value.span, message, format!("write a share such as \"{number}%\", in quotes"));
        return None;
    }
    let text = value.text(report)?;
    let digits = text.strip_suffix('%').filter(|rest| rest.bytes().all(|octet| octet.is_ascii_digit()));
    let share = digits.and_then(|digits| digits.parse().ok()).filter(|share| range.contains(share));
    if share.is_none() {
        let message = format!("{} {} is no share", value.key, shown(text));
        report.error(&value.span, message, format!("write \"{least}%\" to \"{most}%\", without a fraction"));
    }
    share
}

/// The absolute path of a file.
pub(crate) fn absolute_path(value: &Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = value.text(report)?;
    if let Some(problem) = path_problem(text) {
        let message = format!("{} {} {problem}", value.key, shown(text));
        report.error(&value.span, message, "write the whole path of a file, from '/' on");
        return None;
    }
    Some(PathBuf::from(text))
}

fn path_problem(text: &str) -> Option<&'static str> {
    /// `PATH_MAX` of Linux, with its NUL.
    const LONGEST: usize = 4095;
    if !text.starts_with('/') {
        return Some("is no absolute path");
    }
    if text.ends_with('/') {
        return Some("is a folder");
    }
    (text.len() > LONGEST).then_some("is longer than the kernel allows")
}

/// A program and its arguments, without a shell between.
pub(crate) fn argv(value: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    const MOST_ARGUMENTS: usize = 64;
    const EXAMPLE: &str =
        "write a list of program and arguments: [\"/usr/bin/systemctl\", \"restart\", \"nginx\"]";
    if value.inner.as_str().is_some() {
        let message = format!("{} is one string, and no shell takes it apart", value.key);
        report.error(&value.span, message, EXAMPLE);
        return None;
    }
    let list = value.list(report, argument)?;
    if let Some((_, span)) = list.get(MOST_ARGUMENTS) {
        let message = format!("{} has {} arguments", value.key, list.len());
        report.error(span, message, format!("{MOST_ARGUMENTS} are the most; write a script"));
        return None;
    }
    let Some((program, span)) = list.first() else {
        report.error(&value.span, format!("{} is empty", value.key), EXAMPLE);
        return None;
    };
    if let Some(problem) = path_problem(program) {
        let message = format!("the program {} {problem}", shown(program));
        let remedy = "write its whole path, from '/' on; `command -v` tells it";
        report.error(span, message, remedy);
        return None;
    }
    Some(list.into_iter().map(|(argument, _)| argument).collect())
}

/// An argument may be empty and may have lines, but the kernel ends it at a NUL.
fn argument(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    const LONGEST: usize = 4096;
    let text = value.string(report)?;
    let problem = if text.contains('\0') {
        "contains a NUL".to_owned()
    } else if text.len() > LONGEST {
        format!("has {} octets, more than {LONGEST}", text.len())
    } else {
        return Some(text.to_owned());
    };
    report.error(&value.span, format!("an argument of {} {problem}", value.key), "shorten or remove it");
    None
}

/// `command` and `user` of a table; `None` after what is wrong was reported.
pub(crate) fn command(section: &Section<'_>, report: &mut Report<'_>) -> Option<Command> {
    let user = section.read(report, "user", user);
    let remedy = "add command = [\"/path/of/program\", \"argument\"]";
    let argv = section.required(report, "command", remedy, argv);
    Some(Command { argv: argv?.value, user: user.value().cloned() })
}

/// A user by name or number; whether there is one is for the agent to say.
pub(crate) fn user(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    if let DeValue::Integer(_) = value.inner {
        return value.integer(report, 0..=u32::MAX - 1).map(|uid| uid.to_string());
    }
    let text = value.text(report)?;
    if text.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '/' | '@')) {
        report.error(&value.span, format!("{} {} is no user", value.key, shown(text)), "write a user's name");
        return None;
    }
    Some(text.to_owned())
}

/// A regular expression, as the probes understand it.
pub(crate) fn pattern(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    const LONGEST: usize = 1024;
    let text = value.string(report)?;
    if text.is_empty() {
        let message = format!("{} is empty, which is found in everything", value.key);
        report.error(&value.span, message, "write what is to be found, or remove the key");
        return None;
    }
    if text.len() > LONGEST {
        let message = format!("{} has {} octets", value.key, text.len());
        report.error(&value.span, message, format!("{LONGEST} are the most"));
        return None;
    }
    let problem = match regex_syntax::ParserBuilder::new().utf8(false).build().parse(text) {
        Ok(_) => return Some(text.to_owned()),
        Err(regex_syntax::Error::Parse(error)) => {
            format!("{} at character {}", error.kind(), error.span().start.column)
        }
        Err(regex_syntax::Error::Translate(error)) => error.kind().to_string(),
        Err(error) => error.to_string(),
    };
    let message = format!("{} {} is no regular expression: {problem}", value.key, shown(text));
    let remedy =
        "a backslash takes a special character literally; single quotes around the text keep backslashes";
    report.error(&value.span, message, remedy);
    None
}

/// Octets in hexadecimal, blanks between them allowed; `??` is any octet where `wildcards` are.
pub(crate) fn hex(
    value: &Value<'_>,
    report: &mut Report<'_>,
    most: usize,
    wildcards: bool,
) -> Option<Vec<Option<u8>>> {
    let text = value.text(report)?;
    let digits: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    let octet = |pair: &[char]| match pair {
        ['?', '?'] if wildcards => Some(None),
        [high, low] => {
            let octet = high.to_digit(16)? << 4 | low.to_digit(16)?;
            u8::try_from(octet).ok().map(Some)
        }
        _ => None,
    };
    let octets: Option<Vec<Option<u8>>> = digits.chunks(2).map(octet).collect();
    let octets = octets.filter(|octets| octets.len() <= most);
    if octets.is_none() {
        let any = if wildcards { ", ?? for any octet" } else { "" };
        let remedy = format!("write at most {most} octets of two hexadecimal digits each{any}: \"0a 1b ff\"");
        report.error(&value.span, format!("{} {} are no octets", value.key, shown(text)), remedy);
    }
    octets
}

/// The name of a check, also written `checks/NAME` as it is shown.
pub(crate) fn check_name(value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let name = text.strip_prefix("checks/").unwrap_or(text);
    if let Some(problem) = name_problem(name) {
        let message = format!("{} {} is no name: it {problem}", value.key, shown(name));
        report.error(&value.span, message, "write the name of a [[check]]");
        return None;
    }
    Some(name.to_owned())
}

/// A list of texts, or one text alone.
pub(crate) fn one_or_many<T>(
    value: &Value<'_>,
    report: &mut Report<'_>,
    mut reader: impl FnMut(&Value<'_>, &mut Report<'_>) -> Option<T>,
) -> Option<Vec<(T, Range<usize>)>> {
    if value.inner.is_array() {
        return value.list(report, reader);
    }
    Some(vec![(reader(value, report)?, value.span.clone())])
}

/// The tables of a `[[section]]`; anything else under that name is reported.
pub(crate) fn tables<'t>(root: &Section<'t>, report: &mut Report<'_>, key: &'static str) -> Vec<Section<'t>> {
    let Some(value) = root.get(key) else {
        return Vec::new();
    };
    let place = if root.title == "the file" { key.to_owned() } else { format!("pool.{key}") };
    let remedy = format!("write [[{place}]], in two brackets, above the keys of each {key}");
    let DeValue::Array(array) = value.get_ref() else {
        report.error(&value.span(), format!("{key} is {}", kind(value.get_ref())), remedy);
        return Vec::new();
    };
    let article = if key.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let mut tables = Vec::with_capacity(array.len());
    for element in array {
        match element.get_ref() {
            DeValue::Table(table) => tables.push(Section::new(key, element.span(), table)),
            other => report.error(&element.span(), format!("{article} {key} is {}", kind(other)), &remedy),
        }
    }
    tables
}
