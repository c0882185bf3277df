//! Runs one command as a check would, and prints how it ended: `run_command [--timeout-ms N] [--user NAME] [--root] PROGRAM
//! ARGUMENTS`. It is also the launcher of this crate's tests, whose own binaries cannot be one.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use ha_probe::command::{Command, Commands, launcher_main};

#[tokio::main(flavor = "current_thread")]
async fn run(command: Command) -> ExitCode {
    let ended = Commands::default().run(&command).await;
    let written = std::io::stdout().write_all(&ended.output.beginning);
    eprintln!("{ended}");
    ExitCode::from(u8::from(!ended.is_success() || written.is_err()))
}

fn main() -> ExitCode {
    launcher_main();
    let mut arguments = std::env::args().skip(1).peekable();
    let mut command = Command::new([""; 0], Duration::from_secs(10));
    while let Some(option) = arguments.next_if(|argument| argument.starts_with("--")) {
        match &*option {
            "--root" => command.allow_root = true,
            "--user" => command.user = arguments.next(),
            "--timeout-ms" => {
                let number = arguments.next().and_then(|number| number.parse().ok());
                command.timeout = number.map_or(command.timeout, Duration::from_millis);
            }
            _ => return ExitCode::from(2),
        }
    }
    command.argv = arguments.collect();
    run(command)
}
