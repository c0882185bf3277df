//! The daemon's entry; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Commands are run by this binary in another process, which must not do anything else before.
    ha_probe::command::launcher_main();
    ha_agent::cli::main()
}
