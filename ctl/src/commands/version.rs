//! `hactl version`: this program; what the nodes run is in `hactl node list`.

use serde::Serialize;

use crate::commands::Context;
use crate::exit::Exit;
use crate::output::Stop;
use crate::render::{Cell, Item, Report, Times};

#[derive(Serialize)]
struct VersionView {
    program: &'static str,
    version: &'static str,
    api_versions: [&'static str; 1],
}

impl Item for VersionView {
    const KIND: &'static str = "Version";

    fn name(&self) -> String {
        format!("{}/{}", self.program, self.version)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["PROGRAM", "VERSION", "API"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![Cell::new(self.program), Cell::new(self.version), Cell::new(self.api_versions.join(" "))]
    }
}

/// Prints the version.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn run(context: &Context) -> Result<Exit, Stop> {
    let mut answer = Report::new("Version");
    let version = VersionView {
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        api_versions: ["ha.agent.v1"],
    };
    let text = format!("{} {} (API {})\n", version.program, version.version, version.api_versions.join(" "));
    answer.items.push(version);
    context.print(&answer, Some(&text))?;
    Ok(Exit::Done)
}
