//! `hactl descriptors`: the contract as an encoded `FileDescriptorSet`, from which clients in any language are made: with
//! protoc or buf, or while they run, as deploy/examples/orchestration does.

use std::io::IsTerminal;
use std::path::Path;

use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Stop;

/// Writes the set to `file`, or to standard output.
///
/// # Errors
/// When it cannot be written, or would go to a terminal.
pub(crate) fn run(context: &Context, file: Option<&Path>) -> Result<Exit, Stop> {
    let set = ha_proto::DESCRIPTORS;
    match file {
        Some(file) => std::fs::write(file, set).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.display());
            Failure::local(Exit::Usage, "IO", "FILE", message, "check the path and your permissions")
        })?,
        None if std::io::stdout().is_terminal() => {
            let message = "a descriptor set is nothing for a terminal";
            return Err(Failure::usage(message, "give --file ha-agent.binpb, or a pipe").into());
        }
        None => context.out.octets(set)?,
    }
    Ok(Exit::Done)
}
