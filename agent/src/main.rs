//! The daemon's entry; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ha_agent::cli::main()
}
