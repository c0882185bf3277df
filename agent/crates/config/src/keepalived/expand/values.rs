//! Names of parameters, and those that keepalived defines itself.

use std::path::Path;

/// Letters, digits and `_`, not beginning with a digit.
pub(super) fn is_name(name: &str) -> bool {
    let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
    name.bytes().all(is_allowed) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The parameter that `text` begins with, `${NAME}` or `$NAME` before a blank, and how long it is.
pub(super) fn named(text: &str) -> Option<(&str, usize)> {
    if let Some(rest) = text.strip_prefix("${") {
        let end = rest.find('}')?;
        return Some((&rest[..end], end + 3));
    }
    let rest = text.strip_prefix('$')?;
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    is_name(&rest[..end]).then_some((&rest[..end], end + 1))
}

/// What keepalived defines; `None` for what it does not.
///
/// # Errors
/// What cannot be the same each time that the file is read.
pub(super) fn predefined(name: &str, folder: &Path, id: &str) -> Result<Option<String>, String> {
    match name.split_whitespace().next().unwrap_or_default() {
        "_PWD" => Ok(Some(folder.display().to_string())),
        "_INSTANCE" => Ok(Some(id.to_owned())),
        "_HASH" => Ok(Some("#".to_owned())),
        "_BANG" => Ok(Some("!".to_owned())),
        "_RANDOM" => {
            Err("${_RANDOM} is another number each time that the file is read, so a reload would change it"
                .to_owned())
        }
        "_ENV" => Err("${_ENV} is of keepalived's own environment, which the agent does not have".to_owned()),
        _ => Ok(None),
    }
}
